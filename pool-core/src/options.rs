//! Calls that differ from what the executor was built for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pool_worker::Task;
use pool_worker::codec::Encoded;
use pool_worker::task::Encoder;

use crate::call::{Prepared, encode, name_of, prepare};
use crate::calls::CallId;
use crate::driver::{CallRef, Locked, Pool};
use crate::future::{TaskFuture, TaskHandle};
use crate::map::{Map, Prepare, Source};
use crate::rejected::Rejected;
use crate::task_error::TaskError;
use crate::terms::Terms;

/// How calls are made, where not as the executor was built to: made by
/// [`Executor::options`](crate::Executor::options), used as often as wanted.
///
/// ```
/// use std::{thread, time::Duration};
///
/// use pool_core::{Executor, TaskErrorKind, task};
///
/// #[task]
/// fn nap(milliseconds: u64) -> u64 {
///     thread::sleep(Duration::from_millis(milliseconds));
///     milliseconds
/// }
///
/// let executor = Executor::builder().workers(2).build()?;
/// let quick = executor.options().timeout(Duration::from_secs(1));
/// let naps: Vec<_> = quick.map(nap, [1, 60_000, 2]).collect();
/// assert_eq!(naps[0].as_ref().unwrap(), &1);
/// assert_eq!(naps[1].as_ref().unwrap_err().kind(), TaskErrorKind::TimedOut);
/// assert_eq!(naps[2].as_ref().unwrap(), &2);
/// assert_eq!(quick.submit(nap, 3).result()?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
#[must_use = "options change nothing but the calls that are made with them"]
pub struct CallOptions<'a> {
    pool: &'a Arc<Pool>,
    terms: Terms,
    kill_on_drop: bool,
}

impl<'a> CallOptions<'a> {
    #[inline]
    pub(crate) fn new(pool: &'a Arc<Pool>, terms: Terms) -> Self {
        Self {
            pool,
            terms,
            kill_on_drop: false,
        }
    }

    /// How long a call may run; see [`task_timeout`](crate::ExecutorBuilder::task_timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.terms = self.terms.limited(timeout);
        self
    }

    /// How often a call begins anew after the death of its worker; see
    /// [`retries`](crate::ExecutorBuilder::retries).
    pub fn retries(mut self, retries: u32) -> Self {
        self.terms.retries = retries;
        self
    }

    /// Which calls begin first: those of a higher priority, before others that were submitted earlier.
    /// 0 is that of calls of which nothing is said; there may be any number of others, higher and
    /// lower.
    ///
    /// What has begun is not interrupted, and what a worker was dealt ahead comes first: about 0.1 ms of
    /// work while calls with priorities are pending, which costs tiny calls some throughput. Calls of lower priorities are not starved: while any wait, one of 16 that begin is one of
    /// theirs.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    ///
    /// use pool_core::{Executor, as_completed, task};
    ///
    /// #[task]
    /// fn nap(milliseconds: u64) {
    ///     thread::sleep(Duration::from_millis(milliseconds));
    /// }
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// let background = executor.options().priority(-1);
    /// let urgent = executor.options().priority(10);
    /// let calls = [
    ///     executor.submit(nap, 200),
    ///     background.submit(nap, 1),
    ///     executor.submit(nap, 1),
    ///     urgent.submit(nap, 1),
    /// ];
    /// let order: Vec<usize> = as_completed(calls).map(|(index, _)| index).collect();
    /// assert_eq!(order, [0, 3, 2, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn priority(mut self, priority: i32) -> Self {
        self.terms.priority = priority;
        self
    }

    /// Whether dropping a call's future, before it was done, stops the call: cancels it if it has not
    /// begun, else kills its worker. So does dropping a map, to all that it has drawn. Else, as by
    /// default, a call runs on without its future, and a map that is dropped cancels only.
    ///
    /// [`TaskHandle`]s keep no call alive. A future that was handed to
    /// [`on_done`](TaskFuture::on_done) is dropped after its callback.
    ///
    /// ```
    /// use std::{thread, time::{Duration, Instant}};
    ///
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn hang() {
    ///     thread::park_timeout(Duration::from_secs(3600));
    /// }
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// drop(executor.options().kill_on_drop(true).submit(hang, ()));
    /// let start = Instant::now();
    /// executor.shutdown();
    /// assert!(start.elapsed() < Duration::from_secs(60));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.kill_on_drop = kill;
        self
    }

    /// Calls `task` with `args` on a worker; see [`Executor::submit`](crate::Executor::submit).
    pub fn submit<F: Task<S>, S>(&self, task: F, args: F::Args) -> TaskFuture<F::Output> {
        let Encoder {
            owned, is_number, ..
        } = task.encoder();
        let prepared = prepare(task.entry(), self.max_args(), is_number, |out| {
            owned(args, out)
        });
        self.submit_prepared(task, prepared)
    }

    /// As [`submit`](Self::submit), with borrowed arguments: they are encoded, not cloned.
    pub fn submit_ref<F: Task<S>, S>(&self, task: F, args: &F::Args) -> TaskFuture<F::Output> {
        let Encoder {
            borrowed,
            is_number,
            ..
        } = task.encoder();
        let prepared = prepare(task.entry(), self.max_args(), is_number, |out| {
            borrowed(args, out)
        });
        self.submit_prepared(task, prepared)
    }

    /// The most bytes of a call's encoded arguments.
    #[inline]
    fn max_args(&self) -> usize {
        self.pool.bounds().arguments
    }

    fn submit_prepared<F: Task<S>, S>(&self, task: F, prepared: Prepared) -> TaskFuture<F::Output> {
        let mut locked = self.pool.lock();
        let rejection = locked.rejection(|| name_of(task.entry()));
        self.submit_unless(rejection, task, locked, prepared)
    }

    /// Submits a call, unless there is a reason not to.
    fn submit_unless<F: Task<S>, S>(
        &self,
        rejection: Option<TaskError>,
        task: F,
        mut locked: Locked<'_>,
        prepared: Prepared,
    ) -> TaskFuture<F::Output> {
        // Dropped after the lock is let go of: it may be much.
        let mut _rejected = None;
        let id = match (prepared, rejection) {
            (Ok((task, arguments)), None) => {
                let id = locked.submit_single(task, arguments, &self.terms);
                locked.count(id);
                locked.submitted();
                id
            }
            (Err(error), _) => locked.submit_failed(error),
            (prepared, Some(error)) => {
                _rejected = Some(prepared);
                locked.submit_failed(error)
            }
        };
        drop(locked);
        self.future(task, id)
    }

    fn future<F: Task<S>, S>(&self, task: F, id: CallId) -> TaskFuture<F::Output> {
        let call = CallRef::new(Arc::clone(self.pool), id).kill_on_drop(self.kill_on_drop);
        TaskFuture::new(TaskHandle::new(call), task.decoder())
    }

    /// As [`submit`](Self::submit), if the queue has room for the call; see
    /// [`Executor::try_submit`](crate::Executor::try_submit).
    ///
    /// # Errors
    ///
    /// Gives the arguments back if the queue is full, or the executor shut down or broken.
    pub fn try_submit<F: Task<S>, S>(
        &self,
        task: F,
        args: F::Args,
    ) -> Result<TaskFuture<F::Output>, Rejected<F::Args>> {
        let name = || name_of(task.entry());
        let mut locked = self.pool.lock();
        if let Some(error) = locked.rejection(name) {
            drop(locked);
            return Err(Rejected::new(args, error));
        }
        locked.reserve();
        drop(locked);
        let Encoder {
            owned, is_number, ..
        } = task.encoder();
        let prepared = prepare(task.entry(), self.max_args(), is_number, |out| {
            owned(args, out)
        });
        let mut locked = self.pool.lock();
        locked.unreserve();
        let refusal = locked.refusal(name);
        Ok(self.submit_unless(refusal, task, locked, prepared))
    }

    /// Calls `task` once on every worker; see [`Executor::broadcast`](crate::Executor::broadcast).
    pub fn broadcast<F: Task<S>, S>(&self, task: F, args: F::Args) -> Vec<TaskFuture<F::Output>> {
        let Encoder {
            owned, is_number, ..
        } = task.encoder();
        let prepared = prepare(task.entry(), self.max_args(), is_number, |out| {
            owned(args, out)
        });
        let slots = self.pool.lock().kept_slots();
        // Each has its own, made without the lock: they may be large.
        let calls: Vec<_> = slots.iter().map(|_| prepared.clone()).collect();
        let mut locked = self.pool.lock();
        let refusal = locked.refusal(|| name_of(task.entry()));
        let mut refused = Vec::new();
        let submit = |(slot, prepared): (usize, Prepared)| match (prepared, &refusal) {
            (Ok((task, arguments)), None) => {
                locked.submit_bound(slot, task, arguments, &self.terms)
            }
            (Err(error), _) => locked.submit_failed(error),
            (prepared, Some(error)) => {
                refused.push(prepared);
                locked.submit_failed(error.clone())
            }
        };
        let ids: Vec<CallId> = slots.into_iter().zip(calls).map(submit).collect();
        locked.turn();
        drop(locked);
        ids.into_iter().map(|id| self.future(task, id)).collect()
    }

    /// Calls `task` once for each item of `inputs`; see [`Executor::map`](crate::Executor::map).
    pub fn map<F, S, I>(&self, task: F, inputs: I) -> Map<F::Output, I::IntoIter>
    where
        F: Task<S>,
        I: IntoIterator<Item = F::Args>,
    {
        let Encoder {
            owned, is_number, ..
        } = task.encoder();
        let most = self.max_args();
        let prepare = Box::new(move |task, args: F::Args, encoded: &mut Encoded| {
            encode(task, encoded, most, is_number, |out| owned(args, out))
        });
        self.map_prepared(task, prepare, inputs.into_iter())
    }

    /// As [`map`](Self::map), over borrowed arguments: they are encoded, not cloned.
    pub fn map_ref<'b, F, S, I>(&self, task: F, inputs: I) -> Map<F::Output, I::IntoIter>
    where
        F: Task<S>,
        I: IntoIterator<Item = &'b F::Args>,
    {
        let Encoder {
            borrowed,
            is_number,
            ..
        } = task.encoder();
        let most = self.max_args();
        let prepare = Box::new(move |task, args: &'b F::Args, encoded: &mut Encoded| {
            encode(task, encoded, most, is_number, |out| borrowed(args, out))
        });
        self.map_prepared(task, prepare, inputs.into_iter())
    }

    fn map_prepared<F: Task<S>, S, I: Iterator>(
        &self,
        task: F,
        prepare: Prepare<I::Item>,
        inputs: I,
    ) -> Map<F::Output, I> {
        let source = Source::new(self.pool, task.entry(), prepare, inputs, self.terms);
        let pool = Arc::clone(self.pool);
        Map::new(pool, source, task.decoder(), self.kill_on_drop)
    }
}

impl fmt::Debug for CallOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("timeout", &self.terms.limit)
            .field("retries", &self.terms.retries)
            .field("priority", &self.terms.priority)
            .field("kill_on_drop", &self.kill_on_drop)
            .finish()
    }
}
