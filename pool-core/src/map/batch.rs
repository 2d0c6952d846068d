//! Inputs that were drawn and encoded, and wait to be submitted together.

use std::mem;

use pool_worker::channel::{Inline, MAX_BODY, Payload};
use pool_worker::codec::Encoded;
use pool_worker::registry::TaskId;
use pool_worker::shared::Attachments;

use super::submission::Submission;
use crate::call::{Parcel, Prepared};
use crate::task_error::TaskError;

/// What lies behind the last small call, so that each can be copied at once.
const PADDING: [u8; 16] = [0; 16];

/// Encodes an input, behind others; gives what it refers to.
pub(crate) type Prepare<T> =
    Box<dyn Fn(TaskId, T, &mut Encoded) -> Result<Attachments, TaskError> + Send + Sync>;

/// Calls to be.
///
/// Small ones are encoded one behind the other, and taken from there only when all are: a processor
/// stalls on words that it wrote byte by byte a moment ago.
#[derive(Default)]
pub(super) struct Batch {
    encoded: Encoded,
    calls: Vec<Drawn>,
    /// Those that are large or refer to shared values, and what is none.
    others: Vec<Prepared>,
}

enum Drawn {
    /// The next so many bytes.
    Small(TaskId, u16),
    /// The next of the others.
    Other,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Encodes one more; gives how many bytes it has.
    #[inline]
    pub(super) fn add<T>(&mut self, task: TaskId, prepare: &Prepare<T>, input: T) -> usize {
        let start = self.encoded.bytes.len();
        match prepare(task, input, &mut self.encoded) {
            Ok(attachments) => self.added(task, attachments, start),
            Err(error) => {
                self.add_failed(error);
                0
            }
        }
    }

    /// Adds what is no call.
    pub(super) fn add_failed(&mut self, error: TaskError) {
        self.calls.push(Drawn::Other);
        self.others.push(Err(error));
    }

    #[inline]
    fn added(&mut self, task: TaskId, attachments: Attachments, start: usize) -> usize {
        let len = self.encoded.bytes.len() - start;
        if self.encoded.parts.is_empty()
            && attachments.is_empty()
            && let Some(small) = u16::try_from(len).ok().filter(|_| len <= MAX_BODY)
        {
            self.calls.push(Drawn::Small(task, small));
            return len;
        }
        let payload = Payload::take(&mut self.encoded, start);
        self.encoded.bytes.truncate(start);
        let len = payload.len();
        let arguments = Parcel {
            payload,
            attachments,
        };
        self.calls.push(Drawn::Other);
        self.others.push(Ok((task, arguments)));
        len
    }

    /// Puts what is no call in the place of all; these are given back, as to drop them may take a
    /// while.
    pub(super) fn refuse(&mut self, error: TaskError) -> Self {
        let refused = mem::take(self);
        self.add_failed(error);
        refused
    }

    /// Submits all, in the order in which they were added.
    #[inline]
    pub(super) fn submit(&mut self, submission: &mut Submission<'_, '_>) {
        self.encoded.bytes.extend_from_slice(&PADDING);
        let mut bytes = &self.encoded.bytes[..];
        let mut others = self.others.drain(..);
        let count = self.calls.len();
        for (index, drawn) in self.calls.drain(..).enumerate() {
            match drawn {
                Drawn::Small(task, len) => {
                    let len = usize::from(len);
                    if let Some(inline) = Inline::of_first(bytes, len) {
                        submission.inline(task, inline, count - index);
                    } else {
                        let arguments = Payload::of_first(bytes, len);
                        submission.other(Ok((task, arguments.into())));
                    }
                    bytes = &bytes[len..];
                }
                Drawn::Other => submission.other(others.next().expect("each of them was added")),
            }
        }
        drop(others);
        self.encoded.bytes.clear();
    }
}
