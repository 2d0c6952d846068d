//! Values that many calls refer to: when they go, whoever dies meanwhile, and what is short.

use std::{
    collections::BTreeSet,
    fs::{self, read_dir, read_link},
    sync::Mutex,
    thread,
    time::Duration,
};

use pool_core::{Executor, Shared, TaskErrorKind, TaskFuture, task};
use pool_tests::{
    Gate, Isolated, Misdeed, Scratch, executor, fails_with, isolated, rounds,
    suite::held,
    sys,
    tasks::{pid, sum, sum_of},
    until,
};
use serde::{Deserialize, Serialize};

/// How often shared memory is mapped in a process.
fn mappings(process: &str) -> usize {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    maps.lines()
        .filter(|line| line.contains("memfd:pool-shared"))
        .count()
}

/// How many descriptors of a process lead to shared memory.
fn descriptors(process: &str) -> usize {
    let Ok(entries) = read_dir(format!("/proc/{process}/fd")) else {
        return 0;
    };
    entries
        .filter_map(|entry| read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().contains("memfd:pool-shared"))
        .count()
}

/// Waits until nobody here, and no worker, has shared memory.
#[track_caller]
fn all_is_freed(executor: &Executor) {
    until("all shared memory is freed", || {
        let workers = executor
            .worker_pids()
            .into_iter()
            .map(|pid| pid.to_string());
        workers
            .chain(["self".into()])
            .all(|process| mappings(&process) + descriptors(&process) == 0)
    });
}

#[task]
fn sum_later(bytes: Shared<[u8]>, gate: Gate) -> u64 {
    gate.pass();
    sum(bytes)
}

#[task]
fn misbehave_with(bytes: Shared<[u8]>, misdeed: Misdeed) -> u64 {
    misdeed.commit().unwrap();
    sum(bytes)
}

#[test]
fn it_goes_with_the_last_handle() {
    isolated(|| {
        let executor = executor(2);
        let shared = executor.share_slice(&[1; 10_000]).unwrap();
        for call in executor.map(sum, vec![shared.clone(); 20]) {
            assert_eq!(call.unwrap(), 10_000);
        }
        for worker in executor.worker_pids() {
            assert_eq!(descriptors(&worker.to_string()), 0, "none in a worker");
        }
        assert_eq!((mappings("self"), descriptors("self")), (1, 1));
        let copy = shared.clone();
        drop(shared);
        assert_eq!(executor.submit_ref(sum, &copy).result().unwrap(), 10_000);
        drop(copy);
        all_is_freed(&executor);
    });
}

#[test]
fn a_pending_call_and_an_unread_result_keep_it() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let gate = scratch.gate("gate");
        let shared = executor.share_slice(&[1; 10_000]).unwrap();
        let running = executor.submit(sum_later, (shared.clone(), gate.clone()));
        let queued = executor.submit(sum_later, (shared, gate.clone()));
        assert_eq!(descriptors("self"), 1, "two calls need it");
        assert!(queued.cancel());
        assert_eq!(descriptors("self"), 1, "one call needs it");
        gate.open();
        assert_eq!(running.result().unwrap(), 10_000);
        all_is_freed(&executor);

        let shared = executor.share_slice(&[1; 10_000]).unwrap();
        let echo = executor.submit(echo, shared);
        echo.wait();
        let back = echo.result().unwrap();
        assert_eq!(back[..], [1; 10_000], "read again from memory");
        drop(back);
        all_is_freed(&executor);
    });
}

#[task]
fn echo(bytes: Shared<[u8]>) -> Shared<[u8]> {
    bytes
}

#[test]
fn futures_that_nobody_reads_keep_nothing() {
    isolated(|| {
        let executor = executor(1);
        let shared = executor.share_slice(&[1; 10_000]).unwrap();
        for _ in 0..100 {
            drop(executor.submit_ref(echo, &shared));
        }
        drop(shared);
        executor.submit(pid, ()).result().unwrap();
        all_is_freed(&executor);
    });
}

#[test]
fn a_thousand_values_leave_nothing() {
    isolated(|| {
        let executor = executor(2);
        for number in 0..1000u32 {
            let bytes = number.to_le_bytes();
            let shared = executor.share_slice(&bytes).unwrap();
            let expected = sum_of(&bytes);
            assert_eq!(executor.submit(sum, shared).result().unwrap(), expected);
        }
        all_is_freed(&executor);
    });
}

#[task]
fn total(all: Vec<Shared<[u8]>>) -> u64 {
    all.into_iter().map(sum).sum()
}

/// More than a socket has room for, and gone all at once.
#[test]
fn many_values_in_one_call() {
    isolated(|| {
        let executor = executor(2);
        let all: Vec<_> = (0..700)
            .map(|_| executor.share_slice(&[1]).unwrap())
            .collect();
        let calls: Vec<TaskFuture<u64>> =
            (0..4).map(|_| executor.submit_ref(total, &all)).collect();
        for call in calls {
            assert_eq!(call.result().unwrap(), 700);
        }
        drop(all);
        all_is_freed(&executor);
    });
}

#[test]
fn many_values_for_a_worker_that_is_busy() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (busy, gate) = held(&executor, &scratch);
        let calls: Vec<_> = (0..700)
            .map(|_| executor.submit(sum, executor.share_slice(&[1]).unwrap()))
            .collect();
        gate.open();
        busy.result().unwrap();
        assert!(calls.into_iter().all(|call| call.result().unwrap() == 1));
        all_is_freed(&executor);
    });
}

#[test]
fn a_cancelled_map_keeps_nothing() {
    isolated(|| {
        let executor = executor(1);
        let shared = executor.share_slice(&[1; 10_000]).unwrap();
        let mut map = executor.map(sum, std::iter::repeat(shared));
        assert_eq!(map.next().unwrap().unwrap(), 10_000);
        drop(map);
        all_is_freed(&executor);
    });
}

#[test]
fn a_crash_costs_one_call_and_keeps_nothing() {
    isolated(|| {
        let executor = executor(2);
        let shared = executor.share_slice(&[1; 10_000]).unwrap();
        for misdeed in Misdeed::OF_TASKS {
            let good: Vec<_> = (0..20).map(|_| executor.submit_ref(sum, &shared)).collect();
            let bad = executor.submit(misbehave_with, (shared.clone(), misdeed));
            misdeed.is_told_by(&bad.result().unwrap_err());
            for call in good {
                assert_eq!(call.result().unwrap(), 10_000, "{misdeed:?}");
            }
        }
        drop(shared);
        all_is_freed(&executor);
    });
}

#[test]
fn a_storm_of_kills_keeps_nothing() {
    isolated(|| {
        let builder = Executor::builder().workers(2);
        let builder = builder.restart_limit(u32::MAX, Duration::MAX);
        let executor = builder.build().unwrap();
        for _ in 0..rounds() * 4 {
            let all: Vec<_> = (0..10)
                .map(|_| executor.share_slice(&[1; 5000]).unwrap())
                .collect();
            let calls: Vec<_> = all
                .iter()
                .map(|one| executor.submit_ref(sum, one))
                .collect();
            for worker in executor.worker_pids() {
                // It may have died by now, of the round before.
                let _ = sys::kill(worker, libc::SIGKILL);
            }
            drop(all);
            for call in calls {
                match call.result() {
                    Ok(total) => assert_eq!(total, 5000),
                    Err(error) => assert_eq!(error.kind(), TaskErrorKind::WorkerDied, "{error}"),
                }
            }
        }
        all_is_freed(&executor);
    });
}

#[test]
fn an_executor_that_is_killed_keeps_nothing() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let shared = executor.share_slice(&[1; 10_000]).unwrap();
        let calls: Vec<_> = (0..10)
            .map(|_| executor.submit(sum_later, (shared.clone(), scratch.gate("never"))))
            .collect();
        drop(shared);
        executor.kill();
        for call in calls {
            let kind = call.result().unwrap_err().kind();
            assert!(matches!(
                kind,
                TaskErrorKind::Killed | TaskErrorKind::Cancelled
            ));
        }
        all_is_freed(&executor);
    });
}

static KEPT: Mutex<Vec<Shared<[u8]>>> = Mutex::new(Vec::new());

#[task]
fn keep(bytes: Shared<[u8]>) {
    KEPT.lock().unwrap().push(bytes);
}

#[task]
fn let_go() -> usize {
    KEPT.lock()
        .unwrap()
        .drain(..)
        .map(|bytes| bytes.len())
        .sum()
}

#[test]
fn what_a_task_keeps_lives_there() {
    isolated(|| {
        let executor = executor(1);
        let worker = executor.worker_pids()[0].to_string();
        let shared = executor.share_slice(&[1; 10_000]).unwrap();
        executor.submit(keep, shared).result().unwrap();
        until("it is gone here", || {
            mappings("self") + descriptors("self") == 0
        });
        assert_eq!(mappings(&worker), 1);
        assert_eq!(executor.submit(let_go, ()).result().unwrap(), 10_000);
        until("it is gone there", || mappings(&worker) == 0);
    });
}

/// A value that tells when it is dropped.
#[derive(Serialize, Deserialize)]
struct Mourned(pool_tests::Log);

impl Drop for Mourned {
    fn drop(&mut self) {
        self.0.add(std::process::id());
    }
}

#[task]
fn look_at(value: Shared<Mourned>) -> usize {
    value.0.lines().len()
}

#[test]
fn a_decoded_value_is_dropped_in_the_workers_too() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let log = scratch.log("dropped");
        let shared = executor.share(Mourned(log.clone())).unwrap();
        for _ in 0..3 {
            assert_eq!(executor.submit_ref(look_at, &shared).result().unwrap(), 0);
        }
        drop(shared);
        log.reaches(2);
        let dropped: BTreeSet<u32> = log.numbers().into_iter().collect();
        let all = BTreeSet::from([std::process::id(), executor.worker_pids()[0]]);
        assert_eq!(dropped, all, "once in each process");
    });
}

#[test]
fn what_is_short_is_told() {
    isolated(|| {
        let executor = executor(1);
        assert_eq!(
            executor.worker_pids().len(),
            1,
            "it needs no more descriptors"
        );
        sys::limit(libc::RLIMIT_FSIZE, 1 << 20).unwrap();
        let error = fails_with(
            executor.share_slice(&vec![0u8; 2 << 20]),
            TaskErrorKind::Encode,
        );
        assert!(error.to_string().contains("RLIMIT_FSIZE"), "{error}");
        let fine = executor.share_slice(&vec![1u8; 1 << 20]).unwrap();
        let mut all = Vec::new();
        sys::limit_descriptors(100).unwrap();
        let error = loop {
            match executor.share_slice(&[0u8]) {
                Ok(shared) => all.push(shared),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
        assert_eq!(executor.submit(sum, fine).result().unwrap(), 1 << 20);
    });
}

#[task]
fn use_all_descriptors() -> bool {
    static OPEN: Mutex<Vec<fs::File>> = Mutex::new(Vec::new());
    let mut open = OPEN.lock().unwrap();
    while let Ok(file) = fs::File::open("/dev/null") {
        open.push(file);
    }
    true
}

#[test]
fn a_worker_without_descriptors_says_so() {
    isolated(|| {
        let executor = executor(1);
        assert!(executor.submit(use_all_descriptors, ()).result().unwrap());
        let shared = executor.share_slice(&[1]).unwrap();
        let error = fails_with(
            executor.submit_ref(sum, &shared).result(),
            TaskErrorKind::Decode,
        );
        assert!(error.to_string().contains("as many descriptors"), "{error}");
    });
}

#[test]
fn a_fork_of_the_application_does_not_end_it() {
    isolated(|| {
        let executor = executor(1);
        let shared = executor.share_slice(&[1; 10_000]).unwrap();
        assert_eq!(executor.submit_ref(sum, &shared).result().unwrap(), 10_000);
        let shared = sys::in_forked_copy(shared, drop).unwrap();
        assert_eq!(executor.submit(sum, shared).result().unwrap(), 10_000);
    });
}

#[test]
fn shared_and_dropped_by_many_threads() {
    Isolated::new().large().run(|| {
        let executor = executor(2);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let shared = executor.share_slice(&[1; 3000]).unwrap();
                        let call = executor.submit_ref(echo, &shared);
                        drop(shared);
                        assert_eq!(call.result().unwrap().len(), 3000);
                    }
                });
            }
        });
        all_is_freed(&executor);
    });
}
