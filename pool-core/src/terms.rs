//! What was asked for a call, beside its task and its arguments, and how it has gone so far.
//!
//! All times are those of [`monotonic`](crate::sys::monotonic), which workers read as well.

use std::fmt;
use std::time::Duration;

use pool_worker::channel::Notice;

/// How long after it was looked whether a call has begun it is looked again, at least.
const FINEST: Duration = Duration::from_millis(1);

/// What was asked for a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// How long it may run.
    pub(crate) limit: Option<Duration>,
    /// How often it begins anew after the death of its worker.
    pub(crate) retries: u32,
    /// Calls of a higher one begin first.
    pub(crate) priority: i32,
    /// When it has to be done, running or not.
    pub(crate) deadline: Option<Deadline>,
}

impl Terms {
    /// Whether no more is asked than to be run.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The same for a call that may run so long; the longest time there is stands for no limit.
    pub(crate) fn limited(self, limit: Duration) -> Self {
        Self {
            limit: (limit != Duration::MAX).then_some(limit),
            ..self
        }
    }
}

/// When a map has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) at: Duration,
    /// How long after the first draw that is.
    pub(crate) allowed: Duration,
}

/// A call of which something was asked.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) terms: Terms,
    /// How many workers have died in it.
    pub(crate) deaths: u32,
    /// When it was placed with its worker.
    placed: Duration,
    /// When its worker has begun it, once that was looked at.
    begun: Option<Duration>,
}

impl Course {
    /// That of a new call.
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            deaths: 0,
            placed: Duration::ZERO,
            begun: None,
        }
    }

    /// Whether it begins anew should its worker die in it.
    pub(crate) fn may_retry(&self) -> bool {
        self.deaths < self.terms.retries
    }

    /// Its worker has died in it.
    pub(crate) fn died(&mut self) {
        self.deaths += 1;
        self.begun = None;
    }

    /// What its worker is told of it.
    pub(crate) fn notice(&self) -> Notice {
        Notice {
            limit: self.terms.limit,
            attempt: self.deaths.saturating_add(1),
        }
    }

    /// It was placed with a worker; gives when it can be out of time at the earliest.
    pub(crate) fn place(&mut self, now: Duration) -> Duration {
        self.placed = now;
        self.begun = None;
        after(now, self.terms.limit)
    }

    /// When it is out of time, as its worker has begun it. The worker is believed about when that was
    /// as far as can be: after it was placed, and before this was first looked at.
    pub(crate) fn end(&mut self, stamp: Option<Duration>, now: Duration) -> Duration {
        let (placed, limit) = (self.placed, self.terms.limit);
        let begun = *self
            .begun
            .get_or_insert_with(|| stamp.unwrap_or(now).clamp(placed.min(now), now));
        after(begun, limit)
    }

    /// When to look again whether it is out of time, as no worker has begun it yet.
    pub(crate) fn look_again(&self, now: Duration) -> Duration {
        after(now, self.terms.limit.map(|limit| limit.max(FINEST)))
    }

    /// When it has to be done whether it has begun or not.
    pub(crate) fn deadline(&self) -> Duration {
        self.terms
            .deadline
            .map_or(Duration::MAX, |deadline| deadline.at)
    }

    /// In what way it is out of time by now, if it is.
    pub(crate) fn overdue(&self, now: Duration) -> Option<Overdue> {
        let ran = self.begun.map(|begun| now.saturating_sub(begun));
        if let (Some(ran), Some(limit)) = (ran, self.terms.limit)
            && ran >= limit
        {
            return Some(Overdue::Limit { ran, limit });
        }
        let Deadline { at, allowed } = self.terms.deadline?;
        (at <= now).then_some(Overdue::Deadline { allowed })
    }
}

/// The time `limit` after `start`; the end of time where there is no limit.
fn after(start: Duration, limit: Option<Duration>) -> Duration {
    limit.map_or(Duration::MAX, |limit| start.saturating_add(limit))
}

/// In what way a call is out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// It ran for longer than it may.
    Limit { ran: Duration, limit: Duration },
    /// Its map had to be done.
    Deadline { allowed: Duration },
}

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { ran, limit } => {
                write!(f, "it had run for {ran:.1?}, and its limit is {limit:?}")
            }
            Self::Deadline { allowed } => write!(
                f,
                "it was not done {allowed:?} after the first input of its map was drawn, the deadline"
            ),
        }
    }
}

/// More processor time than a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overuse {
    /// What it has taken since it was first seen.
    pub(crate) used: Duration,
    /// What it may take.
    pub(crate) limit: Duration,
}

impl fmt::Display for Overuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { used, limit } = self;
        write!(f, "it had taken {used:.1?}, and its cpu_limit is {limit:?}")
    }
}

/// When calls may be out of time, at the earliest.
#[derive(Debug)]
pub(crate) struct Alarms {
    /// One that a worker has, by its limit; or a worker may have had its grace.
    running: Duration,
    /// Any one, by the deadline of its map.
    deadline: Duration,
    /// What the supervising thread sleeps until.
    armed: Duration,
    /// Whether that is too long.
    early: bool,
}

impl Default for Alarms {
    fn default() -> Self {
        Self {
            running: Duration::MAX,
            deadline: Duration::MAX,
            armed: Duration::MAX,
            early: false,
        }
    }
}

impl Alarms {
    pub(crate) fn add_running(&mut self, at: Duration) {
        self.running = self.running.min(at);
        self.early |= at < self.armed;
    }

    pub(crate) fn add_deadline(&mut self, at: Duration) {
        self.deadline = self.deadline.min(at);
        self.early |= at < self.armed;
    }

    /// Takes out those that are due, for the calls that they are about to be looked through: whether
    /// there are any among those of workers, and any deadlines.
    pub(crate) fn take_due(&mut self, now: Duration) -> (bool, bool) {
        let take = |alarm: &mut Duration| {
            let is_due = *alarm <= now;
            if is_due {
                *alarm = Duration::MAX;
            }
            is_due
        };
        (take(&mut self.running), take(&mut self.deadline))
    }

    /// Whether the supervising thread would sleep too long.
    pub(crate) fn are_early(&self) -> bool {
        self.early
    }

    /// Notes that the supervising thread sleeps until the first one.
    pub(crate) fn arm(&mut self) {
        self.early = false;
        self.armed = self.running.min(self.deadline);
    }

    /// What the supervising thread sleeps until, if there is an alarm.
    pub(crate) fn armed(&self) -> Option<Duration> {
        (self.armed != Duration::MAX).then_some(self.armed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn placed(at: Duration) -> Course {
        let mut course = Course::new(Terms::default().limited(10 * SECOND));
        assert_eq!(course.place(at), at + 10 * SECOND);
        course
    }

    #[test]
    fn a_worker_is_believed_as_far_as_can_be() {
        let stamps = [
            (Some(105), 105, "what can be"),
            (Some(3), 100, "before it was placed"),
            (Some(9999), 108, "in the future"),
            (None, 108, "nothing, though it has begun"),
        ];
        for (stamp, begun, what) in stamps {
            let mut course = placed(100 * SECOND);
            let end = course.end(stamp.map(Duration::from_secs), 108 * SECOND);
            assert_eq!(end, Duration::from_secs(begun + 10), "{what}");
            // What it says later changes nothing.
            let again = course.end(Some(900 * SECOND), 1000 * SECOND);
            assert_eq!(again, end, "{what}");
        }
    }

    #[test]
    fn endless_limits_and_deadlines_never_come() {
        for limit in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            let mut course = Course::new(Terms::default().limited(limit));
            let now = 100 * SECOND;
            assert_eq!(course.place(now), Duration::MAX);
            assert_eq!(course.end(Some(now), now), Duration::MAX);
            assert_eq!(course.overdue(u32::MAX * SECOND), None);
        }
    }

    #[test]
    fn alarms_ring_once_and_early_ones_are_told() {
        let mut alarms = Alarms::default();
        assert_eq!((alarms.armed(), alarms.are_early()), (None, false));
        alarms.add_running(5 * SECOND);
        alarms.add_deadline(Duration::MAX);
        assert!(alarms.are_early());
        alarms.arm();
        assert_eq!(
            (alarms.armed(), alarms.are_early()),
            (Some(5 * SECOND), false)
        );
        alarms.add_running(6 * SECOND);
        assert!(!alarms.are_early(), "that is not before the first");
        alarms.add_deadline(4 * SECOND);
        assert!(alarms.are_early());
        assert_eq!(alarms.take_due(4 * SECOND), (false, true));
        assert_eq!(alarms.take_due(7 * SECOND), (true, false));
        assert_eq!(alarms.take_due(8 * SECOND), (false, false));
    }
}
