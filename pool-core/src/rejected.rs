//! Calls that were not taken, with their arguments.

use std::error::Error;
use std::fmt;

use crate::task_error::{TaskError, TaskErrorKind};

/// A call that [`try_submit`](crate::Executor::try_submit) did not take: its arguments, and why.
///
/// ```
/// use pool_core::{Executor, TaskErrorKind, task};
///
/// #[task]
/// fn length(text: String) -> usize {
///     text.len()
/// }
///
/// let executor = Executor::builder().workers(1).build()?;
/// executor.shutdown();
/// let rejected = executor.try_submit(length, "a text".to_string()).unwrap_err();
/// assert_eq!(rejected.error().kind(), TaskErrorKind::ShutDown);
/// assert_eq!(rejected.into_args(), "a text");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Rejected<Args> {
    args: Args,
    error: TaskError,
}

impl<Args> Rejected<Args> {
    pub(crate) fn new(args: Args, error: TaskError) -> Self {
        Self { args, error }
    }

    /// Gives the arguments back.
    pub fn into_args(self) -> Args {
        self.args
    }

    /// Why the call was not taken: [`QueueFull`](TaskErrorKind::QueueFull),
    /// [`ShutDown`](TaskErrorKind::ShutDown) or [`PoolBroken`](TaskErrorKind::PoolBroken).
    pub fn error(&self) -> &TaskError {
        &self.error
    }

    /// The kind of [`error`](Self::error).
    pub fn kind(&self) -> TaskErrorKind {
        self.error.kind()
    }
}

impl<Args> fmt::Debug for Rejected<Args> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<Args> fmt::Display for Rejected<Args> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<Args> Error for Rejected<Args> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// The error alone, for those who do not want the arguments back.
impl<Args> From<Rejected<Args>> for TaskError {
    fn from(rejected: Rejected<Args>) -> Self {
        rejected.error
    }
}
