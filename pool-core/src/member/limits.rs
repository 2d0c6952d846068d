//! Calls whose time is limited.

use std::os::fd::AsFd;
use std::time::Duration;

use pool_worker::channel::{Ticket, Violation};

use super::{Member, Sentence};
use crate::calls::{Binding, CallId};
use crate::sys;

/// A call that a worker has begun and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) id: CallId,
    /// No two calls of a worker have the same.
    ticket: Ticket,
    /// It is one of the executor's own.
    pub(crate) is_own: bool,
}

/// What a worker would have to do now, and does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclaimed {
    /// The worker's number.
    pub(crate) worker: u64,
    pub(crate) pid: u32,
    what: Duty,
    /// The worker has got as far as to say that it is there.
    pub(crate) is_set_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    /// To begin a call; no two calls of a worker have the same.
    Call(Ticket),
    /// To take an errand; so many were sent before it.
    Errand(u64),
}

impl Member {
    /// The call that the worker would have to begin now, if it has begun none, or else the errand that it
    /// would have to take.
    pub(crate) fn unclaimed(&mut self) -> Option<Unclaimed> {
        let what = match self.window.iter().flatten().next() {
            Some(placed) if self.link.has_begun(placed.ticket) => return None,
            Some(placed) => Duty::Call(placed.ticket),
            None => Duty::Errand(self.control.stuck_at()?),
        };
        Some(Unclaimed {
            worker: self.number,
            pid: self.pid?,
            what,
            is_set_up: self.link.claimed_pid().is_some(),
        })
    }

    /// Kills the worker if what it says is impossible.
    pub(crate) fn check(&mut self) {
        if let Err(Violation(how)) = self.link.check() {
            self.kill(Sentence::Violation(how));
        }
    }

    /// The call that the worker has begun and not answered.
    pub(crate) fn begun(&mut self) -> Option<Begun> {
        let placed = self.window.iter().flatten().next()?;
        let begun = Begun {
            id: placed.id,
            ticket: placed.ticket,
            is_own: placed.binding == Binding::Own,
        };
        self.link.has_begun(begun.ticket).then_some(begun)
    }

    /// The same, and when the worker says that it began it.
    pub(crate) fn running(&mut self) -> Option<(CallId, Option<Duration>)> {
        let begun = self.begun()?;
        Some((begun.id, self.link.stamp(begun.ticket)))
    }

    /// How much memory the worker says that it has, if it claims no call as that is too much.
    pub(crate) fn excess(&self) -> Option<u64> {
        self.link.excess()
    }

    /// Has it claim calls again although it has so much memory.
    pub(crate) fn relieve(&mut self) {
        self.link.relieve();
    }

    /// The calls that the worker has, in their order.
    pub(crate) fn placed(&self) -> impl Iterator<Item = CallId> {
        self.window.iter().flatten().map(|placed| placed.id)
    }

    /// Tells the worker's task, if it cares, that nobody wants this call to go on.
    pub(crate) fn ask_to_end(&self, seq: u32, id: CallId) {
        let index = self.index_of(seq, id);
        if let Some(placed) = index.and_then(|index| self.window[index].as_ref()) {
            self.link.ask_to_end(placed.ticket);
        }
    }

    /// Asks the worker's process to end by SIGTERM; it is to be killed unless it has by `end`.
    pub(crate) fn warn(&mut self, sentence: Sentence, end: Duration) {
        match &self.pidfd {
            Some(pidfd) if self.sentence == Sentence::None => {
                self.sentence = sentence;
                self.grace_end = Some(end);
                // It can fail only if the process has ended.
                let _ = sys::terminate(pidfd.as_fd());
            }
            _ => self.kill(sentence),
        }
    }

    /// Kills the worker if its grace is over by `now`; else gives the grace's end.
    pub(crate) fn end_grace(&mut self, now: Duration) -> Option<Duration> {
        let end = self.grace_end?;
        if end > now {
            return Some(end);
        }
        self.grace_end = None;
        self.kill(self.sentence);
        None
    }
}
