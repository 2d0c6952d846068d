//! Workers that are started when they are needed, and end when they are not.

use std::{
    collections::BTreeSet,
    fs, process,
    sync::mpsc,
    time::{Duration, Instant},
};

use pool_core::{ErrorKind, Executor, ExecutorBuilder, TaskErrorKind, task};
use pool_tests::{
    Gate, Log, Misdeed, Scratch, builder, cubed_or_stopped, cubes, fails_with, holding, isolated,
    rounds,
    suite::{fork_server, pids},
    sys,
    tasks::{cube, hold, misbehave, note, nothing, pid},
    until,
};

/// Soon, but not at once.
const SOON: Duration = Duration::from_millis(30);

/// Workers that are started on demand, and stay.
fn on_demand(workers: usize) -> ExecutorBuilder {
    builder(workers).min_workers(0)
}

/// Waits until so many workers are left.
#[track_caller]
fn comes_down_to(executor: &Executor, workers: usize) {
    until(&format!("{workers} workers are left"), || {
        executor.worker_pids().len() == workers
    });
}

/// The checks of the suite, on executors that have no worker before the first call.
mod on_demand {
    macro_rules! tests {
        ($($name:ident)*) => {
            $(#[test]
            fn $name() {
                let check = pool_tests::suite::$name;
                super::isolated(|| check(&super::on_demand(1)));
            })*
        };
    }

    pool_tests::for_each_check!(tests);
}

#[test]
fn nobody_is_started_before_there_is_a_call() {
    isolated(|| {
        let executor = on_demand(4).build().unwrap();
        let start = Instant::now();
        assert_eq!(executor.workers(), 4);
        assert!(executor.worker_pids().is_empty());
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "nobody waits for workers that are not wanted"
        );
        executor.shutdown();
        let unused = on_demand(4).build().unwrap();
        unused.kill();
    });
}

#[test]
fn one_after_the_other_needs_one_worker() {
    isolated(|| {
        let executor = on_demand(4).build().unwrap();
        let first = executor.submit(pid, ()).result().unwrap();
        assert_eq!(executor.worker_pids(), [first]);
        for _ in 0..100 {
            assert_eq!(executor.submit(pid, ()).result().unwrap(), first);
        }
        assert_eq!(executor.worker_pids(), [first]);
    });
}

#[test]
fn as_many_come_as_calls_wait_and_no_more_than_there_can_be() {
    isolated(|| {
        let executor = on_demand(3).build().unwrap();
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let mut calls = holding(&executor, &log, &gate, 1);
        assert_eq!(executor.worker_pids().len(), 1);
        calls.extend(holding(&executor, &log, &gate, 1));
        assert_eq!(executor.worker_pids().len(), 2);
        calls.extend(holding(&executor, &log, &gate, 1));
        calls.extend((0..10).map(|_| executor.submit(note, log.clone())));
        assert_eq!(executor.worker_pids().len(), 3);
        gate.open();
        for call in calls {
            call.result().unwrap();
        }
        let ran: BTreeSet<u32> = log.numbers().into_iter().collect();
        assert_eq!(ran, executor.worker_pids().into_iter().collect());
    });
}

#[test]
fn the_least_are_there_from_the_start() {
    isolated(|| {
        let executor = builder(4).min_workers(2).build().unwrap();
        let first = executor.worker_pids();
        assert_eq!(first.len(), 2);
        let all = pids(&executor);
        assert!(all.len() == 4 && first.iter().all(|pid| all.contains(pid)));
        let stays = executor.worker_pids();
        assert_eq!(stays.len(), 4, "no time was set after which idle ones end");
    });
}

#[test]
fn nobody_waits_behind_a_long_call_while_there_can_be_more_workers() {
    isolated(|| {
        let executor = on_demand(2).build().unwrap();
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        // Short calls, so that the worker is dealt many ahead.
        let short: Result<Vec<_>, _> = executor.map(cube, 0..2000).collect();
        assert_eq!(short.unwrap(), cubes(2000));
        let busy = executor.submit(hold, (log.clone(), gate.clone()));
        let behind: Vec<_> = (0..5).map(|x| executor.submit(cube, x)).collect();
        for (x, call) in (0..).zip(behind) {
            assert_eq!(call.result().unwrap(), cube(x));
        }
        assert!(!busy.is_done());
        gate.open();
        busy.result().unwrap();
    });
}

#[test]
fn a_slow_initializer_holds_no_other_worker_up() {
    isolated(|| {
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("initialized"), scratch.gate("gate"));
        let executor = on_demand(4)
            .initializer(hold_up, (log.clone(), gate.clone()))
            .build()
            .unwrap();
        let calls: Vec<_> = (1..=3)
            .map(|count| {
                let call = executor.submit(pid, ());
                log.reaches(count);
                call
            })
            .collect();
        assert_eq!(executor.worker_pids().len(), 3, "one for each call");
        gate.open();
        for call in calls {
            call.result().unwrap();
        }
    });
}

#[task]
fn hold_up(log: Log, gate: Gate) {
    log.add(process::id());
    gate.pass();
}

#[test]
fn the_dead_are_replaced_as_far_as_they_are_kept_or_needed() {
    isolated(|| {
        let executor = builder(3).min_workers(1).build().unwrap();
        let all = pids(&executor);
        for pid in &all {
            sys::kill(*pid, libc::SIGKILL).unwrap();
        }
        until("the dead are gone", || {
            let pids = executor.worker_pids();
            pids.len() == 1 && !all.contains(&pids[0])
        });
        assert_eq!(pids(&executor).len(), 3);
        fails_with(
            executor.submit(misbehave, Misdeed::Abort).result(),
            TaskErrorKind::WorkerDied,
        );
        assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
    });
}

#[test]
fn idle_workers_end_as_far_as_they_are_not_kept() {
    isolated(|| {
        let executor = builder(3).min_workers(1).idle_timeout(SOON);
        let executor = executor.build().unwrap();
        assert_eq!(pids(&executor).len(), 3);
        comes_down_to(&executor, 1);
        let kept = executor.worker_pids();
        assert_eq!(executor.submit(pid, ()).result().unwrap(), kept[0]);
        assert_eq!(pids(&executor).len(), 3, "they come back");
        comes_down_to(&executor, 1);
    });
}

#[test]
fn the_last_one_ends_as_well_and_the_next_call_starts_another() {
    isolated(|| {
        let executor = builder(2).idle_timeout(SOON).build().unwrap();
        assert!(executor.worker_pids().is_empty(), "none are kept");
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            assert!(seen.insert(executor.submit(pid, ()).result().unwrap()));
            comes_down_to(&executor, 0);
        }
        until("their processes are gone", || {
            seen.iter().all(|&pid| !sys::exists(pid))
        });
    });
}

#[test]
fn one_that_nobody_waits_for_ends_as_well() {
    isolated(|| {
        let executor = builder(2).idle_timeout(SOON).build().unwrap();
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        drop(holding(&executor, &log, &gate, 2));
        gate.open();
        comes_down_to(&executor, 0);
    });
}

#[test]
fn who_has_something_to_do_does_not_end() {
    isolated(|| {
        let executor = builder(2).idle_timeout(SOON).build().unwrap();
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let busy = holding(&executor, &log, &gate, 1).remove(0);
        assert!(!busy.wait_timeout(SOON * 4), "it is held");
        assert_eq!(executor.worker_pids(), log.numbers());
        gate.open();
        assert_eq!(busy.result().unwrap(), log.numbers()[0]);
    });
}

#[test]
fn one_that_is_never_idle_for_long_does_not_end() {
    isolated(|| {
        let timeout = Duration::from_millis(200);
        let executor = builder(2).idle_timeout(timeout).build().unwrap();
        let first = executor.submit(pid, ()).result().unwrap();
        let start = Instant::now();
        let mut last = start;
        let mut longest = Duration::ZERO;
        while start.elapsed() < timeout * 3 {
            let ran_on = executor.submit(pid, ()).result().unwrap();
            longest = longest.max(last.elapsed());
            last = Instant::now();
            // Where the machine was so busy, it may have ended.
            assert!(ran_on == first || longest >= timeout);
        }
    });
}

#[test]
fn they_end_in_good_order_and_are_not_counted_as_deaths() {
    isolated(|| {
        let scratch = Scratch::new();
        let (begun, ended) = (scratch.log("begun"), scratch.log("ended"));
        let executor = builder(1)
            .idle_timeout(Duration::from_millis(5))
            .initializer(log_itself, begun.clone())
            .on_worker_exit(log_itself, ended.clone())
            .restart_limit(0, Duration::from_mins(1))
            .build()
            .unwrap();
        for round in 1..=10 {
            executor.submit(nothing, ()).result().unwrap();
            comes_down_to(&executor, 0);
            assert_eq!(begun.lines().len(), round);
            assert_eq!(ended.numbers(), begun.numbers());
        }
    });
}

#[task]
fn log_itself(log: Log) {
    log.add(process::id());
}

#[test]
fn calls_that_come_as_workers_go_are_run() {
    isolated(|| {
        let timeout = Duration::from_millis(1);
        let executor = builder(2).idle_timeout(timeout).build().unwrap();
        let mut seen = BTreeSet::new();
        for round in 0..100 * u32::try_from(rounds()).unwrap() {
            let pause = timeout / 50 * (round % 100);
            let start = Instant::now();
            while start.elapsed() < pause {
                std::hint::spin_loop();
            }
            let calls: Vec<_> = (0..=round % 3).map(|_| executor.submit(pid, ())).collect();
            for call in calls {
                seen.insert(call.result().unwrap());
            }
        }
        assert!(seen.len() > 1, "some went");
    });
}

#[test]
fn shut_down_or_killed_as_workers_come_and_go() {
    isolated(|| {
        for round in 0..rounds() * 10 {
            let executor = builder(3)
                .idle_timeout(Duration::from_millis(1))
                .max_tasks_per_worker(2)
                .build()
                .unwrap();
            let futures: Vec<_> = (0..10).map(|x| executor.submit(cube, x)).collect();
            for future in futures.iter().take(round % 11) {
                future.wait();
            }
            let is_killed = round % 2 == 1;
            if is_killed {
                executor.kill();
            } else {
                executor.shutdown();
            }
            cubed_or_stopped(futures, is_killed);
        }
    });
}

#[test]
fn a_death_beside_idle_ends_confuses_nobody() {
    isolated(|| {
        let executor = builder(2).idle_timeout(Duration::from_millis(2));
        let executor = executor.build().unwrap();
        for x in 0..20 * i64::try_from(rounds()).unwrap() {
            let dying = executor.submit(misbehave, Misdeed::Kill);
            let other = executor.submit(cube, x);
            fails_with(dying.result(), TaskErrorKind::WorkerDied);
            assert_eq!(other.result().unwrap(), cube(x));
        }
        comes_down_to(&executor, 0);
    });
}

#[test]
fn a_broadcast_is_for_those_that_are_there() {
    isolated(|| {
        let executor = on_demand(3).build().unwrap();
        assert!(executor.broadcast(pid, ()).is_empty());
        let first = executor.submit(pid, ()).result().unwrap();
        let told = executor.broadcast(pid, ());
        assert_eq!(told.len(), 1);
        for call in told {
            assert_eq!(call.result().unwrap(), first);
        }
        let all = pids(&executor);
        let told = executor.broadcast(pid, ());
        assert_eq!(told.len(), 3);
        for call in told {
            assert!(all.contains(&call.result().unwrap()));
        }
    });
}

#[test]
fn endless_patience_keeps_all() {
    isolated(|| {
        let executor = builder(2).idle_timeout(Duration::MAX).build().unwrap();
        let all = executor.worker_pids();
        assert_eq!(all.len(), 2, "as if it were not set");
        assert_eq!(pids(&executor), all.into_iter().collect());
    });
}

#[test]
fn once_all_are_gone_nothing_runs() {
    isolated(|| {
        let executor = builder(2).idle_timeout(SOON).build().unwrap();
        assert_eq!(pids(&executor).len(), 2);
        comes_down_to(&executor, 0);
        let (_sender, never) = mpsc::channel::<()>();
        until("the supervising thread rests", || {
            let before = switches();
            never.recv_timeout(SOON * 5).unwrap_err();
            switches() == before
        });
    });
}

/// How often the supervising thread went to sleep.
fn switches() -> u64 {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let statuses = threads.map(|thread| {
        let path = thread.unwrap().path().join("status");
        fs::read_to_string(path).unwrap_or_default()
    });
    let of_supervisor = |status: String| -> Option<u64> {
        status.contains("pool-supervisor").then_some(())?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    };
    statuses.filter_map(of_supervisor).sum()
}

#[test]
fn impossible_bounds_are_refused() {
    isolated(|| {
        let none = builder(2).idle_timeout(Duration::ZERO);
        for (builder, option) in [
            (builder(2).min_workers(3), "min_workers"),
            (none, "idle_timeout"),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            assert!(error.to_string().contains(option), "{error}");
        }
        assert!(builder(2).min_workers(2).build().is_ok());
        // More than there are cores for, where nobody says how many there can be.
        let most = std::thread::available_parallelism().unwrap().get();
        let executor = Executor::builder().min_workers(most + 1).build().unwrap();
        assert_eq!(executor.workers(), most + 1);
    });
}

#[test]
fn a_death_that_a_stopped_fork_server_does_not_tell_of_is_known_all_the_same() {
    isolated(|| {
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
        let executor = on_demand(1).build().unwrap();
        let held = holding(&executor, &log, &gate, 1);
        let worker = log.numbers()[0];
        // Nothing is asked of it meanwhile: no other worker is needed.
        sys::kill(fork_server(&executor), libc::SIGSTOP).unwrap();
        sys::kill(worker, libc::SIGKILL).unwrap();
        for call in held {
            fails_with(call.result(), TaskErrorKind::WorkerDied);
        }
        assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
    });
}
