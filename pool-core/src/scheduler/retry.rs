//! Calls that begin anew after the death of their worker, as was asked for.

use super::Scheduler;
use super::backlog::Turn;
use crate::calls::CallId;
use crate::gate::Gate;
use crate::task_error::{TaskError, TaskErrorKind};

impl Scheduler {
    /// A call's worker has died in it, of which `error` tells: it begins anew, before all others, if
    /// that was asked for and may help; else it ends.
    pub(crate) fn died(&mut self, id: CallId, error: TaskError) {
        let may_help = error.kind() == TaskErrorKind::WorkerDied
            && !self.cancels
            && !matches!(self.gate, Gate::Broken(_));
        let course = self.calls.course(id);
        let Some((course, _)) = course.filter(|(course, _)| may_help && course.may_retry()) else {
            return self.fail(id, error);
        };
        course.died();
        self.tally.retried += 1;
        self.requeue(vec![id], Turn::Had);
    }

    /// The call does not begin anew, whatever becomes of it.
    pub(super) fn forgo_retries(&mut self, id: CallId) {
        if let Some((course, _)) = self.calls.course(id) {
            course.terms.retries = course.deaths;
        }
    }
}
