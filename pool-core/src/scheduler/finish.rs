//! How calls come to be done.

use pool_worker::channel::{Inline, Payload};

use super::Scheduler;
use crate::calls::{Binding, CallId};
use crate::task_error::TaskError;

impl Scheduler {
    /// Ends a call that has no result, and notes whom to tell.
    pub(crate) fn fail(&mut self, id: CallId, error: TaskError) {
        let is_own = self.calls.get(id).binding == Binding::Own;
        let kind = error.kind();
        let waiters = self.calls.finish_failed(id, error, &mut self.told);
        if self.finished(is_own, waiters) {
            self.tally.failures.count(kind);
        }
    }

    /// Ends a call that returned this word, and notes whom to tell.
    #[inline]
    pub(crate) fn returned_word(&mut self, id: CallId, word: Inline) {
        if self.calls.finish_plain(id, word) {
            self.outstanding -= 1;
            self.tally.completed += 1;
        } else {
            self.returned(id, Payload::Inline(word));
        }
    }

    /// Ends a call that returned, and notes whom to tell.
    #[inline]
    pub(crate) fn returned(&mut self, id: CallId, payload: Payload) {
        let is_own = self.calls.get(id).binding == Binding::Own;
        let waiters = self.calls.finish_returned(id, payload, &mut self.told);
        self.tally.completed += u64::from(self.finished(is_own, waiters));
    }

    /// A call has come to be done for which so many waited; whether it is one that counts.
    #[inline]
    fn finished(&mut self, is_own: bool, waiters: Option<usize>) -> bool {
        let Some(waiters) = waiters else {
            return false;
        };
        self.outstanding -= usize::from(!is_own);
        self.waiting -= waiters;
        !is_own
    }
}
