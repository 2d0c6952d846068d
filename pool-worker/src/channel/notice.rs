//! Notices: what goes before a call that there is more to say of than its task and arguments.
//!
//! A notice is a frame of its own, right before the call's, so that calls without one cost nothing
//! more. The worker keeps it for the next frame alone: if that call was taken back, so was the notice.
//!
//! A worker that claims such a call *stamps* it: writes when that was. The application takes this for
//! a hint, as all that a worker writes. The worker can read, and only read, whether it was *asked to
//! end* a call. Both name the call by the position of its frame, which no other call ever has.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use super::machine::{AtomicU32, AtomicU64};
use super::segment::Segment;

/// What is said of a call beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How long it may run from when it is claimed, if there is a limit.
    pub limit: Option<Duration>,
    /// How many workers will have begun it, this one among them.
    pub attempt: u32,
}

/// The limit that stands for none.
const NO_LIMIT: u64 = u64::MAX;

impl Notice {
    /// The limit as its frame carries it, in nanoseconds.
    pub(super) fn raw_limit(&self) -> u64 {
        let nanoseconds = self.limit.map(|limit| u64::try_from(limit.as_nanos()));
        nanoseconds.and_then(Result::ok).unwrap_or(NO_LIMIT)
    }

    pub(super) fn from_raw(limit: u64, attempt: u32) -> Self {
        Self {
            limit: (limit != NO_LIMIT).then(|| Duration::from_nanos(limit)),
            attempt,
        }
    }
}

/// What a worker knows of a call that it has claimed, beside its task and arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The position of the call's frame.
    position: u64,
    /// When it is to be over, in nanoseconds of [`monotonic`](crate::sys::monotonic).
    deadline: u64,
    /// How many workers have begun the call, this one among them.
    pub attempt: u32,
}

impl Claim {
    /// The claim of the call whose frame lies at `position`, with the notice that went before it.
    #[inline]
    pub(super) fn new(
        segment: &Segment,
        position: u64,
        notice: Option<Notice>,
        clock: fn() -> Duration,
    ) -> Self {
        let Some(notice) = notice else {
            return Self {
                position,
                deadline: NO_LIMIT,
                attempt: 1,
            };
        };
        let now = u64::try_from(clock().as_nanos()).unwrap_or(u64::MAX);
        let stamp = &segment.header().stamp.0;
        stamp.time.store(now, Relaxed);
        stamp.position.store(position, Release);
        Self {
            position,
            deadline: now.saturating_add(notice.raw_limit()),
            attempt: notice.attempt,
        }
    }

    /// When the call is to be over, by [`monotonic`](crate::sys::monotonic).
    pub fn deadline(&self) -> Option<Duration> {
        (self.deadline != NO_LIMIT).then(|| Duration::from_nanos(self.deadline))
    }
}

/// When the worker claimed the last call with a notice.
#[repr(C)]
#[cfg_attr(all(loom, feature = "loom"), derive(Default))]
pub(super) struct Stamp {
    /// The position of its frame, stored last. None lies at 0, where its notice would have to be.
    position: AtomicU64,
    /// Nanoseconds of [`monotonic`](crate::sys::monotonic).
    time: AtomicU64,
}

/// What the application tells the worker about its calls.
#[repr(C)]
#[cfg_attr(all(loom, feature = "loom"), derive(Default))]
pub(super) struct Instructions {
    /// The position of the frame of the call that is asked to end, plus one; 0 for none.
    end: AtomicU64,
    /// The worker's place in its executor, plus one; 0 for what is no worker.
    place: AtomicU32,
}

impl Segment {
    /// When the call whose frame lies at `position` was claimed, as the worker says.
    pub(super) fn stamp(&self, position: u64) -> Option<Duration> {
        let stamp = &self.header().stamp.0;
        let is_its = stamp.position.load(Acquire) == position;
        is_its.then(|| Duration::from_nanos(stamp.time.load(Relaxed)))
    }

    pub(super) fn ask_to_end(&self, position: u64) {
        let end = &self.header().instructions.0.end;
        end.store(position + 1, Relaxed);
    }

    /// Whether the application wants this call to end.
    pub fn is_asked_to_end(&self, claim: Claim) -> bool {
        self.header().instructions.0.end.load(Relaxed) == claim.position + 1
    }

    pub(super) fn set_place(&self, place: u32) {
        let own = &self.header().instructions.0.place;
        own.store(place.saturating_add(1), Relaxed);
    }

    /// The worker's place in its executor.
    pub fn place(&self) -> Option<u32> {
        let place = &self.header().instructions.0.place;
        place.load(Relaxed).checked_sub(1)
    }
}
