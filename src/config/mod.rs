//! The configuration: composed of the rooms' own settings, loaded from YAML and the environment, and checked.
//!
//! Loading has five steps, each in a file of its own: [`yaml`] makes nodes that know their places,
//! `variables` expands `${VAR}` in each scalar (after parsing, so that a secret can't become YAML), the rooms'
//! types read them, `cross` checks what one room's settings say of another's, and `leniency` turns an unset
//! variable that nothing depends on into a warning. Every problem is reported at once, with its place.
//!
//! This is the only place that knows YAML and that reads the file and the environment. Nobody but `app` and
//! `cli` may know of it: each room gets its own `Config` type handed in.

mod cross;
mod inactive;
mod leniency;
mod load;
mod render;
mod tree;
mod variables;
pub mod yaml;

pub use inactive::Inactive;
pub use load::{Environment, Loaded, load, load_text, locate, parse, process_environment};
pub use render::effective;
pub use tree::{Config, Operations, Server};
