//! Many calls of one task: ordered, lazy, bounded.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::channel::Bytes;
use pool_worker::registry::TaskId;
use pool_worker::task::Decoder;

use crate::call::{Call, Prepared};
use crate::completion::{Completion, Outcome, Signal, Waiter};
use crate::driver::{Locked, Pool};
use crate::future;
use crate::task_error::TaskError;
use crate::wait::Timeout;

/// How many calls for each worker are in flight at first.
const FIRST_WINDOW: usize = 4;
/// The most calls in flight, unless asked for otherwise.
const MAX_WINDOW: usize = 8192;
/// The most bytes of arguments and results in flight, as far as two calls for each worker are less.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most inputs that are drawn at a time, while their workers wait.
const MAX_STEP: usize = 128;

/// Encodes an input into a call.
type Prepare<T> = Box<dyn Fn(&T) -> Prepared + Send + Sync>;

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

/// A call in flight.
struct Item {
    completion: Arc<Completion>,
    task: &'static str,
    bytes: usize,
}

/// The calls in flight, by the index of their input; dropped, it cancels those that have not begun.
struct Flight {
    pool: Arc<Pool>,
    /// `None` for those that were taken before others in front of them.
    items: VecDeque<Option<Item>>,
    /// The index of the front item's input.
    first: usize,
    count: usize,
    bytes: usize,
    /// How large a result is to be expected, in bytes: as large as the largest of late.
    result_bytes: usize,
    /// Completions that were used and can be used again.
    spare: Vec<Arc<Completion>>,
}

/// Where inputs come from.
struct Source<I: Iterator> {
    inputs: I,
    prepare: Prepare<I::Item>,
    window: usize,
    /// As many are in flight however large they are, so that no worker waits.
    least: usize,
    fixed: bool,
    exhausted: bool,
    /// Inputs that were drawn and are not submitted: kept here, as drawing the next may panic.
    drawn: Vec<Prepared>,
}

impl Flight {
    /// Submits the call of the next input, or notes why there is none.
    fn submit(
        &mut self,
        locked: &mut Locked<'_>,
        call: Result<(TaskId, Bytes), TaskError>,
        task: &'static str,
        signal: Option<&Arc<Signal>>,
    ) {
        let index = self.first + self.items.len();
        let completion = self.spare.pop().unwrap_or_default();
        let mut bytes = 0;
        match call {
            Ok((id, arguments)) => {
                bytes = arguments.len();
                if let Some(signal) = signal {
                    // A new completion is not filled, so the waiter stays with it.
                    let waiter = Waiter::Thread(Arc::clone(signal), index);
                    let _ = locked.wait(&completion, waiter);
                }
                locked.submit(Call::new(id, arguments, Arc::clone(&completion)));
            }
            Err(error) => {
                completion.fill(Outcome::Failed(error));
                if let Some(signal) = signal {
                    signal.fire(index);
                }
            }
        }
        self.count += 1;
        self.bytes += bytes;
        self.items.push_back(Some(Item {
            completion,
            task,
            bytes,
        }));
    }

    /// Takes the outcome of input `index`, which is there, and decodes it.
    fn finish<R>(&mut self, index: usize, decoder: Decoder<R>) -> Option<Result<R, TaskError>> {
        let Item {
            mut completion,
            task,
            ..
        } = self.take(index)?;
        let outcome = completion.take();
        if let Some(Outcome::Returned(output)) = &outcome {
            let faded = self.result_bytes - self.result_bytes / 16;
            self.result_bytes = output.len().max(faded);
        }
        if let Some(unshared) = Arc::get_mut(&mut completion) {
            unshared.renew();
            self.spare.push(completion);
        }
        Some(future::decode(outcome, task, decoder))
    }

    /// Takes the item of input `index`.
    fn take(&mut self, index: usize) -> Option<Item> {
        let item = self.items.get_mut(index - self.first)?.take()?;
        self.count -= 1;
        self.bytes -= item.bytes;
        while let Some(None) = self.items.front() {
            self.items.pop_front();
            self.first += 1;
        }
        Some(item)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.count == 0 || self.pool.is_copy() {
            return;
        }
        let mut locked = self.pool.lock();
        for item in self.items.iter().flatten() {
            let _ = locked.cancel(&item.completion, item.task);
        }
        locked.turn();
    }
}

impl<I: Iterator> Source<I> {
    /// Draws inputs and submits their calls, as far as the window allows.
    fn draw(&mut self, flight: &mut Flight, signal: Option<&Arc<Signal>>) {
        let step = (self.window / 4).clamp(1, MAX_STEP);
        if self.exhausted || flight.count + step > self.window {
            return;
        }
        let wanted = (self.window - flight.count).min(MAX_STEP);
        let mut bytes = flight.bytes + flight.count * flight.result_bytes;
        while self.drawn.len() < wanted
            && (bytes < MAX_BYTES || flight.count + self.drawn.len() < self.least)
        {
            let Some(input) = self.inputs.next() else {
                self.exhausted = true;
                break;
            };
            let prepared = (self.prepare)(&input);
            bytes += flight.result_bytes;
            bytes += prepared
                .0
                .as_ref()
                .map_or(0, |(_, arguments)| arguments.len());
            self.drawn.push(prepared);
        }
        if !self.drawn.is_empty() {
            self.submit(flight, signal);
        }
    }

    /// Submits what was drawn, in one go.
    fn submit(&mut self, flight: &mut Flight, signal: Option<&Arc<Signal>>) {
        let pool = Arc::clone(&flight.pool);
        let mut locked = pool.lock();
        for (call, task) in self.drawn.drain(..) {
            let refused = locked.refusal(task);
            self.exhausted |= refused.is_some();
            let last = refused.is_some();
            flight.submit(&mut locked, refused.map_or(call, Err), task, signal);
            if last {
                break;
            }
        }
        locked.turn();
        if !self.fixed && locked.queued() == 0 {
            self.window = (self.window * 2).min(MAX_WINDOW);
        }
    }
}

impl<R, I: Iterator> Map<R, I> {
    pub(crate) fn new(
        pool: Arc<Pool>,
        prepare: Prepare<I::Item>,
        decoder: Decoder<R>,
        inputs: I,
    ) -> Self {
        let slots = pool.lock().slots();
        Self {
            source: Source {
                inputs,
                prepare,
                window: slots * FIRST_WINDOW,
                least: slots * 2,
                fixed: false,
                exhausted: false,
                drawn: Vec::new(),
            },
            flight: Flight {
                pool,
                items: VecDeque::new(),
                first: 0,
                count: 0,
                bytes: 0,
                result_bytes: 0,
                spare: Vec::new(),
            },
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
        self.source.window = calls;
        self.source.fixed = true;
        self
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
        for (offset, item) in self.flight.items.iter().enumerate() {
            let Some(item) = item else { continue };
            let index = self.flight.first + offset;
            self.flight
                .pool
                .register(&item.completion, Waiter::Thread(Arc::clone(&signal), index));
        }
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
    ) -> Result<Option<Result<R, TaskError>>, Timeout> {
        self.source.draw(&mut self.flight, None);
        let Some(Some(item)) = self.flight.items.front() else {
            return Ok(None);
        };
        if !self.flight.pool.wait(&item.completion, deadline) {
            return Err(Timeout::new(self.flight.count, self.flight.count));
        }
        let front = self.flight.first;
        Ok(self.flight.finish(front, self.decoder))
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

    #[expect(
        clippy::type_complexity,
        reason = "it is what `next` gives, with the timeout around"
    )]
    fn next_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<(usize, Result<R, TaskError>)>, Timeout> {
        self.source.draw(&mut self.flight, Some(&self.signal));
        if self.flight.count == 0 {
            return Ok(None);
        }
        loop {
            if let Some(index) = self.signal.take() {
                let result = self.flight.finish(index, self.decoder);
                return Ok(result.map(|result| (index, result)));
            }
            self.flight.pool.lock().turn();
            if !self.signal.sleep(deadline) {
                return Err(Timeout::new(self.flight.count, self.flight.count));
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
    if source.exhausted {
        return (flight.count, Some(flight.count));
    }
    let (least, most) = source.inputs.size_hint();
    let most = most.and_then(|most| most.checked_add(flight.count));
    (least.saturating_add(flight.count), most)
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
        .field("in_flight", &flight.count)
        .field("taken", &flight.first)
        .field("exhausted", &source.exhausted)
        .finish_non_exhaustive()
}
