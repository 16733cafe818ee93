//! The commands of `cliproxy`, one file each.

pub mod check;
pub mod simulate;
