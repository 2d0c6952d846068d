//! What wakes the supervising thread, and what does not.

use crate::driver::{Locked, Pool};
use crate::member::fixture;
use crate::scheduler::{QueueLimit, Size};

/// Whether it was woken as calls may have to move.
fn is_poked(locked: &Locked<'_>) -> bool {
    locked.state().poked && locked.state().unbalanced
}

#[test]
fn what_comes_and_goes_wakes_the_supervising_thread_once() {
    let pool = Pool::new(Size::fixed(2), None, QueueLimit::default()).unwrap();
    let mut locked = pool.lock();
    let (member, mut worker) = fixture::worker(1, true);
    let (idle, _idle) = fixture::worker(2, true);
    locked.admit(0, member);
    locked.admit(1, idle);
    locked.turn();
    locked.look();
    locked.arm_alarms();
    assert!(!locked.is_balancing());
    for round in 0..3 {
        for number in 0..2 {
            let call = locked.note_own(fixture::task(), fixture::arguments(number));
            assert!(locked.place_own(0, call));
        }
        locked.turn();
        assert!(
            locked.is_unbalanced(),
            "one has two calls, and one has none"
        );
        assert_eq!(is_poked(&locked), round == 0, "in round {round}");
        for number in 0..2 {
            assert_eq!(worker.claim(), Some(number));
            worker.answer();
        }
        locked.look();
        assert!(!locked.is_unbalanced(), "both have none");
        locked.arm_alarms();
        assert!(locked.is_balancing(), "it was not for nothing");
    }
}
