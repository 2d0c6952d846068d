//! Calls that are out of time.
//!
//! Nobody looks at the clock for each call. The [`Alarms`](crate::terms::Alarms) tell when any call
//! *may* be out of time at the earliest: a call cannot have run for longer than since it was placed.
//! Then all that workers have are looked through. A call that no worker has begun by then cannot be
//! out of time before its limit has passed once more, so there is nothing to poll for.

use std::time::Duration;

use super::collect::with_worker;
use super::{Cancelled, Scheduler};
use crate::calls::CallId;
use crate::member::Sentence;
use crate::task_error::{TaskError, TaskErrorKind};
use crate::terms::{Deadline, Overdue};

impl Scheduler {
    /// The same, that asks workers to end and lets them live so long, before it kills them for calls
    /// that are out of time.
    pub(crate) fn with_grace(mut self, grace: Option<Duration>) -> Self {
        self.grace = grace;
        self
    }

    /// Has a call done by then, if it is not.
    pub(crate) fn set_deadline(&mut self, id: CallId, deadline: Option<Deadline>) {
        self.calls.set_deadline(id, deadline);
    }

    /// Stops the calls that are out of time at `now`.
    pub(crate) fn expire(&mut self, now: Duration) {
        let (running, deadline) = self.calls.alarms.take_due(now);
        if !running && !deadline {
            return;
        }
        let mut due = Vec::new();
        self.look_at_clock();
        for slot in 0..self.members.len() {
            self.collect(slot);
            self.look_through_window(slot, now, &mut due);
        }
        if deadline {
            self.look_through_backlog(now, &mut due);
        }
        for id in due {
            self.time_out(id, now);
        }
    }

    /// Whether the supervising thread would sleep for too long to stop calls in time.
    pub(crate) fn has_early_alarm(&self) -> bool {
        self.calls.alarms.are_early()
    }

    /// The supervising thread is about to sleep until the next alarm.
    pub(crate) fn arm_alarm(&mut self) {
        self.calls.alarms.arm();
    }

    /// When the supervising thread has to look again for calls that are out of time.
    pub(crate) fn alarm(&self) -> Option<Duration> {
        self.calls.alarms.armed()
    }

    fn look_through_window(&mut self, slot: usize, now: Duration, due: &mut Vec<CallId>) {
        let Some(member) = self.members[slot].as_mut() else {
            return;
        };
        if member.sentence != Sentence::None {
            if let Some(end) = member.end_grace(now) {
                self.calls.alarms.add_running(end);
            }
            return;
        }
        let running = member.running();
        for id in member.placed() {
            let Some((course, alarms)) = self.calls.course(id) else {
                continue;
            };
            let end = match running {
                Some((begun, stamp)) if begun == id => course.end(stamp, now),
                _ => course.look_again(now),
            };
            if end.min(course.deadline()) <= now {
                due.push(id);
            } else {
                alarms.add_running(end);
                alarms.add_deadline(course.deadline());
            }
        }
    }

    fn look_through_backlog(&mut self, now: Duration, due: &mut Vec<CallId>) {
        for id in self.backlog.iter().chain(self.bound.iter()) {
            let Some((course, alarms)) = self.calls.course(id) else {
                continue;
            };
            if course.deadline() <= now {
                due.push(id);
            } else {
                alarms.add_deadline(course.deadline());
            }
        }
    }

    /// Ends a call that is out of time, or has its worker do so.
    fn time_out(&mut self, id: CallId, now: Duration) {
        let course = self.calls.course(id);
        let Some(overdue) = course.and_then(|(course, _)| course.overdue(now)) else {
            return;
        };
        let error = timed_out(self.task_name(id), overdue);
        if self.withdraw(id, error) != Cancelled::Running {
            return;
        }
        let grace = self.grace;
        let stopped = self.stop_running(id, |member| match grace {
            None => member.kill(Sentence::Expired(overdue)),
            Some(grace) => member.warn(Sentence::Expired(overdue), now.saturating_add(grace)),
        });
        if let (true, Some(grace)) = (stopped, grace) {
            self.calls.alarms.add_running(now.saturating_add(grace));
        }
    }

    /// A call was answered by grace, or in the moment before its worker's end: too late.
    pub(super) fn answered_late(&mut self, slot: usize, id: CallId, overdue: Overdue) {
        let error = timed_out(self.task_name(id), overdue);
        let member = self.member(slot);
        let pid = member.and_then(|member| {
            member.kill(member.sentence);
            member.told_pid()
        });
        self.fail(id, with_worker(error, pid));
    }
}

/// What is to be said of a call that is out of time.
fn timed_out(task: &'static str, overdue: Overdue) -> TaskError {
    TaskError::new(TaskErrorKind::TimedOut, task).detail(overdue.to_string())
}
