//! How much a worker may yet do before another one takes its place.

use std::os::fd::AsFd;

use super::{Member, Sentence};
use crate::sys;

/// What is left of a worker's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    /// How many calls it may be given in all.
    allowed: u64,
    /// How many more calls it may be given.
    calls: u64,
    stage: Stage,
    /// Whether it ends for the memory that it has.
    is_full: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is given calls as long as any are left to it.
    Serving,
    /// It is one too many: it is given no more, unless it is kept after all.
    Surplus,
    /// It is given no more.
    Ending,
    /// It has been asked for its last call, or to end.
    Leaving,
}

impl Tenure {
    /// The tenure of a worker that may be given so many calls.
    pub(crate) fn of(calls: u64) -> Self {
        Self {
            allowed: calls,
            calls,
            stage: Stage::Serving,
            is_full: false,
        }
    }

    #[inline]
    fn is_over(self) -> bool {
        self.calls == 0 || self.stage != Stage::Serving
    }
}

impl Member {
    /// Whether it may be given more calls, now or later.
    #[inline]
    pub(crate) fn serves(&self) -> bool {
        !self.tenure.is_over()
    }

    /// Whether nothing is against it, and it may be given more calls.
    pub(crate) fn is_in_service(&self) -> bool {
        self.sentence == Sentence::None && self.serves()
    }

    /// How many more calls it may be given.
    pub(crate) fn calls_allowed(&self) -> usize {
        usize::try_from(self.tenure.calls).unwrap_or(usize::MAX)
    }

    /// Whether it has been given a call that was not taken back.
    pub(crate) fn has_served(&self) -> bool {
        self.tenure.calls < self.tenure.allowed
    }

    /// Counts a call that it was given.
    #[inline]
    pub(super) fn count_given(&mut self) {
        self.tenure.calls -= 1;
    }

    /// Counts a call that it was given and has not begun.
    pub(super) fn count_taken_back(&mut self) {
        self.tenure.calls += 1;
    }

    /// Has it given no more calls.
    pub(crate) fn end_tenure(&mut self) {
        if matches!(self.tenure.stage, Stage::Serving | Stage::Surplus) {
            self.tenure.stage = Stage::Ending;
        }
    }

    /// Notes that it ends for the memory that it has.
    pub(crate) fn be_full(&mut self) {
        self.tenure.is_full = true;
    }

    /// Whether it ends for the memory that it has, and so is not to be stopped for it.
    pub(crate) fn is_full(&self) -> bool {
        self.tenure.is_full
    }

    /// Whether it goes on to serve, unless it is one too many.
    pub(crate) fn may_stay(&self) -> bool {
        let Tenure { calls, stage, .. } = self.tenure;
        let is_ending = matches!(stage, Stage::Ending | Stage::Leaving);
        self.sentence == Sentence::None && calls > 0 && !is_ending
    }

    /// Whether calls that are for this very worker can be placed with it.
    pub(crate) fn takes_bound_calls(&self) -> bool {
        self.ready && !self.is_streaming() && self.may_stay()
    }

    /// Has it given no more calls if it is one too many, and keeps it if not.
    pub(crate) fn be_surplus(&mut self, is_surplus: bool) {
        match self.tenure.stage {
            Stage::Serving if is_surplus => self.tenure.stage = Stage::Surplus,
            Stage::Surplus if !is_surplus => self.tenure.stage = Stage::Serving,
            _ => {}
        }
    }

    /// Whether it has done all that it is to do, and nobody has seen to its end yet.
    pub(crate) fn has_left_off(&self) -> bool {
        self.live == 0
            && self.ready
            && self.pid.is_some()
            && self.sentence == Sentence::None
            && self.tenure.is_over()
            && self.tenure.stage != Stage::Leaving
    }

    /// Notes that its end is seen to.
    pub(crate) fn see_off(&mut self) {
        self.tenure.stage = Stage::Leaving;
    }

    /// Whether its end is seen to.
    pub(crate) fn is_seen_off(&self) -> bool {
        self.tenure.stage == Stage::Leaving
    }

    /// Has it end in good order, now that nothing is left for it to do.
    pub(crate) fn dismiss(&mut self) {
        if self.sentence == Sentence::None {
            self.sentence = Sentence::Retired;
        }
        // It can fail only if the process has ended.
        let _ = sys::end_of_sending(self.control.as_fd());
    }
}
