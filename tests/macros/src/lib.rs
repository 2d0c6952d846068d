//! Nothing: the tests of what `#[task]` accepts and refuses are all there is to this package.
