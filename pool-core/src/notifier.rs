//! The thread that runs what users hand over: callbacks and wakers.
//!
//! It is started at first need. Neither the supervising thread nor anybody who holds a lock ever
//! runs users' code: it may block, panic, or call back into the executor.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use crate::completion::Waiter;

#[derive(Debug, Default)]
struct State {
    sender: Option<Sender<Waiter>>,
    thread: Option<JoinHandle<()>>,
    finished: bool,
}

/// Hands waiters over to the thread of callbacks.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    state: Mutex<State>,
}

impl Notifier {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody in `waiters` that what they waited for is there.
    pub(crate) fn notify(&self, waiters: Vec<Waiter>) {
        for waiter in waiters {
            match waiter {
                Waiter::Thread(signal, number) => signal.fire(number),
                Waiter::Future(_) | Waiter::Callback(_) => self.hand_over(waiter),
            }
        }
    }

    fn hand_over(&self, waiter: Waiter) {
        let mut state = self.state();
        if state.sender.is_none() {
            let (sender, receiver) = channel();
            let started = thread::Builder::new()
                .name("pool-callbacks".into())
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

    /// Whether this is called from a callback.
    pub(crate) fn is_current(&self) -> bool {
        self.thread_id() == Some(thread::current().id())
    }

    fn thread_id(&self) -> Option<ThreadId> {
        self.state()
            .thread
            .as_ref()
            .map(|thread| thread.thread().id())
    }

    /// Runs what was handed over, and ends the thread; does not wait for the callback that calls it.
    pub(crate) fn finish(&self) {
        let here = self.is_current();
        let finished = State {
            finished: true,
            ..State::default()
        };
        let State { sender, thread, .. } = std::mem::replace(&mut *self.state(), finished);
        drop(sender);
        if let Some(thread) = thread.filter(|_| !here) {
            // The thread catches all panics of callbacks.
            let _ = thread.join();
        }
    }
}

/// Runs a waiter's code; a panic in it is reported by the panic hook and costs nothing else.
fn run(waiter: Waiter) {
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
