//! Signals: those of the application, those of its workers, and those that come at a bad moment.

use std::{
    fs::read_to_string,
    process::{self, ExitCode},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use pool_core::{StartMethod, TaskErrorKind, task};
use pool_tests::{
    builder, executor, fails_with, functions, harness, maps, pattern, rounds,
    suite::pids,
    sys,
    tasks::{bytes, cube, even, sum, sum_of},
};

fn main() -> ExitCode {
    harness(
        functions![
            a_worker_has_them_as_a_fresh_process_does
            what_a_task_does_to_them_is_its_workers_affair
            interruptions_tear_nothing
        ],
        &[],
    )
}

/// What a process does with signals: the sets of those that are ignored, and those that are caught.
fn dispositions() -> (u64, u64) {
    // Two that the C library uses for itself.
    const INTERNAL: u64 = 0b11 << 31;
    let status = read_to_string("/proc/self/status").unwrap();
    let set = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap() & !INTERNAL
    };
    (set("SigIgn:"), set("SigCgt:"))
}

fn contains(set: u64, signal: i32) -> bool {
    set & (1 << (signal - 1)) != 0
}

#[task]
fn told() -> (u64, u64) {
    dispositions()
}

fn a_worker_has_them_as_a_fresh_process_does() {
    // Whoever started this program may have had some of them ignored.
    let (ignored_at_first, _) = dispositions();
    let changed = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGTERM,
        libc::SIGCHLD,
        libc::SIGUSR2,
    ];
    for start_method in [
        StartMethod::ForkServer,
        StartMethod::Spawn,
        StartMethod::Fork,
    ] {
        for signal in changed {
            sys::ignore(signal);
        }
        sys::catch(libc::SIGUSR1).unwrap();
        let before = dispositions();
        let executor = builder(1).start_method(start_method).build().unwrap();
        let (ignored, caught) = executor.submit(told, ()).result().unwrap();
        for signal in changed.into_iter().chain([libc::SIGUSR1]) {
            assert!(
                !contains(ignored, signal),
                "{start_method:?}: {signal} is ignored"
            );
            assert!(
                !contains(caught, signal),
                "{start_method:?}: {signal} is caught"
            );
        }
        assert_eq!(
            dispositions(),
            before,
            "{start_method:?}: the application's"
        );
        drop(executor);
        for signal in changed.into_iter().chain([libc::SIGUSR1]) {
            if contains(ignored_at_first, signal) {
                sys::ignore(signal);
            } else {
                sys::heed(signal);
            }
        }
    }
}

#[task]
fn catch_interruptions() {
    sys::catch(libc::SIGUSR1).unwrap();
    sys::ignore(libc::SIGUSR2);
}

fn what_a_task_does_to_them_is_its_workers_affair() {
    let executor = executor(1);
    let before = dispositions();
    let fresh = executor.submit(told, ()).result().unwrap();
    executor.submit(catch_interruptions, ()).result().unwrap();
    let (ignored, caught) = executor.submit(told, ()).result().unwrap();
    assert!(contains(ignored, libc::SIGUSR2) && contains(caught, libc::SIGUSR1));
    let worker = executor.worker_pids()[0];
    sys::kill(worker, libc::SIGKILL).unwrap();
    let replaced = loop {
        // The one that is killed may have begun the call.
        if let Ok(replaced) = executor.submit(told, ()).result()
            && executor.worker_pids() != [worker]
        {
            break replaced;
        }
    };
    assert_eq!(replaced, fresh);
    assert_eq!(dispositions(), before);
}

fn interruptions_tear_nothing() {
    sys::catch(libc::SIGUSR1).unwrap();
    let executor = builder(2)
        .initializer(catch_interruptions, ())
        .build()
        .unwrap();
    let workers = pids(&executor);
    let is_over = AtomicBool::new(false);
    let large = pattern(3_000_000);
    thread::scope(|scope| {
        let interrupting = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for &process in workers.iter().chain([&process::id()]) {
                    sys::kill(process, libc::SIGUSR1).unwrap();
                }
                thread::sleep(Duration::from_micros(50));
            }
        });
        for x in 0..5 * i64::try_from(rounds()).unwrap() {
            maps(&executor, 200);
            assert_eq!(executor.submit_ref(bytes, &large).result().unwrap(), large);
            let shared = executor.share_slice(&large).unwrap();
            assert_eq!(
                executor.submit(sum, shared).result().unwrap(),
                sum_of(&large)
            );
            assert_eq!(
                pollster::block_on(executor.submit(cube, x)).unwrap(),
                cube(x)
            );
            fails_with(executor.submit(even, 1).result(), TaskErrorKind::Panicked);
            maps(&pool_tests::executor(1), 20);
        }
        is_over.store(true, Ordering::Relaxed);
        interrupting.join().unwrap();
    });
    assert_eq!(pids(&executor), workers, "no worker was lost");
    drop(executor);
    sys::heed(libc::SIGUSR1);
}
