//! Workers that die, by their own hand or another's: one call is lost, and nothing else.

use std::{collections::BTreeSet, process, thread, time::Duration};

use pool_core::{Executor, TaskErrorKind, task};
use pool_tests::{
    Log, Misdeed, Scratch, fails_with, isolated, rounds,
    suite::pids,
    sys,
    tasks::{cube, hold, misbehave, misbehave_later, note, nothing, sum, zeros},
    tireless_executor as executor, until,
};

/// Kills a worker from outside.
fn kill(worker: u32) {
    // It may have died by itself a moment ago.
    let _ = sys::kill(worker, libc::SIGKILL);
}

#[test]
fn every_misdeed_alone() {
    isolated(|| {
        let executor = executor(1);
        for misdeed in Misdeed::OF_TASKS {
            for _ in 0..rounds() {
                let future = executor.submit(misbehave, misdeed);
                misdeed.is_told_by(&future.result().unwrap_err());
                assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
            }
        }
    });
}

#[test]
fn every_misdeed_among_neighbours() {
    isolated(|| {
        let executor = executor(3);
        let misdeed_of = |x: usize| Misdeed::OF_TASKS.get(x % 20).copied();
        let scratch = Scratch::new();
        let log = scratch.log("ran");
        let mut bad = Vec::new();
        let mut good = Vec::new();
        for x in 0..20 * rounds() {
            match misdeed_of(x) {
                Some(misdeed) => bad.push((misdeed, executor.submit(misbehave, misdeed))),
                None => good.push(executor.submit(note, log.clone())),
            }
        }
        let count = good.len();
        for future in good {
            future.result().unwrap();
        }
        for (misdeed, future) in bad {
            misdeed.is_told_by(&future.result().unwrap_err());
        }
        assert_eq!(log.lines().len(), count, "nothing ran twice");
    });
}

#[test]
fn death_during_a_map() {
    isolated(|| {
        let executor = executor(2);
        let misdeed_of = |x: usize| Misdeed::OF_TASKS[x % 8];
        let inputs = (0..16 * rounds()).map(misdeed_of);
        let results: Vec<_> = executor.map(misbehave, inputs).collect();
        for (x, result) in results.into_iter().enumerate() {
            misdeed_of(x).is_told_by(&result.unwrap_err());
        }
    });
}

#[test]
fn f10_a_busy_worker_killed_from_outside() {
    isolated(|| {
        let executor = executor(2);
        for _ in 0..rounds() {
            let scratch = Scratch::new();
            let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
            let held = executor.submit(hold, (log.clone(), gate.clone()));
            log.reaches(1);
            let queued: Vec<_> = (0..50).map(|x| executor.submit(cube, x)).collect();
            let worker = log.numbers()[0];
            kill(worker);
            let error = held.result().unwrap_err();
            assert_eq!(error.worker_pid(), Some(worker));
            Misdeed::Kill.is_told_by(&error);
            for (x, future) in (0..).zip(queued) {
                assert_eq!(future.result().unwrap(), cube(x));
            }
        }
    });
}

#[test]
fn idle_workers_killed_from_outside() {
    isolated(|| {
        let executor = executor(3);
        for _ in 0..rounds() {
            let old = pids(&executor);
            old.iter().copied().for_each(kill);
            let future = executor.submit(nothing, ());
            let result = future.result_timeout(Duration::from_secs(10)).unwrap();
            result.expect("no call had begun");
            assert!(pids(&executor).is_disjoint(&old));
        }
    });
}

#[test]
fn all_workers_at_once() {
    isolated(|| {
        for workers in [1, 2, 5, 13] {
            let executor = executor(workers);
            let scratch = Scratch::new();
            let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
            let held: Vec<_> = (0..workers)
                .map(|_| executor.submit(hold, (log.clone(), gate.clone())))
                .collect();
            log.reaches(workers);
            let queued: Vec<_> = (0..100).map(|x| executor.submit(cube, x)).collect();
            log.numbers().into_iter().for_each(kill);
            for future in held {
                Misdeed::Kill.is_told_by(&future.result().unwrap_err());
            }
            for (x, future) in (0..).zip(queued) {
                assert_eq!(future.result().unwrap(), cube(x));
            }
            assert_eq!(pids(&executor).len(), workers);
        }
    });
}

/// Kills all who are logged, itself last.
#[task]
fn kill_each_other(log: Log, count: usize) {
    log.add(process::id());
    log.reaches(count);
    let all: BTreeSet<u32> = log.numbers().into_iter().collect();
    all.iter()
        .copied()
        .filter(|&pid| pid != process::id())
        .for_each(kill);
    kill(process::id());
    loop {
        thread::park();
    }
}

#[test]
fn workers_that_kill_each_other() {
    isolated(|| {
        for workers in [2, 5] {
            let executor = executor(workers);
            for _ in 0..rounds() {
                let scratch = Scratch::new();
                let log = scratch.log("killers");
                let killers: Vec<_> = (0..workers)
                    .map(|_| executor.submit(kill_each_other, (log.clone(), workers)))
                    .collect();
                let others: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
                for future in killers {
                    fails_with(future.result(), TaskErrorKind::WorkerDied);
                }
                for (x, future) in (0..).zip(others) {
                    assert_eq!(future.result().unwrap(), cube(x));
                }
            }
        }
    });
}

#[test]
fn a_storm_of_kills() {
    isolated(|| {
        let executor = executor(4);
        let futures: Vec<_> = (0..200 * rounds())
            .map(|_| executor.submit(zeros, 50_000))
            .collect();
        let count = futures.len();
        let mut kills = 0;
        let (mut lost, mut came) = (0, 0);
        for (index, future) in futures.into_iter().enumerate() {
            if index % 50 == 0 {
                let workers = executor.worker_pids();
                workers
                    .get(index / 50 % 4)
                    .copied()
                    .into_iter()
                    .for_each(kill);
                kills += 1;
            }
            match future.result() {
                Ok(bytes) => {
                    assert_eq!(bytes.len(), 50_000);
                    came += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), TaskErrorKind::WorkerDied, "{error}");
                    lost += 1;
                }
            }
        }
        assert_eq!(came + lost, count);
        assert!(lost <= kills, "{lost} calls were lost to {kills} kills");
        assert_eq!(pids(&executor).len(), 4);
    });
}

#[test]
fn what_was_committed_counts() {
    isolated(|| {
        let executor = executor(1);
        for _ in 0..rounds() {
            let done: Vec<_> = (0..100).map(|x| executor.submit(cube, x)).collect();
            let last = executor.submit(misbehave, Misdeed::ExitAtOnce);
            let next: Vec<_> = (0..100).map(|x| executor.submit(cube, x)).collect();
            Misdeed::ExitAtOnce.is_told_by(&last.result().unwrap_err());
            for futures in [done, next] {
                for (x, future) in (0..).zip(futures) {
                    assert_eq!(future.result().unwrap(), cube(x));
                }
            }
        }
    });
}

/// Has this process die a moment after the task has returned.
#[task]
fn return_and_die(misdeed: Misdeed) -> u32 {
    thread::spawn(move || {
        thread::yield_now();
        misdeed.commit()
    });
    process::id()
}

#[test]
fn f12_death_after_the_result_blames_nobody_else() {
    isolated(|| {
        let executor = executor(1);
        for _ in 0..rounds() {
            for misdeed in [Misdeed::ExitAtOnce, Misdeed::Kill, Misdeed::Abort] {
                let old = pids(&executor);
                // The thread may be faster than the result.
                let first = executor.submit(return_and_die, misdeed).result();
                let _ = first.map_err(|error| misdeed.is_told_by(&error));
                until("the worker is gone", || {
                    !old.iter().any(|&pid| sys::exists(pid))
                });
                assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
            }
        }
    });
}

#[test]
fn f13_right_after_shutdown_was_requested() {
    isolated(|| {
        for misdeed in Misdeed::OF_TASKS {
            for end in [
                Executor::shutdown as fn(&Executor),
                Executor::shutdown_now,
                drop_later,
            ] {
                let scratch = Scratch::new();
                let executor = executor(2);
                let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
                let bad = executor.submit(misbehave_later, (log.clone(), gate.clone(), misdeed));
                log.reaches(1);
                executor.close();
                gate.open();
                end(&executor);
                drop(executor);
                misdeed.is_told_by(&bad.result().unwrap_err());
            }
        }
    });
}

#[test]
fn a_worker_that_is_stopped_and_takes_no_errand_is_replaced() {
    isolated(|| {
        let executor = executor(1);
        let share = |byte| executor.share_slice(&[byte]).unwrap();
        // More than its socket has room for.
        let values: Vec<_> = (0..1000).map(|_| share(1)).collect();
        let sums = executor.map(sum, values.iter().cloned());
        assert_eq!(sums.map(Result::unwrap).sum::<u64>(), 1000);
        let worker = executor.worker_pids()[0];
        sys::kill(worker, libc::SIGSTOP).unwrap();
        until("it is stopped", || {
            let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
            stat.contains(") T ")
        });
        // It is to be told of each that it is gone.
        drop(values);
        assert_eq!(executor.submit(sum, share(7)).result().unwrap(), 7);
    });
}

/// Leaves the end to the drop that follows.
fn drop_later(_: &Executor) {}

#[test]
fn death_while_a_large_argument_is_written() {
    isolated(|| {
        let executor = executor(1);
        for _ in 0..rounds() {
            let scratch = Scratch::new();
            let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
            let held = executor.submit(hold, (log.clone(), gate));
            log.reaches(1);
            let large = executor.submit(pool_tests::tasks::count, vec![1; 8 << 20]);
            kill(log.numbers()[0]);
            fails_with(held.result(), TaskErrorKind::WorkerDied);
            assert_eq!(large.result().unwrap(), 8 << 20, "it had not begun");
        }
    });
}
