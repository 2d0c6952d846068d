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
//! runs. Letting go of it ([`Locked`]) tells those whose calls were done meanwhile.
//!
//! # Why nobody sleeps for ever
//!
//! Under the lock, each worker that has calls is either *attended* by one thread, or its bell is
//! armed for the event loop with all that somebody has to hear of ([`Scheduler::turn`] restores
//! this before the lock is let go of). An attending thread arms the doorbell before it sleeps and
//! looks at the ring once more after arming; it leaves by a turn, which arms the bell for the event
//! loop again. One that drives a large value attends its worker until all of it has crossed, and
//! looks at the rings awake or asleep in the same way. Any other waiter is registered with its call
//! under the lock, before a turn.
//! A call that leaves an attended worker (taken back, or by the worker's death) rings the thread
//! that attends it. What a worker does to its own bell harms nobody for long: the supervising thread rings
//! whoever sleeps on one every second, if it does not just wait for a new fork server.

mod call_ref;
mod poking;
#[cfg(test)]
mod tests;
mod waiting;

use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pool_worker::channel::Payload;
use pool_worker::registry::TaskId;
use pool_worker::{Isolation, Profile};

use crate::bounds::Bounds;
use crate::call::Parcel;
use crate::calls::CallId;
use crate::gate::{Breakdown, Gate};
use crate::notifier::Notifier;
use crate::scheduler::{QueueLimit, Scheduler, Share, Size};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::sys;
use crate::task_error::TaskError;
use crate::terms::Terms;
use crate::waiter::wait_while;

pub(crate) use call_ref::{CallRef, Fate};
pub(crate) use waiting::Haste;

/// How many turns a thread takes in a row before it leaves the rest to the supervising thread.
const MAX_TURNS: u32 = 8;

/// How many calls that have to queue are submitted between two turns.
const SUBMITS_PER_TURN: usize = 32;

/// What is under the lock.
#[derive(Debug)]
struct State {
    scheduler: Scheduler,
    /// The supervising thread was woken and has not looked yet.
    poked: bool,
    /// The supervising thread looks every now and then whether calls should move, up to this time.
    balancing: Option<Instant>,
    /// It was woken as they may have to.
    unbalanced: bool,
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
    poke: Arc<OwnedFd>,
    /// [`sys::forks`] in the process that it belongs to.
    owner: u32,
    isolation: Isolation,
    /// How many threads may look for answers at a time, in this process.
    spinners: usize,
    bounds: Bounds,
}

/// The scheduler, locked.
pub(crate) struct Locked<'a> {
    pool: &'a Pool,
    state: Option<MutexGuard<'a, State>>,
}

impl Deref for Locked<'_> {
    type Target = Scheduler;

    #[inline]
    fn deref(&self) -> &Scheduler {
        &self.state().scheduler
    }
}

impl DerefMut for Locked<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Scheduler {
        &mut self.state_mut().scheduler
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if !self.leaves_something() {
            return;
        }
        let told = self.take_told();
        let spent = self.take_spent();
        if told.is_empty() {
            self.state = None;
        } else {
            self.pool.notifier.expect(&told);
            self.state = None;
            self.pool.notifier.tell(told);
        }
        drop(spent);
    }
}

impl Locked<'_> {
    #[inline]
    fn state(&self) -> &State {
        self.state
            .as_ref()
            .expect("the lock is held until the guard is dropped")
    }

    #[inline]
    fn state_mut(&mut self) -> &mut State {
        self.state
            .as_mut()
            .expect("the lock is held until the guard is dropped")
    }

    /// Why no call of the task of this name is taken now, if none is.
    #[inline]
    pub(crate) fn rejection(&mut self, task: impl Fn() -> &'static str) -> Option<TaskError> {
        let refusal = self.refusal(&task);
        if refusal.is_some() || !self.is_full() {
            return refusal;
        }
        // Some may be done of which nobody took note yet.
        self.turn();
        self.is_full().then(|| self.queue_full(task()))
    }

    /// Takes a call, with one reference to it. To be followed by [`submitted`](Self::submitted).
    #[inline]
    pub(crate) fn submit_single(
        &mut self,
        task: TaskId,
        arguments: Parcel,
        terms: &Terms,
    ) -> CallId {
        match arguments.payload {
            Payload::Inline(inline) if arguments.attachments.is_empty() && terms.is_plain() => {
                self.look_at_clock();
                self.submit_at_once(task, inline, 1, &mut Share::default())
            }
            _ => self.submit(task, arguments, terms),
        }
    }

    /// A call was submitted: deals it at once, unless others wait before it. Those are dealt as the
    /// bells tell of room, and by this thread now and then: to look for room at each call would take
    /// the words it is told by from the worker's cache again and again.
    pub(crate) fn submitted(&mut self) {
        match self.queued() {
            // It is dealt.
            0 => self.wake(),
            1 => {
                self.look_at_clock();
                self.deal();
            }
            queued if queued.is_multiple_of(SUBMITS_PER_TURN) => {}
            // Others may have to make room for it, or to come.
            _ if self.lacks_workers() || (self.is_ranked() && !self.is_balancing()) => {}
            _ => return,
        }
        let more = (self.queued() > 0 || self.settle()) && self.take_turns();
        self.leave_rest(more);
    }

    /// Takes turns until there is nothing more to do at once, or leaves the rest to the supervising
    /// thread.
    pub(crate) fn turn(&mut self) {
        let more = self.take_turns();
        self.leave_rest(more);
    }

    fn take_turns(&mut self) -> bool {
        (0..MAX_TURNS).all(|_| Scheduler::turn(self))
    }

    /// A turn of the supervising thread; `true` means that it should take another one at once.
    pub(crate) fn look(&mut self) -> bool {
        self.state_mut().poked = false;
        sys::clear_event(&self.pool.poke);
        self.expire(sys::monotonic());
        self.take_turns()
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
    /// A pool of such a size, whose workers have so long to end when their calls are out of time, and
    /// before which so much may wait.
    ///
    /// # Errors
    ///
    /// If the descriptor that wakes the supervising thread cannot be had.
    pub(crate) fn new(
        size: Size,
        grace: Option<Duration>,
        queue_limit: QueueLimit,
    ) -> std::io::Result<Self> {
        // A thread that looks instead of sleeping wants a core of its own, and so does the worker
        // that it waits for: on one core everybody sleeps.
        let spinners = thread::available_parallelism().map_or(1, usize::from) - 1;
        Self::with_spinners(spinners, size, grace, queue_limit)
    }

    /// The same, where so many threads and workers may look instead of sleeping.
    fn with_spinners(
        spinners: usize,
        size: Size,
        grace: Option<Duration>,
        queue_limit: QueueLimit,
    ) -> std::io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State {
                scheduler: Scheduler::new(size, spinners)
                    .with_grace(grace)
                    .with_queue_limit(queue_limit),
                poked: false,
                balancing: None,
                unbalanced: false,
                ended: false,
            }),
            changed: Condvar::new(),
            notifier: Notifier::default(),
            poke: Arc::new(sys::event()?),
            owner: sys::forks(),
            isolation: Isolation::default(),
            spinners,
            bounds: Bounds::default(),
        })
    }

    /// The same, for values that are bounded so.
    pub(crate) fn within(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// How large values may be.
    #[inline]
    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The same, with workers that are kept from others so.
    pub(crate) fn isolated(mut self, isolation: Isolation) -> Self {
        if isolation.profile() == Profile::Untrusted {
            // Of calls that wait in its ring, a worker could read the arguments.
            let state = self.state.get_mut();
            let state = state.unwrap_or_else(PoisonError::into_inner);
            state.scheduler.deal_one_by_one();
        }
        Self { isolation, ..self }
    }

    /// What keeps workers from others.
    pub(crate) fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// Whether this is a copy, in a fork of the process that the pool belongs to. Nobody serves it
    /// there, its lock may be held for ever, and its workers' memory is not mapped.
    pub(crate) fn is_copy(&self) -> bool {
        self.owner != sys::forks()
    }

    pub(crate) fn lock(&self) -> Locked<'_> {
        match self.state.lock() {
            Ok(state) => Locked {
                pool: self,
                state: Some(state),
            },
            Err(poisoned) => self.lock_torn(poisoned.into_inner()),
        }
    }

    /// A thread has panicked in the middle of a change, which no users' code can be the cause of: what
    /// is under the lock is not to be relied on, and no call shall wait for what was lost.
    #[cold]
    fn lock_torn<'a>(&'a self, state: MutexGuard<'a, State>) -> Locked<'a> {
        #[cfg(not(all(loom, feature = "loom")))]
        self.state.clear_poison();
        let mut locked = Locked {
            pool: self,
            state: Some(state),
        };
        let reason = "a thread panicked while it changed its state, which is a bug of this library";
        locked.break_down(Arc::new(Breakdown(reason.into())));
        locked.fail_all();
        locked.poke();
        locked
    }

    /// Readable when the supervising thread is to look.
    pub(crate) fn poke_fd(&self) -> &OwnedFd {
        &self.poke
    }

    /// What wakes the supervising thread, whatever locks are held.
    pub(crate) fn alarm(&self) -> impl Fn() + Send + Sync + 'static {
        let poke = Arc::clone(&self.poke);
        move || sys::signal_event(&poke)
    }

    pub(crate) fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// Waits until the supervising thread has ended; `false` if `deadline` came first.
    pub(crate) fn wait_ended(&self, deadline: Option<Instant>) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        wait_while(&self.changed, state, deadline, |state| !state.ended)
    }

    /// Takes in what has arrived; whether this call is done.
    pub(crate) fn poll(&self, id: CallId) -> bool {
        let mut locked = self.lock();
        if !locked.call(id).is_done() {
            locked.turn();
        }
        locked.call(id).is_done()
    }
}
