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
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use pool_worker::fault::{self, Site};

use crate::sys;
use crate::waiter::Waiter;

/// How long to wait before a thread is tried for again.
const RETRY_AFTER: Duration = Duration::from_millis(10);
/// How long it is tried for: a want that is over by then has done no harm, and one that is for good
/// keeps nobody waiting for ever.
const RETRY_FOR: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
struct State {
    /// What no thread could be had for yet.
    waiting: Vec<Waiter>,
    /// Since when none can be had.
    since: Option<Instant>,
    /// The supervising thread tries no more: whoever finds that there is no thread runs it.
    unattended: bool,
    /// Threads end by themselves from now on.
    finished: bool,
    sender: Option<Sender<Waiter>>,
    thread: Option<JoinHandle<()>>,
    /// Of the thread, also while somebody waits for its end.
    id: Option<ThreadId>,
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

    /// Tries again for threads where something waits for them; when to do so again, if that is needed.
    pub(crate) fn retry(&self) -> Option<Duration> {
        // Each of them, whatever comes of the first.
        let in_vain = self.lanes().map(Lane::retry).contains(&false);
        in_vain.then_some(RETRY_AFTER)
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

    /// Runs what was handed over, and ends the threads; does neither where a callback, or a waker, calls
    /// it, as others may wait for that.
    pub(crate) fn finish(&self) {
        let here = self.lanes().iter().any(|lane| lane.is_current());
        for lane in self.lanes() {
            if !here {
                lane.state().unattended = true;
                lane.retry();
            }
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
        if let Ok(thread) = started {
            for waiter in state.waiting.drain(..) {
                let _ = sender.send(waiter);
            }
            if !state.finished {
                state.id = Some(thread.thread().id());
                state.sender = Some(sender);
                state.thread = Some(thread);
            }
            return true;
        }
        let since = *state.since.get_or_insert_with(Instant::now);
        if !state.unattended && since.elapsed() < RETRY_FOR {
            return false;
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(run);
        true
    }

    /// Nobody tries again from now on; `false` if something waits for just that.
    fn leave(&self) -> bool {
        let mut state = self.state();
        state.unattended |= state.waiting.is_empty();
        state.unattended
    }

    /// Whether this is called from what the thread runs.
    fn is_current(&self) -> bool {
        self.state().id == Some(thread::current().id())
    }

    /// Lets the thread end once it has run what was handed over.
    fn finish(&self) -> Option<JoinHandle<()>> {
        let mut state = self.state();
        state.finished = true;
        state.sender = None;
        state.thread.take()
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
