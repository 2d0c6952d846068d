//! What holds for all calls that do not say otherwise.

use std::time::Duration;

use super::ExecutorBuilder;

impl ExecutorBuilder {
    /// How long each call may run, unless its [`options`](crate::Executor::options) say otherwise. The
    /// clock starts when a worker takes the call; time in the queue does not count.
    ///
    /// Past it, the worker is killed with all that the task had started, and replaced, and the call
    /// yields [`TimedOut`](crate::TaskErrorKind::TimedOut). No other call is harmed, and what the
    /// task does against signals does not help it. No limit by default, nor with `Duration::MAX`.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    ///
    /// use pool_core::{Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn hang() {
    ///     thread::park_timeout(Duration::from_secs(3600));
    /// }
    ///
    /// let limit = Duration::from_millis(50);
    /// let executor = Executor::builder().workers(1).task_timeout(limit).build()?;
    /// let error = executor.submit(hang, ()).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::TimedOut);
    /// assert!(error.to_string().contains("its limit is 50ms"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_timeout(mut self, timeout: Duration) -> Self {
        self.terms = self.terms.limited(timeout);
        self
    }

    /// How much processor time each call may take, on all threads of its worker together; processes that
    /// the task starts do not count. Time that it waits is not limited by this: see
    /// [`task_timeout`](Self::task_timeout).
    ///
    /// Past it the worker is killed, and replaced, and the call yields
    /// [`CpuLimit`](crate::TaskErrorKind::CpuLimit); it is not tried again, as it would fare no better. No
    /// other call is harmed. While calls run, the supervising thread looks at their workers' clocks at
    /// least every 20 ms, so a call may have taken as much more by then. No limit by default, nor with
    /// [`Duration::MAX`]; none at all is an error.
    ///
    /// ```
    /// use pool_core::{Executor, TaskErrorKind, task};
    /// use std::{hint, thread, time::Duration};
    ///
    /// #[task]
    /// fn sleep(milliseconds: u64) {
    ///     thread::sleep(Duration::from_millis(milliseconds));
    /// }
    ///
    /// #[task]
    /// fn spin() {
    ///     loop {
    ///         hint::spin_loop();
    ///     }
    /// }
    ///
    /// let limit = Duration::from_millis(50);
    /// let executor = Executor::builder().workers(1).cpu_limit(limit).build()?;
    /// executor.submit(sleep, 100).result()?;
    /// let error = executor.submit(spin, ()).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::CpuLimit);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cpu_limit(mut self, limit: Duration) -> Self {
        self.max_processor = Some(limit);
        self
    }

    /// How long a worker is let live whose call is out of time: it gets SIGTERM first, for the task to
    /// clean up, and is killed if it has not ended by then. Without a handler of the task's, SIGTERM
    /// ends it at once. Whatever the task returns by grace, its call yields
    /// [`TimedOut`](crate::TaskErrorKind::TimedOut), and the worker is replaced. None by default:
    /// workers are killed at once.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    ///
    /// use pool_core::{Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn hang() {
    ///     thread::park_timeout(Duration::from_secs(3600));
    /// }
    ///
    /// let builder = Executor::builder().workers(1).grace(Duration::from_secs(60));
    /// let executor = builder.task_timeout(Duration::from_millis(50)).build()?;
    /// let error = executor.submit(hang, ()).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::TimedOut);
    /// assert_eq!(error.signal(), Some(15), "it did not have to be killed");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// How often a call begins anew if its worker dies in it, unless its
    /// [`options`](crate::Executor::options) say otherwise. 0 by default: a call that has begun never
    /// begins again.
    ///
    /// A task that may be tried again must bear to be run in part before it is run as a whole. A panic
    /// is not tried again, nor what was killed, or ran out of time: each attempt has its own time. If
    /// the worker of the last attempt dies, too, the call fails with what that one died of;
    /// [`attempts`](crate::TaskError::attempts) counts them. After
    /// [`shutdown_now`](crate::Executor::shutdown_now) nothing begins anew.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn flaky() -> u32 {
    ///     let attempt = pool_core::current().unwrap().attempt();
    ///     if attempt < 3 {
    ///         std::process::abort();
    ///     }
    ///     attempt
    /// }
    ///
    /// let executor = Executor::builder().workers(1).retries(2).build()?;
    /// assert_eq!(executor.submit(flaky, ()).result()?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retries(mut self, retries: u32) -> Self {
        self.terms.retries = retries;
        self
    }
}
