//! The executor: the handle that users hold.

mod ends;

use std::any::type_name;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pool_worker::{Plain, Shared, Task};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call;
use crate::driver::Pool;
use crate::future::TaskFuture;
use crate::map::Map;
use crate::options::CallOptions;
use crate::rejected::Rejected;
use crate::stats::Stats;
use crate::task_error::{Side, TaskError};
use crate::terms::Terms;

/// How long [`Executor::worker_pids`] waits for workers that are being started.
const START_WITHIN: Duration = Duration::from_secs(2);

/// A pool of worker processes that runs tasks.
///
/// See the [crate's documentation](crate) for what a task is and what happens to one that crashes.
/// It may be shared between threads, and sit in a `static`. Dropping it waits for what is pending
/// ([`shutdown`](Self::shutdown)), but kills what runs ([`kill`](Self::kill)) if its thread panics.
///
/// ```
/// use pool_core::{Executor, task};
///
/// #[task]
/// fn add(a: u32, b: u32) -> u32 {
///     a + b
/// }
///
/// let executor = Executor::builder().workers(2).build()?;
/// let sums: Vec<u32> = executor.map(add, (0..4).zip(10..)).collect::<Result<_, _>>()?;
/// assert_eq!(sums, [10, 12, 14, 16]);
/// assert_eq!(executor.submit(add, (1, 2)).result()?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Executor {
    pool: Arc<Pool>,
    /// What holds for calls that do not say otherwise.
    terms: Terms,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl Executor {
    pub(crate) fn start(pool: Arc<Pool>, terms: Terms, supervisor: JoinHandle<()>) -> Self {
        Self {
            pool,
            terms,
            supervisor: Mutex::new(Some(supervisor)),
        }
    }

    /// Calls that are not as the executor was built for: with another limit to their time, say. See
    /// [`CallOptions`].
    #[inline]
    pub fn options(&self) -> CallOptions<'_> {
        CallOptions::new(&self.pool, self.terms)
    }

    /// Calls `task` with `args` on a worker. Never blocks; whatever fails is the future's error.
    ///
    /// `args` is the argument itself for a task with one parameter, `()` for none, and a tuple for
    /// more. Large texts and vectors of plain numbers are sent from the memory that they are in, and
    /// a result of about their size arrives in it. See [`TaskFuture`] for an example.
    pub fn submit<F: Task<S>, S>(&self, task: F, args: F::Args) -> TaskFuture<F::Output> {
        self.options().submit(task, args)
    }

    /// As [`submit`](Self::submit), with borrowed arguments: they are encoded, not cloned.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn longest(words: Vec<String>) -> usize {
    ///     words.iter().map(String::len).max().unwrap_or(0)
    /// }
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// let words = vec!["process".to_string(), "pool".to_string()];
    /// assert_eq!(executor.submit_ref(longest, &words).result()?, 7);
    /// assert_eq!(words.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit_ref<F: Task<S>, S>(&self, task: F, args: &F::Args) -> TaskFuture<F::Output> {
        self.options().submit_ref(task, args)
    }

    /// As [`submit`](Self::submit), if the queue has room for the call, which
    /// [`queue_limit`](crate::ExecutorBuilder::queue_limit) and
    /// [`queue_bytes`](crate::ExecutorBuilder::queue_bytes) bound. Never blocks.
    ///
    /// # Errors
    ///
    /// Gives the arguments back if the queue is full, or the executor shut down or broken. Whatever
    /// else fails is the future's error, as is the executor's end while the arguments are encoded.
    pub fn try_submit<F: Task<S>, S>(
        &self,
        task: F,
        args: F::Args,
    ) -> Result<TaskFuture<F::Output>, Rejected<F::Args>> {
        self.options().try_submit(task, args)
    }

    /// Calls `task` with `args` once on every worker, before other calls that wait for it: to have each
    /// load a new configuration, say. The futures are in the order of the workers'
    /// [indices](crate::Current::worker).
    ///
    /// The worker that takes the place of one that dies before it has begun its call gets it instead.
    /// Where workers are started on demand ([`min_workers`](crate::ExecutorBuilder::min_workers)), those
    /// are meant that there are: with none, nothing is called, and there are no futures. One that has to go by a [`resize`](Self::resize) runs its call before
    /// that; if it dies instead, and none takes its place, any other runs it.
    ///
    /// ```
    /// use std::collections::HashSet;
    ///
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn pid() -> u32 {
    ///     std::process::id()
    /// }
    ///
    /// let executor = Executor::builder().workers(3).build()?;
    /// let calls = executor.broadcast(pid, ());
    /// let pids: HashSet<u32> = calls.into_iter().map(|call| call.result()).collect::<Result<_, _>>()?;
    /// assert_eq!(pids, executor.worker_pids().into_iter().collect());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn broadcast<F: Task<S>, S>(&self, task: F, args: F::Args) -> Vec<TaskFuture<F::Output>> {
        self.options().broadcast(task, args)
    }

    /// Calls `task` once for each item of `inputs`, and gives the results in the order of inputs.
    ///
    /// Lazy as every iterator is, and bounded: see [`Map`].
    pub fn map<F, S, I>(&self, task: F, inputs: I) -> Map<F::Output, I::IntoIter>
    where
        F: Task<S>,
        I: IntoIterator<Item = F::Args>,
    {
        self.options().map(task, inputs)
    }

    /// As [`map`](Self::map), over borrowed arguments: they are encoded, not cloned.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn length(text: String) -> usize {
    ///     text.len()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// let texts = ["a".to_string(), "bc".to_string()];
    /// let lengths: Vec<usize> = executor.map_ref(length, &texts).collect::<Result<_, _>>()?;
    /// assert_eq!(lengths, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_ref<'a, F, S, I>(&self, task: F, inputs: I) -> Map<F::Output, I::IntoIter>
    where
        F: Task<S>,
        I: IntoIterator<Item = &'a F::Args>,
    {
        self.options().map_ref(task, inputs)
    }

    /// Makes a value one that calls refer to: it is encoded once, here, and decoded once in each
    /// worker that gets it. See [`Shared`].
    ///
    /// ```
    /// use std::collections::HashMap;
    ///
    /// use pool_core::{Executor, Shared, task};
    ///
    /// #[task]
    /// fn price(prices: Shared<HashMap<String, u32>>, item: String) -> Option<u32> {
    ///     prices.get(&item).copied()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// let prices = executor.share(HashMap::from([("tea".to_string(), 3)]))?;
    /// assert_eq!(prices["tea"], 3);
    /// assert_eq!(executor.submit(price, (prices.clone(), "tea".into())).result()?, Some(3));
    /// assert_eq!(executor.submit(price, (prices, "salt".into())).result()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Encode`](crate::TaskErrorKind::Encode) if the value cannot be encoded, or memory or
    /// descriptors are short; `ShutDown` and `PoolBroken` as calls.
    pub fn share<T>(&self, value: T) -> Result<Shared<T>, TaskError>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.check_open::<T>()?;
        call::share(|| Shared::share(value))
    }

    /// Makes numbers ones that calls refer to, and that workers read in place: they are copied once,
    /// here. See [`Shared`] for an example.
    ///
    /// # Errors
    ///
    /// [`Encode`](crate::TaskErrorKind::Encode) if memory or descriptors are short; `ShutDown` and
    /// `PoolBroken` as calls.
    pub fn share_slice<T: Plain>(&self, numbers: &[T]) -> Result<Shared<[T]>, TaskError> {
        self.check_open::<[T]>()?;
        call::share(|| Shared::share_slice(numbers))
    }

    /// Makes text one that calls refer to, and that workers read in place, as
    /// [`share_slice`](Self::share_slice) does.
    ///
    /// ```
    /// use pool_core::{Executor, Shared, task};
    ///
    /// #[task]
    /// fn words(text: Shared<str>, first: char) -> usize {
    ///     text.split(' ').filter(|word| word.starts_with(first)).count()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// let text = executor.share_str("to be or not to be")?;
    /// assert_eq!(executor.submit(words, (text, 'b')).result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Encode`](crate::TaskErrorKind::Encode) if memory or descriptors are short; `ShutDown` and
    /// `PoolBroken` as calls.
    pub fn share_str(&self, text: &str) -> Result<Shared<str>, TaskError> {
        self.check_open::<str>()?;
        call::share(|| Shared::share_str(text))
    }

    /// Refuses to share a value of type `T` once no calls are taken.
    fn check_open<T: ?Sized>(&self) -> Result<(), TaskError> {
        let refusal = self.pool.lock().refusal(type_name::<T>);
        refusal.map_or(Ok(()), |error| Err(error.side(Side::Sharing)))
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The most workers that there can be: as many as the executor was built for, or was
    /// [resized](Self::resize) to.
    pub fn workers(&self) -> usize {
        self.pool.lock().size()
    }

    /// The processes of the workers, as they are now, with those that are about to end. Waits for those
    /// that are being started, at most for 2 seconds; behind a
    /// [`preload`](crate::ExecutorBuilder::preload) that takes longer there are none yet.
    pub fn worker_pids(&self) -> Vec<u32> {
        let deadline = Instant::now() + START_WITHIN;
        let mut locked = self.pool.lock();
        loop {
            let pids: Vec<u32> = locked.members().filter_map(|member| member.pid).collect();
            let all_there = pids.len() == locked.present() && locked.openings() == 0;
            let complete = all_there || locked.has_ended() || locked.is_over();
            if complete || Instant::now() > deadline {
                return pids;
            }
            locked.await_worker(deadline);
        }
    }

    /// What this executor is doing and has done, in numbers, at this moment: for logs, metrics, and to
    /// see why it is slow. Costs about a microsecond; calls pay nothing for it.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn half(x: u32) -> u32 {
    ///     x / 2
    /// }
    ///
    /// let executor = Executor::builder().workers(2).build()?;
    /// let halves: Vec<u32> = executor.map(half, 0..10).collect::<Result<_, _>>()?;
    /// let stats = executor.stats();
    /// assert_eq!(stats.workers, 2);
    /// assert_eq!((stats.completed, stats.failed), (10, 0));
    /// assert_eq!((stats.queued, stats.running, stats.pending), (0, 0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let mut locked = self.pool.lock();
        locked.turn();
        locked.stats()
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let locked = self.pool.lock();
        f.debug_struct("Executor")
            .field("gate", locked.gate())
            .field("workers", &locked.members().collect::<Vec<_>>())
            .field("queued", &locked.queued())
            .field("pending", &locked.outstanding())
            .finish_non_exhaustive()
    }
}
