//! Calls that every worker runs once.

use std::{collections::BTreeSet, thread};

use pool_core::{TaskErrorKind, task};
use pool_tests::{Fragile, Stage};
use pool_tests::{
    Log, Misdeed, Scratch, builder, executor, fails_with, isolated, rounds,
    suite::{loaded, pids},
    tasks::{bytes, cube, fragile, misbehave, note, nothing, pid},
    tireless_executor,
};

#[task]
fn place() -> Option<usize> {
    pool_core::current().map(|call| call.worker())
}

#[test]
fn every_worker_runs_it_once() {
    isolated(|| {
        for workers in [1, 2, 5] {
            let executor = executor(workers);
            let calls = executor.broadcast(pid, ());
            assert_eq!(calls.len(), workers);
            let said: BTreeSet<u32> = calls
                .into_iter()
                .map(|call| call.result().unwrap())
                .collect();
            assert_eq!(said, pids(&executor));
            let places = executor.broadcast(place, ());
            for (index, place) in places.into_iter().enumerate() {
                assert_eq!(place.result().unwrap(), Some(index));
            }
        }
    });
}

#[test]
fn before_what_waits_and_after_what_runs() {
    isolated(|| {
        let (scratch, executor) = (Scratch::new(), executor(1));
        let (running, gate, queued, ran) = loaded(&executor, &scratch, 100);
        let calls = executor.broadcast(note, ran.clone());
        assert!(!calls[0].is_done());
        gate.open();
        let held = running.into_iter().chain(calls);
        let pids: BTreeSet<u32> = held.map(|held| held.result().unwrap()).collect();
        for future in queued {
            future.result().unwrap();
        }
        let ran = ran.lines();
        assert_eq!(
            pids.into_iter()
                .map(|pid| pid.to_string())
                .collect::<Vec<_>>(),
            ran[..1]
        );
        assert_eq!(ran.len(), 101);
    });
}

#[test]
fn the_successor_runs_what_a_dead_worker_has_not_begun() {
    isolated(|| {
        let (scratch, executor) = (Scratch::new(), tireless_executor(2));
        let (running, gate, ..) = loaded(&executor, &scratch, 0);
        let calls = executor.broadcast(pid, ());
        assert!(running[0].kill());
        let first = fails_with(
            running.into_iter().next().unwrap().result(),
            TaskErrorKind::Killed,
        );
        gate.open();
        let said: BTreeSet<u32> = calls
            .into_iter()
            .map(|call| call.result().unwrap())
            .collect();
        assert_eq!(said.len(), 2);
        assert!(!said.contains(&first.worker_pid().unwrap()));
        assert_eq!(said, pids(&executor));
    });
}

#[test]
fn what_goes_wrong_in_one_is_that_ones_affair() {
    isolated(|| {
        let executor = tireless_executor(3);
        for call in executor.broadcast(misbehave, Misdeed::Abort) {
            fails_with(call.result(), TaskErrorKind::WorkerDied);
        }
        for call in executor.broadcast(fragile, Fragile(Stage::EncodeArguments, Misdeed::Fail)) {
            fails_with(call.result(), TaskErrorKind::Encode);
        }
        for call in executor.options().retries(1).broadcast(pid, ()) {
            call.result().unwrap();
        }
        for call in executor.broadcast(bytes, vec![3; 300_000]) {
            assert_eq!(call.result().unwrap(), vec![3; 300_000]);
        }
    });
}

#[test]
fn cancelled_killed_and_after_the_end() {
    isolated(|| {
        let (scratch, executor) = (Scratch::new(), executor(2));
        let (running, gate, ..) = loaded(&executor, &scratch, 0);
        let calls = executor.broadcast(nothing, ());
        assert!(calls[0].cancel());
        assert!(calls[1].kill());
        for call in calls {
            fails_with(call.result(), TaskErrorKind::Cancelled);
        }
        let calls = executor.broadcast(nothing, ());
        executor.close();
        gate.open();
        for call in calls {
            call.result().unwrap();
        }
        drop(running);
        for call in executor.broadcast(nothing, ()) {
            fails_with(call.result(), TaskErrorKind::ShutDown);
        }
    });
}

#[test]
fn among_other_calls_recycling_and_deaths() {
    isolated(|| {
        for _ in 0..rounds() {
            let executor = builder(2)
                .max_tasks_per_worker(7)
                .restart_limit(u32::MAX, std::time::Duration::from_secs(1))
                .build()
                .unwrap();
            thread::scope(|scope| {
                scope.spawn(|| {
                    let cubes = executor.map(cube, 0..300).collect::<Result<Vec<_>, _>>();
                    assert_eq!(cubes.unwrap().len(), 300);
                });
                scope.spawn(|| {
                    for _ in 0..5 {
                        drop(executor.submit(misbehave, Misdeed::Kill).result());
                    }
                });
                for _ in 0..30 {
                    for call in executor.broadcast(pid, ()) {
                        call.result().unwrap();
                    }
                }
            });
        }
    });
}

/// Each worker logs itself once, whoever asks.
#[test]
fn from_many_threads_at_once() {
    isolated(|| {
        let (scratch, executor) = (Scratch::new(), executor(2));
        let log: Log = scratch.log("noted");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for call in executor.broadcast(note, log.clone()) {
                        call.result().unwrap();
                    }
                });
            }
        });
        let noted = log.numbers();
        assert_eq!(noted.len(), 16);
        for pid in pids(&executor) {
            assert_eq!(noted.iter().filter(|&&other| other == pid).count(), 8);
        }
    });
}
