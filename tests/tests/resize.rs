//! Executors that become larger and smaller while they are used.

use std::{collections::BTreeSet, thread, time::Duration};

use pool_core::{ErrorKind, Executor, TaskErrorKind, TaskFuture, task};
use pool_tests::{
    Gate, Isolated, Log, Misdeed, Random, Scratch, builder, cubes, executor, fails_with, holding,
    isolated, rounds,
    suite::{pids, why_broken},
    sys,
    tasks::{cube, misbehave, nothing, pass, pid},
    tireless_executor, until,
};

/// Waits until these processes are the workers.
#[track_caller]
fn comes_to(executor: &Executor, count: usize) -> BTreeSet<u32> {
    until(&format!("there are {count} workers"), || {
        executor.worker_pids().len() == count
    });
    executor.worker_pids().into_iter().collect()
}

#[test]
fn it_grows_at_once_and_keeps_the_old_workers() {
    isolated(|| {
        let executor = executor(1);
        let old = comes_to(&executor, 1);
        executor.resize(4).unwrap();
        assert_eq!(executor.workers(), 4);
        let all = comes_to(&executor, 4);
        assert!(old.is_subset(&all));
        assert_eq!(pids(&executor), all, "all are given calls");
    });
}

#[test]
fn it_shrinks_by_idle_workers_first() {
    isolated(|| {
        let executor = executor(4);
        assert_eq!(pids(&executor).len(), 4);
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let calls = holding(&executor, &log, &gate, 2);
        executor.resize(2).unwrap();
        assert_eq!(executor.workers(), 2);
        let busy: BTreeSet<u32> = log.numbers().into_iter().collect();
        assert_eq!(comes_to(&executor, 2), busy);
        gate.open();
        for call in calls {
            assert!(busy.contains(&call.result().unwrap()));
        }
        assert_eq!(pids(&executor), busy, "nobody else goes or comes");
    });
}

#[test]
fn those_that_go_finish_what_they_run_and_nothing_else() {
    isolated(|| {
        let executor = executor(3);
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let calls = holding(&executor, &log, &gate, 3);
        let queued: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
        executor.resize(1).unwrap();
        assert_eq!(executor.worker_pids().len(), 3, "they have something to do");
        gate.open();
        for call in calls {
            call.result().unwrap();
        }
        for (x, call) in (0..).zip(queued) {
            assert_eq!(call.result().unwrap(), cube(x));
        }
        let kept = comes_to(&executor, 1);
        assert!(kept.is_subset(&log.numbers().into_iter().collect()));
    });
}

#[test]
fn those_that_were_to_go_stay_if_it_grows_again() {
    isolated(|| {
        let executor = executor(3);
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let calls = holding(&executor, &log, &gate, 3);
        executor.resize(1).unwrap();
        executor.resize(3).unwrap();
        gate.open();
        for call in calls {
            call.result().unwrap();
        }
        let all: BTreeSet<u32> = log.numbers().into_iter().collect();
        assert_eq!(pids(&executor), all);
    });
}

#[test]
fn those_that_were_to_go_take_the_place_of_the_dead() {
    isolated(|| {
        let executor = tireless_executor(2);
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let calls = holding(&executor, &log, &gate, 2);
        executor.resize(1).unwrap();
        let [first, second] = log.numbers()[..] else {
            panic!("two are held")
        };
        let next = executor.submit(pid, ());
        sys::kill(first, libc::SIGKILL).unwrap();
        until("it is gone", || executor.worker_pids() == [second]);
        gate.open();
        assert_eq!(next.result().unwrap(), second);
        let ends: Vec<_> = calls.into_iter().map(TaskFuture::result).collect();
        assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
        assert_eq!(comes_to(&executor, 1), [second].into());
    });
}

#[test]
fn many_sizes_in_a_row_come_to_the_last() {
    isolated(|| {
        let executor = executor(2);
        let mut random = Random::new(0x5eed);
        for _ in 0..10 * rounds() {
            for _ in 0..random.within(0..10) {
                let size = random.within(1..7);
                executor.resize(size).unwrap();
                assert_eq!(executor.workers(), size);
            }
            let calls: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
            for (x, call) in (0..).zip(calls) {
                assert_eq!(call.result().unwrap(), cube(x));
            }
        }
        executor.resize(3).unwrap();
        comes_to(&executor, 3);
        assert_eq!(pids(&executor).len(), 3);
    });
}

#[test]
fn a_map_goes_on_while_the_size_changes() {
    isolated(|| {
        let executor = executor(2);
        let sizes = [3, 1, 4, 2, 1];
        let mut results = Vec::new();
        for (index, result) in executor.map(cube, 0..5000).enumerate() {
            if index % 1000 == 0 {
                executor.resize(sizes[index / 1000]).unwrap();
            }
            results.push(result.unwrap());
        }
        assert_eq!(results, cubes(5000));
        comes_to(&executor, 1);
    });
}

#[test]
fn after_crashes_and_idle_ends() {
    isolated(|| {
        let executor = builder(2).idle_timeout(Duration::from_millis(10));
        let executor = executor.build().unwrap();
        for size in [1, 3, 2, 4] {
            let error = executor.submit(misbehave, Misdeed::Abort).result();
            fails_with(error, TaskErrorKind::WorkerDied);
            executor.resize(size).unwrap();
            assert_eq!(pids(&executor).len(), size);
            comes_to(&executor, 0);
            executor.resize(size + 1).unwrap();
            assert!(executor.worker_pids().is_empty(), "nobody needs any");
            assert_eq!(pids(&executor).len(), size + 1);
        }
    });
}

#[test]
fn no_more_are_kept_than_there_can_be() {
    isolated(|| {
        let executor = builder(4)
            .min_workers(3)
            .idle_timeout(Duration::from_millis(10))
            .build()
            .unwrap();
        comes_to(&executor, 3);
        executor.resize(2).unwrap();
        comes_to(&executor, 2);
        executor.resize(5).unwrap();
        comes_to(&executor, 3);
        assert_eq!(pids(&executor).len(), 5);
        comes_to(&executor, 3);
    });
}

#[test]
fn a_worker_keeps_its_place() {
    isolated(|| {
        let executor = executor(4);
        let scratch = Scratch::new();
        let places = |count: usize| {
            let (log, gate) = (scratch.log("places"), scratch.gate(&format!("of {count}")));
            let before = log.lines().len();
            let calls: Vec<_> = (0..count)
                .map(|_| executor.submit(place, (log.clone(), gate.clone())))
                .collect();
            log.reaches(before + count);
            (calls, log.numbers().split_off(before), gate)
        };
        let answers = |calls: Vec<TaskFuture<(u32, u32)>>| -> BTreeSet<(u32, u32)> {
            let answers = calls.into_iter().map(|call| call.result().unwrap());
            answers.collect()
        };
        let (four, mut seen, gate) = places(4);
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3]);
        executor.resize(2).unwrap();
        gate.open();
        let before = answers(four);
        comes_to(&executor, 2);
        executor.resize(3).unwrap();
        let (three, seen, gate) = places(3);
        assert_eq!(
            BTreeSet::from_iter(seen).len(),
            3,
            "each has a place of its own"
        );
        gate.open();
        let after = answers(three);
        assert_eq!(
            after.intersection(&before).count(),
            2,
            "two are as they were"
        );
    });
}

/// The worker's process and place, once the gate is open.
#[task]
fn place(log: Log, gate: Gate) -> (u32, u32) {
    let place = pool_core::current().expect("a task runs").worker();
    let place = u32::try_from(place).unwrap();
    log.add(place);
    gate.pass();
    (std::process::id(), place)
}

#[test]
fn impossible_sizes_change_nothing() {
    isolated(|| {
        let executor = executor(2);
        let before = comes_to(&executor, 2);
        for size in [0, 4097, usize::MAX] {
            let error = executor.resize(size).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            assert!(error.to_string().contains("workers"), "{error}");
        }
        sys::limit_descriptors(64).unwrap();
        let error = executor.resize(100).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileLimit);
        assert_eq!(executor.workers(), 2);
        assert_eq!(pids(&executor), before);
        executor.resize(3).unwrap();
        assert_eq!(pids(&executor).len(), 3);
    });
}

#[test]
fn after_the_end_it_says_so() {
    isolated(|| {
        let ends: [fn(&Executor); 4] = [
            Executor::close,
            Executor::shutdown,
            Executor::shutdown_now,
            Executor::kill,
        ];
        for end in ends {
            let executor = executor(2);
            end(&executor);
            assert_eq!(executor.resize(3).unwrap_err().kind(), ErrorKind::ShutDown);
            assert_eq!(executor.workers(), 2);
        }
        let broken = builder(1).initializer(refuse, ()).build().unwrap();
        let reason = why_broken(&broken);
        let error = broken.resize(3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PoolBroken);
        assert!(error.to_string().contains(&reason), "{error}");
    });
}

#[task]
fn refuse() -> Result<(), String> {
    Err("no".into())
}

#[test]
fn as_the_executor_ends() {
    isolated(|| {
        let ends: [fn(&Executor); 4] = [
            Executor::shutdown,
            Executor::shutdown_now,
            Executor::kill,
            Executor::close,
        ];
        for round in 0..8 * rounds() {
            let executor = executor(2);
            let calls: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
            thread::scope(|scope| {
                for seed in 1..3 {
                    let (executor, mut random) = (&executor, Random::new(seed + round as u64));
                    scope.spawn(move || {
                        while executor.resize(random.within(1..5)).is_ok() {
                            thread::yield_now();
                        }
                    });
                }
                calls[round % 20].wait();
                ends[round % 4](&executor);
            });
            drop(executor);
            for (x, call) in (0..).zip(calls) {
                match call.result() {
                    Ok(value) => assert_eq!(value, cube(x)),
                    Err(error) => assert!(round % 4 == 1 || round % 4 == 2, "{error}"),
                }
            }
        }
    });
}

#[test]
fn as_workers_are_replaced() {
    isolated(|| {
        let executor = builder(2)
            .max_tasks_per_worker(2)
            .max_worker_age(Duration::from_millis(5))
            .build()
            .unwrap();
        for round in 0..20 * rounds() {
            executor.resize(1 + round % 3).unwrap();
            let calls: Vec<_> = (0..6).map(|x| executor.submit(cube, x)).collect();
            for (x, call) in (0..).zip(calls) {
                assert_eq!(call.result().unwrap(), cube(x));
            }
        }
    });
}

#[test]
fn behind_a_preload_that_takes_its_time() {
    isolated(|| {
        let scratch = Scratch::new();
        for round in 0..20 * rounds() {
            let gate = scratch.gate(&format!("gate {round}"));
            let executor = builder(1).preload(wait_for, gate.clone()).build().unwrap();
            let call = executor.submit(cube, 3);
            for size in [3, 1, 2] {
                executor.resize(size).unwrap();
            }
            gate.open();
            // While it ends, the supervising thread is woken again and again.
            for size in [3, 1, 2].repeat(round % 50) {
                executor.resize(size).unwrap();
            }
            assert_eq!(call.result().unwrap(), 27);
            comes_to(&executor, 2);
        }
    });
}

#[task]
fn wait_for(gate: Gate) {
    gate.pass();
}

#[test]
fn a_new_size_bears_as_many_deaths_as_if_it_were_built_so() {
    isolated(|| {
        let executor = executor(1);
        executor.resize(8).unwrap();
        for _ in 0..2 {
            let old = comes_to(&executor, 8);
            for &pid in &old {
                sys::kill(pid, libc::SIGKILL).unwrap();
            }
            until("all are replaced", || {
                executor.worker_pids().iter().all(|pid| !old.contains(pid))
            });
        }
        assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
    });
}

#[test]
fn a_broadcast_is_run_by_those_that_have_to_go() {
    isolated(|| {
        let executor = executor(3);
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let calls = holding(&executor, &log, &gate, 3);
        let all: BTreeSet<u32> = log.numbers().into_iter().collect();
        let told = executor.broadcast(pid, ());
        executor.resize(1).unwrap();
        gate.open();
        for call in calls {
            call.result().unwrap();
        }
        let told: BTreeSet<u32> = told
            .into_iter()
            .map(|call| call.result().unwrap())
            .collect();
        assert_eq!(told, all);
        comes_to(&executor, 1);
        assert_eq!(executor.broadcast(pid, ()).len(), 1);
    });
}

#[test]
fn a_broadcast_outlives_the_place_of_its_worker() {
    isolated(|| {
        let executor = tireless_executor(2);
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let calls = holding(&executor, &log, &gate, 2);
        let told = executor.broadcast(pid, ());
        executor.resize(1).unwrap();
        for pid in log.numbers() {
            sys::kill(pid, libc::SIGKILL).unwrap();
        }
        for call in calls {
            fails_with(call.result(), TaskErrorKind::WorkerDied);
        }
        assert_eq!(told.len(), 2);
        for call in told {
            call.result().unwrap();
        }
    });
}

/// What a thread of the storm does next.
fn act(executor: &Executor, random: &mut Random, gate: &Gate) {
    match random.within(0..10) {
        0..3 => executor.resize(random.within(1..5)).unwrap(),
        3 => {
            if let Some(&pid) = executor.worker_pids().first() {
                // It may have ended by itself a moment ago.
                let _ = sys::kill(pid, libc::SIGKILL);
            }
        }
        4 => {
            let map = executor.map(nothing, vec![(); random.within(0..100)]);
            map.for_each(check);
        }
        5 if random.one_in(2) => {
            let calls = executor.broadcast(nothing, ());
            calls.into_iter().map(TaskFuture::result).for_each(check);
        }
        5 => check(executor.submit(pass, (gate.clone(), 1)).result()),
        6 => thread::sleep(Duration::from_micros(random.within(0..3000) as u64)),
        _ => {
            let calls: Vec<_> = (0..random.within(0..5))
                .map(|_| executor.submit(nothing, ()))
                .collect();
            calls.into_iter().map(TaskFuture::result).for_each(check);
        }
    }
}

/// A call may die with its worker, and else returns.
fn check<R>(result: Result<R, pool_core::TaskError>) {
    if let Err(error) = result {
        assert_eq!(error.kind(), TaskErrorKind::WorkerDied, "{error}");
    }
}

#[test]
fn a_storm_of_calls_sizes_deaths_and_idle_ends() {
    Isolated::new().large().run(|| {
        let scratch = Scratch::new();
        let gate = scratch.gate("gate");
        gate.open();
        for round in 0..rounds() {
            let executor = builder(3)
                .min_workers(round % 3)
                .idle_timeout(Duration::from_millis(1 + round as u64 % 3))
                .restart_limit(u32::MAX, Duration::from_secs(1))
                .build()
                .unwrap();
            thread::scope(|scope| {
                for seed in 1..=4 {
                    let (executor, gate) = (&executor, &gate);
                    let mut random = Random::new((round as u64 + 1) * 1000 + seed);
                    scope.spawn(move || {
                        for _ in 0..100 {
                            act(executor, &mut random, gate);
                        }
                    });
                }
            });
            executor.resize(2).unwrap();
            assert_eq!(pids(&executor).len(), 2, "it is whole again");
        }
    });
}
