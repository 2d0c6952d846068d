//! How much may wait.

use super::ExecutorBuilder;

impl ExecutorBuilder {
    /// How many submitted calls may wait for a worker. One more is refused with
    /// [`QueueFull`](crate::TaskErrorKind::QueueFull): by
    /// [`try_submit`](crate::Executor::try_submit) at once, with its arguments, and by
    /// [`submit`](crate::Executor::submit) as the future's error. By default there is no limit.
    ///
    /// As many calls as there are [workers](Self::workers) do not wait and are not counted, whether the
    /// workers are ready for them or not; with 0, no more than that are taken.
    /// Maps and broadcasts are bounded by themselves: they are never refused, and what they have in
    /// flight is not counted.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    ///
    /// use pool_core::{Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn nap(milliseconds: u64) {
    ///     thread::sleep(Duration::from_millis(milliseconds));
    /// }
    ///
    /// let executor = Executor::builder().workers(1).queue_limit(2).build()?;
    /// let naps: Vec<_> = (0..3).map(|_| executor.try_submit(nap, 200)).collect::<Result<_, _>>()?;
    /// let rejected = executor.try_submit(nap, 5).unwrap_err();
    /// assert_eq!((rejected.kind(), rejected.into_args()), (TaskErrorKind::QueueFull, 5));
    /// for nap in naps {
    ///     nap.result()?;
    /// }
    /// assert!(executor.try_submit(nap, 5).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn queue_limit(mut self, calls: usize) -> Self {
        self.queue_limit.calls = calls;
        self
    }

    /// How many bytes the encoded arguments of submitted calls may have that are not done: once they
    /// have as many, one more call is refused as [`queue_limit`](Self::queue_limit) has it. A single
    /// call may have more. By default there is no limit; with 0 nothing is taken at all.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    ///
    /// use pool_core::{Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn weigh(bytes: Vec<u8>) -> usize {
    ///     thread::sleep(Duration::from_millis(200));
    ///     bytes.len()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).queue_bytes(1_000_000).build()?;
    /// let heavy = executor.submit(weigh, vec![0; 5_000_000]);
    /// let refused = executor.submit(weigh, vec![0; 10]);
    /// assert_eq!(refused.result().unwrap_err().kind(), TaskErrorKind::QueueFull);
    /// assert_eq!(heavy.result()?, 5_000_000);
    /// assert_eq!(executor.submit(weigh, vec![0; 10]).result()?, 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_limit.bytes = bytes;
        self
    }
}
