//! Who moves calls and answers, and how a thread waits.
//!
//! *Whoever waits, drives.* There is no thread between a caller and a worker: a thread that waits
//! for a result takes answers out of the workers' rings itself, deals more calls, and sleeps on the
//! very worker that holds its call. Where no thread can (nobody waits, or several wait for one
//! worker, or an async task does), the supervising thread takes its part, woken by bells.
//!
//! # The lock
//!
//! All state is under one lock that is held for moments, never while anything blocks or users' code
//! runs. Letting go of it ([`Locked`]) tells those whose completions were filled meanwhile.
//!
//! # Why nobody sleeps for ever
//!
//! Under the lock, each worker that has calls is either *attended* by one thread, or its bell is
//! armed for the event loop with all that somebody has to hear of ([`Scheduler::turn`] restores
//! this before the lock is let go of). An attending thread arms the doorbell before it sleeps and
//! looks at the ring once more after arming; it leaves by a turn, which arms the bell for the event
//! loop again. Any other waiter is registered with its completion under the lock, before a turn.
//! A call that leaves an attended worker (taken back, or by the worker's death) rings the thread
//! that attends it.

#[cfg(test)]
mod tests;

use std::hint;
use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pool_worker::channel::{Doorbell, events};

use crate::completion::{Completion, Place, Signal, Waiter};
use crate::member::Member;
use crate::notifier::Notifier;
use crate::scheduler::{Gate, Scheduler};
use crate::sys;

/// How many turns a thread takes in a row before it leaves the rest to the supervising thread.
const MAX_TURNS: u32 = 8;
/// The longest and the shortest time for which a thread looks for its answer before it sleeps.
const MAX_SPIN: u32 = 50;
const MIN_SPIN: u32 = 1;
/// How many times a thread looks between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 32;

/// Threads of this process that look for answers at the moment.
static SPINNING: AtomicUsize = AtomicUsize::new(0);

/// What is under the lock.
#[derive(Debug)]
struct State {
    scheduler: Scheduler,
    /// The supervising thread was woken and has not looked yet.
    poked: bool,
    /// The supervising thread looks every now and then whether calls should move.
    balancing: bool,
    /// The supervising thread has ended: no process is left.
    ended: bool,
}

/// The shared heart of an executor: its futures, its handle and its threads hold it.
#[derive(Debug)]
pub(crate) struct Pool {
    state: Mutex<State>,
    /// The supervising thread has ended, or a worker came to be.
    changed: Condvar,
    notifier: Notifier,
    poke: OwnedFd,
    /// The process that it belongs to.
    owner: u32,
    /// How many threads may look for answers at a time, in this process.
    spinners: usize,
    /// For how many microseconds one looks; halved when that was in vain.
    spin: AtomicU32,
}

/// The scheduler, locked.
pub(crate) struct Locked<'a> {
    pool: &'a Pool,
    state: Option<MutexGuard<'a, State>>,
}

impl Deref for Locked<'_> {
    type Target = Scheduler;

    fn deref(&self) -> &Scheduler {
        &self.state().scheduler
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Scheduler {
        &mut self.state_mut().scheduler
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let told = self.take_told();
        self.state = None;
        self.pool.notifier.notify(told);
    }
}

impl Locked<'_> {
    fn state(&self) -> &State {
        self.state
            .as_ref()
            .expect("the lock is held until the guard is dropped")
    }

    fn state_mut(&mut self) -> &mut State {
        self.state
            .as_mut()
            .expect("the lock is held until the guard is dropped")
    }

    /// Takes turns until there is nothing more to do at once, or leaves the rest to the supervising
    /// thread.
    pub(crate) fn turn(&mut self) {
        let more = self.take_turns();
        if more || self.is_over() || (self.is_unbalanced() && !self.state().balancing) {
            self.poke();
        }
    }

    fn take_turns(&mut self) -> bool {
        (0..MAX_TURNS).all(|_| Scheduler::turn(self))
    }

    /// A turn of the supervising thread; `true` means that it should take another one at once.
    pub(crate) fn look(&mut self) -> bool {
        self.state_mut().poked = false;
        sys::clear_event(&self.pool.poke);
        let more = self.take_turns();
        self.state_mut().balancing = self.is_unbalanced();
        more
    }

    /// Wakes the supervising thread.
    pub(crate) fn poke(&mut self) {
        if !std::mem::replace(&mut self.state_mut().poked, true) {
            sys::signal_event(&self.pool.poke);
        }
    }

    /// Whether nothing is left to be done for ever.
    pub(crate) fn is_over(&self) -> bool {
        match self.gate() {
            Gate::Open => false,
            Gate::Closed => self.outstanding() == 0,
            Gate::Broken(_) => true,
        }
    }

    /// Whether the supervising thread has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// The supervising thread ends: nobody is to wake it any more.
    pub(crate) fn end(&mut self) {
        let state = self.state_mut();
        state.ended = true;
        state.poked = true;
        self.announce();
    }

    /// Lets go of the lock until a worker came to be or went, at most until `deadline`.
    pub(crate) fn await_worker(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        self.state = self.state.take().map(|state| {
            let waited = self.pool.changed.wait_timeout(state, left);
            waited.unwrap_or_else(PoisonError::into_inner).0
        });
    }

    /// Tells those who wait for workers to come or go.
    pub(crate) fn announce(&self) {
        self.pool.changed.notify_all();
    }
}

impl Pool {
    /// A pool of so many workers.
    ///
    /// # Errors
    ///
    /// If the descriptor that wakes the supervising thread cannot be had.
    pub(crate) fn new(workers: usize) -> std::io::Result<Self> {
        // A thread that looks instead of sleeping wants a core of its own, and so does the worker
        // that it waits for: on one core everybody sleeps.
        let spinners = thread::available_parallelism().map_or(1, usize::from) - 1;
        Ok(Self {
            state: Mutex::new(State {
                scheduler: Scheduler::new(workers, spinners),
                poked: false,
                balancing: false,
                ended: false,
            }),
            changed: Condvar::new(),
            notifier: Notifier::default(),
            poke: sys::event()?,
            owner: std::process::id(),
            spinners,
            spin: AtomicU32::new(MAX_SPIN),
        })
    }

    /// Whether this is a copy, in a fork of the process that the pool belongs to. Nobody serves it
    /// there, its lock may be held for ever, and its workers' memory is not mapped.
    pub(crate) fn is_copy(&self) -> bool {
        self.owner != std::process::id()
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Locked {
            pool: self,
            state: Some(state),
        }
    }

    /// Readable when the supervising thread is to look.
    pub(crate) fn poke_fd(&self) -> &OwnedFd {
        &self.poke
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// Waits until the supervising thread has ended; `false` if `deadline` came first.
    pub(crate) fn wait_ended(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.ended {
            let Some(deadline) = deadline else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Takes in what has arrived; whether this completion is done.
    pub(crate) fn poll(&self, completion: &Completion) -> bool {
        if !completion.is_done() {
            self.lock().turn();
        }
        completion.is_done()
    }

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
