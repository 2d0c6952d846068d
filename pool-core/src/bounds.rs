//! How large the values of calls may be.

use pool_worker::codec::Limits;

/// What an executor bounds of arguments and results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most bytes of a call's encoded arguments.
    pub(crate) arguments: usize,
    /// The most bytes of an encoded result.
    pub(crate) result: u64,
    /// What may be made of a result.
    pub(crate) values: Limits,
}

/// As wide as can be without danger to the application.
impl Default for Bounds {
    fn default() -> Self {
        Self {
            arguments: usize::MAX,
            result: u64::MAX,
            values: Limits::WIDEST,
        }
    }
}
