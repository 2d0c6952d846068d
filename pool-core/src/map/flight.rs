//! The calls of a map that are in flight, and where their inputs come from.

use std::collections::VecDeque;
use std::sync::Arc;

use pool_worker::channel::Bytes;
use pool_worker::registry::TaskId;
use pool_worker::task::Decoder;

use crate::call::{Call, Prepared};
use crate::completion::{Completion, Outcome, Signal, Waiter};
use crate::driver::{Locked, Pool};
use crate::future;
use crate::task_error::TaskError;

/// How many calls for each worker are in flight at first.
const FIRST_WINDOW: usize = 4;
/// The most calls in flight, unless asked for otherwise.
const MAX_WINDOW: usize = 8192;
/// The most bytes of arguments and results in flight, as far as two calls for each worker are less.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most inputs that are drawn at a time, while their workers wait.
const MAX_STEP: usize = 128;

/// Encodes an input into a call.
pub(super) type Prepare<T> = Box<dyn Fn(&T) -> Prepared + Send + Sync>;

/// A call in flight.
struct Item {
    completion: Arc<Completion>,
    task: &'static str,
    bytes: usize,
}

/// The calls in flight, by the index of their input; dropped, it cancels those that have not begun.
pub(super) struct Flight {
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
pub(super) struct Source<I: Iterator> {
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
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self {
            pool,
            items: VecDeque::new(),
            first: 0,
            count: 0,
            bytes: 0,
            result_bytes: 0,
            spare: Vec::new(),
        }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How many calls are in flight.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many of the first inputs are done with: the index of the front's input.
    pub(super) fn taken(&self) -> usize {
        self.first
    }

    /// The completion of the call in front.
    pub(super) fn front(&self) -> Option<&Arc<Completion>> {
        self.completions().next().map(|(_, completion)| completion)
    }

    /// The completions in flight and the indices of their inputs.
    pub(super) fn completions(&self) -> impl Iterator<Item = (usize, &Arc<Completion>)> {
        let indexed = (self.first..).zip(&self.items);
        indexed.filter_map(|(index, item)| Some((index, &item.as_ref()?.completion)))
    }

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
    pub(super) fn finish<R>(
        &mut self,
        index: usize,
        decoder: Decoder<R>,
    ) -> Option<Result<R, TaskError>> {
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
    pub(super) fn new(pool: &Pool, prepare: Prepare<I::Item>, inputs: I) -> Self {
        let slots = pool.lock().slots();
        Self {
            inputs,
            prepare,
            window: slots * FIRST_WINDOW,
            least: slots * 2,
            fixed: false,
            exhausted: false,
            drawn: Vec::new(),
        }
    }

    /// Keeps at most `calls` in flight from now on.
    pub(super) fn fix_window(&mut self, calls: usize) {
        self.window = calls;
        self.fixed = true;
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// How many calls may yet come.
    pub(super) fn size_hint(&self) -> (usize, Option<usize>) {
        let drawn = self.drawn.len();
        if self.exhausted {
            return (drawn, Some(drawn));
        }
        let (least, most) = self.inputs.size_hint();
        (
            least.saturating_add(drawn),
            most.and_then(|most| most.checked_add(drawn)),
        )
    }

    /// Draws inputs and submits their calls, as far as the window allows.
    pub(super) fn draw(&mut self, flight: &mut Flight, signal: Option<&Arc<Signal>>) {
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
