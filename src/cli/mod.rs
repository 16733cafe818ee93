//! The commands of `cliproxy`, one file each.

pub mod simulate;
