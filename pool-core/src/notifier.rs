//! The threads that run what users hand over: one for callbacks, one for wakers.
//!
//! They are started at first need. Neither the supervising thread nor anybody who holds a lock ever
//! runs users' code: it may block, panic, or call back into the executor. A callback may well wait
//! for what takes a waker, so the two have a thread each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use pool_worker::fault::{self, Site};

use crate::waiter::Waiter;

#[derive(Debug, Default)]
struct State {
    sender: Option<Sender<Waiter>>,
    thread: Option<JoinHandle<()>>,
    finished: bool,
}

/// A thread that runs waiters one after another, started at first need.
#[derive(Debug)]
struct Lane {
    name: &'static str,
    state: Mutex<State>,
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

    /// Runs what was handed over, and ends the threads; does not wait for the callback, or the
    /// waker, that calls it.
    pub(crate) fn finish(&self) {
        let here = self.callbacks.is_current() || self.wakers.is_current();
        for lane in [&self.callbacks, &self.wakers] {
            if let Some(thread) = lane.finish().filter(|_| !here) {
                // The thread catches all panics of what it runs.
                let _ = thread.join();
            }
        }
    }
}

impl Lane {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, waiter: Waiter) {
        let mut state = self.state();
        if state.sender.is_none() {
            let (sender, receiver) = channel();
            let started = thread::Builder::new()
                .name(self.name.into())
                .spawn(move || {
                    for waiter in receiver {
                        run(waiter);
                    }
                });
            match started {
                // The executor has ended: this thread runs the one waiter, and ends.
                Ok(_) if state.finished => {
                    let _ = sender.send(waiter);
                    return;
                }
                Ok(thread) => {
                    state.sender = Some(sender);
                    state.thread = Some(thread);
                }
                Err(_) => {
                    // No thread is to be had. Losing a waiter would hang its owner, so it is run here.
                    drop(state);
                    return run(waiter);
                }
            }
        }
        if let Some(sender) = &state.sender {
            // The receiver lives until the sender goes.
            let _ = sender.send(waiter);
        }
    }

    /// Whether this is called from what the thread runs.
    fn is_current(&self) -> bool {
        let here = |thread: &JoinHandle<()>| thread.thread().id() == thread::current().id();
        self.state().thread.as_ref().is_some_and(here)
    }

    /// Lets the thread end once it has run what was handed over.
    fn finish(&self) -> Option<JoinHandle<()>> {
        let finished = State {
            finished: true,
            ..State::default()
        };
        std::mem::replace(&mut *self.state(), finished).thread
    }
}

/// Runs a waiter's code; a panic in it is reported by the panic hook and costs nothing else.
fn run(waiter: Waiter) {
    fault::at(Site::Notifies);
    let outcome = catch_unwind(AssertUnwindSafe(|| match waiter {
        Waiter::Thread(signal, number) => signal.fire(number),
        Waiter::Future(waker) => waker.wake(),
        Waiter::Callback(callback) => callback(),
    }));
    if let Err(payload) = outcome {
        // Dropping it is users' code as well, which may panic in its turn.
        std::mem::forget(payload);
    }
}
