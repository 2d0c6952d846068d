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

    /// Why no call of `task` may wait now beside those that do, if none may.
    #[inline]
    pub(crate) fn overflow(&mut self, task: &'static str) -> Option<TaskError> {
        if self.queue_limit == QueueLimit::NONE || !self.is_full() {
            return None;
        }
        // Some may be done of which nobody took note yet.
        let _ = self.turn();
        self.is_full().then(|| self.queue_full(task))
    }

    fn is_full(&self) -> bool {
        let QueueLimit { calls, bytes } = self.queue_limit;
        let load = self.calls.load;
        load.calls >= calls.saturating_add(self.size()) || load.bytes >= bytes
    }

    #[cold]
    fn queue_full(&self, task: &'static str) -> TaskError {
        let load = self.calls.load;
        TaskError::new(TaskErrorKind::QueueFull, task).detail(format!(
            "{} calls with {} bytes of arguments are pending",
            load.calls, load.bytes
        ))
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
