//! What is loaded once for all workers, and what happens when it cannot be.

use std::{
    fs::read_to_string,
    process::{self, Command},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use pool_core::{ErrorKind, StartMethod, TaskErrorKind, task};
use pool_tests::{
    Gate, Log, Misdeed, Scratch, builder, fails_with, isolated, processes, rounds,
    suite::{pids, why_broken},
    sys,
    tasks::{cube, misbehave},
    until,
};

/// What was loaded, and by which process.
static LOADED: OnceLock<(u32, Vec<u8>)> = OnceLock::new();

#[task]
fn load(log: Log, bytes: usize) {
    log.add(process::id());
    let loaded = LOADED.set((process::id(), vec![1; bytes]));
    assert!(loaded.is_ok(), "once in each fork server");
}

/// Reads something of each page: how many bytes there are.
fn read() -> usize {
    let (_, bytes) = LOADED.get().expect("it is loaded");
    assert!(bytes.iter().step_by(4096).all(|&byte| byte == 1));
    bytes.len()
}

#[task]
fn read_first() {
    read();
}

/// Where it was loaded, by which process this one was forked, and how many bytes there are.
#[task]
fn loaded() -> (u32, u32, usize) {
    let (process, _) = LOADED.get().expect("it is loaded");
    (*process, std::os::unix::process::parent_id(), read())
}

#[task]
fn refuse(log: Log, text: String) -> Result<(), String> {
    log.add(process::id());
    Err(text)
}

#[task]
fn misload(log: Log, misdeed: Misdeed) {
    log.add(process::id());
    misdeed.commit().expect("a misdeed of tasks");
}

#[task]
fn load_behind(log: Log, gate: Gate) {
    log.add(process::id());
    gate.pass();
}

#[task]
fn start_thread(ends: bool) {
    let thread = thread::Builder::new().name("loader".to_owned());
    let wait = move || {
        if !ends {
            loop {
                thread::park();
            }
        }
    };
    drop(thread.spawn(wait).expect("a thread"));
}

#[task]
#[expect(
    clippy::zombie_processes,
    reason = "what becomes of such a process is what is looked at"
)]
fn start_process(log: Log, waits: bool) {
    let mut child = Command::new("sleep").arg("3600").spawn().expect("a child");
    log.add(child.id());
    if waits {
        child.wait().expect("a child to wait for");
    }
}

#[task]
fn use_child() -> Result<(), String> {
    let output = Command::new("true").status();
    let output = output.map_err(|error| error.to_string())?;
    output
        .success()
        .then_some(())
        .ok_or_else(|| output.to_string())
}

/// Catches a panic, and crashes of something else.
#[task]
fn catch_and_crash() {
    let caught = std::panic::catch_unwind(|| panic!("caught"));
    assert!(caught.is_err());
    Misdeed::BadWrite.commit().expect("a misdeed of tasks");
}

/// A panic that cannot unwind.
#[task]
fn panic_in_c() {
    extern "C" fn no_unwinding() {
        panic!("in a function of C");
    }
    no_unwinding();
}

#[task]
fn take(bytes: Vec<u8>) -> Result<(), String> {
    Err(format!("{} bytes{}", bytes.len(), "!".repeat(bytes.len())))
}

#[test]
fn once_for_all_workers() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("loaded");
        let executor = builder(3)
            .preload(load, (log.clone(), 1000))
            .build()
            .unwrap();
        for _ in 0..30 {
            let (process, parent, sum) = executor.submit(loaded, ()).result().unwrap();
            assert_eq!((process, sum), (parent, 1000), "in the fork server");
        }
        assert_eq!(log.lines().len(), 1);
        assert!(LOADED.get().is_none(), "not in the application");
        assert_eq!(pids(&executor).len(), 3);
    });
}

#[test]
fn replacements_have_it_and_nobody_loads_again() {
    isolated(|| {
        let scratch = Scratch::new();
        // Without a spare, and with one.
        for size in [10, 40 << 20] {
            let log = scratch.log(&format!("loaded {size}"));
            let executor = builder(1)
                .preload(load, (log.clone(), size))
                .build()
                .unwrap();
            for _ in 0..5 {
                let killed = executor.submit(misbehave, Misdeed::Kill);
                Misdeed::Kill.is_told_by(&killed.result().unwrap_err());
                assert_eq!(executor.submit(loaded, ()).result().unwrap().2, size);
                assert_eq!(executor.worker_pids().len(), 1);
            }
            assert_eq!(log.lines().len(), 1);
        }
    });
}

#[test]
fn another_fork_server_loads_again() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("loaded");
        let executor = builder(2)
            .preload(load, (log.clone(), 1000))
            .build()
            .unwrap();
        for round in 1..=3 {
            let (server, _, _) = executor.submit(loaded, ()).result().unwrap();
            assert_eq!(log.numbers().len(), round);
            let before = executor.worker_pids();
            sys::kill(server, libc::SIGKILL).unwrap();
            until("its workers are gone", || {
                executor
                    .worker_pids()
                    .iter()
                    .all(|pid| !before.contains(pid))
            });
        }
        assert_eq!(executor.submit(loaded, ()).result().unwrap().2, 1000);
    });
}

#[test]
fn the_restarts_of_fork_servers_are_limited() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("loaded");
        let executor = builder(1)
            .preload(load, (log.clone(), 1000))
            .restart_limit(1, Duration::from_mins(10))
            .build()
            .unwrap();
        for _ in 0..2 {
            let (server, _, _) = executor.submit(loaded, ()).result().unwrap();
            sys::kill(server, libc::SIGKILL).unwrap();
            until("the fork server is gone", || !sys::exists(server));
            until("it is noticed", || {
                let found = executor.submit(loaded, ()).result();
                found.map_or(true, |(other, _, _)| other != server)
            });
        }
        assert!(why_broken(&executor).contains("fork server"));
        assert_eq!(log.lines().len(), 2);
    });
}

#[test]
fn an_error_breaks_the_executor_with_its_text() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("tried");
        let args = (log.clone(), "no model found".to_owned());
        let executor = builder(3).preload(refuse, args).build().unwrap();
        let text = why_broken(&executor);
        assert!(text.contains("preload"), "{text}");
        assert!(text.contains("refuse' failed: no model found"), "{text}");
        assert_eq!(log.lines().len(), 1, "once");
    });
}

#[test]
fn a_panic_breaks_the_executor_with_its_text_and_place() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("tried");
        let executor = builder(3)
            .preload(misload, (log.clone(), Misdeed::Panic))
            .build()
            .unwrap();
        let text = why_broken(&executor);
        assert!(text.contains("on purpose"), "{text}");
        assert!(text.contains("misdeed.rs:"), "{text}");
        assert_eq!(log.lines().len(), 1, "once");
    });
}

#[test]
fn a_crash_breaks_the_executor_once() {
    isolated(|| {
        let cases = [
            (Misdeed::ExitAtOnce, "exited with status 7"),
            (Misdeed::Exit, "exited with status"),
            (Misdeed::Abort, "SIGABRT"),
            (Misdeed::BadWrite, "SIGSEGV"),
            (Misdeed::Kill, "SIGKILL"),
            (Misdeed::StackOverflow, "its stack overflowed"),
        ];
        for (misdeed, cause) in cases {
            let scratch = Scratch::new();
            let log = scratch.log("tried");
            let executor = builder(2)
                .preload(misload, (log.clone(), misdeed))
                .build()
                .unwrap();
            let text = why_broken(&executor);
            // How a process that is no child has ended is not told by every kernel.
            let is_told = text.contains(cause) || text.contains("in an unknown way");
            assert!(is_told, "{misdeed:?}: {text}");
            assert!(text.contains("misload"), "{text}");
            assert_eq!(log.lines().len(), 1, "once");
        }
    });
}

#[task]
fn end_thread() {
    sys::end_thread();
}

#[test]
fn a_thread_that_ends_breaks_the_executor() {
    isolated(|| {
        let executor = builder(1).preload(end_thread, ()).build().unwrap();
        let text = why_broken(&executor);
        assert!(text.contains("its thread ended before"), "{text}");
    });
}

#[test]
fn an_abort_is_told_with_its_panic() {
    isolated(|| {
        let executor = builder(1).preload(panic_in_c, ()).build().unwrap();
        let text = why_broken(&executor);
        assert!(text.contains("in a function of C"), "{text}");
        assert!(text.contains("preload.rs:"), "{text}");
        let executor = builder(1).preload(catch_and_crash, ()).build().unwrap();
        let text = why_broken(&executor);
        if text.contains("SIGSEGV") {
            assert!(!text.contains("caught"), "{text}");
        }
    });
}

#[test]
fn one_that_hangs_is_stopped_in_time() {
    isolated(|| {
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("tried"), scratch.gate("never"));
        let start = Instant::now();
        let executor = builder(2)
            .preload(load_behind, (log.clone(), gate))
            .preload_timeout(Duration::from_millis(100))
            .build()
            .unwrap();
        let text = why_broken(&executor);
        assert!(text.contains("did not return within 100ms"), "{text}");
        assert!(text.contains("preload_timeout"), "the remedy: {text}");
        assert!(start.elapsed() < Duration::from_secs(4));
        assert_eq!(log.lines().len(), 1, "once");
    });
}

#[test]
fn one_that_takes_long_is_waited_for() {
    isolated(|| {
        let scratch = Scratch::new();
        let (log, gate) = (scratch.log("tried"), scratch.gate("gate"));
        let executor = builder(2)
            .preload(load_behind, (log.clone(), gate.clone()))
            .preload_timeout(Duration::MAX)
            .build()
            .unwrap();
        let waiting = executor.submit(cube, 2);
        // Longer than a fork server may be silent that does not load.
        assert!(!waiting.wait_timeout(Duration::from_millis(2500)));
        gate.open();
        assert_eq!(waiting.result().unwrap(), 8);
        assert_eq!(log.lines().len(), 1, "once");
    });
}

#[test]
fn the_end_while_it_runs() {
    isolated(|| {
        let scratch = Scratch::new();
        for round in 0..rounds() {
            let (log, gate) = (
                scratch.log(&format!("tried {round}")),
                scratch.gate("never"),
            );
            let executor = builder(2).preload(load_behind, (log.clone(), gate)).build();
            let executor = executor.unwrap();
            let waiting = executor.submit(cube, 2);
            if round % 2 == 0 {
                log.reaches(1);
            }
            executor.kill();
            fails_with(waiting.result(), TaskErrorKind::Cancelled);
        }
    });
}

#[test]
fn what_it_has_started_ends_with_it() {
    isolated(|| {
        let scratch = Scratch::new();
        let child = |log: &Log| {
            log.reaches(1);
            log.numbers()[0]
        };
        let log = scratch.log("left");
        let executor = builder(1)
            .preload(start_process, (log.clone(), false))
            .build()
            .unwrap();
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
        until("it is gone", || !sys::exists(child(&log)));

        let log = scratch.log("waited for");
        let executor = builder(1)
            .preload(start_process, (log.clone(), true))
            .build()
            .unwrap();
        let child = child(&log);
        executor.kill();
        until("it is gone", || !sys::exists(child));
    });
}

#[test]
fn it_may_wait_for_its_children() {
    isolated(|| {
        for _ in 0..rounds() {
            let executor = builder(1).preload(use_child, ()).build().unwrap();
            assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
        }
    });
}

#[test]
fn threads_that_it_leaves_are_refused() {
    isolated(|| {
        let executor = builder(1).preload(start_thread, false).build().unwrap();
        let text = why_broken(&executor);
        assert!(text.contains("2 threads"), "{text}");
        assert!(text.contains("loader"), "by name: {text}");
        let executor = builder(1).preload(start_thread, true).build().unwrap();
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[test]
fn arguments_and_errors_may_be_large() {
    isolated(|| {
        let size = 3 << 20;
        let executor = builder(1).preload(take, vec![1; size]).build().unwrap();
        let text = why_broken(&executor);
        assert!(text.contains(&format!("{size} bytes!")), "{}", text.len());
        assert!(text.len() > size);
    });
}

#[test]
fn where_workers_share_nothing_it_is_refused() {
    fn unmarked() {}
    isolated(|| {
        let spawn = builder(1).start_method(StartMethod::Spawn);
        let error = spawn.preload(use_child, ()).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert!(error.to_string().contains("Spawn"), "{error}");
        let error = builder(1).preload(unmarked, ()).build().unwrap_err();
        assert!(error.to_string().contains("unmarked"), "{error}");
    });
}

#[test]
fn a_spare_is_kept_where_much_is_loaded() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("loaded");
        let executor = builder(2)
            .preload(load, (log.clone(), 40 << 20))
            .build()
            .unwrap();
        // It takes longer to load than workers are waited for, where others keep the cores busy.
        executor.submit(loaded, ()).result().unwrap();
        let workers = executor.worker_pids();
        assert_eq!(workers.len(), 2, "the spare is none of them");
        // The fork server, two workers and the spare.
        until("there is a spare", || processes().len() == 4);
        assert_eq!(executor.worker_pids(), workers);
        let server = executor.submit(loaded, ()).result().unwrap().0;
        let spare = *children(server)
            .iter()
            .find(|pid| !workers.contains(pid))
            .unwrap();
        sys::kill(workers[0], libc::SIGKILL).unwrap();
        until("the spare takes its place", || {
            executor.worker_pids().contains(&spare)
        });
        until("there is another", || processes().len() == 4);
        // A spare that dies is no affair of the executor's.
        let spare = *children(server)
            .iter()
            .find(|pid| !executor.worker_pids().contains(pid))
            .unwrap();
        sys::kill(spare, libc::SIGKILL).unwrap();
        until("it is gone", || !sys::exists(spare));
        assert_eq!(executor.submit(loaded, ()).result().unwrap().2, 40 << 20);
        let killed = executor.submit(misbehave, Misdeed::Kill);
        Misdeed::Kill.is_told_by(&killed.result().unwrap_err());
        assert_eq!(executor.submit(loaded, ()).result().unwrap().2, 40 << 20);
        assert_eq!(log.lines().len(), 1);
    });
}

#[test]
fn it_lies_in_memory_once() {
    isolated(|| {
        let scratch = Scratch::new();
        let log = scratch.log("loaded");
        let size = mebibytes() << 20;
        let executor = builder(8)
            .preload(load, (log, size))
            .initializer(read_first, ())
            .build()
            .unwrap();
        let workers = pids(&executor);
        let server = executor.submit(loaded, ()).result().unwrap().0;
        let spared = workers.len() + 1;
        until("there is a spare, too", || children(server).len() == spared);
        let all: Vec<u32> = children(server).into_iter().chain([server]).collect();
        let memory: usize = all.iter().map(|&pid| proportional_memory(pid)).sum();
        println!("{} processes have {} MiB", all.len(), memory >> 20);
        assert!(memory > size, "it is there");
        // What each process has besides is less than that.
        assert!(
            memory < size + all.len() * (8 << 20),
            "{} MiB",
            memory >> 20
        );
    });
}

/// How much the test of memory loads: `POOL_TEST_PRELOAD_MIB`, else some.
fn mebibytes() -> usize {
    std::env::var("POOL_TEST_PRELOAD_MIB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(64)
}

/// The children of a process with one thread.
fn children(pid: u32) -> Vec<u32> {
    let children = read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let numbers = children.split_ascii_whitespace();
    numbers.map(|pid| pid.parse().unwrap()).collect()
}

/// Bytes of memory, each page divided by the number of processes that have it.
fn proportional_memory(pid: u32) -> usize {
    let text = read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.unwrap().trim().strip_suffix(" kB").unwrap();
    number.trim().parse::<usize>().unwrap() * 1024
}
