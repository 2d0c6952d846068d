//! Threads that wait, under loom, the model checker: the driver, its scheduler and both ends of a channel,
//! in every order in which threads can meet, as far as so many preemptions reach as [`explore`] is told.
//! Whoever is not woken sleeps for ever, as there is no time, and loom tells of that.
//!
//! In some, one worker has two calls before it, and what stands for the supervising thread hears of
//! bells and of what else wakes it, and takes its turns. In others there is no worker, and a thread that has
//! taken in an answer ends a call as another one waits for it. Nobody comes, dies or expires. `models` of
//! `pool-worker` says how they are run, and has those of the channel alone.
//!
//! Once a schedule has as many preemptions as it may have, loom tries no other orders of what follows: one
//! preemption more than an order takes is needed to find it.

use std::future::Future;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::time::{Duration, Instant};

use pool_worker::channel::{Payload, WorkerEnd, await_event, explore};
use pool_worker::codec::Encoded;
use pool_worker::protocol::Status;

use super::Haste;
use crate::calls::CallId;
use crate::driver::Pool;
use crate::member::{Tenure, fixture};
use crate::scheduler::{QueueLimit, Size};
use crate::sync::thread::{self, JoinHandle};
use crate::sys::{self, Readiness, clock};
use crate::waiter::{Signal, Waiter};

/// What a thread has that is no worker, in words: loom gives a thread few.
const STACK: usize = 64 * 1024;

/// An executor whose worker has two calls before it, and its threads.
struct Model {
    pool: Arc<Pool>,
    calls: [CallId; 2],
    worker: JoinHandle<()>,
    supervisor: JoinHandle<()>,
}

/// One in which nobody looks instead of sleeping.
fn pool() -> Pool {
    // A worker's pace does not depend on how fast this machine is.
    clock::set::set(Duration::from_secs(1));
    Pool::with_spinners(0, Size::fixed(1), None, QueueLimit::default()).unwrap()
}

impl Model {
    fn new() -> Self {
        let pool = pool();
        let (member, end) = fixture::ends(1, true, Tenure::of(u64::MAX));
        let mut locked = pool.lock();
        locked.admit(0, member);
        let calls = [0, 1].map(|number| {
            let id = locked.note_own(fixture::task(), fixture::arguments(number));
            assert!(locked.place_own(0, id), "its ring is empty");
            id
        });
        assert!(locked.begin_minding(), "they have not begun");
        locked.turn();
        drop(locked);
        let pool = Arc::new(pool);
        let theirs = Arc::clone(&pool);
        Self {
            pool,
            calls,
            worker: spawn(|| serve(end)),
            supervisor: spawn(move || supervise(&theirs)),
        }
    }

    /// Waits for a call on the calling thread.
    fn wait(&self, id: CallId) {
        assert!(self.pool.wait(id, Haste::AtOnce, None).is_some());
    }

    /// Ends the executor once both calls are done.
    fn end(self) {
        self.worker.join().unwrap();
        let mut locked = self.pool.lock();
        locked.turn();
        assert!(!locked.has_waiters(), "somebody waits for what is done");
        locked.close();
        locked.turn();
        drop(locked);
        self.supervisor.join().unwrap();
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let thread = thread::Builder::new().stack_size(STACK);
    thread.spawn(run).unwrap()
}

/// Tries all orders of a model, whose own thread has more of a stack than loom gives it.
fn try_orders(preemptions: usize, model: fn(Model)) {
    explore(preemptions, move || {
        spawn(move || model(Model::new())).join().unwrap();
    });
}

/// What the worker does: it answers both calls.
fn serve(mut end: WorkerEnd) {
    for _ in 0..2 {
        let mut arguments = Encoded::default();
        let call = end.next_call(&mut arguments, &mut Vec::new(), || ());
        end.answer(call.seq, Status::Returned, &[]);
    }
}

/// What the supervising thread does, which has looked before: as `Supervisor::run`.
fn supervise(pool: &Pool) {
    let is_readable = |socket: BorrowedFd<'_>| {
        let ready = sys::poll([(socket, Readiness::Read)], Some(Duration::ZERO));
        ready.is_ok_and(|ready| ready.any(0))
    };
    let mut events = 0;
    let mut more = false;
    loop {
        if !more {
            events = await_event(events);
        }
        let mut locked = pool.lock();
        if let Some(member) = locked.member(0)
            && is_readable(member.control.as_fd())
            && sys::take_bell(member.control.as_fd())
        {
            member.rang();
        }
        more = locked.look();
        if locked.is_over() {
            return;
        }
        locked.arm_alarms();
    }
}

/// What wakes a task that awaits a call.
#[derive(Default)]
struct Alarm(Signal);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fire(0);
    }
}

/// One that hears of the worker leaves as soon as its call is done. Another one's call is not, and it sleeps
/// until it is told.
fn hand_over(model: Model) {
    let [first, second] = model.calls;
    let signal = Arc::new(Signal::default());
    let waiter = Waiter::Thread(Arc::clone(&signal), 7);
    model.pool.register(second, waiter);
    model.wait(first);
    assert!(signal.sleep(None));
    assert_eq!(signal.take(), Some(7));
    model.end();
}

#[test]
fn who_leaves_hands_over_to_the_supervising_thread() {
    try_orders(2, hand_over);
}

/// The supervising thread looks meanwhile, and may take in the answer that ends the wait.
#[test]
fn who_leaves_as_another_has_taken_its_answer_hands_over() {
    try_orders(1, |model| {
        model.pool.lock().poke();
        hand_over(model);
    });
}

/// Only one of them hears of the worker. It takes in the other one's answer with its own, and leaves as soon as
/// its own has come.
#[test]
fn two_threads_wait_for_one_worker() {
    try_orders(1, |model| {
        let [first, second] = model.calls;
        let pool = Arc::clone(&model.pool);
        let other = spawn(move || {
            assert!(pool.wait(first, Haste::AtOnce, None).is_some());
        });
        model.wait(second);
        other.join().unwrap();
        model.end();
    });
}

/// An executor without workers, whose only call is ended by another thread while the calling one does this.
fn as_a_call_ends(preemptions: usize, what: fn(&Arc<Pool>, CallId)) {
    explore(preemptions, move || {
        let waiter = spawn(move || {
            let pool = Arc::new(pool());
            let mut locked = pool.lock();
            let id = locked.note_own(fixture::task(), fixture::arguments(0));
            locked.turn();
            drop(locked);
            let theirs = Arc::clone(&pool);
            let other = spawn(move || theirs.lock().returned(id, Payload::default()));
            what(&pool, id);
            other.join().unwrap();
            assert!(!pool.lock().has_waiters(), "a waiter is left");
        });
        waiter.join().unwrap();
    });
}

#[test]
fn who_waits_for_a_call_is_told_of_its_end() {
    as_a_call_ends(6, |pool, id| {
        assert!(pool.wait(id, Haste::AtOnce, None).is_some());
    });
}

/// The thread waits anew after that.
#[test]
fn the_time_of_a_waiter_ends_as_its_call_does() {
    as_a_call_ends(6, |pool, id| {
        pool.sleep_on_call(pool.lock(), id, Some(Instant::now()));
        assert!(pool.wait(id, Haste::AtOnce, None).is_some());
    });
}

#[test]
fn who_awaits_a_call_is_woken() {
    as_a_call_ends(6, |pool, id| {
        let alarm = Arc::new(Alarm::default());
        let waker = Arc::clone(&alarm).into();
        let mut future = pin!(fixture::future(pool, id));
        while let Poll::Pending = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            assert!(alarm.0.sleep(None));
            alarm.0.take();
        }
    });
}

/// Its waker is woken or forgotten, and nobody waits any more.
#[test]
fn a_future_is_dropped_as_its_call_ends() {
    as_a_call_ends(6, |pool, id| {
        let alarm = Arc::new(Alarm::default());
        let waker = Arc::clone(&alarm).into();
        let mut future = Box::pin(fixture::future(pool, id));
        let _ = future.as_mut().poll(&mut Context::from_waker(&waker));
        drop(future);
        assert!(!pool.lock().has_waiters(), "a waiter is left");
    });
}
