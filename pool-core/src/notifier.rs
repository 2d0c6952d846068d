//! The threads that run what users hand over: one for callbacks, one for wakers, and one for what
//! comes of preload, initializer and last calls, where there are any.
//!
//! Neither the supervising thread nor anybody who holds a lock ever runs users' code: it may block,
//! panic, or call back into the executor. A callback may well wait for what takes a waker, and either
//! of them for a worker that has yet to be initialized, so each kind has a thread. They are there from
//! the start, as a thread that is started only when it is needed may not be had then.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Instant;

use pool_worker::fault::{self, Site};

use crate::waiter::{Waiter, wait_while};

/// A thread that runs waiters one after another.
#[derive(Debug)]
struct Lane {
    name: &'static str,
    /// While the thread is there.
    sender: Mutex<Option<Sender<Waiter>>>,
    backlog: Arc<Backlog>,
    /// Locked by whoever waits for its end, so that all others wait as well.
    thread: Mutex<Option<JoinHandle<()>>>,
    id: OnceLock<ThreadId>,
}

/// How many waiters were handed over to a thread, and have not run to their end.
#[derive(Debug, Default)]
struct Backlog {
    count: Mutex<usize>,
    emptied: Condvar,
}

/// Hands waiters over to the threads that run them.
#[derive(Debug)]
pub(crate) struct Notifier {
    callbacks: Lane,
    wakers: Lane,
    hooks: Lane,
}

impl Default for Notifier {
    fn default() -> Self {
        Self {
            callbacks: Lane::new("pool-callbacks"),
            wakers: Lane::new("pool-wakers"),
            hooks: Lane::new("pool-hooks"),
        }
    }
}

impl Notifier {
    /// Starts the threads, the one for `hooks` only where there are any.
    pub(crate) fn start(&self, hooks: bool) -> io::Result<()> {
        self.callbacks.start()?;
        self.wakers.start()?;
        if hooks { self.hooks.start() } else { Ok(()) }
    }

    /// Tells everybody in `waiters` that what they waited for is there.
    pub(crate) fn notify(&self, waiters: Vec<Waiter>) {
        for waiter in waiters {
            match waiter {
                Waiter::Thread(signal, number) => signal.fire(number),
                Waiter::Future(_) => self.wakers.hand_over(waiter),
                Waiter::Callback(_) => self.callbacks.hand_over(waiter),
                Waiter::Hook(_) => self.hooks.hand_over(waiter),
            }
        }
    }

    /// Waits until all that was handed over has run, and ends the threads; does not wait where one of
    /// them calls it. `false` if `deadline` came first.
    pub(crate) fn finish(&self, deadline: Option<Instant>) -> bool {
        let lanes = [&self.callbacks, &self.wakers, &self.hooks];
        lanes.into_iter().for_each(Lane::close);
        lanes.into_iter().any(Lane::is_current)
            || lanes.into_iter().all(|lane| lane.await_end(deadline))
    }
}

impl Lane {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            sender: Mutex::default(),
            backlog: Arc::default(),
            thread: Mutex::default(),
            id: OnceLock::new(),
        }
    }

    fn start(&self) -> io::Result<()> {
        fault::try_at(Site::NotifierThread)?;
        let (sender, receiver) = channel();
        let backlog = Arc::clone(&self.backlog);
        let work = move || {
            for waiter in receiver {
                run(waiter);
                backlog.done();
            }
        };
        let thread = thread::Builder::new().name(self.name.into()).spawn(work)?;
        let _ = self.id.set(thread.thread().id());
        *lock(&self.sender) = Some(sender);
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    fn hand_over(&self, waiter: Waiter) {
        if let Some(sender) = &*lock(&self.sender) {
            *lock(&self.backlog.count) += 1;
            // The receiver lives until the sender goes.
            let _ = sender.send(waiter);
        } else {
            self.run_apart(waiter);
        }
    }

    /// Runs what comes when the executor has ended, which no other call waits for.
    fn run_apart(&self, waiter: Waiter) {
        let (sender, receiver) = channel();
        let started = thread::Builder::new()
            .name(self.name.into())
            .spawn(move || receiver.into_iter().for_each(run));
        match started {
            Ok(_) => drop(sender.send(waiter)),
            Err(_) => run(waiter),
        }
    }

    /// Whether this is called from what the thread runs.
    fn is_current(&self) -> bool {
        self.id.get() == Some(&thread::current().id())
    }

    /// Lets the thread end once it has run what was handed over.
    fn close(&self) {
        *lock(&self.sender) = None;
    }

    fn await_end(&self, deadline: Option<Instant>) -> bool {
        let in_time = self.backlog.await_end(deadline);
        if in_time && let Some(thread) = lock(&self.thread).take() {
            // It has nothing left to do but for what users keep local to it, and caught all panics.
            let _ = thread.join();
        }
        in_time
    }
}

impl Backlog {
    /// Takes note that one more has run.
    fn done(&self) {
        let mut count = lock(&self.count);
        *count -= 1;
        if *count == 0 {
            self.emptied.notify_all();
        }
    }

    /// Waits until all have run; `false` if `deadline` came first.
    fn await_end(&self, deadline: Option<Instant>) -> bool {
        wait_while(&self.emptied, lock(&self.count), deadline, |count| {
            *count > 0
        })
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
