//! When a provider rests after errors, and how it comes back.
//!
//! [`trigger`] judges when errors are too many, [`machine`] how the rest goes, [`guard`] lets requests through. All are pure,
//! and nobody calls them yet: so far a provider's errors move requests on, and make nobody rest.

pub mod config;
pub mod guard;
pub mod machine;
pub mod reason;
pub mod trigger;
