//! A call's completion: one slot that is filled once, and those who wait for it.
//!
//! A completion is shared by the future that the caller holds and by the scheduler, which fills it.
//! It is filled and waited for under the executor's lock (see [`crate::driver`]), so that filling
//! and registering never race; taking the outcome out needs no lock but the completion's own.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use pool_worker::channel::Bytes;

use crate::task_error::{TaskError, TaskErrorKind};

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The task returned this, encoded.
    Returned(Bytes),
    /// There is no result.
    Failed(TaskError),
}

/// Where a call is, as far as its future needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the backlog, or nowhere.
    Unplaced,
    /// In the window of the worker in this slot, under this number.
    Worker { slot: usize, seq: u32 },
}

impl Place {
    const fn pack(self) -> u64 {
        match self {
            Self::Unplaced => 0,
            Self::Worker { slot, seq } => ((slot as u64 + 1) << 32) | seq as u64,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are 32 bits each"
    )]
    const fn unpack(packed: u64) -> Self {
        match packed >> 32 {
            0 => Self::Unplaced,
            slot => Self::Worker {
                slot: slot as usize - 1,
                seq: packed as u32,
            },
        }
    }
}

/// Somebody who waits for a completion.
pub(crate) enum Waiter {
    /// A thread, which is told the number given here.
    Thread(Arc<Signal>, usize),
    /// A task of an async runtime.
    Future(Waker),
    /// A function that is run with the callbacks.
    Callback(Box<dyn FnOnce() + Send>),
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thread(..) => "Thread",
            Self::Future(_) => "Future",
            Self::Callback(_) => "Callback",
        })
    }
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Outcome>,
    /// The kind of error that the slot was filled with, if it was with one.
    failure: Option<TaskErrorKind>,
    waiters: Vec<Waiter>,
}

/// The slot for one call's outcome.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    done: AtomicBool,
    /// A packed [`Place`], written under the executor's lock.
    place: AtomicU64,
    state: Mutex<State>,
}

impl Completion {
    /// One that is filled from the start.
    pub(crate) fn filled(outcome: Outcome) -> Self {
        let completion = Self::default();
        completion.fill(outcome);
        completion
    }

    /// Makes a completion that nobody else holds like new.
    pub(crate) fn renew(&mut self) {
        *self.done.get_mut() = false;
        *self.place.get_mut() = Place::Unplaced.pack();
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.outcome = None;
        state.failure = None;
        state.waiters.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    pub(crate) fn place(&self) -> Place {
        Place::unpack(self.place.load(Ordering::Acquire))
    }

    pub(crate) fn set_place(&self, place: Place) {
        self.place.store(place.pack(), Ordering::Release);
    }

    /// Fills the slot and gives those who waited. A second filling changes nothing.
    pub(crate) fn fill(&self, outcome: Outcome) -> Vec<Waiter> {
        let mut state = self.state();
        if self.is_done() {
            return Vec::new();
        }
        state.failure = match &outcome {
            Outcome::Returned(_) => None,
            Outcome::Failed(error) => Some(error.kind()),
        };
        state.outcome = Some(outcome);
        self.done.store(true, Ordering::Release);
        std::mem::take(&mut state.waiters)
    }

    /// Takes the outcome, if there is one and nobody took it yet.
    pub(crate) fn take(&self) -> Option<Outcome> {
        if !self.is_done() {
            return None;
        }
        self.state().outcome.take()
    }

    /// The kind of error that the slot was filled with, if it was with one; also after it was taken.
    pub(crate) fn failure(&self) -> Option<TaskErrorKind> {
        self.state().failure
    }

    /// Adds a waiter, unless the slot is filled: then it is given back.
    pub(crate) fn add_waiter(&self, waiter: Waiter) -> Result<(), Waiter> {
        let mut state = self.state();
        if self.is_done() {
            return Err(waiter);
        }
        state.waiters.push(waiter);
        Ok(())
    }

    /// Takes away the waiters that `is_meant` names.
    pub(crate) fn remove_waiters(&self, is_meant: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let is_meant = |waiter: &mut Waiter| is_meant(waiter);
        self.state().waiters.extract_if(.., is_meant).collect()
    }
}

/// What a thread sleeps on until one of several completions is filled.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    fired: Mutex<VecDeque<usize>>,
    changed: Condvar,
}

impl Signal {
    fn queue(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.fired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the sleeper `number`.
    pub(crate) fn fire(&self, number: usize) {
        self.queue().push_back(number);
        self.changed.notify_one();
    }

    /// The oldest number that was not taken yet.
    pub(crate) fn take(&self) -> Option<usize> {
        self.queue().pop_front()
    }

    /// Sleeps until there is a number to take; `false` if `deadline` came first.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> bool {
        let mut queue = self.queue();
        while queue.is_empty() {
            let Some(deadline) = deadline else {
                queue = self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            queue = self
                .changed
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}
