//! Whether an executor takes calls, and why not.

use std::fmt;
use std::sync::Arc;

/// Why an executor broke.
#[derive(Debug)]
pub(crate) struct Breakdown(pub(crate) String);

impl fmt::Display for Breakdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Breakdown {}

/// Whether new calls are taken.
#[derive(Clone, Debug)]
pub(crate) enum Gate {
    Open,
    /// The executor was shut down.
    Closed,
    /// The executor cannot go on, for this reason.
    Broken(Arc<Breakdown>),
}
