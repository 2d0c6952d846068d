//! How many workers there are: at first, at least, at most, and from now on.

use std::time::Duration;

use super::ExecutorBuilder;
use crate::error::Error;
use crate::executor::Executor;
use crate::gate::Gate;
use crate::scheduler::Size;
use crate::sys;

/// The most workers that an executor may have.
const MAX_WORKERS: usize = 4096;
/// Descriptors that an executor needs beside those of its workers.
pub(super) const OTHER_DESCRIPTORS: u64 = 8;
/// Descriptors that an executor needs for each worker.
const DESCRIPTORS_PER_WORKER: u64 = 2;

impl ExecutorBuilder {
    /// How many workers; by default one for each core that this process may use, as
    /// [`std::thread::available_parallelism`] tells, or for each of
    /// [`cpu_affinity`](Self::cpu_affinity) if those are fewer, and at least
    /// [`min_workers`](Self::min_workers). 0 is an error. With `min_workers` or
    /// [`idle_timeout`](Self::idle_timeout), as many at the most.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many workers are there even if they have nothing to do. As many are started at once, and
    /// others on demand: when a call waits and no worker is idle that could take it. There is no
    /// demand in a call behind others that are known to be short, as it waits for less than a new
    /// worker takes to come.
    ///
    /// By default all [`workers`](Self::workers) are kept, or none with an
    /// [`idle_timeout`](Self::idle_timeout). More than `workers` are an error. Without an
    /// `idle_timeout`, a worker that was started stays; one that dies is replaced on demand where as
    /// many are there without it.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn square(x: u64) -> u64 {
    ///     x * x
    /// }
    ///
    /// let executor = Executor::builder().workers(8).min_workers(0).build()?;
    /// assert!(executor.worker_pids().is_empty());
    /// for x in 0..100 {
    ///     assert_eq!(executor.submit(square, x).result()?, x * x);
    /// }
    /// assert_eq!(executor.worker_pids().len(), 1, "no two calls at once");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn min_workers(mut self, workers: usize) -> Self {
        self.min_workers = Some(workers);
        self
    }

    /// How long a worker has nothing to do before it ends, as long as more are left than
    /// [`min_workers`](Self::min_workers), which are none by default then. It ends in good order, with
    /// its [`on_worker_exit`](Self::on_worker_exit), and [`restart_limit`](Self::restart_limit) does
    /// not count it. By default, and with [`Duration::MAX`], workers stay however idle they are; no
    /// time at all is an error.
    ///
    /// With none left, the next call waits for a new one, which takes about a millisecond.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    /// use std::time::{Duration, Instant};
    ///
    /// #[task]
    /// fn square(x: u64) -> u64 {
    ///     x * x
    /// }
    ///
    /// let short = Duration::from_millis(20);
    /// let executor = Executor::builder().workers(2).idle_timeout(short).build()?;
    /// assert_eq!(executor.submit(square, 3).result()?, 9);
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// while !executor.worker_pids().is_empty() {
    ///     assert!(Instant::now() < deadline);
    ///     std::thread::sleep(short);
    /// }
    /// assert_eq!(executor.submit(square, 4).result()?, 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// The size of the executor on so many cores.
    pub(super) fn size(&self, cores: usize) -> Result<Size, Error> {
        let least = self.min_workers.unwrap_or(0);
        let most = match self.workers {
            Some(workers) => checked("workers", workers)?,
            None if least > cores => checked("min_workers", least)?,
            None => checked("workers", cores)?,
        };
        if let Some(least) = self.min_workers.filter(|least| *least > most) {
            return Err(Error::invalid_option(
                "min_workers",
                format!(
                    "{least} are more than the {most} workers that there can be; ask for as many \
                     workers, or keep fewer"
                ),
            ));
        }
        if self.idle_timeout == Some(Duration::ZERO) {
            return Err(Error::invalid_option(
                "idle_timeout",
                "workers would end before they could be given a call; allow them some time",
            ));
        }
        let size = Size::fixed(most);
        let idle_timeout = self
            .idle_timeout
            .filter(|timeout| *timeout != Duration::MAX);
        let least = idle_timeout.map_or(size.least, |_| 0);
        Ok(Size {
            least: self.min_workers.unwrap_or(least),
            idle_timeout,
            ..size
        })
    }
}

impl Executor {
    /// Has at most so many workers from now on; returns at once.
    ///
    /// If they become more, those that are there stay, and others are started: at once, or on demand
    /// where [`min_workers`](ExecutorBuilder::min_workers) or
    /// [`idle_timeout`](ExecutorBuilder::idle_timeout) was set. If they become fewer, idle ones end
    /// first. Of the others, those that have to go finish the calls that they run, and end in good
    /// order; what they have not begun goes to those that stay. Fewer workers than `min_workers` are
    /// kept as long as there can be no more.
    ///
    /// What libraries in workers were told of their share of the cores stays as it was.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn pid() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// let first = executor.worker_pids();
    /// executor.resize(3)?;
    /// assert_eq!(executor.workers(), 3);
    /// let all = executor.worker_pids();
    /// assert!(all.len() == 3 && all.contains(&first[0]));
    /// assert!(executor.resize(0).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If that is an impossible number, or the limit on open files is too low for it, as for
    /// [`build`](ExecutorBuilder::build); [`ShutDown`](crate::ErrorKind::ShutDown) or
    /// [`PoolBroken`](crate::ErrorKind::PoolBroken) if no calls are taken any more. Then nothing is
    /// changed.
    pub fn resize(&self, workers: usize) -> Result<(), Error> {
        let workers = checked("workers", workers)?;
        let more = workers.saturating_sub(self.pool().lock().present());
        if more > 0 {
            check_file_limit(more, 0)?;
        }
        let mut locked = self.pool().lock();
        match locked.gate() {
            Gate::Open => {}
            Gate::Closed => return Err(Error::shut_down()),
            Gate::Broken(reason) => return Err(Error::broken(reason)),
        }
        // Answers that have come tell who is idle.
        locked.turn();
        locked.resize(workers);
        locked.turn();
        Ok(())
    }
}

fn checked(option: &'static str, workers: usize) -> Result<usize, Error> {
    match workers {
        0 => Err(Error::invalid_option(
            option,
            "0 workers could run nothing; ask for 1 or more",
        )),
        1..=MAX_WORKERS => Ok(workers),
        _ => Err(Error::invalid_option(
            option,
            format!("{workers} are more than {MAX_WORKERS}, the most there can be"),
        )),
    }
}

/// Finds out now whether there will be descriptors enough for so many more workers, and others.
pub(super) fn check_file_limit(workers: usize, others: u64) -> Result<(), Error> {
    let usage = sys::open_files().map_err(|error| {
        Error::io(
            "count the open files in /proc/self/fd, which has to be mounted",
            error,
        )
    })?;
    let needed = workers as u64 * DESCRIPTORS_PER_WORKER + others;
    let allowed = usage.limit.saturating_sub(usage.open);
    if needed > allowed {
        Err(Error::file_limit(needed, allowed))
    } else {
        Ok(())
    }
}
