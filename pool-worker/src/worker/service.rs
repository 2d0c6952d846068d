//! The loop of a worker: calls in, answers out.

use super::Resolved;
use super::current::Running;
use super::panics::{self, MAX_TEXT, Witness};
use super::scales::Scales;
use crate::channel::{self, Call, Segment, WorkerEnd};
use crate::codec::Encoded;
use crate::fault::{self, Site};
use crate::protocol::Status;
use crate::registry::registry;
use crate::sys::Buffer;
use crate::{CallError, TaskEntry};
use std::io::{self, Write};
use std::sync::Arc;

/// A buffer that has grown beyond this many bytes is given back after the call.
const KEPT_BUFFER: usize = 1 << 20;
/// The most bytes of an output's memory that are kept for arguments to come.
const KEPT_MEMORY: usize = 64 << 20;

/// Serves the calls of one channel on one thread.
pub(super) struct Service {
    end: WorkerEnd,
    scales: Option<Scales>,
    tasks: Vec<Resolved>,
    witness: &'static Witness,
    running: &'static Running,
    arguments: Encoded,
    output: Encoded,
    /// Memory of the last output, if it was large, for large arguments to come.
    spare: Vec<Buffer>,
    /// The most bytes of an output that the application takes.
    max_output: u64,
}

impl Service {
    /// Must be made on the thread that is to serve.
    pub(super) fn new(
        end: WorkerEnd,
        scales: Option<Scales>,
        segment: Arc<Segment>,
        tasks: Vec<Resolved>,
    ) -> Self {
        Self {
            scales,
            max_output: end.max_output(),
            end,
            tasks,
            running: Running::on_this_thread(Arc::clone(&segment)),
            witness: Witness::of_this_thread(segment),
            arguments: Encoded::default(),
            output: Encoded::default(),
            spare: Vec::new(),
        }
    }

    /// What tells of the calls served here.
    pub(super) fn witness(&self) -> &'static Witness {
        self.witness
    }

    /// Waits for a call, runs it and answers it.
    pub(super) fn serve_call(&mut self) {
        fault::at(Site::TaskIdle);
        Scales::await_leave(&mut self.scales, &mut self.end);
        let call = self
            .end
            .next_call(&mut self.arguments, &mut self.spare, flush_stdout);
        let status = self.run(&call);
        if self.end.knows_no_other() {
            // Once the last call is answered, the worker may be killed at any moment.
            flush_stdout();
        }
        match channel::take_large(&mut self.output, 0) {
            None => self.end.answer(call.seq, status, &self.output.bytes),
            Some(buffers) => {
                self.end.answer_large(call.seq, status, &buffers);
                self.spare = buffers.into();
                let mut left = KEPT_MEMORY;
                self.spare.retain(|memory| {
                    let rest = left.checked_sub(memory.capacity());
                    left = rest.unwrap_or(left);
                    rest.is_some()
                });
            }
        }
        if self.arguments.is_heavy(KEPT_BUFFER) || self.output.is_heavy(KEPT_BUFFER) {
            // To give their memory back takes a while, and somebody may wait for the answer.
            self.end.ring_unrung();
        }
        for encoded in [&mut self.arguments, &mut self.output] {
            encoded.parts.clear();
            encoded.bytes.clear();
            encoded.bytes.shrink_to(KEPT_BUFFER);
        }
    }

    /// Runs a call; what belongs to the status is then in `output`.
    fn run(&mut self, call: &Call) -> Status {
        match self.tasks.get(call.task as usize) {
            Some(&Resolved {
                entry: Some(entry), ..
            }) => self.run_task(entry, call),
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

    fn run_task(&mut self, entry: &'static TaskEntry, call: &Call) -> Status {
        let (arguments, output) = (self.arguments.source(), &mut self.output);
        self.running.begin(entry, call.claim);
        let result = self
            .witness
            .watch(call.seq, || entry.call(arguments, output));
        self.running.end();
        match result {
            Ok(Ok(())) => self.returned(),
            Ok(Err(CallError::Decode(error))) => {
                self.fail(Status::ArgumentsUndecodable, error.to_string())
            }
            Ok(Err(CallError::Encode(error))) => {
                self.fail(Status::OutputUnencodable, error.to_string())
            }
            Err(report) => self.told(panics::encode(&report), Status::Panicked),
        }
    }

    /// What is in `output` is the answer, unless the application does not take as much.
    fn returned(&mut self) -> Status {
        let size = self.output.len() as u64;
        if size <= self.max_output {
            return Status::Returned;
        }
        self.told(size.to_le_bytes().to_vec(), Status::OutputTooLarge)
    }

    fn fail(&mut self, status: Status, reason: String) -> Status {
        self.told(panics::clip(reason, MAX_TEXT).into_bytes(), status)
    }

    /// Has this said in the place of an output.
    fn told(&mut self, bytes: Vec<u8>, status: Status) -> Status {
        self.output = Encoded {
            bytes,
            parts: Vec::new(),
        };
        status
    }
}

/// Has all seen that tasks have printed.
pub(super) fn flush_stdout() {
    // There is nobody to tell of a failure, and `print!` in a task tells it by itself.
    let _ = io::stdout().flush();
}
