//! Threads that wait, and workers that the tests move by hand.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Wake, Waker};
use std::thread;

use super::*;
use crate::member::fixture;
use crate::scheduler::{Cancelled, QueueLimit, Size};
use crate::task_error::TaskErrorKind;
use crate::terms::Terms;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);

/// A pool in which the only worker was dealt a call.
fn busy() -> (Pool, fixture::Worker, CallId) {
    let pool = Pool::new(Size::fixed(1), None, QueueLimit::default()).unwrap();
    let (member, worker) = fixture::worker(1, true);
    let mut locked = pool.lock();
    locked.admit(0, member);
    let id = locked.submit(fixture::task(), fixture::arguments(1), &Terms::default());
    locked.turn();
    drop(locked);
    (pool, worker, id)
}

/// What another thread does to a call between the moments at which a waiter has the lock.
type Meanwhile = fn(&Pool, &mut fixture::Worker, CallId);

#[test]
fn a_thread_does_not_sleep_on_a_worker_that_its_call_has_left() {
    let events: [(&str, Meanwhile); 4] = [
        ("it was answered", |_, worker, _| {
            worker.claim().unwrap();
            worker.answer();
        }),
        ("its answer was taken in", |pool, worker, id| {
            worker.claim().unwrap();
            worker.answer();
            assert!(pool.poll(id));
        }),
        ("it was cancelled", |pool, _, id| {
            assert_eq!(pool.lock().cancel(id), Cancelled::Yes);
        }),
        ("its worker died", |pool, _, _| {
            assert!(pool.lock().bury(0).is_some());
        }),
    ];
    for (what, meanwhile) in events {
        let (pool, mut worker, id) = busy();
        meanwhile(&pool, &mut worker, id);
        let start = Instant::now();
        pool.sleep_on_worker(pool.lock(), id, Haste::AtOnce, Some(start + LONG));
        assert!(start.elapsed() < LONG, "it slept although {what}");

        let (pool, mut worker, id) = busy();
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                let end = Some(Instant::now() + LONG);
                pool.sleep_on_worker(pool.lock(), id, Haste::AtOnce, end);
            });
            while pool
                .lock()
                .holder(id)
                .is_some_and(|(_, member)| !member.is_attended())
            {
                thread::yield_now();
            }
            let start = Instant::now();
            meanwhile(&pool, &mut worker, id);
            sleeper.join().unwrap();
            assert!(start.elapsed() < LONG, "it slept on although {what}");
        });
    }
}

#[test]
fn a_panic_under_the_lock_breaks_the_executor_and_hangs_nobody() {
    let (pool, _worker, id) = busy();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _locked = pool.lock();
        panic!("as a bug would");
    }));
    assert!(panicked.is_err());
    assert!(pool.wait(id, Haste::AtOnce, None).is_some());
    let kind = pool.lock().call(id).failure();
    assert_eq!(kind, Some(TaskErrorKind::PoolBroken));
    assert!(pool.lock().is_over());
}

#[test]
fn who_is_not_rung_is_rung_in_the_workers_place() {
    let (pool, mut worker, id) = busy();
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| pool.wait(id, Haste::AtOnce, None).is_some());
        while pool
            .lock()
            .holder(id)
            .is_some_and(|(_, member)| !member.is_attended())
        {
            thread::yield_now();
        }
        // As if the worker had written over its bell.
        pool.lock().holder(id).unwrap().1.silence();
        worker.claim().unwrap();
        worker.answer();
        let start = Instant::now();
        while !sleeper.is_finished() && start.elapsed() < LONG {
            pool.lock().ring_attendants();
            thread::yield_now();
        }
        assert!(sleeper.is_finished(), "it was rung in vain");
        assert!(sleeper.join().unwrap());
    });
}

#[test]
fn who_waits_at_leisure_is_woken_for_who_does_not() {
    let wait = |pool: &Pool, id| {
        let waiter = Waiter::Thread(Arc::default(), 0);
        assert!(pool.lock().wait(id, waiter).is_ok());
    };
    for (events, is_woken) in [(events::IDLE, true), (events::ANSWER, false)] {
        let (pool, _worker, id) = busy();
        let mut locked = pool.lock();
        let (_, member) = locked.holder(id).unwrap();
        let doorbell = member.attend().unwrap();
        let count = doorbell.count();
        assert!(!member.arm_doorbell(events), "nothing has come yet");
        drop(locked);
        let limit = if is_woken { LONG } else { Duration::ZERO };
        thread::scope(|scope| {
            let start = Instant::now();
            let sleeper = scope.spawn(|| doorbell.sleep(count, Some(limit)));
            wait(&pool, id);
            sleeper.join().unwrap();
            assert!(start.elapsed() < LONG);
        });
        assert_eq!(doorbell.count() != count, is_woken);
        // Nobody sleeps any more.
        pool.lock().holder(id).unwrap().1.leave();
        let count = doorbell.count();
        wait(&pool, id);
        assert_eq!(doorbell.count(), count);
    }
}

/// A waker that needs the executor when it goes.
struct Needy(Arc<Pool>);

impl Wake for Needy {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Needy {
    fn drop(&mut self) {
        self.0.lock().turn();
    }
}

#[test]
fn wakers_may_use_the_executor() {
    let (finished, seen) = mpsc::channel();
    thread::spawn(move || {
        let (pool, _worker, id) = busy();
        let pool = Arc::new(pool);
        let mut future = pin!(fixture::future(&pool, id));
        for _ in 0..3 {
            let waker = Waker::from(Arc::new(Needy(Arc::clone(&pool))));
            let mut context = Context::from_waker(&waker);
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        finished.send(()).unwrap();
    });
    assert_eq!(seen.recv_timeout(LONG), Ok(()));
}
