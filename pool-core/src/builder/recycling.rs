//! When workers are replaced although nothing happened to them.

use std::time::Duration;

use super::ExecutorBuilder;
use crate::error::Error;
use crate::supervisor::Recycling;

impl ExecutorBuilder {
    /// How many calls a worker runs before another one takes its place: against what tasks leave
    /// behind in a process, as memory that leaks. By default there is no limit; 0 is an error.
    ///
    /// A worker that has run them ends in good order, with its
    /// [`on_worker_exit`](Self::on_worker_exit), and a new one, with the
    /// [`initializer`](Self::initializer), begins what is left to do. With 1 each call has a fresh
    /// process of its own, for which it waits about a millisecond.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn pid() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).max_tasks_per_worker(2).build()?;
    /// let pids: Vec<u32> = executor.map(pid, [(); 4]).collect::<Result<_, _>>()?;
    /// assert_eq!(pids[0], pids[1]);
    /// assert_ne!(pids[1], pids[2]);
    /// assert_eq!(pids[2], pids[3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_tasks_per_worker(mut self, tasks: u64) -> Self {
        self.max_tasks = Some(tasks);
        self
    }

    /// How long a worker is given calls before another one takes its place. A call that it runs by
    /// then ends first, and what it has not begun goes to others. By default there is no limit, as
    /// with [`Duration::MAX`]; no time at all is an error.
    ///
    /// ```
    /// use pool_core::Executor;
    /// use std::time::{Duration, Instant};
    ///
    /// let age = Duration::from_millis(20);
    /// let executor = Executor::builder().workers(1).max_worker_age(age).build()?;
    /// let first = executor.worker_pids();
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// while executor.worker_pids() == first {
    ///     assert!(Instant::now() < deadline);
    ///     std::thread::sleep(age);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_worker_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    pub(super) fn recycling(&self) -> Result<Recycling, Error> {
        if self.max_tasks == Some(0) {
            return Err(Error::invalid_option(
                "max_tasks_per_worker",
                "workers that may run nothing could run nothing; allow them 1 call or more",
            ));
        }
        if self.max_age == Some(Duration::ZERO) {
            return Err(Error::invalid_option(
                "max_worker_age",
                "workers would be too old at their birth; allow them some time",
            ));
        }
        Ok(Recycling {
            tasks: self.max_tasks.unwrap_or(u64::MAX),
            age: self.max_age,
        })
    }
}
