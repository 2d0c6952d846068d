//! The loop of a worker: calls in, answers out.

use super::Resolved;
use super::panics::{self, MAX_TEXT, Witness};
use crate::channel::{Call, Segment, WorkerEnd};
use crate::protocol::Status;
use crate::registry::registry;
use crate::{CallError, TaskEntry};
use std::io::{self, Write};
use std::sync::Arc;

/// A buffer that has grown beyond this many bytes is given back after the call.
const KEPT_BUFFER: usize = 1 << 20;

/// Serves the calls of one channel on one thread.
pub(super) struct Service {
    end: WorkerEnd,
    tasks: Vec<Resolved>,
    witness: &'static Witness,
    arguments: Vec<u8>,
    output: Vec<u8>,
}

impl Service {
    /// Must be made on the thread that is to serve.
    pub(super) fn new(end: WorkerEnd, segment: Arc<Segment>, tasks: Vec<Resolved>) -> Self {
        Self {
            end,
            tasks,
            witness: Witness::of_this_thread(segment),
            arguments: Vec::new(),
            output: Vec::new(),
        }
    }

    /// What tells of the calls served here.
    pub(super) fn witness(&self) -> &'static Witness {
        self.witness
    }

    /// Waits for a call, runs it and answers it.
    pub(super) fn serve_call(&mut self) {
        let call = self.end.next_call(&mut self.arguments, flush_stdout);
        let status = self.run(call);
        self.end.answer(call.seq, status, &self.output);
        empty(&mut self.arguments);
        empty(&mut self.output);
    }

    /// Runs a call; what belongs to the status is then in `output`.
    fn run(&mut self, call: Call) -> Status {
        match self.tasks.get(call.task as usize) {
            Some(&Resolved {
                entry: Some(entry), ..
            }) => self.run_task(entry, call.seq),
            Some(task) => {
                let reason = registry().unknown_text(&task.name);
                self.fail(Status::UnknownTask, reason)
            }
            None => {
                let reason = registry().unknown_text(&format!("number {}", call.task));
                self.fail(Status::UnknownTask, reason)
            }
        }
    }

    fn run_task(&mut self, entry: &TaskEntry, seq: u32) -> Status {
        let (arguments, output) = (&self.arguments, &mut self.output);
        match self.witness.watch(seq, || entry.call(arguments, output)) {
            Ok(Ok(())) => Status::Returned,
            Ok(Err(CallError::Decode(error))) => {
                self.fail(Status::ArgumentsUndecodable, error.to_string())
            }
            Ok(Err(CallError::Encode(error))) => {
                self.fail(Status::OutputUnencodable, error.to_string())
            }
            Err(report) => {
                self.output = panics::encode(&report);
                Status::Panicked
            }
        }
    }

    fn fail(&mut self, status: Status, reason: String) -> Status {
        self.output = panics::clip(reason, MAX_TEXT).into_bytes();
        status
    }
}

/// Whatever tasks have printed is seen before the worker sleeps: it may be killed in its sleep.
pub(super) fn flush_stdout() {
    // There is nobody to tell of a failure, and `print!` in a task tells it by itself.
    let _ = io::stdout().flush();
}

fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(KEPT_BUFFER);
}
