//! Many calls of one task: ordered, lazy, bounded.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::task::Decoder;

use crate::driver::Pool;
use crate::task_error::TaskError;
use crate::wait::Timeout;
use crate::waiter::Signal;

mod batch;
mod flight;
#[cfg(feature = "futures")]
mod stream;
mod submission;
mod taken;

pub(crate) use batch::Prepare;
use flight::Flight;
pub(crate) use flight::Source;
#[cfg(feature = "futures")]
pub use stream::MapStream;

/// The results of a task for each of many inputs, in the order of the inputs.
///
/// Made by [`Executor::map`](crate::Executor::map). Lazy as every iterator is: no input is drawn
/// before the first `next`, or [`start`](Self::start). From then on inputs are drawn ahead as
/// results are taken, never all at once: an infinite iterator works, and memory is bounded in items
/// and in bytes. A failed item is an item; those after it still come. Dropping the iterator cancels
/// what has not begun. There is no chunk size to choose.
///
/// ```
/// use pool_core::{Executor, task};
///
/// #[task]
/// fn half(x: u32) -> u32 {
///     assert!(x % 2 == 0, "{x} is odd");
///     x / 2
/// }
///
/// let executor = Executor::builder().workers(2).build()?;
/// let halves: Vec<_> = executor.map(half, [2, 3, 4]).collect();
/// assert_eq!(halves[0].as_ref().unwrap(), &1);
/// assert_eq!(halves[1].as_ref().unwrap_err().panic_message(), Some("3 is odd"));
/// assert_eq!(halves[2].as_ref().unwrap(), &2);
/// // Infinite inputs are drawn only as far as results are wanted, and some way ahead.
/// let first: Vec<u32> = executor.map(half, (0..).step_by(2)).take(3).collect::<Result<_, _>>()?;
/// assert_eq!(first, [0, 1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a map is lazy: nothing is called before it is iterated over or started"]
pub struct Map<R, I: Iterator> {
    source: Source<I>,
    flight: Flight,
    decoder: Decoder<R>,
}

/// The results of a task for each of many inputs, as they finish, with the inputs' indices.
///
/// Made by [`Map::unordered`].
#[must_use = "a map is lazy: nothing is called before it is iterated over"]
pub struct Unordered<R, I: Iterator> {
    source: Source<I>,
    flight: Flight,
    decoder: Decoder<R>,
    signal: Arc<Signal>,
}

impl<R, I: Iterator> Map<R, I> {
    pub(crate) fn new(
        pool: Arc<Pool>,
        source: Source<I>,
        decoder: Decoder<R>,
        kill_on_drop: bool,
    ) -> Self {
        Self {
            source,
            flight: Flight::new(pool, kill_on_drop),
            decoder,
        }
    }

    /// Draws the first inputs and begins their calls now, instead of at the first `next`.
    pub fn start(mut self) -> Self {
        self.source.draw(&mut self.flight, None);
        self
    }

    /// Keeps at most `calls` in flight: drawn and not yet taken as results.
    ///
    /// # Panics
    ///
    /// If `calls` is 0, as nothing could ever be called.
    pub fn window(mut self, calls: usize) -> Self {
        assert!(
            calls > 0,
            "a window of 0 calls lets nothing through; the least is 1"
        );
        self.source.fix_window(calls);
        self
    }

    /// Has all done within `deadline`, counted from the first draw. Then no more input is drawn; results
    /// that have arrived are still given, and each call that was drawn and is not done is stopped, with
    /// its worker if it runs, and yields [`TimedOut`](crate::TaskErrorKind::TimedOut). After those
    /// comes `None`, though `len` may have told of more inputs while there was time for them.
    /// `Duration::MAX` is no deadline.
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
    /// let executor = Executor::builder().workers(1).build()?;
    /// let inputs = [1, 2].into_iter().chain(std::iter::repeat(60_000));
    /// let mut naps = executor.map(nap, inputs).deadline(Duration::from_secs(1));
    /// assert_eq!(naps.next().unwrap()?, 1);
    /// assert_eq!(naps.next().unwrap()?, 2);
    /// assert!(naps.all(|nap| nap.unwrap_err().kind() == TaskErrorKind::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.source.set_deadline(deadline, &self.flight);
        self
    }

    /// Draws no more inputs, and cancels the calls that have not begun: they yield
    /// [`Cancelled`](crate::TaskErrorKind::Cancelled) in their turn. What runs comes to its end, as with
    /// [`TaskFuture::cancel`](crate::TaskFuture::cancel). After
    /// those comes `None`, though `len` has told of more inputs before.
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
    /// let executor = Executor::builder().workers(1).build()?;
    /// let mut naps = executor.map(nap, std::iter::repeat(50)).window(40);
    /// assert_eq!(naps.next().unwrap()?, 50);
    /// naps.cancel();
    /// let last = naps.last().unwrap();
    /// assert_eq!(last.unwrap_err().kind(), TaskErrorKind::Cancelled);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&mut self) {
        self.source.cancel(&self.flight);
    }

    /// Gives results as they finish instead, each with the index of its input.
    ///
    /// ```
    /// use pool_core::{Executor, task};
    ///
    /// #[task]
    /// fn double(x: u32) -> u32 {
    ///     x * 2
    /// }
    ///
    /// let executor = Executor::builder().workers(2).build()?;
    /// let mut doubled = vec![0; 5];
    /// for (index, result) in executor.map(double, 10..15).unordered() {
    ///     doubled[index] = result?;
    /// }
    /// assert_eq!(doubled, [20, 22, 24, 26, 28]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unordered(self) -> Unordered<R, I> {
        let signal = Arc::new(Signal::default());
        self.flight.register(&signal);
        Unordered {
            source: self.source,
            flight: self.flight,
            decoder: self.decoder,
            signal,
        }
    }

    /// The next result, if it comes within `timeout`; `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`Timeout`] if it does not; it is the next one still.
    pub fn next_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<Result<R, TaskError>>, Timeout> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    fn next_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<<Self as Iterator>::Item>, Timeout> {
        loop {
            self.source.draw(&mut self.flight, None);
            if let Some(given) = self.flight.next() {
                let result = given.decode(self.source.task(), self.decoder);
                return Ok(Some(result));
            }
            if self.flight.count() == 0 {
                return Ok(None);
            }
            if !self.flight.await_front(deadline) {
                return Err(self.flight.timeout());
            }
        }
    }
}

impl<R, I: Iterator> Iterator for Map<R, I> {
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Without a deadline there is no timeout.
        self.next_until(None).unwrap_or(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        size_hint(&self.source, &self.flight)
    }
}

impl<R, I: Iterator> FusedIterator for Map<R, I> {}
impl<R, I: ExactSizeIterator> ExactSizeIterator for Map<R, I> {}

impl<R, I: Iterator> Unordered<R, I> {
    /// Draws no more inputs, and cancels the calls that have not begun, as [`Map::cancel`] does.
    pub fn cancel(&mut self) {
        self.source.cancel(&self.flight);
    }

    /// The next result, if one comes within `timeout`; `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`Timeout`] if none does.
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
        loop {
            self.source.draw(&mut self.flight, Some(&self.signal));
            if let Some(given) = self.flight.next() {
                let index = given.index();
                let result = given.decode(self.source.task(), self.decoder);
                return Ok(Some((index, result)));
            }
            if self.flight.count() == 0 {
                return Ok(None);
            }
            if !self.flight.await_any(&self.signal, deadline) {
                return Err(self.flight.timeout());
            }
        }
    }
}

impl<R, I: Iterator> Iterator for Unordered<R, I> {
    type Item = (usize, Result<R, TaskError>);

    fn next(&mut self) -> Option<Self::Item> {
        // Without a deadline there is no timeout.
        self.next_until(None).unwrap_or(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        size_hint(&self.source, &self.flight)
    }
}

impl<R, I: Iterator> FusedIterator for Unordered<R, I> {}
impl<R, I: ExactSizeIterator> ExactSizeIterator for Unordered<R, I> {}

fn size_hint<I: Iterator>(source: &Source<I>, flight: &Flight) -> (usize, Option<usize>) {
    let (least, most) = source.size_hint();
    let most = most.and_then(|most| most.checked_add(flight.count()));
    (least.saturating_add(flight.count()), most)
}

impl<R, I: Iterator> fmt::Debug for Map<R, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("Map", &self.source, &self.flight, f)
    }
}

impl<R, I: Iterator> fmt::Debug for Unordered<R, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("Unordered", &self.source, &self.flight, f)
    }
}

fn debug<I: Iterator>(
    name: &str,
    source: &Source<I>,
    flight: &Flight,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.debug_struct(name)
        .field("in_flight", &flight.count())
        .field("given", &flight.given())
        .field("exhausted", &source.is_exhausted())
        .finish_non_exhaustive()
}
