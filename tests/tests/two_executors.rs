//! Calls of two executors, waited for together. Each executor counts its calls by itself, so the
//! first call of one has the number of the first call of the other.

use std::{iter, thread, time::Duration};

use pool_core::{Executor, TaskErrorKind, TaskFuture, WaitFor, as_completed, wait};
use pool_tests::{
    Scratch, executor, fails_with, holding, isolated, rounds,
    tasks::{cube, even, pass},
    until,
};

/// Two executors of so many workers each, which have had no call yet.
fn two(workers: usize) -> [Executor; 2] {
    [executor(workers), executor(workers)]
}

/// As many calls of each, in turn: cubes of `0..` in the first, and of the same below zero in the
/// second.
fn in_turn([first, second]: &[Executor; 2], count: i64) -> Vec<TaskFuture<i64>> {
    (0..count)
        .flat_map(|x| [first.submit(cube, x), second.submit(cube, -x)])
        .collect()
}

/// What comes of the calls of [`in_turn`].
fn due(count: i64) -> impl Iterator<Item = i64> {
    (0..count).flat_map(|x| [cube(x), cube(-x)])
}

#[test]
fn equal_numbers_are_two_calls() {
    isolated(|| {
        let scratch = Scratch::new();
        let executors @ [first, second] = &two(1);
        let (gate, open) = (scratch.gate("gate"), scratch.gate("open"));
        open.open();
        let slow = first.submit(pass, (gate.clone(), 1));
        let fast = second.submit(pass, (open, 2));
        for (wait_for, limit) in [
            (WaitFor::FirstCompleted, None),
            (WaitFor::All, Some(Duration::from_millis(10))),
        ] {
            let waited = wait([&slow, &fast], wait_for, limit);
            assert_eq!((waited.done, waited.pending), (vec![1], vec![0]));
            let waited = wait([&fast, &slow, &fast, &slow], wait_for, limit);
            assert_eq!((waited.done, waited.pending), (vec![0], vec![1]));
        }
        gate.open();
        let waited = wait([&slow, &fast], WaitFor::All, None);
        assert_eq!((waited.done, waited.pending), (vec![0, 1], vec![]));
        assert_eq!((slow.result().unwrap(), fast.result().unwrap()), (1, 2));

        let calls = in_turn(executors, 50);
        let waited = wait(&calls, WaitFor::All, None);
        assert!(waited.done.into_iter().eq(0..100));
        assert!(
            calls
                .into_iter()
                .map(|call| call.result().unwrap())
                .eq(due(50))
        );
    });
}

#[test]
fn an_error_in_one_is_none_of_the_other() {
    isolated(|| {
        let scratch = Scratch::new();
        let [first, second] = two(1);
        let gate = scratch.gate("gate");
        let good = first.submit(even, 2);
        let bad = second.submit(even, 3);
        let slow = [&first, &second].map(|executor| executor.submit(pass, (gate.clone(), 4)));
        until("both are done", || good.is_done() && bad.is_done());
        let all = |bad| [&slow[0], bad, &slow[1]];
        let short = Some(Duration::from_millis(10));
        let waited = wait(all(&good), WaitFor::FirstError, short);
        assert_eq!((waited.done, waited.pending), (vec![1], vec![0, 2]));
        let waited = wait(all(&bad), WaitFor::FirstError, None);
        assert_eq!((waited.done, waited.pending), (vec![1], vec![0, 2]));
        gate.open();
        let waited = wait(all(&good), WaitFor::FirstError, None);
        assert_eq!(waited.done, [0, 1, 2]);
    });
}

#[test]
fn cancelled_in_one_it_runs_in_the_other() {
    isolated(|| {
        let scratch = Scratch::new();
        let executors = two(1);
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let held = executors.each_ref().map(|e| holding(e, &log, &gate, 1));
        let calls = in_turn(&executors, 20);
        // Calls of the one and of the other, never both of a number.
        let is_cancelled = |index| index % 4 == 0 || index % 4 == 3;
        for (index, call) in calls.iter().enumerate() {
            assert!(!is_cancelled(index) || call.handle().cancel());
        }
        let waited = wait(&calls, WaitFor::FirstCompleted, None);
        assert!(
            waited
                .done
                .into_iter()
                .eq((0..40).filter(|&index| is_cancelled(index)))
        );
        gate.open();
        for (index, (call, value)) in iter::zip(calls, due(20)).enumerate() {
            if is_cancelled(index) {
                fails_with(call.result(), TaskErrorKind::Cancelled);
            } else {
                assert_eq!(call.result().unwrap(), value);
            }
        }
        assert!(held.into_iter().flatten().all(|call| call.result().is_ok()));
    });
}

#[test]
fn as_completed_gives_the_calls_of_both_once() {
    isolated(|| {
        let executors = two(2);
        for _ in 0..rounds() {
            let mut completed = as_completed(in_turn(&executors, 100));
            let mut values = vec![None; 202];
            for given in 0..202 {
                if given == 50 {
                    for call in in_turn(&executors, 1) {
                        completed.push(call);
                    }
                }
                let (number, result) = completed.next().unwrap();
                let earlier = values[number].replace(result.unwrap());
                assert_eq!(earlier, None, "{number} was given before");
            }
            assert!(completed.next().is_none());
            assert!(values.into_iter().flatten().eq(due(100).chain(due(1))));
        }
    });
}

#[test]
fn the_end_of_one_is_not_the_end_of_the_other() {
    isolated(|| {
        let ends: [fn(&Executor); 2] = [Executor::kill, Executor::shutdown_now];
        for (end, ended) in ends.into_iter().flat_map(|end| [(end, 0), (end, 1)]) {
            let scratch = Scratch::new();
            let executors = two(1);
            let (log, gates) = (
                scratch.log("held"),
                ["0", "1"].map(|name| scratch.gate(name)),
            );
            let held = [0, 1].map(|index| holding(&executors[index], &log, &gates[index], 1));
            let mut completed = as_completed(in_turn(&executors, 20));
            thread::scope(|scope| {
                let ending = scope.spawn(|| end(&executors[ended]));
                // The calls of the other wait behind a closed gate.
                for _ in 0..20 {
                    let (number, result) = completed.next().unwrap();
                    assert_eq!(number % 2, ended);
                    fails_with(result, TaskErrorKind::Cancelled);
                }
                // An orderly end waits for what has begun.
                gates[ended].open();
                ending.join().unwrap();
            });
            assert!(completed.next_timeout(Duration::from_millis(5)).is_err());
            let refused = completed.push(executors[ended].submit(cube, 1));
            let (number, result) = completed.next().unwrap();
            assert_eq!(number, refused);
            fails_with(result, TaskErrorKind::ShutDown);
            gates[1 - ended].open();
            let mut values: Vec<_> = completed.map(|(n, value)| (n, value.unwrap())).collect();
            values.sort_unstable();
            let others = (0..).zip(due(20)).filter(|(number, _)| number % 2 != ended);
            assert!(values.into_iter().eq(others));
            for call in held.into_iter().flatten() {
                call.wait();
            }
        }
    });
}

#[test]
fn dropped_halfway_it_forgets_both() {
    isolated(|| {
        let executors = two(1);
        for given in 0..5 * rounds() {
            let mut completed = as_completed(in_turn(&executors, 10));
            assert_eq!(completed.by_ref().take(given).count(), given.min(20));
            drop(completed);
            let calls = in_turn(&executors, 3);
            assert_eq!(wait(&calls, WaitFor::All, None).done.len(), 6);
        }
    });
}
