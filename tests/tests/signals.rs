//! Signals: those of the application, those of its workers, and those that come at a bad moment.

use std::{
    env,
    fs::read_to_string,
    os::unix::process::CommandExt,
    process::{self, Command, ExitCode, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use pool_core::{ExecutorBuilder, StartMethod, TaskErrorKind, task};
use pool_tests::{
    Log, Scratch, builder, executor, fails_with, functions, harness, maps, pattern, program,
    rounds,
    suite::pids,
    sys,
    tasks::{bytes, cube, even, sum, sum_of},
    until,
};

fn main() -> ExitCode {
    harness(
        functions![
            a_worker_has_them_as_a_fresh_process_does
            what_a_task_does_to_them_is_its_workers_affair
            a_handler_for_crashes_is_the_initializers_affair
            f64_interruptions_tear_nothing
            what_a_terminal_sends_reaches_the_application_alone
        ],
        functions![in_the_foreground],
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

#[task]
fn report_crashes() {
    sys::leave_at(libc::SIGABRT);
}

#[task]
fn abort() {
    process::abort()
}

fn a_handler_for_crashes_is_the_initializers_affair() {
    let crash = |builder: ExecutorBuilder| {
        let executor = builder.build().unwrap();
        let error = executor.submit(abort, ()).result().unwrap_err();
        (error.signal(), error.exit_code())
    };
    let preloaded = builder(1).preload(report_crashes, ());
    assert_eq!(crash(preloaded), (Some(libc::SIGABRT), None));
    let initialized = builder(1).initializer(report_crashes, ());
    assert_eq!(crash(initialized), (None, Some(sys::LEFT)));
}

fn f64_interruptions_tear_nothing() {
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

/// Tells again and again that it lives, until it is told to end.
#[task]
fn tick(ticks: Log, end: Log) {
    while end.lines().is_empty() {
        ticks.add(".");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A program that survives interrupts, and has a call running.
fn in_the_foreground() {
    sys::catch(libc::SIGINT).unwrap();
    let [ticks, end] = [1, 2].map(|place| Log::at(env::args().nth(place).unwrap()));
    executor(1).submit(tick, (ticks, end)).result().unwrap();
}

fn what_a_terminal_sends_reaches_the_application_alone() {
    let scratch = Scratch::new();
    let (ticks, end) = (scratch.log("ticks"), scratch.log("end"));
    let mut command = program("in_the_foreground");
    command.args([ticks.path(), end.path()]).process_group(0);
    let application = command.stderr(Stdio::piped()).spawn().unwrap();
    let group = format!("-{}", application.id());
    let send = |signal| {
        let sent = Command::new("kill").args([signal, "--", &group]).status();
        assert!(sent.unwrap().success());
    };
    let works = || {
        let before = ticks.lines().len();
        ticks.reaches(before + 10);
    };
    ticks.reaches(1);
    send("-INT");
    works();
    send("-TSTP");
    until("the application stands still", || {
        let stat = read_to_string(format!("/proc/{}/stat", application.id()));
        stat.unwrap().contains(") T ")
    });
    works();
    send("-CONT");
    end.add("now");
    let output = application.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
