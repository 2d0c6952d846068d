//! A simulated executor: the real driver, scheduler, rings and bells, with workers, waiting threads, the
//! supervising thread and time moved by hand, in an order that follows from a seed alone.
//!
//! What the supervising thread does for an executor's processes is done here for what stands for them:
//! as many workers come as are sought, those that are killed die some time later, how they died is told
//! later still. It looks only when something wakes it. So do workers, which run calls only while they
//! are awake, and threads that sleep on a worker. At the end all behave well, and time passes only when
//! nobody has anything to do: then every call has to come to its end.

mod checks;
mod workers;

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_worker::channel::{Doorbell, events};

use super::super::{Locked, Pool};
use crate::calls::CallId;
use crate::gate::Breakdown;
use crate::member::{Sentence, fixture};
use crate::scheduler::{Cancelled, QueueLimit, Size};
use crate::sys::{self, Readiness, clock};
use crate::terms::{Deadline, Terms};
use crate::waiter::{Signal, Waiter};
use checks::End;
use workers::Seat;

/// When the time begins.
const BEGINNING: Duration = Duration::from_secs(1000);
/// The most workers of an executor.
const MOST: usize = 4;
/// How often the supervising thread looks while calls may have to move.
const BALANCE_EVERY: Duration = Duration::from_millis(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A call as the simulation knows it.
struct Known {
    id: CallId,
    terms: Terms,
    /// The slot that it is bound to.
    slot: Option<usize>,
    /// How many workers have begun it, and how often that was to be forgotten.
    runs: u32,
    restarts: u32,
    /// When the last one has.
    begun: Duration,
    answered: bool,
    asked: Asked,
    /// A worker has died in it, or was taken to have.
    blamed: bool,
    /// A thread that waits for it.
    waiter: Option<Sleeper>,
}

/// What was done about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// It was cancelled, and never begins any more.
    Cancelled,
    /// It was stopped, running or not.
    Stopped,
}

/// A thread that waits for a call.
enum Sleeper {
    /// It sleeps on the worker of this number, in this slot, until the doorbell was rung more often.
    OnWorker(u64, usize, Doorbell, u32),
    /// It sleeps until somebody tells.
    OnCall(Arc<Signal>),
}

/// How many calls there were, by what became of them.
#[derive(Default)]
struct Counts {
    completed: u64,
    failed: u64,
    restarts: u64,
    hired: u64,
    buried: u64,
}

pub(super) struct Simulation {
    pool: Pool,
    random: u64,
    seats: BTreeMap<usize, Seat>,
    calls: BTreeMap<u64, Known>,
    remains: Vec<(Sentence, Vec<CallId>)>,
    counts: Counts,
    now: Duration,
    /// What the supervising thread sleeps until.
    alarm: Option<Duration>,
    /// The next number of a call or a worker.
    next: u64,
    /// Workers have initializers.
    initializes: bool,
    /// Slots may be given up, and calls that are bound to them run elsewhere.
    resized: bool,
    /// How many workers the supervising thread seeks.
    sought: usize,
    /// Initializers of workers that have died.
    orphans: Vec<CallId>,
    ended: End,
}

impl Simulation {
    pub(super) fn new(seed: u64) -> Self {
        clock::set::set(BEGINNING);
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let most = 1 + below(&mut random, MOST);
        let size = Size {
            most,
            least: [0, 1, usize::MAX][below(&mut random, 3)],
            idle_timeout: [None, None, Some(5 * MILLISECOND)][below(&mut random, 3)],
        };
        let grace = [None, None, Some(20 * MILLISECOND)][below(&mut random, 3)];
        Self {
            pool: Pool::with_spinners(0, size, grace, QueueLimit::default()).unwrap(),
            initializes: below(&mut random, 4) == 0,
            random,
            seats: BTreeMap::new(),
            calls: BTreeMap::new(),
            remains: Vec::new(),
            counts: Counts::default(),
            now: BEGINNING,
            alarm: Some(BEGINNING),
            next: 0,
            resized: false,
            sought: 0,
            orphans: Vec::new(),
            ended: End::Open,
        }
    }

    /// Whatever may happen happens, then all are let come to their end.
    pub(super) fn run(mut self) {
        for _ in 0..50 + self.below(200) {
            self.step();
            self.check();
        }
        match self.below(8) {
            0 => self.end(End::Killed, |locked| {
                locked.close();
                locked.kill_all();
            }),
            1 => self.end(End::Broken, |locked| {
                locked.break_down(Arc::new(Breakdown("a test".into())));
            }),
            2 => self.end(End::Cancelled, |locked| {
                locked.close();
                locked.cancel_queued();
            }),
            3 => self.end(End::Open, |locked| locked.close()),
            _ => {}
        }
        self.drain();
        self.finish();
    }

    fn below(&mut self, limit: usize) -> usize {
        below(&mut self.random, limit)
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn step(&mut self) {
        let slot = self.below(MOST);
        match self.below(40) {
            0..=4 => self.submit_some(),
            5..=13 => drop(self.claim(slot)),
            14..=22 => drop(self.answer(slot)),
            23 => self.cancel(),
            24 => self.stop(),
            25 => self.die(slot),
            26 => self.explain(),
            27 => self.tell(),
            28..=30 => self.hire(),
            31 => self.wait(),
            32..=33 => drop(self.wake_sleepers()),
            34 => self.pass_time(),
            35 if self.one_in(3) => self.lie(slot),
            36 if self.one_in(8) => self.retire(slot),
            37 if self.one_in(8) => self.resize(),
            38 => self.forget(),
            _ if self.is_due() || self.one_in(4) => self.supervise(),
            _ => {}
        }
        for slot in 0..MOST {
            if self.is_doomed(slot) {
                match self.below(3) {
                    0 => self.die(slot),
                    // It is quicker than the signal.
                    1 => drop(self.answer(slot) && self.claim(slot)),
                    _ => {}
                }
            }
        }
    }

    /// Submits calls, one by one or as a map does.
    fn submit_some(&mut self) {
        let mut locked = self.pool.lock();
        if locked.refusal(|| "task").is_some() {
            return;
        }
        let at_once = below(&mut self.random, 2) == 0;
        for _ in 0..=below(&mut self.random, 6) {
            let number = self.next;
            self.next += 1;
            let mut terms = Terms::default();
            if below(&mut self.random, 3) == 0 {
                let allowed = 60 * MILLISECOND;
                let at = self.now + allowed;
                terms = Terms {
                    limit: [None, Some(5 * MILLISECOND)][below(&mut self.random, 2)],
                    retries: [0, 1, 2][below(&mut self.random, 3)],
                    priority: [-1, 0, 0, 1][below(&mut self.random, 4)],
                    deadline: [None, Some(Deadline { at, allowed })][below(&mut self.random, 2)],
                };
            }
            let (task, arguments) = (fixture::task(), fixture::arguments(number));
            let kept = locked.kept_slots();
            let slot = (below(&mut self.random, 8) == 0 && !kept.is_empty())
                .then(|| kept[below(&mut self.random, kept.len())]);
            let id = match slot {
                None => locked.submit_single(task, arguments, &terms),
                Some(slot) => locked.submit_bound(slot, task, arguments, &terms),
            };
            self.calls.insert(number, Known::new(id, terms, slot));
            if slot.is_some() {
                locked.turn();
            } else if !at_once {
                locked.submitted();
            }
        }
        if at_once {
            locked.turn();
        }
    }

    /// A random call that may not be done.
    fn any(&mut self) -> Option<u64> {
        let count = self.calls.len();
        let index = (count > 0).then(|| self.below(count))?;
        self.calls.keys().nth(index).copied()
    }

    fn cancel(&mut self) {
        let Some(number) = self.any() else { return };
        let known = self.calls.get_mut(&number).unwrap();
        let mut locked = self.pool.lock();
        if locked.cancel(known.id) == Cancelled::Yes {
            known.asked = Asked::Cancelled;
        }
        locked.turn();
    }

    fn stop(&mut self) {
        let Some(number) = self.any() else { return };
        let known = self.calls.get_mut(&number).unwrap();
        let mut locked = self.pool.lock();
        if locked.stop(known.id) {
            known.asked = Asked::Stopped;
            let is_over = locked.call(known.id).is_done();
            let runs = self.seats.values().any(|seat| seat.runs == Some(number));
            // Its worker has died by itself, of which nobody has told yet.
            let remains = self.remains.iter().any(|(_, ids)| ids.contains(&known.id));
            assert!(
                is_over || runs || remains,
                "a worker is killed for a call that it has answered"
            );
        }
        locked.turn();
    }

    fn pass_time(&mut self) {
        let time = [0, 1, 1, 2, 7, 80][self.below(6)] * MILLISECOND;
        self.set_time(self.now + time);
    }

    fn set_time(&mut self, now: Duration) {
        self.now = now;
        clock::set::set(now);
    }

    fn resize(&mut self) {
        let workers = 1 + self.below(MOST);
        self.resized = true;
        let mut locked = self.pool.lock();
        locked.resize(workers);
        locked.turn();
    }

    fn end(&mut self, end: End, how: impl Fn(&mut Locked<'_>)) {
        self.ended = end;
        let mut locked = self.pool.lock();
        how(&mut locked);
        locked.turn();
    }

    /// A thread begins to wait for a call.
    fn wait(&mut self) {
        let Some(number) = self.any() else { return };
        if self.calls[&number].waiter.is_none() {
            self.look_for(number);
        }
    }

    /// A thread gives up to wait for a call, as it has no time left.
    fn forget(&mut self) {
        let Some(number) = self.any() else { return };
        let known = self.calls.get_mut(&number).unwrap();
        match known.waiter.take() {
            None => {}
            Some(Sleeper::OnWorker(worker, slot, ..)) => leave(&mut self.pool.lock(), worker, slot),
            Some(Sleeper::OnCall(signal)) => self.pool.forget(known.id, &signal),
        }
    }

    /// What a thread does that waits for a call, up to where it sleeps: as `Pool::wait`.
    fn look_for(&mut self, number: u64) {
        let known = self.calls.get_mut(&number).unwrap();
        let mut locked = self.pool.lock();
        locked.turn();
        known.waiter = None;
        while !locked.call(known.id).is_done() {
            let hungry = locked.queued() > 0;
            if let Some((slot, member)) = locked.holder(known.id)
                && let Some(doorbell) = member.attend()
            {
                let (worker, count) = (member.number, doorbell.count());
                if !member.arm_doorbell(events::ANSWER | member.flow(hungry)) {
                    known.waiter = Some(Sleeper::OnWorker(worker, slot, doorbell, count));
                    return;
                }
                leave(&mut locked, worker, slot);
                continue;
            }
            let signal = Arc::new(Signal::default());
            let waiter = Waiter::Thread(Arc::clone(&signal), 0);
            assert!(locked.wait(known.id, waiter).is_ok(), "it is not done");
            locked.turn();
            known.waiter = Some(Sleeper::OnCall(signal));
            return;
        }
    }

    /// Those threads look that were woken; whether there were any.
    fn wake_sleepers(&mut self) -> bool {
        // Those that sleep on a call are told of its end, and of nothing else.
        let is_awake = |known: &Known| matches!(&known.waiter, Some(Sleeper::OnWorker(.., doorbell, count)) if doorbell.count() != *count);
        let calls = self.calls.iter().filter(|(_, known)| is_awake(known));
        let woken: Vec<_> = calls.map(|(number, _)| *number).collect();
        for &number in &woken {
            let known = self.calls.get_mut(&number).unwrap();
            if let Some(Sleeper::OnWorker(worker, slot, ..)) = known.waiter {
                leave(&mut self.pool.lock(), worker, slot);
            }
            self.look_for(number);
        }
        !woken.is_empty()
    }

    /// Whether something wakes the supervising thread.
    fn is_due(&self) -> bool {
        let is_readable = |fd| {
            let ready = sys::poll([(fd, Readiness::Read)], Some(Duration::ZERO));
            ready.is_ok_and(|ready| ready.any(0))
        };
        let locked = self.pool.lock();
        self.alarm.is_some_and(|alarm| alarm <= self.now)
            || is_readable(self.pool.poke_fd().as_fd())
            || locked
                .members()
                .any(|member| is_readable(member.control.as_fd()))
    }

    /// What the supervising thread does each time: as `Supervisor::run`.
    fn supervise(&mut self) {
        loop {
            let mut locked = self.pool.lock();
            for slot in 0..locked.slots() {
                if let Some(member) = locked.member(slot)
                    && sys::take_bell(member.control.as_fd())
                {
                    member.rang();
                }
            }
            locked.retire_idle();
            let more = locked.look();
            for slot in 0..locked.slots() {
                let member = locked.member(slot);
                if let Some(member) = member.filter(|member| member.has_left_off()) {
                    member.see_off();
                    member.dismiss();
                }
            }
            self.sought = locked.openings();
            locked.seek(self.sought);
            locked.arm_alarms();
            if !more {
                let until =
                    |instant: Instant| self.now + instant.saturating_duration_since(sys::now());
                let balance = locked.is_balancing().then(|| self.now + BALANCE_EVERY);
                let alarms = [balance, locked.idle_alarm().map(until), locked.alarm()];
                self.alarm = alarms.into_iter().flatten().min();
                return;
            }
        }
    }

    /// All behave well from here on, somebody waits for each call, and time passes only where there is
    /// nothing to do.
    fn drain(&mut self) {
        for number in self.calls.keys().copied().collect::<Vec<_>>() {
            if self.calls[&number].waiter.is_none() {
                self.look_for(number);
            }
        }
        for _ in 0..100_000 {
            self.check();
            if self.pool.lock().is_over() || self.calls.is_empty() {
                return;
            }
            if !self.go_on() {
                let Some(alarm) = self.alarm else {
                    panic!("everybody sleeps for ever: {:?}", self.pool);
                };
                self.set_time(self.now.max(alarm));
            }
        }
        panic!("there is no end: {:?}", self.pool);
    }

    /// Everybody does what there is to do; whether there was anything.
    fn go_on(&mut self) -> bool {
        let mut any = self.wake_sleepers();
        for slot in 0..MOST {
            if self.is_doomed(slot) {
                self.die(slot);
                any = true;
            }
            any |= self.claim(slot);
            any |= self.answer(slot);
        }
        any |= !self.remains.is_empty();
        while !self.remains.is_empty() {
            self.explain();
        }
        if self.sought > 0 {
            self.hire();
            any = true;
        }
        self.tell();
        if self.is_due() {
            self.supervise();
            any = true;
        }
        any
    }

    /// The supervising thread comes to its end.
    fn finish(mut self) {
        let mut locked = self.pool.lock();
        drop(locked.dismiss());
        drop(locked);
        while !self.remains.is_empty() {
            self.explain();
        }
        self.seats.clear();
        self.check();
        assert!(self.calls.is_empty(), "calls are left over");
        let mut locked = self.pool.lock();
        assert_eq!((locked.outstanding(), locked.queued()), (0, 0));
        assert!(!locked.has_waiters() && !locked.is_ranked());
        assert_eq!(locked.take_told().len(), 0);
        drop(locked);
    }
}

/// A thread leaves the worker that it waited for.
fn leave(locked: &mut Locked<'_>, worker: u64, slot: usize) {
    if let Some(member) = locked.member(slot).filter(|member| member.number == worker) {
        member.leave();
    }
    locked.turn();
}

fn below(random: &mut u64, limit: usize) -> usize {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    usize::try_from(*random >> 11).unwrap() % limit
}
