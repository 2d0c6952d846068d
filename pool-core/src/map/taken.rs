//! Outcomes of a map's calls that were taken all at once, and wait to be given.

use pool_worker::codec::Limits;
use pool_worker::registry::TaskId;
use pool_worker::task::Decoder;

use crate::calls::Outcome;
use crate::future::decode_in_place;
use crate::task_error::TaskError;

/// An outcome, and the index of its input.
// In this order, an outcome that was just made is copied in its parts: a processor stalls on others.
#[repr(C)]
struct Entry {
    outcome: Outcome,
    index: usize,
}

/// They are decoded where they lie, and those that were given make room when they are the greater part.
#[derive(Default)]
pub(super) struct Taken {
    entries: Vec<Entry>,
    /// So many of them were given.
    given: usize,
}

/// An outcome that is given now.
pub(super) struct Given<'a> {
    entry: &'a mut Entry,
    limits: Limits,
}

impl Taken {
    /// How many wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.given
    }

    /// Adds one behind the others.
    #[inline]
    pub(super) fn push(&mut self, outcome: Outcome, index: usize) {
        self.entries.push(Entry { outcome, index });
    }

    /// Makes room for more.
    pub(super) fn make_room(&mut self) {
        if self.given >= self.len() {
            self.entries.drain(..self.given);
            self.given = 0;
        }
    }

    /// The next one, to be decoded within these limits.
    #[inline]
    pub(super) fn next(&mut self, limits: Limits) -> Option<Given<'_>> {
        let entry = self.entries.get_mut(self.given)?;
        self.given += 1;
        Some(Given { entry, limits })
    }
}

impl Given<'_> {
    /// How many bytes a result has.
    #[inline]
    pub(super) fn len(&self) -> Option<usize> {
        match &self.entry.outcome {
            Outcome::Returned(output) => Some(output.len()),
            Outcome::Failed(_) => None,
        }
    }

    /// The index of its input.
    pub(super) fn index(&self) -> usize {
        self.entry.index
    }

    /// What the task returned, or why it did not.
    #[inline]
    pub(super) fn decode<R>(
        self,
        task: Option<TaskId>,
        decoder: Decoder<R>,
    ) -> Result<R, TaskError> {
        decode_in_place(task, &mut self.entry.outcome, decoder, self.limits)
    }
}
