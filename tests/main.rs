//! The integration tests: one binary, files by intent.
