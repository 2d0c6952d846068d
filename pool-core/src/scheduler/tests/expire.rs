//! Calls whose time is limited, with a clock that the tests move.

use super::*;

fn limited(world: &mut World, number: u64, limit: Duration, retries: u32) -> CallId {
    let terms = Terms {
        limit: Some(limit),
        retries,
        ..Terms::default()
    };
    let arguments = fixture::arguments(number);
    let id = world.scheduler.submit(fixture::task(), arguments, &terms);
    let _ = world.scheduler.turn();
    id
}

fn sentence(world: &mut World) -> Sentence {
    world.scheduler.member(0).unwrap().sentence
}

fn pass(world: &mut World, time: Duration) {
    world.scheduler.expire(sys::monotonic() + time);
    world.scheduler.arm_alarm();
}

#[test]
fn the_clock_starts_with_the_claim() {
    let mut world = World::new(1, 1);
    let call = limited(&mut world, 1, LIMIT, 0);
    for hours in 1..10 {
        pass(&mut world, hours * LIMIT);
        let alarm = world.scheduler.alarm().unwrap();
        assert!(
            alarm > sys::monotonic() + hours * LIMIT,
            "the alarm is set anew for later"
        );
    }
    assert_eq!(sentence(&mut world), Sentence::None);
    let worker = world.workers[0].as_mut().unwrap();
    assert_eq!(worker.claim(), Some(1));
    pass(&mut world, 20 * LIMIT);
    assert!(matches!(sentence(&mut world), Sentence::Expired(_)));
    let (_, begun) = world.scheduler.bury(0).unwrap();
    assert_eq!(begun, [call]);
}

#[test]
fn a_call_is_stopped_and_the_next_one_is_not() {
    let mut world = World::new(1, 1);
    fast(&mut world);
    let first = limited(&mut world, 1, LIMIT, 0);
    let next = [
        submit(&mut world, 2, 8),
        limited(&mut world, 3, 3 * LIMIT, 0),
    ];
    let _ = world.scheduler.turn();
    assert_eq!(world.workers[0].as_mut().unwrap().claim(), Some(1));
    pass(&mut world, LIMIT / 2);
    assert_eq!(sentence(&mut world), Sentence::None);
    pass(&mut world, 2 * LIMIT);
    assert!(matches!(sentence(&mut world), Sentence::Expired(_)));
    assert_eq!(world.workers[0].as_mut().unwrap().claim(), None);
    assert_eq!(world.scheduler.queued(), next.len());
    // It was quicker than the signal, and yet too late.
    world.workers[0].as_mut().unwrap().say(100);
    let _ = world.scheduler.turn();
    let failure = world.scheduler.call(first).failure();
    assert_eq!(failure, Some(TaskErrorKind::TimedOut));
}

#[test]
fn what_was_answered_in_time_is_not_stopped() {
    let mut world = World::new(1, 1);
    let call = limited(&mut world, 1, LIMIT, 0);
    let worker = world.workers[0].as_mut().unwrap();
    worker.claim().unwrap();
    worker.answer();
    pass(&mut world, 2 * LIMIT);
    assert_eq!(sentence(&mut world), Sentence::None);
    assert!(world.scheduler.call(call).is_done());
    assert_eq!(world.scheduler.call(call).failure(), None);
    assert_eq!(world.scheduler.alarm(), None, "nothing is left to wake for");
}

#[test]
fn a_deadline_ends_what_waits_and_what_runs() {
    let mut world = World::new(1, 1);
    fast(&mut world);
    let at = sys::monotonic() + LIMIT;
    let terms = Terms {
        deadline: Some(Deadline { at, allowed: LIMIT }),
        ..Terms::default()
    };
    let submit = |world: &mut World, number| {
        let arguments = fixture::arguments(number);
        world.scheduler.submit(fixture::task(), arguments, &terms)
    };
    let placed = [submit(&mut world, 1), submit(&mut world, 2)];
    let _ = world.scheduler.turn();
    let queued = submit(&mut world, 3);
    assert_eq!(world.workers[0].as_mut().unwrap().claim(), Some(1));
    pass(&mut world, LIMIT);
    for id in [placed[1], queued] {
        let failure = world.scheduler.call(id).failure();
        assert_eq!(failure, Some(TaskErrorKind::TimedOut));
    }
    assert!(!world.scheduler.call(placed[0]).is_done());
    assert!(matches!(sentence(&mut world), Sentence::Expired(_)));
}

/// The error of a call whose worker has died in it.
fn worker_died() -> TaskError {
    TaskError::new(TaskErrorKind::WorkerDied, "task").worker(1)
}

#[test]
fn a_deadline_that_came_while_a_call_was_with_nobody_ends_it_afterwards() {
    let mut world = World::new(1, 1);
    let at = sys::monotonic() + LIMIT;
    let terms = Terms {
        deadline: Some(Deadline { at, allowed: LIMIT }),
        retries: 1,
        ..Terms::default()
    };
    let arguments = fixture::arguments(1);
    let call = world.scheduler.submit(fixture::task(), arguments, &terms);
    let _ = world.scheduler.turn();
    world.workers[0].as_mut().unwrap().claim().unwrap();
    world.die(0);
    assert_eq!(std::mem::take(&mut world.remains), [call]);
    pass(&mut world, LIMIT);
    assert!(
        !world.scheduler.call(call).is_done(),
        "it may have returned"
    );
    world.scheduler.died(call, worker_died());
    assert_eq!(world.scheduler.queued(), 1);
    assert!(world.scheduler.has_early_alarm());
    pass(&mut world, LIMIT);
    let failure = world.scheduler.call(call).failure();
    assert_eq!(failure, Some(TaskErrorKind::TimedOut));
}

#[test]
fn a_call_that_was_to_be_cancelled_begins_no_more() {
    let mut world = World::new(1, 1);
    let call = limited(&mut world, 1, LIMIT, 5);
    world.workers[0].as_mut().unwrap().claim().unwrap();
    assert_eq!(world.scheduler.cancel(call), Cancelled::Running);
    world.die(0);
    assert_eq!(std::mem::take(&mut world.remains), [call]);
    world.scheduler.died(call, worker_died());
    let failure = world.scheduler.call(call).failure();
    assert_eq!(failure, Some(TaskErrorKind::WorkerDied));
}

#[test]
fn a_call_that_never_seems_to_begin_ends_with_its_workers() {
    // With retries or without: they are for calls that have begun.
    for retries in [0, 300] {
        let mut world = World::new(1, 1);
        let call = limited(&mut world, 1, LIMIT, retries);
        let mut deaths = 0;
        while !world.scheduler.call(call).is_done() {
            let _ = world.scheduler.turn();
            world.die(0);
            deaths += 1;
            for id in std::mem::take(&mut world.remains) {
                assert_eq!(id, call);
                assert!(world.scheduler.call(id).is_poisoned());
                let error = TaskError::new(TaskErrorKind::Poisoned, "task");
                world.scheduler.died(id, error);
            }
            world.hire(0);
        }
        assert!((2..20).contains(&deaths), "{deaths} deaths");
        let failure = world.scheduler.call(call).failure();
        assert_eq!(failure, Some(TaskErrorKind::Poisoned));
    }
}

#[test]
fn a_call_that_ends_twice_counts_once() {
    let mut world = World::new(1, 1);
    let call = submit(&mut world, 1, 8);
    let other = submit(&mut world, 2, 8);
    for _ in 0..2 {
        let error = TaskError::new(TaskErrorKind::Killed, "task");
        world.scheduler.fail(call, error);
    }
    assert_eq!(world.scheduler.outstanding(), 1);
    assert!(!world.scheduler.call(other).is_done());
}

#[test]
fn a_call_that_is_to_be_stopped_while_it_is_with_nobody_begins_no_more() {
    let mut world = World::new(1, 1);
    let call = limited(&mut world, 1, LIMIT, 5);
    for deaths in 1..=2 {
        world.workers[0].as_mut().unwrap().claim().unwrap();
        world.die(0);
        assert_eq!(std::mem::take(&mut world.remains), [call]);
        if deaths == 2 {
            assert!(world.scheduler.stop(call), "it ends, and is not done yet");
        }
        world.scheduler.died(call, worker_died());
        assert_eq!(world.scheduler.call(call).is_done(), deaths == 2);
        world.hire(0);
        let _ = world.scheduler.turn();
    }
    let Some(Outcome::Failed(error)) = world.scheduler.take(call) else {
        panic!("it has failed")
    };
    assert_eq!(error.attempts(), 2);
    assert!(!world.scheduler.stop(call), "it is done");
}

#[test]
fn of_calls_that_end_with_the_executor_those_that_ran_were_tried() {
    let mut world = World::new(1, 1);
    let ran = limited(&mut world, 1, LIMIT, 5);
    world.workers[0].as_mut().unwrap().claim().unwrap();
    let waited = limited(&mut world, 2, LIMIT, 5);
    let _ = world.scheduler.turn();
    let reason = Arc::new(Breakdown("a test".into()));
    world.scheduler.break_down(reason);
    for (call, attempts) in [(ran, 1), (waited, 0)] {
        let Some(Outcome::Failed(error)) = world.scheduler.take(call) else {
            panic!("it has failed")
        };
        assert_eq!(error.kind(), TaskErrorKind::PoolBroken);
        assert_eq!(error.attempts(), attempts, "{error}");
    }
}
