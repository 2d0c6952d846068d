//! Workers that have done enough: each makes its last call and ends, and another takes its place.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pool_worker::fault::{self, Site};

use super::Supervisor;
use super::farewell::{self, ROOM_LOOKED_FOR_EVERY};
use crate::calls::CallId;
use crate::driver::Locked;
use crate::member::Sentence;
use crate::sys;

/// How long a worker may take to end once it was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// How many ages lie in the last quarter of the greatest one, as parts of it.
const AGES: u32 = 256;

/// When workers have done enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recycling {
    /// After so many calls.
    pub(crate) tasks: u64,
    /// After so long a time.
    pub(crate) age: Option<Duration>,
    /// Once they have more than so many bytes of memory.
    pub(crate) memory: Option<u64>,
    /// After a call that takes so much processor time, which it is stopped for.
    pub(crate) processor: Option<Duration>,
}

/// Workers that are on their way out, or will be.
#[derive(Default)]
pub(super) struct Retiring {
    /// When each worker is too old, in that order.
    ages: VecDeque<(u64, Instant)>,
    /// Last calls that a worker has no room for yet, by its number.
    pub(super) unsaid: Vec<(u64, CallId)>,
    /// When each worker that was asked to end should have done so.
    ends: VecDeque<(u64, Instant)>,
}

impl Supervisor {
    /// The age of a new worker begins to count, if it matters.
    pub(super) fn begin_age(&mut self, number: u64) {
        let age = self.recycling.age.map(|age| age_of(number, age));
        if let Some(end) = age.and_then(from_now) {
            let ages = &mut self.retiring.ages;
            let at = ages.partition_point(|(_, other)| *other <= end);
            ages.insert(at, (number, end));
        }
    }

    /// Retires workers that are too old.
    pub(super) fn retire_old(&mut self, locked: &mut Locked<'_>) {
        let now = Instant::now();
        while let Some((number, _)) = self.retiring.ages.pop_front_if(|(_, end)| *end <= now) {
            if let Some((slot, _)) = locked.find(number) {
                locked.retire(slot);
            }
        }
    }

    /// Sees to the end of workers that have done all that they are to do.
    pub(super) fn see_off(&mut self, locked: &mut Locked<'_>) {
        for slot in 0..locked.slots() {
            let Some(member) = locked.member(slot).filter(|member| member.has_left_off()) else {
                continue;
            };
            let number = member.number;
            fault::at(Site::SeesOff);
            member.see_off();
            let mut allowed = ENDS_WITHIN;
            if let Some(hook) = &self.hooks.on_worker_exit {
                let then = move |locked: &mut Locked<'_>| {
                    if let Some((_, member)) = locked.find(number) {
                        member.dismiss();
                    }
                };
                let call = farewell::last_call(hook, &self.pool, locked, then);
                self.retiring.unsaid.extend(call.map(|call| (number, call)));
                allowed = allowed.saturating_add(self.hooks.exit_allowed());
            } else {
                member.dismiss();
            }
            let end = from_now(allowed).map(|end| (number, end));
            self.retiring.ends.extend(end);
        }
        if !self.retiring.unsaid.is_empty() {
            farewell::say(&mut self.retiring.unsaid, locked);
        }
        self.end_overdue(locked);
    }

    /// Forgets a worker that is gone.
    pub(super) fn forget(&mut self, number: u64) {
        let is_other = |(other, _): &(u64, Instant)| *other != number;
        self.retiring.ages.retain(is_other);
        self.retiring.ends.retain(is_other);
        self.initializing.retain(is_other);
    }

    /// Kills workers that did not end in time.
    fn end_overdue(&mut self, locked: &mut Locked<'_>) {
        let now = Instant::now();
        while let Some((number, _)) = self.retiring.ends.pop_front_if(|(_, end)| *end <= now) {
            if let Some((_, member)) = locked.find(number) {
                if let Some(hook) = self
                    .hooks
                    .on_worker_exit
                    .as_ref()
                    .filter(|_| !member.is_idle())
                {
                    let text =
                        format!("{hook} did not return in time in a worker, and was stopped");
                    sys::tell(&text);
                }
                member.kill(Sentence::Retired);
            }
        }
    }

    /// How long until workers are to be looked at that are too old, or should have ended.
    pub(super) fn retiring_time_left(&self, now: Instant) -> Option<Duration> {
        let Retiring { ages, unsaid, ends } = &self.retiring;
        let first = |list: &VecDeque<(u64, Instant)>| {
            let (_, end) = list.front()?;
            Some(end.saturating_duration_since(now))
        };
        let room = (!unsaid.is_empty()).then_some(ROOM_LOOKED_FOR_EVERY);
        [first(ages), first(ends), room].into_iter().flatten().min()
    }
}

/// How old a worker becomes: up to a quarter less than it may, and each another. Were those born
/// together replaced together, all calls would wait for the new ones.
fn age_of(number: u64, most: Duration) -> Duration {
    // The fractions of the multiples of the golden ratio lie evenly, however many there are.
    let fraction = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - AGES.ilog2());
    most.saturating_sub(most / (4 * AGES) * u32::try_from(fraction).unwrap_or(0))
}

fn from_now(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_born_together_do_not_all_end_together() {
        let most = Duration::from_hours(1);
        for count in [2_u32, 8, 32] {
            let ages = (100..100 + u64::from(count)).map(|number| age_of(number, most));
            let mut ages: Vec<_> = ages.collect();
            ages.sort_unstable();
            assert!(ages[0] > most * 3 / 4 && ages[ages.len() - 1] <= most);
            let is_apart = |pair: &[Duration]| pair[1] >= pair[0] + most / (16 * count);
            assert!(ages.windows(2).all(is_apart), "{ages:?}");
        }
        assert!(age_of(7, Duration::MAX) > Duration::MAX / 2);
    }
}
