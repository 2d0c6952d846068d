//! Calls whose time is limited.

use std::os::fd::AsFd;
use std::time::Duration;

use super::{Member, Placed, Sentence};
use crate::calls::CallId;
use crate::sys;

impl Member {
    /// The call that the worker has begun and not answered, and when it says that it began it.
    pub(crate) fn running(&mut self) -> Option<(CallId, Option<Duration>)> {
        let Placed { id, ticket, .. } = *self.window.iter().flatten().next()?;
        let has_begun = self.link.has_begun(ticket);
        has_begun.then(|| (id, self.link.stamp(ticket)))
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
