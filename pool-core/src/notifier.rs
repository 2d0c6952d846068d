//! The threads that run what users hand over: one for callbacks, one for wakers.
//!
//! They are started at first need. Neither the supervising thread nor anybody who holds a lock ever
//! runs users' code: it may block, panic, or call back into the executor. A callback may well wait
//! for what takes a waker, so the two have a thread each.
//!
//! Where no thread can be had, what was handed over waits, and the supervising thread tries again for
//! some seconds. From then on, and once that thread has ended, whoever finds that there is none runs it.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pool_worker::fault::{self, Site};

use crate::sys;
use crate::waiter::Waiter;

/// How long to wait before a thread is tried for again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(10);
/// How long it is tried for: a want that is over by then has done no harm, and one that is for good
/// keeps nobody waiting for ever.
const RETRY_FOR: Duration = Duration::from_secs(3);

/// Who sees to it that what waits for a thread is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The supervising thread, which tries again.
    #[default]
    Attended,
    /// Whoever finds that there is no thread.
    Unattended,
    /// The same; threads end by themselves.
    Finished,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// What no thread could be had for yet.
    waiting: Vec<Waiter>,
    /// Since when none can be had.
    since: Option<Instant>,
    sender: Option<Sender<Waiter>>,
    thread: Option<JoinHandle<()>>,
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
    /// Wakes the supervising thread.
    poke: Arc<OwnedFd>,
}

impl Notifier {
    /// What wakes the supervising thread through `poke` when a thread is to be tried for again.
    pub(crate) fn new(poke: Arc<OwnedFd>) -> Self {
        Self {
            callbacks: Lane::new("pool-callbacks"),
            wakers: Lane::new("pool-wakers"),
            poke,
        }
    }

    /// Tells everybody in `waiters` that what they waited for is there.
    pub(crate) fn notify(&self, waiters: Vec<Waiter>) {
        for waiter in waiters {
            match waiter {
                Waiter::Thread(signal, number) => signal.fire(number),
                Waiter::Future(_) => self.hand_over(&self.wakers, waiter),
                Waiter::Callback(_) => self.hand_over(&self.callbacks, waiter),
            }
        }
    }

    fn hand_over(&self, lane: &Lane, waiter: Waiter) {
        if !lane.hand_over(waiter) {
            sys::signal_event(&self.poke);
        }
    }

    /// Tries again for threads where something waits for them; whether something still does.
    pub(crate) fn retry(&self) -> bool {
        // Each of them, whatever comes of the first.
        self.lanes().map(Lane::retry).contains(&false)
    }

    /// The supervising thread has ended, but for this: it tries on until nothing waits any more.
    pub(crate) fn leave(&self) {
        for lane in self.lanes() {
            while !lane.leave() {
                thread::sleep(RETRY_AFTER);
                lane.retry();
            }
        }
    }

    /// Runs what was handed over, and ends the threads; does not wait for the callback, or the
    /// waker, that calls it.
    pub(crate) fn finish(&self) {
        let here = self.lanes().iter().any(|lane| lane.is_current());
        for lane in self.lanes() {
            if let Some(thread) = lane.finish().filter(|_| !here) {
                // The thread catches all panics of what it runs.
                let _ = thread.join();
            }
        }
    }

    /// Wakers first: what the other runs may wait for what they wake.
    fn lanes(&self) -> [&Lane; 2] {
        [&self.wakers, &self.callbacks]
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

    /// `false` if there is no thread to run it yet.
    fn hand_over(&self, waiter: Waiter) -> bool {
        let mut state = self.state();
        if let Some(sender) = &state.sender {
            // The receiver lives until the sender goes.
            let _ = sender.send(waiter);
            return true;
        }
        state.waiting.push(waiter);
        self.start(state)
    }

    /// `false` if something waits, and there is no thread to run it yet.
    fn retry(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() || self.start(state)
    }

    /// Has a thread run what waits; `false` if none is to be had, and somebody will try again.
    fn start(&self, mut state: MutexGuard<'_, State>) -> bool {
        let (sender, receiver) = channel();
        let started = fault::try_at(Site::NotifierThread).and_then(|()| {
            thread::Builder::new()
                .name(self.name.into())
                .spawn(move || receiver.into_iter().for_each(run))
        });
        match started {
            Ok(thread) => {
                for waiter in state.waiting.drain(..) {
                    let _ = sender.send(waiter);
                }
                if state.phase != Phase::Finished {
                    state.sender = Some(sender);
                    state.thread = Some(thread);
                }
                true
            }
            Err(_) => {
                let since = *state.since.get_or_insert_with(Instant::now);
                if state.phase == Phase::Attended && since.elapsed() < RETRY_FOR {
                    return false;
                }
                let waiting = std::mem::take(&mut state.waiting);
                drop(state);
                waiting.into_iter().for_each(run);
                true
            }
        }
    }

    /// Nobody tries again from now on; `false` if something waits for just that.
    fn leave(&self) -> bool {
        let mut state = self.state();
        if state.phase == Phase::Attended && state.waiting.is_empty() {
            state.phase = Phase::Unattended;
        }
        state.phase != Phase::Attended
    }

    /// Whether this is called from what the thread runs.
    fn is_current(&self) -> bool {
        let here = |thread: &JoinHandle<()>| thread.thread().id() == thread::current().id();
        self.state().thread.as_ref().is_some_and(here)
    }

    /// Lets the thread end once it has run what was handed over.
    fn finish(&self) -> Option<JoinHandle<()>> {
        self.state().phase = Phase::Unattended;
        self.retry();
        let finished = State {
            phase: Phase::Finished,
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
