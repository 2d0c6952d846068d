//! The threads that run what users hand over: one for callbacks, one for wakers.
//!
//! Neither the supervising thread nor anybody who holds a lock ever runs users' code: it may block,
//! panic, or call back into the executor. A callback may well wait for what takes a waker, so the two
//! have a thread each. They are there from the start, as a thread that is started only when it is
//! needed may not be had then.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use pool_worker::fault::{self, Site};

use crate::waiter::Waiter;

/// A thread that runs waiters one after another.
#[derive(Debug)]
struct Lane {
    name: &'static str,
    /// While the thread is there.
    sender: Mutex<Option<Sender<Waiter>>>,
    /// Locked by whoever waits for its end, so that all others wait as well.
    thread: Mutex<Option<JoinHandle<()>>>,
    id: OnceLock<ThreadId>,
}

/// Hands waiters over to the threads that run them.
#[derive(Debug)]
pub(crate) struct Notifier {
    callbacks: Lane,
    wakers: Lane,
}

impl Default for Notifier {
    fn default() -> Self {
        Self {
            callbacks: Lane::new("pool-callbacks"),
            wakers: Lane::new("pool-wakers"),
        }
    }
}

impl Notifier {
    /// Starts the threads.
    pub(crate) fn start(&self) -> io::Result<()> {
        self.lanes().into_iter().try_for_each(Lane::start)
    }

    /// Tells everybody in `waiters` that what they waited for is there.
    pub(crate) fn notify(&self, waiters: Vec<Waiter>) {
        for waiter in waiters {
            match waiter {
                Waiter::Thread(signal, number) => signal.fire(number),
                Waiter::Future(_) => self.wakers.hand_over(waiter),
                Waiter::Callback(_) => self.callbacks.hand_over(waiter),
            }
        }
    }

    /// Waits until all that was handed over has run, and ends the threads; does not wait where a
    /// callback, or a waker, calls it.
    pub(crate) fn finish(&self) {
        let here = self.lanes().iter().any(|lane| lane.is_current());
        for lane in self.lanes() {
            lane.close();
            if !here {
                lane.await_end();
            }
        }
    }

    fn lanes(&self) -> [&Lane; 2] {
        [&self.callbacks, &self.wakers]
    }
}

impl Lane {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            sender: Mutex::default(),
            thread: Mutex::default(),
            id: OnceLock::new(),
        }
    }

    fn start(&self) -> io::Result<()> {
        fault::try_at(Site::NotifierThread)?;
        let (sender, receiver) = channel();
        let thread = thread::Builder::new()
            .name(self.name.into())
            .spawn(move || receiver.into_iter().for_each(run))?;
        let _ = self.id.set(thread.thread().id());
        *lock(&self.sender) = Some(sender);
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    fn hand_over(&self, waiter: Waiter) {
        if let Some(sender) = &*lock(&self.sender) {
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

    fn await_end(&self) {
        if let Some(thread) = lock(&self.thread).take() {
            // The thread catches all panics of what it runs.
            let _ = thread.join();
        }
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
            Waiter::Callback(callback) => callback(),
        }
    }));
    if let Err(payload) = outcome {
        // Dropping it is users' code as well, which may panic in its turn.
        std::mem::forget(payload);
    }
}
