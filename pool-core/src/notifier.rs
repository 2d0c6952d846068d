//! The threads that run what users hand over: one for callbacks, one for wakers, and one for what
//! comes of preload, initializer and last calls, where there are any.
//!
//! Neither the supervising thread nor anybody who holds a lock ever runs users' code: it may block,
//! panic, or call back into the executor. A callback may well wait for what takes a waker, and either
//! of them for a worker that has yet to be initialized, so each kind has a thread. They are there from
//! the start, as a thread that is started only when it is needed may not be had then.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use pool_worker::fault::{self, Site};

use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::waiter::{Waiter, wait_while};

/// How long a thread may take to end that has nothing to run, unless it was given something meanwhile.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

thread_local! {
    /// For whom this thread runs waiters.
    static RUNS_FOR: Cell<*const Backlog> = const { Cell::new(ptr::null()) };
}

/// Waiters of one kind, run one after another.
struct Lane {
    name: &'static str,
    queue: Arc<Queue>,
    /// The thread that is there from the start. Locked by whoever waits for its end, so that all
    /// others wait as well.
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<Queued>,
    changed: Condvar,
    /// Nobody serves it any more.
    left: Condvar,
}

#[derive(Debug, Default)]
struct Queued {
    waiters: VecDeque<Waiter>,
    /// Somebody runs them, until there are none.
    served: bool,
    /// The thread stays while there are none.
    open: bool,
}

/// How many waiters, but for threads, are to be told and have not run to their end.
#[derive(Debug, Default)]
struct Backlog {
    count: AtomicUsize,
    /// Nobody waits for them any more.
    given_up: AtomicBool,
    /// Whether somebody waits for their end.
    awaited: Mutex<bool>,
    ended: Condvar,
}

/// Hands waiters over to the threads that run them.
#[derive(Debug)]
pub(crate) struct Notifier {
    callbacks: Lane,
    wakers: Lane,
    hooks: Lane,
    backlog: Arc<Backlog>,
}

impl Default for Notifier {
    fn default() -> Self {
        Self {
            callbacks: Lane::new("pool-callbacks"),
            wakers: Lane::new("pool-wakers"),
            hooks: Lane::new("pool-hooks"),
            backlog: Arc::default(),
        }
    }
}

impl Notifier {
    /// Starts the threads, the one for `hooks` only where there are any.
    pub(crate) fn start(&self, hooks: bool) -> io::Result<()> {
        self.callbacks.start(&self.backlog)?;
        self.wakers.start(&self.backlog)?;
        if hooks {
            self.hooks.start(&self.backlog)?;
        }
        Ok(())
    }

    /// Tells everybody in `waiters` that what they waited for is there.
    pub(crate) fn notify(&self, waiters: Vec<Waiter>) {
        self.expect(&waiters);
        self.tell(waiters);
    }

    /// Takes note that `waiters` will be told, for whoever holds the lock under which their calls came
    /// to be done: the executor may end as soon as it is let go of.
    pub(crate) fn expect(&self, waiters: &[Waiter]) {
        let is_run = |waiter: &&Waiter| !matches!(waiter, Waiter::Thread(..));
        let more = waiters.iter().filter(is_run).count();
        self.backlog.count.fetch_add(more, Ordering::Relaxed);
    }

    /// Tells `waiters` that were noted.
    pub(crate) fn tell(&self, waiters: Vec<Waiter>) {
        for waiter in waiters {
            let lane = match waiter {
                Waiter::Thread(signal, number) => {
                    signal.fire(number);
                    continue;
                }
                Waiter::Future(_) => &self.wakers,
                Waiter::Callback(_) => &self.callbacks,
                Waiter::Hook(_) => &self.hooks,
            };
            lane.hand_over(waiter, &self.backlog);
        }
    }

    /// Has the threads end, and waits until all that were noted have run; does not wait where one of
    /// them calls it. `false` if `deadline` came first, or they were given up.
    pub(crate) fn finish(&self, deadline: Option<Instant>) -> bool {
        let lanes = [&self.callbacks, &self.wakers, &self.hooks];
        lanes.into_iter().for_each(Lane::close);
        if self.is_current() {
            return true;
        }
        let in_time = self.backlog.await_end(deadline);
        if in_time {
            // It was in time, though the threads need a moment to end.
            let deadline = Instant::now() + LEAVES_WITHIN;
            for lane in lanes {
                lane.await_end(deadline);
            }
        }
        in_time
    }

    /// Has nobody wait any more for what was handed over, now or later, but where one of them calls it.
    pub(crate) fn give_up(&self) {
        if !self.is_current() {
            self.backlog.give_up();
        }
    }

    /// Whether this is called from what was handed over.
    fn is_current(&self) -> bool {
        RUNS_FOR.get() == Arc::as_ptr(&self.backlog)
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.name).finish_non_exhaustive()
    }
}

impl Lane {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            queue: Arc::default(),
            thread: Mutex::default(),
        }
    }

    /// Starts the thread that stays.
    fn start(&self, backlog: &Arc<Backlog>) -> io::Result<()> {
        fault::try_at(Site::NotifierThread)?;
        *lock(&self.queue.state) = Queued {
            served: true,
            open: true,
            ..Queued::default()
        };
        let thread = self.spawn(backlog);
        if thread.is_err() {
            *lock(&self.queue.state) = Queued::default();
        }
        *lock(&self.thread) = Some(thread?);
        Ok(())
    }

    fn spawn(&self, backlog: &Arc<Backlog>) -> io::Result<JoinHandle<()>> {
        let (queue, backlog) = (Arc::clone(&self.queue), Arc::clone(backlog));
        thread::Builder::new()
            .name(self.name.into())
            .spawn(move || backlog.run_all(&queue))
    }

    fn hand_over(&self, waiter: Waiter, backlog: &Arc<Backlog>) {
        let mut state = lock(&self.queue.state);
        state.waiters.push_back(waiter);
        let is_served = mem::replace(&mut state.served, true);
        drop(state);
        if is_served {
            self.queue.changed.notify_one();
        } else if self.spawn(backlog).is_err() {
            // The executor has ended: no call waits for what this may wait for.
            backlog.run_here(&self.queue);
        }
    }

    /// Lets the thread end once it has run what was handed over.
    fn close(&self) {
        lock(&self.queue.state).open = false;
        self.queue.changed.notify_all();
    }

    fn await_end(&self, deadline: Instant) {
        let Queue { state, left, .. } = &*self.queue;
        let has_left = wait_while(left, lock(state), Some(deadline), |state| state.served);
        if has_left && let Some(thread) = lock(&self.thread).take() {
            // It has nothing left to do but for what users keep local to it, and caught all panics.
            let _ = thread.join();
        }
    }
}

impl Queue {
    /// The next one to run. `None` where whoever asks is to leave.
    fn next(&self) -> Option<Waiter> {
        let mut state = lock(&self.state);
        loop {
            if let Some(waiter) = state.waiters.pop_front() {
                return Some(waiter);
            }
            if !state.open {
                state.served = false;
                self.left.notify_all();
                return None;
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Backlog {
    /// What a thread does that is there to run waiters.
    fn run_all(&self, queue: &Queue) {
        RUNS_FOR.set(self);
        while let Some(waiter) = queue.next() {
            run(waiter);
            self.note_done();
        }
    }

    /// The same, on a thread that is there for something else.
    fn run_here(&self, queue: &Queue) {
        let former = RUNS_FOR.get();
        self.run_all(queue);
        RUNS_FOR.set(former);
    }

    fn note_done(&self) {
        let was_last = self.count.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && *lock(&self.awaited) {
            self.ended.notify_all();
        }
    }

    /// Waits until all have run; `false` if `deadline` came first, or they were given up.
    fn await_end(&self, deadline: Option<Instant>) -> bool {
        let mut awaited = lock(&self.awaited);
        *awaited = true;
        let pending = || self.count.load(Ordering::Acquire) > 0;
        let awaits = |_: &bool| pending() && !self.given_up.load(Ordering::Relaxed);
        wait_while(&self.ended, awaited, deadline, awaits) && !pending()
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        drop(lock(&self.awaited));
        self.ended.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a waiter's code; a panic in it is reported by the panic hook and costs nothing else.
fn run(waiter: Waiter) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        fault::at(Site::Notifies);
        match waiter {
            Waiter::Thread(signal, number) => signal.fire(number),
            Waiter::Future(waker) => waker.wake(),
            Waiter::Callback(told) | Waiter::Hook(told) => told(),
        }
    }));
    if let Err(payload) = outcome {
        // Dropping it is users' code as well, which may panic in its turn.
        std::mem::forget(payload);
    }
}
