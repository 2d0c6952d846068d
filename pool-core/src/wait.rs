//! Waiting for several futures at once, of one executor or of many.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::future::{TaskFuture, TaskHandle};
use crate::task_error::{TaskError, TaskErrorKind};
use crate::waiter::{Signal, Waiter};

/// What [`wait`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitFor {
    /// All futures are done.
    All,
    /// One of them is done.
    FirstCompleted,
    /// One of them has failed, or all are done. A cancelled call has not failed, and neither has a
    /// task that returned an `Err`.
    FirstError,
}

/// What [`wait`] found: indices into what it was given, in that order. A future that was given
/// twice is listed once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// The futures that are done.
    pub done: Vec<usize>,
    /// The futures that are not.
    pub pending: Vec<usize>,
}

/// The time was over before what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    unfinished: usize,
    total: usize,
}

impl Timeout {
    pub(crate) const fn new(unfinished: usize, total: usize) -> Self {
        Self { unfinished, total }
    }

    /// How many calls were not done by then.
    pub const fn unfinished(&self) -> usize {
        self.unfinished
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (of {}) futures unfinished",
            self.unfinished, self.total
        )
    }
}

impl std::error::Error for Timeout {}

/// Waits for several futures, at most for `timeout`. The futures keep their results.
///
/// ```
/// use pool_core::{Executor, WaitFor, task, wait};
///
/// #[task]
/// fn double(x: u32) -> u32 {
///     x * 2
/// }
///
/// let executor = Executor::builder().workers(2).build()?;
/// let futures = [executor.submit(double, 1), executor.submit(double, 2)];
/// let waited = wait(&futures, WaitFor::All, None);
/// assert_eq!(waited.done, [0, 1]);
/// assert!(waited.pending.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait<'a, R: 'a>(
    futures: impl IntoIterator<Item = &'a TaskFuture<R>>,
    until: WaitFor,
    timeout: Option<Duration>,
) -> Waited {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut calls: Vec<(usize, &TaskHandle)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (index, future) in futures.into_iter().enumerate() {
        if seen.insert(future.call.call.identity()) {
            calls.push((index, &future.call));
        }
    }
    let signal = Arc::new(Signal::default());
    for (number, (_, handle)) in calls.iter().enumerate() {
        let waiter = Waiter::Thread(Arc::clone(&signal), number);
        handle.call.pool().register(handle.call.id(), waiter);
    }
    let mut left = calls.len();
    let mut over = left == 0;
    while !over && signal.sleep(deadline) {
        while let Some(number) = signal.take() {
            left -= 1;
            over |= ends(until, calls[number].1.failure());
        }
        over |= left == 0;
    }
    let mut waited = Waited::default();
    for (index, handle) in calls {
        handle.call.pool().forget(handle.call.id(), &signal);
        let list = if handle.is_done() {
            &mut waited.done
        } else {
            &mut waited.pending
        };
        list.push(index);
    }
    waited
}

/// Whether a call that is done, and failed so or not at all, is what was waited for.
fn ends(until: WaitFor, failure: Option<TaskErrorKind>) -> bool {
    match until {
        WaitFor::All => false,
        WaitFor::FirstCompleted => true,
        WaitFor::FirstError => failure.is_some_and(|kind| kind != TaskErrorKind::Cancelled),
    }
}

/// Gives the results of futures as they finish, each with its number, counted from 0 in the order
/// of `futures` and then of [`push`](AsCompleted::push).
///
/// ```
/// use pool_core::{Executor, as_completed, task};
///
/// #[task]
/// fn double(x: u32) -> u32 {
///     x * 2
/// }
///
/// let executor = Executor::builder().workers(2).build()?;
/// let mut doubled = [0; 3];
/// for (number, result) in as_completed((0..3).map(|x| executor.submit(double, x))) {
///     doubled[number] = result?;
/// }
/// assert_eq!(doubled, [0, 2, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn as_completed<R>(futures: impl IntoIterator<Item = TaskFuture<R>>) -> AsCompleted<R> {
    let mut completed = AsCompleted {
        futures: Vec::new(),
        unfinished: 0,
        signal: Arc::default(),
    };
    for future in futures {
        completed.push(future);
    }
    completed
}

/// An iterator over the results of futures as they finish; see [`as_completed`].
#[must_use = "results are given as the iterator is asked for them"]
pub struct AsCompleted<R> {
    futures: Vec<Option<TaskFuture<R>>>,
    unfinished: usize,
    signal: Arc<Signal>,
}

impl<R> AsCompleted<R> {
    /// Adds a future, also while iterating; gives its number.
    pub fn push(&mut self, future: TaskFuture<R>) -> usize {
        let number = self.futures.len();
        let waiter = Waiter::Thread(Arc::clone(&self.signal), number);
        let call = &future.call.call;
        call.pool().register(call.id(), waiter);
        self.futures.push(Some(future));
        self.unfinished += 1;
        number
    }

    /// The next result, if one comes within `timeout`; `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`Timeout`], which tells how many futures are unfinished.
    #[expect(
        clippy::type_complexity,
        reason = "it is what `next` gives, with the timeout around"
    )]
    pub fn next_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<(usize, Result<R, TaskError>)>, Timeout> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    fn next_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<<Self as Iterator>::Item>, Timeout> {
        if self.unfinished == 0 {
            return Ok(None);
        }
        if !self.signal.sleep(deadline) {
            return Err(Timeout::new(self.unfinished, self.futures.len()));
        }
        let next = self
            .signal
            .take()
            .and_then(|number| Some((number, self.futures[number].take()?)));
        Ok(next.map(|(number, future)| {
            self.unfinished -= 1;
            (number, future.result())
        }))
    }
}

impl<R> Drop for AsCompleted<R> {
    fn drop(&mut self) {
        for future in self.futures.iter().flatten() {
            let call = &future.call.call;
            if !call.pool().is_copy() {
                call.pool().forget(call.id(), &self.signal);
            }
        }
    }
}

impl<R> Iterator for AsCompleted<R> {
    type Item = (usize, Result<R, TaskError>);

    fn next(&mut self) -> Option<Self::Item> {
        // Without a deadline there is no timeout.
        self.next_until(None).unwrap_or(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.unfinished, Some(self.unfinished))
    }
}

impl<R> FusedIterator for AsCompleted<R> {}
impl<R> ExactSizeIterator for AsCompleted<R> {}

impl<R> fmt::Debug for AsCompleted<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("unfinished", &self.unfinished)
            .finish_non_exhaustive()
    }
}
