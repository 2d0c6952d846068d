//! Those who wait for a call to be done.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::Instant;

use crate::sync::{Condvar, Mutex, MutexGuard};

/// Somebody who waits for a call.
pub(crate) enum Waiter {
    /// A thread, which is told the number given here.
    Thread(Arc<Signal>, usize),
    /// A task of an async runtime.
    Future(Waker),
    /// A function that is run with the callbacks.
    Callback(Box<dyn FnOnce() + Send>),
    /// What the executor itself has to do once a call is done that it made of its own accord.
    Hook(Box<dyn FnOnce() + Send>),
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Thread(..) => "Thread",
            Self::Future(_) => "Future",
            Self::Callback(_) => "Callback",
            Self::Hook(_) => "Hook",
        })
    }
}

/// What a thread sleeps on until one of several calls is done.
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

    /// All numbers that were not taken yet, oldest first.
    pub(crate) fn take_all(&self) -> VecDeque<usize> {
        std::mem::take(&mut *self.queue())
    }

    /// Sleeps until there is a number to take; `false` if `deadline` came first.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) -> bool {
        wait_while(&self.changed, self.queue(), deadline, VecDeque::is_empty)
    }
}

/// Sleeps while `pending` holds of what `guard` guards, woken by `changed`; `false` if `deadline`
/// came first.
///
/// `Condvar::wait_while` gives up where the lock is poisoned, which means nothing here.
pub(crate) fn wait_while<T>(
    changed: &Condvar,
    mut guard: MutexGuard<'_, T>,
    deadline: Option<Instant>,
    pending: impl Fn(&T) -> bool,
) -> bool {
    while pending(&guard) {
        let Some(deadline) = deadline else {
            let woken = changed.wait(guard);
            guard = woken.unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let woken = changed.wait_timeout(guard, left);
        (guard, _) = woken.unwrap_or_else(PoisonError::into_inner);
    }
    true
}
