//! The whole-system tests; see `tests/system/main.rs`.
