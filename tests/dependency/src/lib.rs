//! A library with tasks of its own, and one that re-exports `pool_core`.

pub use pool_core;

/// The text, twice.
#[pool_core::task]
pub fn twice(text: String) -> String {
    text.repeat(2)
}

pub mod inner {
    //! A module of a library.

    /// The sum of two numbers.
    #[pool_core::task(name = "dependency/sum")]
    pub fn sum(a: i64, b: i64) -> i64 {
        a + b
    }
}
