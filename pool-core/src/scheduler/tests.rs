//! The scheduler with workers that the tests move by hand.

use std::collections::HashMap;
use std::os::fd::AsFd;

use pool_worker::channel::MAX_BODY;

use super::*;
use crate::member::Sentence;
use crate::member::fixture::{self, Worker};
use crate::sys::{self, Readiness};
use crate::terms::Deadline;
use crate::waiter::Signal;
use std::time::Duration;

mod expire;
mod order;
mod size;

/// How long some calls may run: longer than a test takes, which lets time pass as it likes.
const LIMIT: Duration = Duration::from_hours(1);

/// A call as the test knows it.
struct Known {
    id: CallId,
    /// The slot that it is bound to.
    slot: Option<usize>,
    runs: u32,
    /// How often it was begun anew.
    retries: u32,
    cancelled: bool,
    waiter: Option<Arc<Signal>>,
}

/// A scheduler, its workers, and what has to be true of both.
struct World {
    scheduler: Scheduler,
    workers: Vec<Option<Worker>>,
    calls: HashMap<u64, Known>,
    remains: Vec<CallId>,
    /// Slots may be given up, and calls that are bound to them run elsewhere.
    resized: bool,
    next: u64,
    random: u64,
}

impl World {
    fn new(slots: usize, seed: u64) -> Self {
        let mut world = Self::empty(Size::fixed(slots), seed);
        for slot in 0..slots {
            world.hire(slot);
        }
        world
    }

    /// One that no worker has come to yet.
    fn empty(size: Size, seed: u64) -> Self {
        Self {
            scheduler: Scheduler::new(size, 0).with_queue_limit(QueueLimit {
                calls: 1_000_000,
                ..QueueLimit::default()
            }),
            workers: (0..size.most).map(|_| None).collect(),
            calls: HashMap::new(),
            remains: Vec::new(),
            resized: false,
            next: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 11).unwrap() % limit
    }

    fn hire(&mut self, slot: usize) {
        if self.workers[slot].is_some() {
            return;
        }
        let (member, worker) = fixture::worker(self.next, true);
        self.next += 1;
        self.scheduler.admit(slot, member);
        self.workers[slot] = Some(worker);
    }

    fn submit(&mut self) {
        let number = self.next;
        self.next += 1;
        let mut terms = Terms::default();
        if self.below(3) == 0 {
            let at = sys::monotonic() + 2 * LIMIT;
            let deadline = Deadline { at, allowed: LIMIT };
            terms = Terms {
                limit: [None, Some(LIMIT)][self.below(2)],
                retries: u32::try_from(self.below(3)).unwrap(),
                priority: [-1, 0, 0, 1][self.below(4)],
                deadline: [None, Some(deadline)][self.below(2)],
            };
        }
        let arguments = fixture::arguments(number);
        let slot = self.below(self.workers.len());
        let slot = (self.below(8) == 0).then_some(slot);
        let id = match slot {
            None => self.scheduler.submit(fixture::task(), arguments, &terms),
            Some(slot) => self
                .scheduler
                .submit_bound(slot, fixture::task(), arguments, &terms),
        };
        self.scheduler.count(id);
        let known = Known {
            id,
            slot,
            runs: 0,
            retries: 0,
            cancelled: false,
            waiter: None,
        };
        self.calls.insert(number, known);
    }

    /// A random call that may not be done.
    fn any(&mut self) -> Option<u64> {
        let count = self.calls.len();
        let index = if count == 0 {
            return None;
        } else {
            self.below(count)
        };
        let mut ids: Vec<_> = self.calls.keys().copied().collect();
        ids.sort_unstable();
        ids.get(index).copied()
    }

    fn claim(&mut self, slot: usize) {
        let Some(worker) = self.workers[slot].as_mut().filter(|w| w.claimed.is_none()) else {
            return;
        };
        if let Some(id) = worker.claim() {
            let call = self.calls.get_mut(&id).expect("the call is known");
            call.runs += 1;
            assert_eq!(call.runs, 1 + call.retries, "a call ran twice");
            assert!(!call.cancelled, "a cancelled call ran");
            assert!(
                self.resized || call.slot.is_none_or(|bound| bound == slot),
                "a call strayed"
            );
        }
    }

    fn answer(&mut self, slot: usize) {
        if let Some(worker) = self.workers[slot].as_mut().filter(|w| w.claimed.is_some()) {
            worker.answer();
        }
    }

    fn cancel(&mut self) {
        let Some(id) = self.any() else { return };
        let known = self.calls.get_mut(&id).unwrap();
        if self.scheduler.cancel(known.id) == Cancelled::Yes {
            assert_eq!(known.runs, known.retries, "a call that ran was cancelled");
            known.cancelled = true;
        }
    }

    fn kill(&mut self) {
        let Some(number) = self.any() else { return };
        let id = self.calls[&number].id;
        if self.scheduler.cancel(id) == Cancelled::Running {
            let killed = self.scheduler.stop(id);
            assert!(killed || self.scheduler.call(id).is_done() || self.remains.contains(&id));
        } else if self.scheduler.call(id).failure() == Some(TaskErrorKind::Cancelled) {
            self.calls.get_mut(&number).unwrap().cancelled = true;
        }
    }

    fn die(&mut self, slot: usize) {
        if self.workers[slot].take().is_some() {
            let (_, begun) = self.scheduler.bury(slot).expect("the worker is a member");
            let ran = |id: &&CallId| {
                self.calls
                    .values()
                    .any(|known| known.runs > 0 && known.id == **id)
            };
            assert!(
                begun.iter().filter(ran).count() <= 1,
                "one death took several calls"
            );
            self.remains.extend(begun);
        }
    }

    fn explain(&mut self) {
        for id in std::mem::take(&mut self.remains) {
            let error = TaskError::new(TaskErrorKind::WorkerDied, "task");
            let calls = &mut self.calls;
            let known = calls.values_mut().find(|known| known.id == id);
            self.scheduler.died(id, error);
            if let Some(known) = known.filter(|known| known.runs > known.retries)
                && !self.scheduler.call(id).is_done()
            {
                known.retries += 1;
            }
        }
    }

    /// Lets time pass, for those calls alone that are limited.
    fn expire(&mut self) {
        let later = LIMIT * u32::try_from(self.below(4)).unwrap();
        self.scheduler.expire(sys::monotonic() + later);
    }

    fn wait(&mut self) {
        let Some(id) = self.any() else { return };
        let known = self.calls.get_mut(&id).unwrap();
        if known.waiter.is_none() {
            let signal = Arc::new(Signal::default());
            let waiter = Waiter::Thread(Arc::clone(&signal), 0);
            if self.scheduler.wait(known.id, waiter).is_ok() {
                known.waiter = Some(signal);
            }
        }
    }

    fn forget(&mut self) {
        let Some(id) = self.any() else { return };
        let known = self.calls.get_mut(&id).unwrap();
        if let Some(signal) = known.waiter.take() {
            let is_meant = |waiter: &Waiter| matches!(waiter, Waiter::Thread(other, _) if Arc::ptr_eq(other, &signal));
            let _ = self.scheduler.forget(known.id, is_meant);
        }
    }

    fn step(&mut self) {
        let slot = self.below(self.workers.len());
        match self.below(40) {
            0..=7 => (0..self.below(6)).for_each(|_| self.submit()),
            8..=17 => self.claim(slot),
            18..=27 => self.answer(slot),
            28..=30 => self.cancel(),
            31 => self.kill(),
            32 => self.die(slot),
            33 => self.explain(),
            34 => self.hire(slot),
            35 => self.wait(),
            36 => self.forget(),
            37 => self.expire(),
            38 if self.below(4) == 0 => {
                let size = 1 + self.below(4);
                self.scheduler.resize(size);
                self.resized = true;
            }
            _ => {
                let _ = self.scheduler.turn();
            }
        }
        for slot in 0..self.workers.len() {
            if self.is_sentenced(slot) && self.below(3) == 0 {
                self.die(slot);
            }
        }
        self.check();
    }

    fn is_sentenced(&mut self, slot: usize) -> bool {
        let member = self.scheduler.member(slot);
        member.is_some_and(|member| member.sentence != Sentence::None)
    }

    fn check(&mut self) {
        for waiter in self.scheduler.take_told() {
            let Waiter::Thread(signal, number) = waiter else {
                panic!("not a thread")
            };
            signal.fire(number);
        }
        let scheduler = &self.scheduler;
        let pending = |known: &&Known| !scheduler.call(known.id).is_done();
        let queued = self
            .calls
            .values()
            .filter(pending)
            .filter(|known| scheduler.call(known.id).place.is_none());
        let waits = scheduler.queued() + scheduler.bound.len();
        assert_eq!(waits, queued.count(), "queued");
        let outstanding = self.calls.values().filter(pending).count();
        assert_eq!(scheduler.calls.load.calls, outstanding, "load");
        assert_eq!(scheduler.outstanding(), outstanding, "outstanding");
        let waiting = self
            .calls
            .values()
            .filter(pending)
            .filter(|known| known.waiter.is_some());
        assert_eq!(scheduler.waiting, waiting.count(), "waiting");
        self.calls.retain(|_, known| {
            if !self.scheduler.call(known.id).is_done() {
                return true;
            }
            if let Some(signal) = known.waiter.take() {
                assert_eq!(signal.take(), Some(0), "a waiter was not told");
            }
            self.scheduler.release(known.id);
            false
        });
    }

    /// Lets all workers work until nothing is left.
    fn drain(&mut self) {
        for _ in 0..100_000 {
            if self.calls.is_empty() {
                return;
            }
            for slot in 0..self.workers.len() {
                if self.is_sentenced(slot) {
                    self.die(slot);
                }
                self.hire(slot);
                self.claim(slot);
                self.answer(slot);
            }
            self.explain();
            let _ = self.scheduler.turn();
            self.check();
        }
        panic!("calls are left over: {:?}", self.scheduler);
    }
}

#[test]
fn every_call_ends_once_whatever_happens() {
    for seed in 1..=300 {
        let mut world = World::new(1 + usize::try_from(seed % 4).unwrap(), seed);
        for _ in 0..400 {
            world.step();
        }
        match seed % 5 {
            0 => world.scheduler.cancel_queued(),
            1 => world.scheduler.kill_all(),
            2 => world
                .scheduler
                .break_down(Arc::new(Breakdown("a test".into()))),
            _ => world.drain(),
        }
        world.explain();
        world.check();
        world.drain();
        assert_eq!(world.scheduler.waiting, 0);
        assert_eq!(world.scheduler.calls.used(), 0, "a slot is lost");
        assert_eq!(world.scheduler.calls.load.bytes, 0, "a weight is lost");
        assert!(!world.scheduler.calls.are_ranked(), "a priority is lost");
    }
}

#[test]
fn calls_behind_those_that_kill_their_workers_survive() {
    let mut world = World::new(1, 1);
    fast(&mut world);
    for _ in 0..100 {
        world.submit();
    }
    for _ in 0..20 {
        let _ = world.scheduler.turn();
        world.claim(0);
        world.die(0);
        assert_eq!(
            world.remains.len(),
            1,
            "a death took a call that had not begun"
        );
        world.explain();
        world.hire(0);
    }
    world.check();
}

/// A worker of which the scheduler knows that it is fast, so that it is dealt many calls.
fn fast(world: &mut World) {
    for _ in 0..100 {
        world.submit();
        let _ = world.scheduler.turn();
        world.claim(0);
        world.answer(0);
    }
    let _ = world.scheduler.turn();
    world.check();
}

fn submit(world: &mut World, number: u64, size: usize) -> CallId {
    let arguments = fixture::sized_arguments(number, size);
    world
        .scheduler
        .submit(fixture::task(), arguments, &Terms::default())
}

#[test]
fn a_ring_full_of_cancelled_calls_does_not_stop_the_next_one() {
    let mut world = World::new(1, 1);
    fast(&mut world);
    let first = submit(&mut world, 1000, 8);
    let _ = world.scheduler.turn();
    let mut worker = world.workers[0].take().unwrap();
    assert_eq!(worker.claim(), Some(1000));
    let cancelled: Vec<_> = (0..4)
        .map(|number| submit(&mut world, number, MAX_BODY))
        .collect();
    let _ = world.scheduler.turn();
    for id in cancelled {
        assert_eq!(world.scheduler.cancel(id), Cancelled::Yes);
    }
    let next = submit(&mut world, 2000, MAX_BODY);
    worker.answer();
    while world.scheduler.turn() {}
    assert!(world.scheduler.call(first).is_done());
    assert_eq!(world.scheduler.call(next).place, None);
    let control = &world.scheduler.member(0).unwrap().control;
    let rung = || {
        sys::poll([(control.as_fd(), Readiness::Read)], Some(Duration::ZERO))
            .unwrap()
            .any(0)
    };
    assert!(!rung());
    assert_eq!(worker.claim(), None);
    assert!(rung(), "nobody would ever deal the call");
    let _ = world.scheduler.turn();
    assert_eq!(worker.claim(), Some(2000));
}

/// What a hostile worker does.
type Lie = fn(&mut Worker);

#[test]
fn a_wrong_answer_ends_the_worker_and_loses_no_call() {
    let lies: [(&str, Lie); 2] = [
        ("the call behind the one that runs", |worker| {
            worker.claim().unwrap();
            worker.say(101);
        }),
        ("a call that it has not begun", |worker| worker.say(100)),
    ];
    for (what, lie) in lies {
        let mut world = World::new(1, 1);
        fast(&mut world);
        let calls = [submit(&mut world, 1, 8), submit(&mut world, 2, 8)];
        let _ = world.scheduler.turn();
        lie(world.workers[0].as_mut().unwrap());
        let _ = world.scheduler.turn();
        let sentence = world.scheduler.member(0).unwrap().sentence;
        assert!(
            matches!(sentence, Sentence::Violation(_)),
            "{what} was believed"
        );
        let (_, begun) = world.scheduler.bury(0).unwrap();
        assert_eq!(
            begun.len() + world.scheduler.queued(),
            calls.len(),
            "{what} lost a call"
        );
    }
}

#[test]
fn a_call_that_is_answered_before_it_was_sent_ends_the_worker() {
    let mut world = World::new(1, 1);
    let _call = submit(&mut world, 1, 4 * MAX_BODY + 1);
    let _ = world.scheduler.turn();
    assert!(world.scheduler.member(0).unwrap().is_streaming());
    let worker = world.workers[0].as_mut().unwrap();
    assert_eq!(worker.claim(), None, "the call is not there as a whole");
    worker.say(0);
    let _ = world.scheduler.turn();
    let _ = world.scheduler.turn();
    let sentence = world.scheduler.member(0).unwrap().sentence;
    assert!(matches!(sentence, Sentence::Violation(_)));
    assert_eq!(world.scheduler.bury(0).unwrap().1.len(), 1);
}

#[test]
fn a_worker_that_begins_nothing_loses_its_calls_and_its_life() {
    let mut world = World::new(1, 1);
    fast(&mut world);
    world.scheduler.member(0).unwrap().pid = Some(1);
    assert!(
        !world.scheduler.is_to_be_minded(),
        "it has nothing to begin"
    );
    let calls = [submit(&mut world, 1, 8), submit(&mut world, 2, 8)];
    let _ = world.scheduler.turn();
    assert!(world.scheduler.is_to_be_minded());
    assert!(world.scheduler.begin_minding() && !world.scheduler.is_to_be_minded());
    let unclaimed = world.scheduler.unclaimed();
    // It begins the first one at the last moment: it lives, and keeps what it has.
    let worker = world.workers[0].as_mut().unwrap();
    worker.claim().unwrap();
    world.scheduler.end_stuck(unclaimed[0]);
    assert_eq!(world.scheduler.member(0).unwrap().sentence, Sentence::None);
    assert_eq!(world.scheduler.queued(), 0);
    world.workers[0].as_mut().unwrap().answer();
    // That it was answered by now is no reason, either.
    world.scheduler.end_stuck(unclaimed[0]);
    assert_eq!(world.scheduler.member(0).unwrap().sentence, Sentence::None);
    let _ = world.scheduler.turn();
    let unclaimed = world.scheduler.unclaimed();
    assert_eq!(unclaimed.len(), 1);
    world.scheduler.end_stuck(unclaimed[0]);
    let sentence = world.scheduler.member(0).unwrap().sentence;
    assert!(matches!(sentence, Sentence::Violation(_)));
    assert_eq!(world.scheduler.queued(), 1, "the other one has not begun");
    assert!(world.scheduler.call(calls[0]).is_done());
}

#[test]
fn calls_with_pauses_between_them_are_minded_as_one() {
    let mut world = World::new(1, 1);
    assert!(!world.scheduler.begin_minding(), "nothing was done");
    for call in 0..3 {
        submit(&mut world, call, 8);
        let _ = world.scheduler.turn();
        assert_eq!(world.scheduler.is_to_be_minded(), call == 0);
        if call == 0 {
            assert!(world.scheduler.begin_minding());
        }
        let worker = world.workers[0].as_mut().unwrap();
        worker.claim().unwrap();
        worker.answer();
        let _ = world.scheduler.turn();
        assert!(!world.scheduler.is_to_be_minded());
        if call == 1 {
            assert!(world.scheduler.begin_minding(), "some returned");
        }
    }
    assert!(world.scheduler.begin_minding(), "one more returned");
    assert!(!world.scheduler.begin_minding(), "nothing was done since");
    let _doorbell = world.scheduler.member(0).unwrap().attend();
    assert!(world.scheduler.begin_minding(), "somebody sleeps on it");
    world.scheduler.member(0).unwrap().leave();
    assert!(!world.scheduler.begin_minding());
}

#[test]
fn an_initializer_that_runs_at_the_end_is_told_of_it() {
    let mut scheduler = Scheduler::new(Size::fixed(1), 0);
    let (member, _worker) = fixture::worker(0, false);
    scheduler.admit(0, member);
    let id = scheduler.note_own(fixture::task(), fixture::arguments(1));
    assert!(scheduler.place_own(0, id));
    assert_eq!(scheduler.dismiss().len(), 1);
    assert_eq!(scheduler.call(id).failure(), Some(TaskErrorKind::Killed));
}

#[test]
fn much_memory_is_given_back_without_the_lock() {
    let mut world = World::new(1, 1);
    for (size, kept) in [(8, 0), (1000, 0), (1_000_000, 1)] {
        let call = submit(&mut world, 1, size);
        assert_eq!(world.scheduler.cancel(call), Cancelled::Yes);
        world.scheduler.release(call);
        assert_eq!(world.scheduler.take_spent().len(), kept, "{size} bytes");
    }
}
