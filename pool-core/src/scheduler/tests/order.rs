//! Which call begins next, and where.

use std::thread;

use super::*;

fn ranked(world: &mut World, number: u64, priority: i32) -> CallId {
    let terms = Terms {
        priority,
        ..Terms::default()
    };
    let arguments = fixture::arguments(number);
    world.scheduler.submit(fixture::task(), arguments, &terms)
}

fn bound(world: &mut World, number: u64, slot: usize) -> CallId {
    let (task, arguments) = (fixture::task(), fixture::arguments(number));
    world
        .scheduler
        .submit_bound(slot, task, arguments, &Terms::default())
}

/// Lets a worker begin and answer so many calls, and gives the numbers of those that it began.
fn work(world: &mut World, slot: usize, count: usize) -> Vec<u64> {
    (0..count)
        .map(|_| {
            let _ = world.scheduler.turn();
            let worker = world.workers[slot].as_mut().unwrap();
            let number = worker.claim().expect("the worker has a call");
            worker.answer();
            number
        })
        .collect()
}

#[test]
fn an_urgent_call_passes_what_waits_behind_a_long_one() {
    let mut world = World::new(1, 1);
    fast(&mut world);
    for number in 0..100 {
        submit(&mut world, number, 8);
    }
    let _ = world.scheduler.turn();
    let worker = world.workers[0].as_mut().unwrap();
    assert_eq!(worker.claim(), Some(0));
    ranked(&mut world, 1000, 5);
    // The worker does not answer for a while.
    thread::sleep(Duration::from_millis(5));
    let _ = world.scheduler.turn();
    assert_eq!(world.scheduler.queued(), 100, "nothing waits behind it");
    world.workers[0].as_mut().unwrap().answer();
    assert_eq!(work(&mut world, 0, 4), [1000, 1, 2, 3]);
    assert!(!world.scheduler.calls.are_ranked());
}

#[test]
fn little_is_dealt_ahead_of_calls_that_may_be_more_urgent() {
    let left = || {
        let mut world = World::new(1, 1);
        fast(&mut world);
        ranked(&mut world, 0, -1);
        for number in 1..2000 {
            submit(&mut world, number, 8);
        }
        let _ = world.scheduler.turn();
        world.scheduler.queued()
    };
    // A busy machine may make the worker look slow, which is then dealt one call.
    let more_than_one = (0..100).map(|_| left()).any(|left| {
        assert!(left > 1000);
        left < 1999
    });
    assert!(more_than_one);
}

#[test]
fn a_bound_call_waits_for_its_worker_alone() {
    let mut world = World::new(2, 1);
    world.die(1);
    let waiting = bound(&mut world, 1, 1);
    let placed = bound(&mut world, 2, 0);
    let _ = world.scheduler.turn();
    assert!(world.scheduler.call(waiting).place.is_none());
    assert_eq!(work(&mut world, 0, 1), [2]);
    world.hire(1);
    assert_eq!(work(&mut world, 1, 1), [1]);
    let _ = world.scheduler.turn();
    for id in [waiting, placed] {
        assert!(world.scheduler.call(id).is_done());
        world.scheduler.release(id);
    }
}

#[test]
fn a_bound_call_goes_to_the_successor_of_its_worker() {
    let mut world = World::new(2, 1);
    submit(&mut world, 1, 8);
    submit(&mut world, 2, 8);
    let _ = world.scheduler.turn();
    bound(&mut world, 3, 0);
    let _ = world.scheduler.turn();
    let number = world.workers[0].as_mut().unwrap().claim();
    world.die(0);
    assert_eq!(world.scheduler.bound.len(), 1, "it had not begun");
    world.hire(0);
    assert_eq!(work(&mut world, 0, 1), [3]);
    assert!(number.is_some_and(|number| number != 3));
}

#[test]
fn what_waits_behind_a_bound_call_can_be_moved() {
    let mut world = World::new(2, 1);
    for number in 0..3 {
        bound(&mut world, number, 0);
    }
    for number in 100..110 {
        submit(&mut world, number, 8);
    }
    let _ = world.scheduler.turn();
    assert_eq!(world.workers[0].as_mut().unwrap().claim(), Some(0));
    assert_eq!(world.scheduler.bound.len(), 2, "they wait outside");
    for number in 100..110 {
        assert_eq!(work(&mut world, 1, 1), [number]);
    }
    assert!(!world.scheduler.is_unbalanced(), "there is nothing to move");
    world.workers[0].as_mut().unwrap().answer();
    assert_eq!(work(&mut world, 0, 2), [1, 2]);
}

#[test]
fn a_bound_call_can_be_cancelled_wherever_it_is() {
    let mut world = World::new(1, 1);
    let placed = bound(&mut world, 2, 0);
    let _ = world.scheduler.turn();
    assert!(world.scheduler.call(placed).place.is_some());
    world.scheduler.member(0).unwrap().kill(Sentence::OnRequest);
    let waiting = bound(&mut world, 3, 0);
    let _ = world.scheduler.turn();
    for id in [placed, waiting] {
        assert_eq!(world.scheduler.cancel(id), Cancelled::Yes);
        assert_eq!(world.scheduler.cancel(id), Cancelled::Done);
        world.scheduler.release(id);
    }
    assert_eq!(world.scheduler.bound.len(), 0);
}

#[test]
fn nothing_waits_beyond_the_limit() {
    let limit = QueueLimit {
        calls: 2,
        bytes: 1000,
    };
    let mut scheduler = Scheduler::new(Size::fixed(1), 0).with_queue_limit(limit);
    let mut taken = Vec::new();
    while !scheduler.is_full() {
        let id = scheduler.submit(fixture::task(), fixture::arguments(1), &Terms::default());
        scheduler.count(id);
        taken.push(id);
    }
    assert_eq!(taken.len(), 3);
    assert_eq!(scheduler.cancel(taken[1]), Cancelled::Yes);
    scheduler.reserve();
    assert!(scheduler.is_full(), "its room is kept");
    scheduler.unreserve();
    let large = fixture::sized_arguments(1, 1500);
    let id = scheduler.submit(fixture::task(), large, &Terms::default());
    scheduler.count(id);
    assert_eq!(scheduler.cancel(taken[0]), Cancelled::Yes);
    assert!(scheduler.is_full(), "it is too heavy");
    let error = scheduler.queue_full("task");
    assert!(
        error
            .to_string()
            .contains("2 pending calls have 1508 bytes, and queue_bytes allows 1000"),
        "{error}"
    );
    assert_eq!(scheduler.cancel(id), Cancelled::Yes);
    assert!(!scheduler.is_full());
}
