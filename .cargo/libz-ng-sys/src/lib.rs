//! The names of `libz-ng-sys`, from stock zlib. Why: see this crate's `Cargo.toml`.
pub use libz_sys::*;
