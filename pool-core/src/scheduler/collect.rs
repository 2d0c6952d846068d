//! Taking in what workers answered.

use pool_worker::channel::{Payload, Violation};
use pool_worker::fault::{self, Site};
use pool_worker::protocol::{self, PanicReport, Status};

use super::Scheduler;
use crate::calls::CallId;
use crate::member::Sentence;
use crate::task_error::{Side, TaskError, TaskErrorKind};

impl Scheduler {
    /// Takes in the answers of one worker that are there now. To look for more after each would take a
    /// word from its cache for a few of them, again and again.
    pub(crate) fn collect(&mut self, slot: usize) {
        let Some(member) = self.member(slot) else {
            return;
        };
        let collected = member.look().and_then(|()| self.collect_seen(slot));
        let Some(member) = self.member(slot) else {
            return;
        };
        match collected {
            Ok(any) => member.has_taken_all(any),
            Err(violation) => member.kill(Sentence::Violation(violation.0)),
        }
    }

    /// Takes in the answers that were seen; whether calls have come to be done.
    fn collect_seen(&mut self, slot: usize) -> Result<bool, Violation> {
        let mut any = false;
        while let Some(member) = self.members.get_mut(slot).and_then(Option::as_mut)
            && member.has_seen()
        {
            if member.sentence == Sentence::None
                && let Some((id, word)) = member.receive_word()?
            {
                fault::at(Site::Collects);
                self.returned_word(id, word);
                any = true;
                continue;
            }
            let Some((id, status, body)) = member.receive(&mut self.calls)? else {
                continue;
            };
            if let Sentence::Expired(overdue) = member.sentence {
                self.answered_late(slot, id, overdue);
                continue;
            }
            if status == Status::Returned {
                fault::at(Site::Collects);
                self.returned(id, body);
            } else {
                let (pid, most) = (member.told_pid(), member.max_result());
                self.failed(id, status, &body, most, pid);
            }
            any = true;
        }
        Ok(any)
    }

    /// Ends a call that has no result, as its worker says.
    fn failed(&mut self, id: CallId, status: Status, body: &Payload, most: u64, pid: Option<u32>) {
        let error = failure(self.task_name(id), status, body, most);
        self.fail(id, with_worker(error, pid));
    }
}

pub(super) fn with_worker(error: TaskError, pid: Option<u32>) -> TaskError {
    match pid {
        Some(pid) => error.worker(pid),
        None => error,
    }
}

/// Why a call has no result, as the answer of its worker says it, which may return `most` bytes.
pub(crate) fn failure(task: &'static str, status: Status, body: &Payload, most: u64) -> TaskError {
    let failed = |kind| TaskError::new(kind, task);
    let text = || String::from_utf8_lossy(body.bytes()).into_owned();
    let worker = |kind| failed(kind).side(Side::Worker).detail(text());
    match status {
        Status::Returned | Status::Panicked => {
            let report: PanicReport = protocol::decode(body.bytes()).unwrap_or_default();
            failed(TaskErrorKind::Panicked).panicked(report)
        }
        Status::ArgumentsUndecodable => worker(TaskErrorKind::Decode),
        Status::OutputUnencodable => worker(TaskErrorKind::Encode),
        Status::UnknownTask => failed(TaskErrorKind::UnknownTask).detail(text()),
        Status::OutputTooLarge => {
            let size = body.bytes().first_chunk().copied().map(u64::from_le_bytes);
            failed(TaskErrorKind::TooLarge)
                .side(Side::Worker)
                .sized(size.unwrap_or(0), most)
        }
    }
}
