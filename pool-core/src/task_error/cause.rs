//! What is known of a failed call beyond its kind: what its worker died of, whether it ran, how large it
//! was.

use std::fmt::{self, Display};

use pool_worker::codec::{DecodeError, Limit};

use super::{Side, TaskError, TaskErrorKind};

/// What a worker died of, where that can be told; see [`TaskError::death_cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeathCause {
    /// The stack of the task's thread overflowed.
    StackOverflow,
    /// An allocation failed, as it does where a limit to address space is set, and the process aborted,
    /// as Rust has it then.
    ///
    /// What is seen is this: the task's thread aborted, and the last thing that had failed on it
    /// since the call began had failed for want of memory. Failures on other threads are not seen.
    OutOfMemory,
    /// Most likely the kernel killed it, for want of memory.
    ///
    /// What is seen is this: it was killed by a `SIGKILL` that nobody here sent, and the kernel counts
    /// one more process that it has killed so, in this control group where that is told, else on this
    /// machine, than when the executor was built or last lost a worker.
    OomKiller,
}

impl Display for DeathCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StackOverflow => "the task overflowed its stack",
            Self::OutOfMemory => "it aborted when memory could not be allocated",
            Self::OomKiller => "most likely the kernel killed it for want of memory",
        })
    }
}

impl TaskError {
    /// What the worker died of, if it did ([`WorkerDied`](TaskErrorKind::WorkerDied)) and that can be
    /// told.
    ///
    /// ```
    /// use pool_core::{DeathCause, Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn depth(n: u64) -> u64 {
    ///     if n == 0 { 0 } else { 1 + std::hint::black_box(depth(n - 1)) }
    /// }
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// let error = executor.submit(depth, u64::MAX).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::WorkerDied);
    /// assert_eq!(error.death_cause(), Some(DeathCause::StackOverflow));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn death_cause(&self) -> Option<DeathCause> {
        self.0.cause
    }

    /// Whether a worker had begun the call, be it in an earlier attempt: then its task may have run, in
    /// part or to its end, and what it did stays done. One that has not begun never ran at all.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn fail(text: String) {
    ///     panic!("{text}");
    /// }
    ///
    /// let executor = Executor::builder().workers(1).max_args(1000).build()?;
    /// let too_large = executor.submit(fail, "x".repeat(2000)).result().unwrap_err();
    /// assert!(!too_large.started());
    /// let panicked = executor.submit(fail, "x".repeat(20)).result().unwrap_err();
    /// assert!(panicked.started());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn started(&self) -> bool {
        let has_come = matches!(self.0.side, Side::Application | Side::Taken);
        let is_result = self.kind() == TaskErrorKind::Decode && has_come;
        is_result || self.attempts() > 0
    }

    /// How many bytes there were, of what was [`TooLarge`](TaskErrorKind::TooLarge).
    pub fn size(&self) -> Option<u64> {
        Some(self.0.size?.0)
    }

    /// How many bytes there may be, of what was [`TooLarge`](TaskErrorKind::TooLarge).
    pub fn size_limit(&self) -> Option<u64> {
        Some(self.0.size?.1)
    }

    /// What the worker died of.
    pub(crate) fn died_of(self, cause: DeathCause) -> Self {
        self.with(|inner| inner.cause = Some(cause))
    }

    /// There were so many bytes, where `most` are allowed.
    pub(crate) fn sized(self, size: u64, most: u64) -> Self {
        self.with(|inner| inner.size = Some((size, most)))
    }

    /// Why the result could not be decoded.
    pub(crate) fn undecodable(self, error: &DecodeError) -> Self {
        let told = self.detail(error.to_string());
        told.with(|inner| inner.limit = error.limit())
    }
}

/// What to do about a result that goes beyond this limit.
pub(super) fn remedy(limit: Limit) -> &'static str {
    match limit {
        Limit::Depth => {
            "; return what is nested less, or set a higher max_result_depth if it is below 128"
        }
        Limit::Elements => "; return fewer, or set a higher max_result_elements",
        // The detail says what else can be done.
        Limit::Memory => ", or set a higher max_result_memory",
    }
}
