//! What the tests share.

/// The programs in the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
