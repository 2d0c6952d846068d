//! When workers are replaced although nothing happened to them.

use std::time::Duration;

use super::ExecutorBuilder;
use crate::error::Error;
use crate::supervisor::Recycling;

impl ExecutorBuilder {
    /// How many calls a worker runs before another one takes its place: against what tasks leave
    /// behind in a process, as memory that leaks. By default there is no limit, and 1 with
    /// [`Profile::Untrusted`](crate::Profile::Untrusted); 0 is an error.
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

    /// How long a worker is given calls before another one takes its place: up to a quarter less, each
    /// another, so that those that were started together are not all replaced together. A call that it
    /// runs by then ends first, and what it has not begun goes to others. By default there is no limit,
    /// as with [`Duration::MAX`]; no time at all is an error.
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

    /// How many bytes of memory of its own a worker may have. By default there is no limit, as with
    /// [`u64::MAX`]; 0 is an error.
    ///
    /// A call in which its worker has more is stopped by the worker's death, whatever
    /// [`grace`](Self::grace) says, yields [`MemoryLimit`](crate::TaskErrorKind::MemoryLimit), and is
    /// not tried again, as it would fare no better. What was queued behind it is unharmed. A worker
    /// that has more *after* a call, as tasks leave memory behind, begins no other: it ends in good
    /// order, as one does that has run [`max_tasks_per_worker`](Self::max_tasks_per_worker), and
    /// another takes its place; what its [`on_worker_exit`](Self::on_worker_exit) takes then has no limit
    /// but that to its time. If a worker has more before its first call, in or after its
    /// [`initializer`](Self::initializer), the executor is broken, as the next one would not have less; once any call has returned, that
    /// counts towards the [`restart_limit`](Self::restart_limit) instead.
    ///
    /// What counts is resident anonymous memory, heap and stacks above all, beyond what the process had
    /// that it was forked from; with [`StartMethod::Spawn`](crate::StartMethod::Spawn), all of it. So
    /// what a [`preload`](Self::preload) has loaded does not count, also where a task has changed it
    /// since: to tell such pages apart would stop the worker's own dealings with its memory for more
    /// than 10 ms for each GiB. Nor do files that are mapped, a [`Shared`](crate::Shared) or other
    /// shared memory, pages that are swapped out, and the processes that a task starts. The backtrace
    /// of a panic counts, which may take tens of MiB where `RUST_BACKTRACE` asks for one.
    ///
    /// This is no wall: an allocation is never refused. While any worker has calls, all are looked at
    /// every 100 ms, and sooner the less is left to them, down to every 10 ms: as soon as one that fills
    /// 4 GiB per second may be over its limit. A call is stopped at the second look that finds too much,
    /// so one that runs for less than 10 ms after that ends undisturbed, and one that goes on may have
    /// filled some 80 MiB more by then; several threads, or memory that comes as huge pages, may fill
    /// more. A look takes some 5 us for each worker. Workers look at themselves after calls, for
    /// as long: at most every 250 us, but after every call that less than 2 MiB are left to. Nobody
    /// looks at idle ones.
    ///
    /// ```
    /// use pool_core::{Executor, TaskErrorKind, task};
    /// use std::{thread, time::Duration};
    ///
    /// #[task]
    /// fn hoard(mebibytes: usize) -> usize {
    ///     let hoard = vec![1_u8; mebibytes << 20];
    ///     thread::sleep(Duration::from_millis(hoard.len() as u64 >> 15));
    ///     hoard.len()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).memory_limit(64 << 20).build()?;
    /// assert_eq!(executor.submit(hoard, 1).result()?, 1 << 20);
    /// let error = executor.submit(hoard, 500).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::MemoryLimit);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.max_memory = Some(bytes);
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
        if self.max_memory == Some(0) {
            return Err(Error::invalid_option(
                "memory_limit",
                "every worker has more than no memory; allow them some MiB",
            ));
        }
        if self.max_processor == Some(Duration::ZERO) {
            return Err(Error::invalid_option(
                "cpu_limit",
                "calls that may take no processor time could do nothing; allow them some",
            ));
        }
        Ok(Recycling {
            tasks: self.max_tasks.unwrap_or(u64::MAX),
            age: self.max_age,
            memory: self.max_memory.filter(|&bytes| bytes != u64::MAX),
            processor: self.max_processor.filter(|&limit| limit != Duration::MAX),
        })
    }
}
