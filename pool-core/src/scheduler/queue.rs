//! How many calls may wait, where that has a limit.

use super::Scheduler;
use crate::calls::CallId;
use crate::task_error::{TaskError, TaskErrorKind};

/// The limits to what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueLimit {
    /// How many calls there may be beyond one for each worker.
    pub(crate) calls: usize,
    /// Beyond how many bytes of arguments no call is taken.
    pub(crate) bytes: usize,
}

impl QueueLimit {
    const NONE: Self = Self {
        calls: usize::MAX,
        bytes: usize::MAX,
    };
}

impl Default for QueueLimit {
    fn default() -> Self {
        Self::NONE
    }
}

impl Scheduler {
    /// The same, that lets so much wait.
    pub(crate) fn with_queue_limit(mut self, limit: QueueLimit) -> Self {
        self.queue_limit = limit;
        self
    }

    /// Whether no call may wait now beside those that do, as far as is known.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.queue_limit != QueueLimit::NONE && (self.has_all_calls() || self.has_all_bytes())
    }

    fn has_all_calls(&self) -> bool {
        self.calls.load.calls >= self.queue_limit.calls.saturating_add(self.size())
    }

    fn has_all_bytes(&self) -> bool {
        self.calls.load.bytes >= self.queue_limit.bytes
    }

    /// Why a call of `task` is not taken while the queue is full.
    #[cold]
    pub(crate) fn queue_full(&self, task: &'static str) -> TaskError {
        let (load, limit) = (self.calls.load, self.queue_limit);
        let detail = if self.has_all_calls() {
            format!(
                "{} calls are pending, and queue_limit allows {} beyond one for each of {} workers",
                load.calls,
                limit.calls,
                self.size()
            )
        } else {
            format!(
                "the arguments of {} pending calls have {} bytes, and queue_bytes allows {}",
                load.calls, load.bytes, limit.bytes
            )
        };
        TaskError::new(TaskErrorKind::QueueFull, task).detail(detail)
    }

    /// Has a call that is not done count among those that wait.
    #[inline]
    pub(crate) fn count(&mut self, id: CallId) {
        if self.queue_limit != QueueLimit::NONE {
            self.calls.count(id);
        }
    }

    /// Keeps room for a call that is to come, while its arguments are encoded.
    pub(crate) fn reserve(&mut self) {
        self.calls.load.calls += 1;
    }

    /// Gives up the room that was kept.
    pub(crate) fn unreserve(&mut self) {
        self.calls.load.calls -= 1;
    }
}
