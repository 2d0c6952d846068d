//! How a thread waits for a call, and drives meanwhile.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pool_worker::channel::{Doorbell, events};

use super::{Locked, Pool};
use crate::completion::{Completion, Place, Signal, Waiter};
use crate::member::Member;

#[cfg(test)]
mod tests;

/// The longest and the shortest time for which a thread looks for its answer before it sleeps.
pub(super) const MAX_SPIN: u32 = 50;
const MIN_SPIN: u32 = 1;
/// How many times a thread looks between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 32;

/// Threads of this process that look for answers at the moment.
static SPINNING: AtomicUsize = AtomicUsize::new(0);

impl Pool {
    /// Waits until a completion is done; `false` if `deadline` came first.
    pub(crate) fn wait(&self, completion: &Arc<Completion>, deadline: Option<Instant>) -> bool {
        while !completion.is_done() {
            let mut locked = self.lock();
            locked.turn();
            if completion.is_done() {
                break;
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return false;
            }
            match attend(&mut locked, completion) {
                Some(attended) => {
                    drop(locked);
                    self.sleep_on_worker(&attended, completion, deadline);
                }
                None => self.sleep_on_completion(locked, completion, deadline),
            }
        }
        true
    }

    /// Sleeps until the attended worker rings, and leaves it.
    fn sleep_on_worker(
        &self,
        attended: &Attended,
        completion: &Completion,
        deadline: Option<Instant>,
    ) {
        let Attended { seq, doorbell, .. } = attended;
        let found = self.spin(doorbell);
        let mut locked = self.lock();
        let hungry = locked.queued() > 0;
        // While this thread did not hold the lock, the call may have been taken elsewhere. From now
        // on whoever takes it rings.
        let member = attended.member(&mut locked);
        if !found && let Some(member) = member.filter(|member| member.holds(*seq, completion)) {
            let count = doorbell.count();
            if !member.arm_doorbell(events::ANSWER | member.flow(hungry)) {
                drop(locked);
                let left =
                    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                doorbell.sleep(count, left);
                locked = self.lock();
            }
        }
        if let Some(member) = attended.member(&mut locked) {
            member.leave();
        }
        locked.turn();
    }

    /// Looks for answers for a while, if there is a core to spare.
    fn spin(&self, doorbell: &Doorbell) -> bool {
        let mut found = doorbell.has_answers();
        if !found && SPINNING.fetch_add(1, Ordering::Relaxed) < self.spinners {
            let microseconds = self.spin.load(Ordering::Relaxed);
            let limit = Duration::from_micros(microseconds.into());
            let start = Instant::now();
            while !found && start.elapsed() < limit {
                found = (0..LOOKS_PER_CLOCK).any(|_| {
                    hint::spin_loop();
                    doorbell.has_answers()
                });
            }
            let next = if found {
                microseconds * 2
            } else {
                microseconds / 2
            };
            self.spin
                .store(next.clamp(MIN_SPIN, MAX_SPIN), Ordering::Relaxed);
            SPINNING.fetch_sub(1, Ordering::Relaxed);
        } else if !found {
            SPINNING.fetch_sub(1, Ordering::Relaxed);
        }
        found
    }

    /// Sleeps until somebody else fills the completion.
    fn sleep_on_completion(
        &self,
        mut locked: Locked<'_>,
        completion: &Completion,
        deadline: Option<Instant>,
    ) {
        let signal = Arc::new(Signal::default());
        if locked
            .wait(completion, Waiter::Thread(Arc::clone(&signal), 0))
            .is_err()
        {
            return;
        }
        locked.turn();
        drop(locked);
        if !signal.sleep(deadline) {
            self.forget(completion, &signal);
        }
    }

    /// Registers a waiter, or tells it at once if the completion is done.
    pub(crate) fn register(&self, completion: &Completion, waiter: Waiter) {
        let mut locked = self.lock();
        match locked.wait(completion, waiter) {
            Ok(()) => locked.turn(),
            Err(waiter) => {
                drop(locked);
                self.notifier.notify(vec![waiter]);
            }
        }
    }

    /// Takes a thread away from the waiters of a completion.
    pub(crate) fn forget(&self, completion: &Completion, signal: &Arc<Signal>) {
        let is_meant = |waiter: &Waiter| matches!(waiter, Waiter::Thread(other, _) if Arc::ptr_eq(other, signal));
        let _forgotten = self.lock().forget(completion, is_meant);
    }
}

/// A worker that a thread waits for, to hear of one call.
struct Attended {
    slot: usize,
    number: u64,
    seq: u32,
    doorbell: Doorbell,
}

impl Attended {
    /// The worker, if it is still a member.
    fn member<'a>(&self, locked: &'a mut Locked<'_>) -> Option<&'a mut Member> {
        let member = locked.member(self.slot)?;
        (member.number == self.number).then_some(member)
    }
}

/// Begins to attend the worker that holds this completion's call, if nobody does.
fn attend(locked: &mut Locked<'_>, completion: &Completion) -> Option<Attended> {
    let Place::Worker { slot, seq } = completion.place() else {
        return None;
    };
    let member = locked.member(slot)?;
    if !member.holds(seq, completion) {
        return None;
    }
    Some(Attended {
        slot,
        number: member.number,
        seq,
        doorbell: member.attend()?,
    })
}
