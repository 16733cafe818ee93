//! The words of the house: ids, outcomes, usage, money, durations, secrets.
//!
//! Everything here is a plain value. Nothing reads a clock, a file, a socket or the environment
//! (but for [`wall_clock`], the one place where wall time enters), and nothing knows who uses it.

mod class;
mod dialect;
mod failure;
mod money;
pub mod origin;
mod quantity;
mod quoted;
mod secret;
mod usage;
pub mod wall_clock;

pub use class::ErrorClass;
pub use dialect::Dialect;
pub use failure::{ErrorCode, Failure};
pub use money::{Money, Price};
pub use quantity::{Period, Ratio, Size};
pub use quoted::Quoted;
pub use secret::Secret;
pub use usage::TokenUsage;
