//! What an executor has done and is doing, in numbers.

use crate::task_error::TaskErrorKind;

/// What an executor is doing, and what it has done since it was built, all at one moment; see
/// [`Executor::stats`](crate::Executor::stats).
///
/// Every call, that is every [`TaskFuture`](crate::TaskFuture) that was made and every input that a
/// [`Map`](crate::Map) has drawn, is counted in exactly one of `queued`, `running`, `completed` and
/// `failed`. What an executor calls for itself, as an initializer, is not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many workers there may be, as [`Executor::workers`](crate::Executor::workers) tells.
    pub workers: usize,
    /// How many worker processes there are: `busy` and `idle`.
    pub alive: usize,
    /// Of those, how many are not idle: they run calls, are being set up, or are about to end.
    pub busy: usize,
    /// Of those, how many wait for calls.
    pub idle: usize,
    /// Calls that no worker runs: they wait for one, or theirs has died in this moment.
    pub queued: usize,
    /// Calls that workers run.
    pub running: usize,
    /// Calls that are not done: `queued` and `running`.
    pub pending: usize,
    /// Calls whose task returned, be it an `Err`.
    pub completed: u64,
    /// Calls that yield a [`TaskError`](crate::TaskError); see [`failed_with`](Self::failed_with).
    pub failed: u64,
    /// How often a call was begun anew after the death of its worker.
    pub retried: u64,
    /// Worker processes that were started.
    pub workers_started: u64,
    /// Worker processes that died, or were killed for the call that they ran. Those that were there at
    /// the end of the executor and ended with it are neither here nor in `workers_recycled`.
    pub workers_died: u64,
    /// Worker processes that ended in good order: after so many calls, at such an age, with so much
    /// memory, after so long without a call, or as fewer were wanted.
    pub workers_recycled: u64,
    pub(crate) failures: Failures,
}

impl Stats {
    /// How many calls failed with this kind of error. Results that arrived and could not be decoded
    /// where they were taken are among the `completed`, not here.
    ///
    /// ```
    /// use pool_core::{Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn unlucky(x: u32) -> u32 {
    ///     assert!(x != 3);
    ///     x
    /// }
    ///
    /// let executor = Executor::builder().workers(2).build()?;
    /// assert_eq!(executor.map(unlucky, 0..10).flatten().count(), 9);
    /// let stats = executor.stats();
    /// assert_eq!((stats.completed, stats.failed), (9, 1));
    /// assert_eq!(stats.failed_with(TaskErrorKind::Panicked), 1);
    /// assert_eq!(stats.failed_with(TaskErrorKind::WorkerDied), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn failed_with(&self, kind: TaskErrorKind) -> u64 {
        let count = self.failures.0.iter().find(|(other, _)| *other == kind);
        count.map_or(0, |(_, count)| *count)
    }
}

/// How many calls failed, by kinds of which there were any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures(Vec<(TaskErrorKind, u64)>);

impl Failures {
    pub(crate) fn count(&mut self, kind: TaskErrorKind) {
        match self.0.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, count)) => *count += 1,
            None => self.0.push((kind, 1)),
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }
}
