//! A slot of the table: what there is to know of one call.

use std::mem;
use std::num::NonZeroU32;

use pool_worker::registry::{TaskId, registry};

use crate::call::Parcel;
use crate::task_error::{TaskError, TaskErrorKind};

/// How often a call may be the next one of a worker that dies. Beyond that the call itself is taken
/// for the cause: a hostile task can make it seem that it has not begun.
const MAX_SUSPICIONS: u8 = 8;

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The task returned this, encoded.
    Returned(Parcel),
    /// There is no result.
    Failed(TaskError),
}

/// What stands for an outcome that was taken out.
impl Default for Outcome {
    #[inline]
    fn default() -> Self {
        Self::Returned(Parcel::default())
    }
}

/// Where a call is that was placed: in the window of the worker in this slot, under this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Counted from 1, so that to be nowhere takes no more room than to be somewhere.
    slot: NonZeroU32,
    pub(crate) seq: u32,
}

impl Place {
    #[inline]
    pub(crate) fn new(slot: usize, seq: u32) -> Self {
        let slot = u32::try_from(slot + 1).ok().and_then(NonZeroU32::new);
        Self {
            slot: slot.expect("an executor has fewer than 2^32 workers"),
            seq,
        }
    }

    #[inline]
    pub(crate) fn slot(self) -> usize {
        self.slot.get() as usize - 1
    }
}

/// The slot of a call, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallId(NonZeroU32);

impl CallId {
    pub(crate) fn at(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("fewer than 2^32 calls fit in memory"))
    }

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Where a call may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Anywhere,
    /// In the worker of this slot, or the one that takes its place.
    Slot(u16),
    /// In one worker: a call of the executor's own, as that of an initializer.
    Own,
}

impl Binding {
    /// To the worker in this slot.
    pub(crate) fn to_slot(slot: usize) -> Self {
        Self::Slot(u16::try_from(slot).expect("an executor has fewer than 2^16 workers"))
    }

    /// The slot of the worker that it is for.
    pub(crate) fn slot(self) -> Option<usize> {
        match self {
            Self::Slot(slot) => Some(slot.into()),
            Self::Anywhere | Self::Own => None,
        }
    }
}

/// What a slot holds.
// With a tag of one byte, values are moved in two parts, of which one is not aligned.
#[derive(Debug)]
#[repr(u64)]
pub(super) enum Stage {
    /// Nothing; the number of the next free slot, if there is one.
    Free(Option<CallId>),
    /// A call that is not done, with its arguments.
    Pending(Parcel),
    /// A call that is done.
    Done(Outcome),
    /// A call whose outcome was taken, and the kind of error that it was, if it was one.
    Taken(Option<TaskErrorKind>),
}

/// A call. There may be millions: what few of them have lies elsewhere.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) stage: Stage,
    /// `None` in the backlog, or nowhere.
    pub(crate) place: Option<Place>,
    /// `None` for one that was no call, but failed on the way to become one.
    pub(super) task: Option<TaskId>,
    pub(super) references: u32,
    /// How often it was the next call of a worker that died.
    pub(crate) suspicions: u8,
    pub(crate) binding: Binding,
    /// Somebody waits for it.
    pub(super) awaited: bool,
    /// More is asked of it than to be run.
    pub(super) has_course: bool,
    /// It counts against the limits of the queue.
    pub(super) counts: bool,
}

const _: () = assert!(size_of::<Call>() <= 64, "a call fits a cache line");

impl Call {
    /// An empty slot.
    pub(super) fn none() -> Self {
        Self {
            stage: Stage::Free(None),
            place: None,
            task: None,
            references: 0,
            suspicions: 0,
            binding: Binding::Anywhere,
            awaited: false,
            has_course: false,
            counts: false,
        }
    }

    /// The task of a call that is one.
    #[inline]
    pub(crate) fn task(&self) -> Option<TaskId> {
        self.task
    }

    /// Whether it is not done, somebody will take its outcome, and there is nothing else to be seen to when
    /// it is done, nor anything to be dropped.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        let is_bare = matches!(&self.stage, Stage::Pending(arguments) if arguments.is_inline());
        let has_more = self.awaited | self.has_course | self.counts;
        is_bare && !has_more && self.references > 0 && self.binding != Binding::Own
    }

    /// Fills a slot in which nothing is to be dropped.
    #[inline]
    pub(super) fn fill(&mut self, stage: Stage) {
        mem::forget(mem::replace(&mut self.stage, stage));
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        !matches!(self.stage, Stage::Pending(_))
    }

    /// The name of its task.
    pub(crate) fn task_name(&self) -> &str {
        match (&self.stage, self.task) {
            (_, Some(task)) => registry().name(task),
            (Stage::Done(Outcome::Failed(error)), None) => error.task(),
            _ => "",
        }
    }

    /// Whether it is taken for the cause of its workers' deaths.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.suspicions > MAX_SUSPICIONS
    }

    /// The kind of error that it ended with, if it did; also after that was taken.
    pub(crate) fn failure(&self) -> Option<TaskErrorKind> {
        match &self.stage {
            Stage::Done(Outcome::Failed(error)) => Some(error.kind()),
            Stage::Taken(failure) => *failure,
            Stage::Free(_) | Stage::Pending(_) | Stage::Done(Outcome::Returned(_)) => None,
        }
    }

    /// The task and the arguments of a call that is not done.
    #[inline]
    pub(crate) fn pending(&self) -> Option<(TaskId, &Parcel)> {
        match &self.stage {
            Stage::Pending(arguments) => Some((self.task?, arguments)),
            Stage::Free(_) | Stage::Done(_) | Stage::Taken(_) => None,
        }
    }
}
