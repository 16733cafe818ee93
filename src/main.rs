//! The `cliproxy` binary.

fn main() {}
