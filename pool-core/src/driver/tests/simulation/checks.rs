//! What holds at every moment.

use super::{Asked, Duration, Known, Simulation, Sleeper, leave};
use crate::calls::CallId;
use crate::task_error::TaskErrorKind;
use crate::terms::Terms;

impl Known {
    pub(super) fn new(id: CallId, terms: Terms, slot: Option<usize>) -> Self {
        Self {
            id,
            terms,
            slot,
            runs: 0,
            restarts: 0,
            begun: Duration::ZERO,
            answered: false,
            asked: Asked::Nothing,
            blamed: false,
            waiter: None,
        }
    }

    /// Whether it may have ended so.
    fn may_end(&self, end: Option<TaskErrorKind>, now: Duration, ended: End) -> bool {
        let runs = self.runs > self.restarts;
        match end {
            None => runs && self.answered,
            Some(TaskErrorKind::Cancelled) => {
                !runs && (self.asked != Asked::Nothing || ended != End::Open)
            }
            Some(TaskErrorKind::Killed) => self.asked == Asked::Stopped || ended == End::Killed,
            Some(TaskErrorKind::WorkerDied) => self.blamed,
            Some(TaskErrorKind::TimedOut) => {
                let too_late = self
                    .terms
                    .deadline
                    .is_some_and(|deadline| deadline.at <= now);
                let limit = self.terms.limit.filter(|_| runs);
                too_late || limit.is_some_and(|limit| self.begun + limit <= now)
            }
            Some(TaskErrorKind::PoolBroken) => ended == End::Broken,
            Some(_) => false,
        }
    }
}

/// How an executor was ended, if it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    /// What had not begun was cancelled.
    Cancelled,
    Killed,
    Broken,
}

impl Simulation {
    pub(super) fn check(&mut self) {
        self.initialize();
        // A thread that was rung takes in answers, which may end others.
        while let Some(number) = self.a_call_that_is_done() {
            let known = self.calls.remove(&number).expect("it is known");
            self.check_end(number, &known);
        }
        self.check_stats();
    }

    fn a_call_that_is_done(&self) -> Option<u64> {
        let locked = self.pool.lock();
        let mut calls = self.calls.iter();
        let is_done = |(_, known): &(&u64, &Known)| locked.call(known.id).is_done();
        calls.find(is_done).map(|(number, _)| *number)
    }

    /// Initializers that have returned make their workers ready.
    fn initialize(&mut self) {
        let mut locked = self.pool.lock();
        for (slot, seat) in &mut self.seats {
            let is_done = |id: &mut CallId| locked.call(*id).is_done();
            let Some(id) = seat.initializer.take_if(is_done) else {
                continue;
            };
            let returned = locked.call(id).failure().is_none();
            locked.release(id);
            if let Some(member) = locked.member(*slot) {
                member.ready = returned;
            }
            locked.turn();
        }
        self.orphans.retain(|&id| {
            let is_done = locked.call(id).is_done();
            if is_done {
                locked.release(id);
            }
            !is_done
        });
    }

    fn check_end(&mut self, number: u64, known: &Known) {
        let mut locked = self.pool.lock();
        let end = locked.call(known.id).failure();
        assert!(
            known.may_end(end, self.now, self.ended),
            "call {number} ended as {end:?}, which nothing explains"
        );
        match end {
            None => self.counts.completed += 1,
            Some(_) => self.counts.failed += 1,
        }
        match &known.waiter {
            None => {}
            Some(Sleeper::OnWorker(worker, slot, doorbell, count)) => {
                let seat = self.seats.get_mut(slot);
                if let Some(seat) = seat.filter(|seat| seat.number == *worker) {
                    seat.worker.ring();
                }
                assert_ne!(
                    doorbell.count(),
                    *count,
                    "a thread was not rung for call {number}"
                );
                leave(&mut locked, *worker, *slot);
            }
            Some(Sleeper::OnCall(signal)) => {
                assert_eq!(
                    signal.take(),
                    Some(0),
                    "a thread was not told of call {number}"
                );
                assert_eq!(
                    signal.take(),
                    None,
                    "a thread was told twice of call {number}"
                );
            }
        }
        locked.release(known.id);
    }

    fn check_stats(&mut self) {
        let stats = self.pool.lock().stats();
        let counts = &self.counts;
        assert_eq!(stats.pending, self.calls.len(), "pending");
        assert_eq!(stats.completed, counts.completed, "completed");
        assert_eq!(stats.failed, counts.failed, "failed");
        assert_eq!(stats.retried, counts.restarts, "retried");
        assert_eq!(stats.alive, self.seats.len(), "alive");
        let ended = stats.workers_died + stats.workers_recycled;
        assert_eq!(ended, counts.buried, "ended");
        assert_eq!(stats.workers_started, counts.hired, "started");
    }
}
