//! How a thread waits for a call, and drives meanwhile.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use pool_worker::channel::{Doorbell, events};
use pool_worker::fault::{self, Site};

use super::{Locked, Pool};
use crate::calls::CallId;
use crate::member::Member;
use crate::waiter::{Signal, Waiter};

#[cfg(all(test, loom, feature = "loom"))]
mod models;
mod streams;
#[cfg(test)]
mod tests;

/// How many times a thread looks between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 32;
/// For each so many calls that the worker has, a thread pauses once more between two looks...
const CALLS_PER_PAUSE: usize = 16;
/// ...but never longer than this many times.
const MAX_PAUSES: u32 = 16;

/// For how long results may lie that nobody is in haste for.
const LEISURE: Duration = Duration::from_micros(500);

/// Threads of this process that look for answers at the moment.
static SPINNING: AtomicUsize = AtomicUsize::new(0);

/// How soon a thread wants to hear that its call is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// At once.
    AtOnce,
    /// Together with others, after [`LEISURE`] at the latest, while the worker has more work than that
    /// before it: to wake a thread for each short call takes the workers' cores from them.
    WithOthers,
}

impl Pool {
    /// Waits until a call is done, and gives the lock, held since it was seen to be; `None` if
    /// `deadline` came first.
    pub(crate) fn wait(
        &self,
        id: CallId,
        haste: Haste,
        deadline: Option<Instant>,
    ) -> Option<Locked<'_>> {
        let mut has_looked = false;
        let mut locked = self.lock();
        loop {
            if locked.call(id).is_done() {
                return Some(locked);
            }
            let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
            // A worker that was woken a moment ago has nothing to tell yet, as far as can be told.
            let is_roused = |(_, member): (usize, &mut Member)| member.is_roused();
            if is_over || !locked.holder(id).is_some_and(is_roused) {
                locked.turn();
                if locked.call(id).is_done() {
                    return Some(locked);
                }
            }
            if is_over {
                return None;
            }
            match locked.holder(id) {
                Some((_, member)) if member.is_in_stream() => {
                    self.drive_stream(locked, id, deadline);
                }
                // A worker that was woken a moment ago takes longer than looking is worth, and may even
                // wait for this very core.
                Some((_, member))
                    if !has_looked && !member.is_roused() && member.is_worth_a_look() =>
                {
                    let (doorbell, ahead) = (member.doorbell(), member.live());
                    let limit = member.outlook.limit();
                    drop(locked);
                    let found = self.look(&doorbell, ahead, limit);
                    locked = self.lock();
                    has_looked = !found;
                    continue;
                }
                Some(_) => {
                    self.sleep_on_worker(locked, id, haste, deadline);
                    has_looked = false;
                }
                None => self.sleep_on_call(locked, id, deadline),
            }
            locked = self.lock();
        }
    }

    /// Looks for answers for a while, if there is a core to spare; whether some came.
    ///
    /// With many calls on the way answers come in a stream. Each look at it takes the word from the
    /// worker's cache, so it is looked at the more seldom the more calls there are.
    fn look(&self, doorbell: &Doorbell, ahead: usize, limit: Duration) -> bool {
        let pauses = 1 + u32::try_from(ahead / CALLS_PER_PAUSE)
            .unwrap_or(MAX_PAUSES)
            .min(MAX_PAUSES);
        if doorbell.has_news() {
            return true;
        }
        self.as_spinner(|| {
            let start = Instant::now();
            let mut found = false;
            while !found && start.elapsed() < limit {
                found = (0..LOOKS_PER_CLOCK / pauses).any(|_| {
                    (0..pauses).for_each(|_| hint::spin_loop());
                    doorbell.has_news()
                });
            }
            found
        })
    }

    /// What `look` gives, if one thread more may look instead of sleeping; else `false`.
    fn as_spinner(&self, look: impl FnOnce() -> bool) -> bool {
        let found = SPINNING.fetch_add(1, Ordering::Relaxed) < self.spinners && look();
        SPINNING.fetch_sub(1, Ordering::Relaxed);
        found
    }

    /// Sleeps until the worker that has the call rings, or the supervising thread in its place. From
    /// here on it is the calling thread that hears of this worker, unless another one does.
    ///
    /// The kernel would have to set a timer and take it back at each call, so there is none where nobody has
    /// set a deadline.
    fn sleep_on_worker<'a>(
        &'a self,
        mut locked: Locked<'a>,
        id: CallId,
        haste: Haste,
        deadline: Option<Instant>,
    ) {
        let hungry = locked.queued() > 0;
        let may_take_time = haste == Haste::WithOthers && !locked.has_waiters();
        let Some((slot, member)) = locked.holder(id) else {
            return;
        };
        let number = member.number;
        let Some(doorbell) = member.attend() else {
            return self.sleep_on_call(locked, id, deadline);
        };
        let count = doorbell.count();
        let at_leisure = may_take_time && member.work_left().is_some_and(|left| left > LEISURE);
        let (event, limit) = if at_leisure {
            (events::IDLE, Some(LEISURE))
        } else {
            (events::ANSWER, None)
        };
        let mut slept = None;
        if !member.arm_doorbell(event | member.flow(hungry)) {
            drop(locked);
            let start = Instant::now();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(start));
            fault::at(Site::SleepsOnWorker);
            doorbell.sleep(count, left.into_iter().chain(limit).min());
            slept = Some(start.elapsed());
            locked = self.lock();
        }
        // Another worker may sit in the slot by now.
        if let Some(member) = locked.member(slot).filter(|member| member.number == number) {
            member.leave();
            if let Some(slept) = slept {
                member.outlook.slept(slept);
            }
        }
        locked.turn();
    }

    /// Sleeps until somebody else tells that the call is done.
    fn sleep_on_call(&self, mut locked: Locked<'_>, id: CallId, deadline: Option<Instant>) {
        let signal = Arc::new(Signal::default());
        if locked
            .wait(id, Waiter::Thread(Arc::clone(&signal), 0))
            .is_err()
        {
            return;
        }
        locked.turn();
        drop(locked);
        fault::at(Site::SleepsOnCall);
        if !signal.sleep(deadline) {
            self.forget(id, &signal);
        }
    }

    /// Takes in what has arrived; whether this call is done. If not, `waker` is woken once it is, and
    /// none that was given for this call before.
    pub(crate) fn poll_or_wake(&self, id: CallId, waker: &Waker) -> bool {
        if self.poll(id) {
            return true;
        }
        // To clone and to drop a waker is to run users' code, which may want the lock.
        let waiter = Waiter::Future(waker.clone());
        let mut locked = self.lock();
        let former = locked.forget(id, |waiter| matches!(waiter, Waiter::Future(_)));
        let waiting = locked.wait(id, waiter);
        locked.turn();
        drop(locked);
        drop(former);
        waiting.is_err()
    }

    /// Registers a waiter, or tells it at once if the call is done.
    pub(crate) fn register(&self, id: CallId, waiter: Waiter) {
        let mut locked = self.lock();
        match locked.wait(id, waiter) {
            Ok(()) => locked.turn(),
            Err(waiter) => {
                drop(locked);
                self.notifier.notify(vec![waiter]);
            }
        }
    }

    /// Takes a thread away from the waiters for a call.
    pub(crate) fn forget(&self, id: CallId, signal: &Arc<Signal>) {
        let is_meant = |waiter: &Waiter| matches!(waiter, Waiter::Thread(other, _) if Arc::ptr_eq(other, signal));
        let _forgotten = self.lock().forget(id, is_meant);
    }
}

impl Locked<'_> {
    /// Has `signal` told this number when the call is done, which it may be already.
    pub(crate) fn signal_end(&mut self, id: CallId, signal: &Arc<Signal>, number: usize) {
        if let Err(Waiter::Thread(signal, number)) =
            self.wait(id, Waiter::Thread(Arc::clone(signal), number))
        {
            signal.fire(number);
        }
    }
}
