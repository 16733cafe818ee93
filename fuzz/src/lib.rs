//! What the fuzz targets share: how an input is understood, how it is mutated, what has to survive a translation.
//!
//! The product's lower floors are taken in as they are, not by the product's package: they build in a minute and
//! without Pingora, and are instrumented with all that they use. A check that fails panics; libFuzzer keeps its input.

// The tests of what is taken in are the product's own.
#![cfg(not(test))]

#[path = "../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../src/translate/mod.rs"]
pub mod translate;

pub mod gist;
pub mod input;
pub mod kept;
pub mod mutation;
pub mod pace;
pub mod sides;
pub mod spans;
pub mod told;
