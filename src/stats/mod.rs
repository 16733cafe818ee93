//! Rolling figures: what happened lately, in fixed memory, without locks.
//!
//! Everything here is pure: `now` is an argument, nothing reads a clock, and nothing knows who is
//! measured (a provider, a credential, the whole gateway) or what the figures are used for.

mod minute;
mod outcomes;
mod tally;
mod window;

pub use minute::{Figures, Minute};
pub use outcomes::Outcomes;
pub use tally::Tally;
pub use window::{SECONDS as WINDOW_SECONDS, Window};
