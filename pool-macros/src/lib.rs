//! The `#[task]` attribute of the `pool-core` process pool.
#![forbid(unsafe_code)]
