//! The calls of a map that are in flight, and where their inputs come from.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::registry::TaskId;

use super::batch::{Batch, Prepare};
use super::submission::Submission;
use super::taken::{Given, Taken};
use crate::call::{name_of, unknown};
use crate::calls::CallId;
use crate::driver::{Haste, Locked, Pool};
use crate::sys;
use crate::terms::{Deadline, Terms};
use crate::wait::Timeout;
use crate::waiter::Signal;

mod ends;

/// How many calls for each worker are in flight at first.
const FIRST_WINDOW: usize = 4;
/// The most calls in flight, unless asked for otherwise.
const MAX_WINDOW: usize = 8192;
/// The most bytes of arguments and results in flight, as far as two calls for each worker are less.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most inputs that are drawn at a time, while their workers wait.
const MAX_STEP: usize = 128;

/// A call in flight.
struct Item {
    id: CallId,
    /// How many its arguments have. More than fit here are more than enough for any bound.
    bytes: u32,
}

/// The calls in flight, by the index of their input; dropped, it cancels those that have not begun.
pub(super) struct Flight {
    pool: Arc<Pool>,
    /// `None` for those that were taken before others in front of them.
    items: VecDeque<Option<Item>>,
    /// The index of the front item's input.
    first: usize,
    taken: Taken,
    /// How many were drawn and not given.
    count: usize,
    bytes: usize,
    /// How large a result is to be expected, in bytes: as large as the largest of late.
    result_bytes: usize,
    /// Somebody had to wait, since calls were drawn last.
    waited: bool,
    /// Dropped, it kills those that have begun as well.
    kill_on_drop: bool,
}

/// Where inputs come from.
pub(crate) struct Source<I: Iterator> {
    inputs: I,
    task: Result<TaskId, &'static str>,
    prepare: Prepare<I::Item>,
    window: usize,
    /// As many are in flight however large they are, so that no worker waits.
    least: usize,
    fixed: bool,
    exhausted: bool,
    /// Inputs that were drawn and are not submitted: kept here, as drawing the next may panic.
    drawn: Batch,
    terms: Terms,
    /// How long after the first draw all has to be done.
    allowed: Option<Duration>,
    first_draw: Option<Duration>,
}

impl Flight {
    pub(super) fn new(pool: Arc<Pool>, kill_on_drop: bool) -> Self {
        Self {
            pool,
            items: VecDeque::new(),
            first: 0,
            taken: Taken::default(),
            count: 0,
            bytes: 0,
            result_bytes: 0,
            waited: false,
            kill_on_drop,
        }
    }

    /// How many were drawn and not given.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// What is to be said of those where the time was over before another one was done.
    pub(super) fn timeout(&self) -> Timeout {
        let locked = self.pool.lock();
        let is_pending = |item: &&Item| !locked.call(item.id).is_done();
        let unfinished = self.items.iter().flatten().filter(is_pending).count();
        Timeout::new(unfinished, self.count)
    }

    /// The index of the first input whose outcome was not given in order.
    pub(super) fn given(&self) -> usize {
        self.first - self.taken.len().min(self.first)
    }

    /// The next outcome, if one was taken.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Given<'_>> {
        let given = self.taken.next(self.pool.bounds().values)?;
        self.count -= 1;
        if let Some(len) = given.len() {
            let faded = self.result_bytes - self.result_bytes / 16;
            self.result_bytes = len.max(faded);
        }
        Some(given)
    }

    /// Notes a call that was drawn.
    #[inline]
    pub(super) fn push(&mut self, id: CallId, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.count += 1;
        self.bytes += bytes as usize;
        self.items.push_back(Some(Item { id, bytes }));
    }

    /// The index of the next input.
    pub(super) fn next_index(&self) -> usize {
        self.first + self.items.len()
    }

    /// The first call in flight, for somebody who has to wait for it.
    pub(super) fn front(&mut self) -> Option<(Arc<Pool>, CallId)> {
        let Some(Some(Item { id, .. })) = self.items.front() else {
            return None;
        };
        let front = (Arc::clone(&self.pool), *id);
        self.waited = true;
        self.taken.make_room();
        Some(front)
    }

    /// Waits until the first call in flight is done; `false` if `deadline` came first.
    pub(super) fn await_front(&mut self, deadline: Option<Instant>) -> bool {
        let Some((pool, id)) = self.front() else {
            return true;
        };
        let Some(mut locked) = pool.wait(id, Haste::WithOthers, deadline) else {
            return false;
        };
        self.take_front(&mut locked);
        true
    }

    /// Takes the outcomes at the front that are there.
    pub(super) fn take_front(&mut self, locked: &mut Locked<'_>) {
        while let Some(Some(item)) = self.items.front()
            && let Some(outcome) = locked.redeem(item.id)
        {
            self.bytes -= item.bytes as usize;
            self.items.pop_front();
            self.taken.push(outcome, self.first);
            self.first += 1;
        }
    }

    /// Has `signal` told of every call in flight that is done, by its index.
    pub(super) fn register(&self, signal: &Arc<Signal>) {
        let mut locked = self.pool.lock();
        for (index, item) in (self.first..).zip(&self.items) {
            if let Some(Item { id, .. }) = item {
                locked.signal_end(*id, signal, index);
            }
        }
        locked.turn();
    }

    /// Waits until calls are done of which `signal` tells, and takes their outcomes; `false` if
    /// `deadline` came first.
    pub(super) fn await_any(&mut self, signal: &Signal, deadline: Option<Instant>) -> bool {
        self.waited = true;
        let pool = Arc::clone(&self.pool);
        pool.lock().turn();
        if !signal.sleep(deadline) {
            return false;
        }
        let done = signal.take_all();
        self.taken.make_room();
        let mut locked = pool.lock();
        for index in done {
            let Some(item) = self.items[index - self.first].take() else {
                continue;
            };
            self.bytes -= item.bytes as usize;
            if let Some(outcome) = locked.redeem(item.id) {
                self.taken.push(outcome, index);
            }
            while let Some(None) = self.items.front() {
                self.items.pop_front();
                self.first += 1;
            }
        }
        true
    }
}

impl<I: Iterator> Source<I> {
    pub(crate) fn new(
        pool: &Pool,
        task: Result<TaskId, &'static str>,
        prepare: Prepare<I::Item>,
        inputs: I,
        terms: Terms,
    ) -> Self {
        let workers = pool.lock().size();
        Self {
            inputs,
            task,
            prepare,
            window: workers * FIRST_WINDOW,
            least: workers * 2,
            fixed: false,
            exhausted: false,
            drawn: Batch::default(),
            terms,
            allowed: None,
            first_draw: None,
        }
    }

    /// Keeps at most `calls` in flight from now on.
    pub(super) fn fix_window(&mut self, calls: usize) {
        self.window = calls;
        self.fixed = true;
    }

    /// Draws no more inputs, and cancels the calls that have not begun.
    pub(super) fn cancel(&mut self, flight: &Flight) {
        self.exhausted = true;
        self.drawn = Batch::default();
        flight.cancel();
    }

    /// Has all done so long after the first draw, also what was drawn already.
    pub(super) fn set_deadline(&mut self, allowed: Duration, flight: &Flight) {
        self.allowed = (allowed != Duration::MAX).then_some(allowed);
        self.fix_deadline();
        flight.set_deadline(self.terms.deadline);
    }

    /// The clock of the deadline starts, unless it runs.
    #[inline]
    fn begin(&mut self) {
        if self.first_draw.is_none() {
            self.first_draw = Some(sys::monotonic());
            self.fix_deadline();
        }
    }

    fn fix_deadline(&mut self) {
        let deadline = self.first_draw.zip(self.allowed);
        self.terms.deadline = deadline.map(|(start, allowed)| Deadline {
            at: start.saturating_add(allowed),
            allowed,
        });
    }

    /// Whether inputs may still be drawn.
    #[inline]
    fn has_time(&self) -> bool {
        let deadline = self.terms.deadline;
        deadline.is_none_or(|deadline| sys::monotonic() < deadline.at)
    }

    /// The task that is called.
    #[inline]
    pub(super) fn task(&self) -> Option<TaskId> {
        self.task.ok()
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// How many calls may yet come.
    pub(super) fn size_hint(&self) -> (usize, Option<usize>) {
        let drawn = self.drawn.len();
        if self.exhausted || !self.has_time() {
            return (drawn, Some(drawn));
        }
        let (least, most) = self.inputs.size_hint();
        // Inputs without end come to one.
        let least = if self.allowed.is_some() && most.is_none() {
            0
        } else {
            least
        };
        (
            least.saturating_add(drawn),
            most.and_then(|most| most.checked_add(drawn)),
        )
    }

    /// Draws inputs and submits their calls, if the window allows for another step.
    #[inline]
    pub(super) fn draw(&mut self, flight: &mut Flight, signal: Option<&Arc<Signal>>) {
        let step = (self.window / 4).clamp(1, MAX_STEP);
        if !self.exhausted && flight.count + step <= self.window {
            self.draw_some(flight, signal);
        }
    }

    fn draw_some(&mut self, flight: &mut Flight, signal: Option<&Arc<Signal>>) {
        self.begin();
        let wanted = (self.window - flight.count).min(MAX_STEP);
        let mut bytes = flight.bytes + flight.count * flight.result_bytes;
        while self.drawn.len() < wanted
            && (bytes < MAX_BYTES || flight.count + self.drawn.len() < self.least)
        {
            let Some(input) = self.has_time().then(|| self.inputs.next()).flatten() else {
                self.exhausted = true;
                break;
            };
            bytes += flight.result_bytes;
            match self.task {
                Ok(task) => bytes += self.drawn.add(task, &self.prepare, input),
                Err(type_name) => self.drawn.add_failed(unknown(type_name)),
            }
        }
        if !self.drawn.is_empty() {
            self.submit(flight, signal);
        }
    }

    /// Submits what was drawn, in one go, and takes what is there.
    fn submit(&mut self, flight: &mut Flight, signal: Option<&Arc<Signal>>) {
        let pool = Arc::clone(&flight.pool);
        // Dropped after the lock is let go of: it may be much.
        let mut _refused = None;
        flight.taken.make_room();
        let mut locked = pool.lock();
        if let Some(refusal) = locked.refusal(|| name_of(self.task)) {
            self.exhausted = true;
            _refused = Some(self.drawn.refuse(refusal));
        }
        self.drawn.submit(&mut Submission::new(
            &mut locked,
            flight,
            &self.terms,
            signal,
        ));
        locked.turn();
        if signal.is_none() {
            flight.take_front(&mut locked);
        }
        // More are let through only if results are waited for: to whoever is the slower one, all that
        // is on its way beyond need costs memory that is in no cache.
        if mem::take(&mut flight.waited) && !self.fixed && locked.queued() == 0 {
            self.window = (self.window * 2).min(MAX_WINDOW);
        }
    }
}
