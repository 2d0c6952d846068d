//! What workers do, and how they come and go.

use std::fs::File;

use super::{Asked, BTreeMap, CallId, Known, Sentence, Simulation, fixture};
use crate::member::Tenure;
use crate::scheduler::Scheduler;
use crate::task_error::{TaskError, TaskErrorKind};

/// How often a call may be the next one of a worker that dies before it is taken for the cause.
const MAX_SUSPICIONS: u8 = 8;

/// A worker's process.
pub(super) struct Seat {
    /// The number that its worker has.
    pub(super) number: u64,
    pub(super) worker: fixture::Worker,
    /// The call that it runs.
    pub(super) runs: Option<u64>,
    /// Its initializer, which is not done.
    pub(super) initializer: Option<CallId>,
    /// The supervising thread was told of it.
    is_told: bool,
}

impl Simulation {
    /// A worker comes, if any is sought.
    pub(super) fn hire(&mut self) {
        let calls = if self.one_in(4) {
            1 + self.below(8) as u64
        } else {
            u64::MAX
        };
        let number = self.next;
        let mut locked = self.pool.lock();
        let openings = locked.openings();
        locked.seek(openings);
        if self.sought == 0 || openings == 0 || locked.is_over() {
            return;
        }
        self.next += 2;
        self.sought = openings - 1;
        self.counts.hired += 1;
        let slot = locked.vacant_slot();
        let tenure = Tenure::of(calls);
        let (member, worker) = fixture::worker_of(number, !self.initializes, tenure);
        locked.admit(slot, member);
        let initializer = self.initializes.then(|| {
            let id = locked.note_own(fixture::task(), fixture::arguments(number + 1));
            assert!(locked.place_own(slot, id), "its ring is empty");
            id
        });
        locked.turn();
        let seat = Seat {
            number,
            worker,
            runs: None,
            initializer,
            is_told: false,
        };
        assert!(
            self.seats.insert(slot, seat).is_none(),
            "two workers have one slot"
        );
    }

    /// The supervising thread is told of workers that have come.
    pub(super) fn tell(&mut self) {
        let mut locked = self.pool.lock();
        for (slot, seat) in &mut self.seats {
            if !std::mem::replace(&mut seat.is_told, true)
                && let Some(member) = locked.member(*slot)
            {
                let pidfd = File::open("/dev/null").expect("it is there").into();
                member.forked(1, pidfd);
                locked.count_started();
                self.alarm = Some(self.now);
            }
        }
    }

    /// A worker that is awake and runs nothing looks for its next call; whether it has found one.
    pub(super) fn claim(&mut self, slot: usize) -> bool {
        let Some(seat) = self.seats.get_mut(&slot) else {
            return false;
        };
        let mut locked = self.pool.lock();
        let is_awake = locked.member(slot).is_some_and(|member| member.is_awake());
        drop(locked);
        if !is_awake || seat.worker.claimed.is_some() {
            return false;
        }
        let Some(number) = seat.worker.claim() else {
            // It has gone to sleep.
            return true;
        };
        if seat.number + 1 == number {
            return true;
        }
        seat.runs = Some(number);
        let call = self
            .calls
            .get_mut(&number)
            .expect("nobody knows of the call");
        call.runs += 1;
        call.begun = self.now;
        assert_eq!(call.runs, 1 + call.restarts, "call {number} ran twice");
        assert!(
            call.asked != Asked::Cancelled,
            "call {number} was cancelled and ran"
        );
        let strayed = call.slot.is_some_and(|bound| bound != slot);
        assert!(self.resized || !strayed, "call {number} strayed");
        true
    }

    /// A worker answers the call that it runs; whether it runs any.
    pub(super) fn answer(&mut self, slot: usize) -> bool {
        let Some(seat) = self.seats.get_mut(&slot) else {
            return false;
        };
        if seat.worker.claimed.is_none() {
            return false;
        }
        seat.worker.answer();
        if let Some(call) = seat
            .runs
            .take()
            .and_then(|number| self.calls.get_mut(&number))
        {
            call.answered = true;
        }
        true
    }

    /// A worker answers a call that it does not run.
    pub(super) fn lie(&mut self, slot: usize) {
        let guess = u32::try_from(1 + self.below(5)).unwrap();
        let Some(seat) = self.seats.get_mut(&slot) else {
            return;
        };
        let seq = seat.worker.claimed.map_or(guess, |seq| seq + guess);
        seat.worker.say(seq);
        let mut locked = self.pool.lock();
        locked.turn();
        let member = locked.member(slot).expect("it is a member");
        assert_ne!(member.sentence, Sentence::None, "a lie was believed");
    }

    pub(super) fn retire(&mut self, slot: usize) {
        let mut locked = self.pool.lock();
        locked.retire(slot);
        locked.turn();
    }

    /// Whether this worker was killed, or asked to end.
    pub(super) fn is_doomed(&self, slot: usize) -> bool {
        let mut locked = self.pool.lock();
        let member = locked.member(slot);
        member.is_some_and(|member| member.sentence != Sentence::None)
    }

    /// A worker dies, by itself or as it was killed.
    pub(super) fn die(&mut self, slot: usize) {
        let Some(seat) = self.seats.remove(&slot) else {
            return;
        };
        self.alarm = Some(self.now);
        self.counts.buried += 1;
        self.orphans.extend(seat.initializer);
        let mut locked = self.pool.lock();
        let (member, begun) = locked.bury(slot).expect("the worker is a member");
        assert_eq!(member.number, seat.number, "another worker sat in its slot");
        for &id in &begun {
            let Some(known) = find(&mut self.calls, id) else {
                assert_eq!(seat.initializer, Some(id), "nobody knows of the call");
                continue;
            };
            let ran_here = known.runs > known.restarts && !known.blamed;
            let is_suspect = locked.call(id).suspicions > MAX_SUSPICIONS;
            assert!(
                ran_here || is_suspect,
                "a death took a call that had not begun"
            );
            known.blamed = true;
        }
        let ran = begun.iter().filter(|id| seat.initializer != Some(**id));
        assert!(ran.count() <= 1, "one death took several calls");
        drop(locked);
        self.remains.push((member.sentence, begun));
    }

    /// It is told how a worker has died.
    pub(super) fn explain(&mut self) {
        if self.remains.is_empty() {
            return;
        }
        self.alarm = Some(self.now);
        let (sentence, begun) = self.remains.remove(0);
        let kind = match sentence {
            Sentence::OnRequest => TaskErrorKind::Killed,
            Sentence::Expired(_) => TaskErrorKind::TimedOut,
            _ => TaskErrorKind::WorkerDied,
        };
        let mut locked = self.pool.lock();
        for id in begun {
            let is_over = locked.call(id).is_done();
            Scheduler::died(&mut locked, id, TaskError::new(kind, "task"));
            let Some(known) = find(&mut self.calls, id) else {
                continue;
            };
            if !is_over && !locked.call(id).is_done() {
                self.counts.restarts += 1;
                known.blamed = false;
                known.restarts = known.runs;
            }
        }
    }
}

/// The call of this number in the table.
fn find(calls: &mut BTreeMap<u64, Known>, id: CallId) -> Option<&mut Known> {
    calls.values_mut().find(|known| known.id == id)
}
