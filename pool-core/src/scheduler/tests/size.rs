//! How many workers are sought, and who goes.

use std::fs::File;
use std::thread;

use super::*;

/// Far less than a test takes.
const SHORT: Duration = Duration::from_millis(1);

/// A scheduler of such a size with nobody in it yet.
fn empty(size: Size) -> World {
    World::empty(size, 1)
}

fn on_demand(most: usize) -> World {
    let least = 0;
    empty(Size {
        least,
        ..Size::fixed(most)
    })
}

/// A worker comes that is alive, into the slot that is its own.
fn come(world: &mut World) -> usize {
    let slot = world.scheduler.vacant_slot();
    world.hire(slot);
    let pidfd = File::open("/dev/null").unwrap().into();
    world.scheduler.member(slot).unwrap().forked(1, pidfd);
    let _ = world.scheduler.turn();
    slot
}

/// A worker goes that was asked to, or has died.
fn go(world: &mut World, slot: usize) {
    world.die(slot);
    world.explain();
    let _ = world.scheduler.turn();
}

fn call(world: &mut World) {
    let number = world.next;
    world.next += 1;
    let id = submit(world, number, 8);
    world.scheduler.count(id);
    let known = Known {
        id,
        slot: None,
        runs: 0,
        retries: 0,
        cancelled: false,
        waiter: None,
    };
    world.calls.insert(number, known);
    let _ = world.scheduler.turn();
}

fn has_left_off(world: &mut World, slot: usize) -> bool {
    let member = world.scheduler.member(slot);
    member.is_some_and(|member| member.has_left_off())
}

#[test]
fn all_are_sought_where_the_size_is_fixed() {
    let mut world = empty(Size::fixed(3));
    for missing in (1..=3).rev() {
        assert_eq!(world.scheduler.openings(), missing);
        assert_eq!(world.scheduler.lacks_workers(), missing == 3);
        world.scheduler.seek(missing);
        assert!(!world.scheduler.lacks_workers(), "it is known");
        come(&mut world);
    }
    assert_eq!(world.scheduler.openings(), 0);
    go(&mut world, 1);
    assert_eq!(world.scheduler.openings(), 1);
    assert_eq!(come(&mut world), 1, "in the place of the dead");
}

#[test]
fn one_is_sought_for_each_call_that_no_idle_worker_could_take() {
    let mut world = on_demand(3);
    assert_eq!(world.scheduler.openings(), 0);
    for calls in 1..=5 {
        call(&mut world);
        assert_eq!(world.scheduler.openings(), calls.min(3));
    }
    for left in (0..3).rev() {
        come(&mut world);
        assert_eq!(world.scheduler.openings(), left);
    }
    world.drain();
    for slot in 0..3 {
        go(&mut world, slot);
    }
    assert_eq!(world.scheduler.openings(), 0, "nothing is to be done");
    come(&mut world);
    call(&mut world);
    assert_eq!(world.scheduler.openings(), 0, "it is taken by the idle one");
}

#[test]
fn one_that_is_being_set_up_is_on_its_way() {
    let mut world = on_demand(3);
    call(&mut world);
    let (member, _worker) = fixture::worker(7, false);
    world.scheduler.admit(0, member);
    let _ = world.scheduler.turn();
    assert_eq!(world.scheduler.openings(), 0);
    call(&mut world);
    assert_eq!(world.scheduler.openings(), 1, "for the other call");
}

#[test]
fn behind_a_short_call_nobody_is_sought_for_but_somebody_looks() {
    let mut world = on_demand(2);
    come(&mut world);
    for _ in 0..100 {
        call(&mut world);
        world.claim(0);
        world.answer(0);
    }
    let _ = world.scheduler.turn();
    call(&mut world);
    call(&mut world);
    assert_eq!(world.scheduler.openings(), 0);
    assert!(world.scheduler.is_unbalanced(), "it may get stuck");
    let start = std::time::Instant::now();
    while world.scheduler.openings() == 0 {
        assert!(start.elapsed() < Duration::from_secs(10));
        thread::yield_now();
        let _ = world.scheduler.turn();
    }
    assert_eq!(world.scheduler.openings(), 1);
}

#[test]
fn the_idle_go_first_and_the_busy_keep_what_they_have_begun() {
    let mut world = on_demand(4);
    for _ in 0..4 {
        come(&mut world);
    }
    call(&mut world);
    call(&mut world);
    for slot in 0..2 {
        world.claim(slot);
    }
    world.scheduler.resize(1);
    let gone: Vec<_> = (0..4)
        .filter(|&slot| has_left_off(&mut world, slot))
        .collect();
    assert_eq!(gone, [2, 3]);
    assert!(world.scheduler.member(0).unwrap().takes_calls());
    assert!(!world.scheduler.member(1).unwrap().takes_calls());
    call(&mut world);
    world.answer(1);
    let _ = world.scheduler.turn();
    assert!(has_left_off(&mut world, 1), "it has done what it had begun");
    assert_eq!(world.scheduler.openings(), 0);
    world.answer(0);
    world.drain();
}

#[test]
fn what_surplus_workers_have_not_begun_goes_to_others() {
    let mut world = on_demand(2);
    for _ in 0..2 {
        come(&mut world);
    }
    call(&mut world);
    call(&mut world);
    world.claim(0);
    world.scheduler.resize(1);
    assert_eq!(world.scheduler.queued(), 1, "it was not begun");
    world.answer(0);
    let _ = world.scheduler.turn();
    world.claim(0);
    world.answer(0);
    let _ = world.scheduler.turn();
    world.check();
    assert!(world.calls.is_empty());
}

#[test]
fn surplus_workers_stay_if_others_go_or_the_size_grows() {
    for grows in [true, false] {
        let mut world = on_demand(2);
        for slot in 0..2 {
            come(&mut world);
            call(&mut world);
            world.claim(slot);
        }
        world.scheduler.resize(1);
        assert!(!world.scheduler.member(1).unwrap().takes_calls());
        if grows {
            world.scheduler.resize(2);
        } else {
            go(&mut world, 0);
        }
        assert!(world.scheduler.member(1).unwrap().takes_calls());
        assert_eq!(world.scheduler.openings(), 0);
    }
}

#[test]
fn one_that_comes_after_the_size_has_shrunk_goes() {
    let mut world = empty(Size::fixed(2));
    come(&mut world);
    world.scheduler.resize(1);
    let slot = come(&mut world);
    assert!(has_left_off(&mut world, slot));
    assert!(!has_left_off(&mut world, 0));
}

#[test]
fn the_idle_go_after_a_while_as_far_as_they_are_not_kept() {
    let mut world = empty(Size {
        least: 1,
        idle_timeout: Some(SHORT),
        ..Size::fixed(3)
    });
    come(&mut world);
    assert_eq!(world.scheduler.idle_alarm(), None, "one is kept");
    come(&mut world);
    come(&mut world);
    assert!(world.scheduler.has_unseen_idle());
    world.scheduler.arm_idle_alarm();
    assert!(!world.scheduler.has_unseen_idle());
    call(&mut world);
    while world.scheduler.idle_alarm().is_some() {
        world.scheduler.retire_idle();
        thread::yield_now();
    }
    let left = |slot: &usize| has_left_off(&mut world, *slot);
    assert_eq!((0..3).filter(left).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(world.scheduler.openings(), 0);
}

#[test]
fn nobody_goes_while_calls_wait() {
    let mut world = empty(Size {
        least: 0,
        idle_timeout: Some(Duration::ZERO),
        ..Size::fixed(1)
    });
    come(&mut world);
    submit(&mut world, 1, 8);
    assert_eq!(world.scheduler.idle_alarm(), None);
    world.scheduler.retire_idle();
    let _ = world.scheduler.turn();
    assert_eq!(world.scheduler.queued(), 0, "it was dealt");
}

#[test]
fn who_has_to_go_runs_what_is_for_it_alone() {
    let mut world = empty(Size::fixed(2));
    for slot in 0..2 {
        come(&mut world);
        call(&mut world);
        world.claim(slot);
    }
    assert_eq!(world.scheduler.kept_slots(), [0, 1]);
    let own = bound(&mut world, 1);
    let _ = world.scheduler.turn();
    world.scheduler.resize(1);
    let _ = world.scheduler.turn();
    assert_eq!(world.scheduler.kept_slots(), [0]);
    world.answer(1);
    let _ = world.scheduler.turn();
    assert!(!has_left_off(&mut world, 1));
    let worker = world.workers[1].as_mut().unwrap();
    assert_eq!(worker.claim(), Some(BOUND));
    worker.answer();
    let _ = world.scheduler.turn();
    assert!(world.scheduler.call(own).is_done());
    assert!(has_left_off(&mut world, 1));
}

#[test]
fn who_is_waited_for_by_a_call_of_its_own_is_sought_as_long_as_there_can_be_one_more() {
    for shrinks in [false, true] {
        let mut world = on_demand(2);
        come(&mut world);
        let own = bound(&mut world, 1);
        let _ = world.scheduler.turn();
        assert_eq!(world.scheduler.openings(), 1);
        assert_eq!(world.scheduler.vacant_slot(), 1);
        let slot = usize::from(!shrinks);
        if shrinks {
            world.scheduler.resize(1);
            let _ = world.scheduler.turn();
            assert_eq!(world.scheduler.openings(), 0);
        } else {
            come(&mut world);
        }
        let worker = world.workers[slot].as_mut().unwrap();
        assert_eq!(worker.claim(), Some(BOUND));
        worker.answer();
        let _ = world.scheduler.turn();
        assert!(world.scheduler.call(own).is_done());
    }
}

/// What names a call for one worker.
const BOUND: u64 = 1_000_000;

fn bound(world: &mut World, slot: usize) -> CallId {
    let arguments = fixture::arguments(BOUND);
    let terms = Terms::default();
    let id = world
        .scheduler
        .submit_bound(slot, fixture::task(), arguments, &terms);
    world.scheduler.count(id);
    id
}
