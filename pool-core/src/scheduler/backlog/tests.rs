use super::*;

const A: Submitter = Submitter(1);
const B: Submitter = Submitter(2);

fn backlog(calls: impl IntoIterator<Item = (usize, i32, Submitter)>) -> Backlog {
    let mut backlog = Backlog::default();
    for (index, priority, submitter) in calls {
        backlog.push(CallId::at(index), priority, submitter);
    }
    backlog
}

/// The next so many calls, taken out.
fn take(backlog: &mut Backlog, count: usize) -> Vec<usize> {
    let one = |_| {
        let id = backlog.front().unwrap();
        backlog.pop_front();
        id.index()
    };
    (0..count).map(one).collect()
}

fn drain(backlog: &mut Backlog) -> Vec<usize> {
    std::iter::from_fn(|| {
        let id = backlog.front()?;
        backlog.pop_front();
        Some(id.index())
    })
    .collect()
}

#[test]
fn of_one_thread_the_first_comes_first() {
    let mut backlog = backlog((0..100).map(|index| (index, 0, A)));
    assert_eq!(backlog.len(), 100);
    assert_eq!(drain(&mut backlog), (0..100).collect::<Vec<_>>());
    assert_eq!(backlog.len(), 0);
}

#[test]
fn threads_take_turns() {
    let many = (0..6).map(|index| (index, 0, A));
    let few = (10..12).map(|index| (index, 0, B));
    let mut backlog = backlog(many.chain(few));
    assert_eq!(drain(&mut backlog), [0, 10, 1, 11, 2, 3, 4, 5]);
    // Also those that come to it later.
    for index in [20, 21, 22] {
        backlog.push(CallId::at(index), 0, A);
    }
    backlog.pop_front();
    backlog.push(CallId::at(30), 0, B);
    assert_eq!(drain(&mut backlog), [30, 21, 22]);
}

#[test]
fn threads_that_came_and_went_are_forgotten() {
    let mut backlog = Backlog::default();
    for index in 0..1000 {
        backlog.push(CallId::at(index), 0, Submitter(index));
        // Every tenth stays for a while.
        if index % 10 != 0 {
            backlog.pop_front();
        }
        assert!(backlog.plain.lanes.len() <= KEPT_LANES.max(index / 10 + 2));
    }
    assert_eq!(backlog.len(), 100);
    let mut left = drain(&mut backlog);
    left.dedup();
    assert_eq!(left.len(), 100);
}

#[test]
fn higher_priorities_come_first() {
    let calls = [(0, 0, A), (1, -5, A), (2, 7, A), (3, 7, B), (4, 0, B)];
    let mut backlog = backlog(
        calls
            .into_iter()
            .chain([(5, i32::MAX, A), (6, i32::MIN, A)]),
    );
    assert_eq!(drain(&mut backlog), [5, 2, 3, 0, 4, 1, 6]);
    assert!(backlog.ranked.is_empty());
}

#[test]
fn lower_priorities_wait_but_not_for_ever() {
    let urgent = (0..100).map(|index| (index, 1, A));
    let low = (1000..1003).map(|index| (index, -1, A));
    let plain = (2000..2003).map(|index| (index, 0, B));
    let mut backlog = backlog(urgent.chain(low).chain(plain));
    let order = drain(&mut backlog);
    let at = |id: usize| order.iter().position(|&other| other == id).unwrap();
    // One in sixteen, and those of lower priorities take turns as well.
    assert_eq!(
        [1000, 2000, 1001, 2001, 1002, 2002].map(at),
        [15, 31, 47, 63, 79, 95]
    );
    assert_eq!(order.len(), 106);
}

#[test]
fn what_was_with_a_worker_comes_before_its_like() {
    let mut backlog = backlog([(0, 0, A), (1, 3, A), (2, 0, B)]);
    backlog.put_back(CallId::at(11), 0, Turn::Had);
    backlog.put_back(CallId::at(10), 0, Turn::Had);
    backlog.put_back(CallId::at(12), 3, Turn::Had);
    assert_eq!(drain(&mut backlog), [12, 1, 10, 11, 0, 2]);
}

#[test]
fn those_that_go_back_and_forth_change_nothing() {
    let calls = || {
        let urgent = (0..60).map(|index| (index, 1, A));
        let low = [(100, 0, A), (101, -1, A), (102, 0, A)];
        backlog(urgent.chain(low))
    };
    let expected = drain(&mut calls());
    let at = |id: usize| expected.iter().position(|&other| other == id);
    assert_eq!([101, 100, 102].map(at), [Some(15), Some(31), Some(47)]);
    let mut backlog = calls();
    for count in (1..=40).cycle().take(200) {
        let mut dealt = Vec::new();
        for _ in 0..count {
            dealt.extend(backlog.front());
            backlog.pop_front();
        }
        for id in dealt.into_iter().rev() {
            let priority = [1, 0, -1, 0][id.index().saturating_sub(99)];
            backlog.put_back(id, priority, Turn::Undone);
        }
    }
    assert_eq!(drain(&mut backlog), expected);
}

#[test]
fn those_that_had_a_turn_wait_for_the_next() {
    let urgent = (0..60).map(|index| (index, 1, A));
    let mut backlog = backlog(urgent.chain([(100, 0, A)]));
    // It ran, and is to run again.
    assert_eq!(take(&mut backlog, 16)[15], 100);
    backlog.put_back(CallId::at(100), 0, Turn::Had);
    assert_eq!(
        take(&mut backlog, 16),
        [&(15..30).collect::<Vec<_>>()[..], &[100]].concat()
    );
    // So does an urgent one, and another one's turn comes all the same.
    backlog.put_back(CallId::at(100), 0, Turn::Had);
    for _ in 0..15 {
        assert_eq!(take(&mut backlog, 1), [30]);
        backlog.put_back(CallId::at(30), 1, Turn::Had);
    }
    assert_eq!(take(&mut backlog, 1), [100]);
}

#[test]
fn a_call_in_the_slot_of_one_that_had_a_turn_has_had_none() {
    for others in [None, Some((101, -1, A))] {
        let urgent = (0..16).map(|index| (index, 1, A));
        let mut backlog = backlog(urgent.chain([(100, 0, A)]));
        assert_eq!(take(&mut backlog, 17)[15], 100);
        for (index, priority, submitter) in others.into_iter().chain([(100, 0, A)]) {
            backlog.push(CallId::at(index), priority, submitter);
        }
        assert_eq!(take(&mut backlog, 1), [100]);
        backlog.push(CallId::at(0), 1, A);
        backlog.put_back(CallId::at(100), 0, Turn::Undone);
        assert_eq!(take(&mut backlog, 2), [0, 100]);
    }
}

#[test]
fn those_that_are_done_are_had_out() {
    let mut backlog = backlog((0..200).map(|index| (index, i32::from(index % 2 == 0), A)));
    let is_due = (0..101).map(|_| backlog.note_stale()).collect::<Vec<_>>();
    assert_eq!(is_due.iter().position(|&due| due), Some(100));
    backlog.retain(|id| id.index() >= 101);
    assert_eq!(backlog.len(), 99);
    assert_eq!(backlog.iter().count(), 99);
    assert_eq!(drain(&mut backlog).len(), 99);
}
