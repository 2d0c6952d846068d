//! The threads that run what users hand over: one for callbacks, one for wakers, and one for what
//! comes of preload, initializer and last calls, where there are any.
//!
//! Neither the supervising thread nor anybody who holds a lock ever runs users' code: it may block,
//! panic, or call back into the executor. A callback may well wait for what takes a waker, and either
//! of them for a worker that has yet to be initialized, so each kind has a thread. They are there from
//! the start, as a thread that is started only when it is needed may not be had then.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use pool_worker::fault::{self, Site};

use crate::waiter::{Waiter, wait_while};

thread_local! {
    /// For whom this thread runs waiters.
    static RUNS_FOR: Cell<*const Backlog> = const { Cell::new(ptr::null()) };
}

/// A thread that runs waiters one after another.
#[derive(Debug)]
struct Lane {
    name: &'static str,
    /// While the thread is there.
    sender: Mutex<Option<Sender<Waiter>>>,
    /// Locked by whoever waits for its end, so that all others wait as well.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How many waiters, but for threads, are to be told and have not run to their end.
#[derive(Debug, Default)]
struct Backlog {
    count: AtomicUsize,
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
    /// them calls it. `false` if `deadline` came first.
    pub(crate) fn finish(&self, deadline: Option<Instant>) -> bool {
        let lanes = [&self.callbacks, &self.wakers, &self.hooks];
        lanes.into_iter().for_each(Lane::close);
        if RUNS_FOR.get() == Arc::as_ptr(&self.backlog) {
            return true;
        }
        let in_time = self.backlog.await_end(deadline);
        if in_time {
            lanes.into_iter().for_each(Lane::await_end);
        }
        in_time
    }
}

impl Lane {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            sender: Mutex::default(),
            thread: Mutex::default(),
        }
    }

    fn start(&self, backlog: &Arc<Backlog>) -> io::Result<()> {
        fault::try_at(Site::NotifierThread)?;
        let (sender, thread) = self.spawn(backlog)?;
        *lock(&self.sender) = Some(sender);
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// A thread that runs what is sent to it.
    fn spawn(&self, backlog: &Arc<Backlog>) -> io::Result<(Sender<Waiter>, JoinHandle<()>)> {
        let (sender, receiver) = channel();
        let backlog = Arc::clone(backlog);
        let thread = thread::Builder::new()
            .name(self.name.into())
            .spawn(move || backlog.run_all(receiver))?;
        Ok((sender, thread))
    }

    fn hand_over(&self, waiter: Waiter, backlog: &Arc<Backlog>) {
        if let Some(sender) = &*lock(&self.sender) {
            // The receiver lives until the sender goes.
            let _ = sender.send(waiter);
            return;
        }
        // It comes when the executor has ended: no other call waits for it.
        match self.spawn(backlog) {
            Ok((sender, _)) => drop(sender.send(waiter)),
            Err(_) => backlog.run_here(waiter),
        }
    }

    /// Lets the thread end once it has run what was handed over.
    fn close(&self) {
        *lock(&self.sender) = None;
    }

    fn await_end(&self) {
        if let Some(thread) = lock(&self.thread).take() {
            // It has nothing left to do but for what users keep local to it, and caught all panics.
            let _ = thread.join();
        }
    }
}

impl Backlog {
    /// What a thread does that is there to run waiters.
    fn run_all(&self, waiters: Receiver<Waiter>) {
        RUNS_FOR.set(self);
        for waiter in waiters {
            run(waiter);
            self.note_done();
        }
    }

    /// Runs a waiter on a thread that is there for something else.
    fn run_here(&self, waiter: Waiter) {
        let former = RUNS_FOR.replace(self);
        run(waiter);
        RUNS_FOR.set(former);
        self.note_done();
    }

    fn note_done(&self) {
        let was_last = self.count.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && *lock(&self.awaited) {
            self.ended.notify_all();
        }
    }

    /// Waits until all have run; `false` if `deadline` came first.
    fn await_end(&self, deadline: Option<Instant>) -> bool {
        let mut awaited = lock(&self.awaited);
        *awaited = true;
        let pending = |_: &bool| self.count.load(Ordering::Acquire) > 0;
        wait_while(&self.ended, awaited, deadline, pending)
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
