//! Workers whose memory is limited.

use std::{
    collections::BTreeSet,
    fs::{read_dir, read_to_string},
    hint,
    io::{BufRead, BufReader},
    process::{self, Command, Stdio},
    sync::{Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use pool_core::{ErrorKind, Executor, ExecutorBuilder, Shared, TaskErrorKind, task};
use pool_tests::{
    Gate, Log, PATIENCE, Scratch, builder, cubes, fails_with, isolated, rounds,
    suite::{pids, why_broken},
    sys,
    tasks::{cube, fill_and_hang, hold, note, pid, sum, sum_of, work},
    until,
};

const MIB: usize = 1 << 20;

/// What tasks have left behind in this worker.
static LEFT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// What a preload has loaded.
static LOADED: OnceLock<Vec<u8>> = OnceLock::new();

/// Executors whose workers may have so many bytes.
fn limited(workers: usize, bytes: usize) -> ExecutorBuilder {
    builder(workers).memory_limit(bytes as u64)
}

fn fill(bytes: usize) -> Vec<u8> {
    hint::black_box(vec![1; bytes])
}

/// Leaves so many bytes behind; tells of how many it found, and the process.
#[task]
fn leak(bytes: usize) -> (usize, u32) {
    let mut left = LEFT.lock().unwrap();
    let found = left.iter().map(Vec::len).sum();
    left.push(fill(bytes));
    (found, process::id())
}

/// Has a thread leave so many bytes behind once the gate is open, and does not wait for it.
#[task]
fn leak_later(gate: Gate, bytes: usize) -> u32 {
    thread::spawn(move || {
        gate.pass();
        LEFT.lock().unwrap().push(fill(bytes));
    });
    process::id()
}

/// Leaves bytes behind, a few at a time, and never ends.
#[task]
fn leak_slowly() {
    loop {
        LEFT.lock().unwrap().push(fill(64 << 10));
        thread::sleep(Duration::from_micros(100));
    }
}

/// Holds so many bytes for so many milliseconds.
#[task]
fn fill_for(bytes: usize, milliseconds: u64) -> u32 {
    let _filled = fill(bytes);
    work(milliseconds)
}

#[task]
fn load(bytes: usize) {
    let mut loaded = fill(bytes);
    loaded[0] = 7;
    LOADED.set(loaded).unwrap();
}

/// The sum of what was loaded, for so many milliseconds.
#[task]
fn read_loaded(milliseconds: u64) -> (u64, u32) {
    let sum = sum_of(LOADED.get().unwrap());
    (sum, work(milliseconds))
}

/// Has a process of its own take so many bytes, for so many milliseconds.
#[task]
fn start_a_hog(bytes: usize, milliseconds: u64) -> u32 {
    let program = format!("x = bytearray(b'1' * {bytes}); print(len(x), flush=True); input()");
    let mut hog = Command::new("python3")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = hog.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), bytes.to_string());
    let worker = work(milliseconds);
    hog.kill().unwrap();
    hog.wait().unwrap();
    worker
}

/// Leaves so many bytes in a new worker.
#[task]
fn prepare(bytes: usize) {
    LEFT.lock().unwrap().push(fill(bytes));
}

#[test]
fn whoever_takes_too_much_is_stopped_and_nobody_else() {
    isolated(|| {
        let executor = limited(2, 32 * MIB).build().unwrap();
        let before = pids(&executor);
        let hogs = [
            executor.submit(fill_and_hang, 100 * MIB),
            executor.submit(leak_slowly, ()),
        ];
        let neighbours: Vec<_> = (0..50).map(|x| executor.submit(cube, x)).collect();
        for hog in hogs {
            let error = fails_with(hog.result(), TaskErrorKind::MemoryLimit);
            let worker = error.worker_pid().unwrap();
            assert!(before.contains(&worker));
            assert_eq!((error.signal(), error.attempts()), (Some(libc::SIGKILL), 1));
            let text = error.to_string();
            let parts = [
                "MiB of its own",
                "memory_limit is 32.0 MiB",
                &worker.to_string(),
            ];
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
        let values: Vec<i64> = neighbours
            .into_iter()
            .map(|f| f.result().unwrap())
            .collect();
        assert_eq!(values, cubes(50));
        assert!(pids(&executor).is_disjoint(&before), "both were replaced");
        let stats = executor.stats();
        assert_eq!(stats.failed_with(TaskErrorKind::MemoryLimit), 2);
        assert_eq!((stats.workers_died, stats.workers_recycled), (2, 0));
    });
}

#[test]
fn below_the_limit_nothing_happens() {
    isolated(|| {
        let executor = limited(2, 128 * MIB).build().unwrap();
        let before = pids(&executor);
        for worker in executor.map(fill_for, [(40 * MIB, 20); 20]) {
            assert!(before.contains(&worker.unwrap()));
        }
        assert_eq!(pids(&executor), before);
        let stats = executor.stats();
        assert_eq!((stats.workers_died, stats.workers_recycled), (0, 0));
    });
}

#[test]
fn no_call_begins_in_a_worker_that_has_too_much() {
    isolated(|| {
        let executor = limited(1, 16 * MIB).build().unwrap();
        let mut workers = BTreeSet::new();
        for _ in 0..100 {
            // One that is interrupted for long right after it has leaked may be stopped.
            match executor.submit(leak, MIB).result() {
                Ok((found, worker)) => {
                    assert!(found <= 16 * MIB, "{found}");
                    workers.insert(worker);
                }
                Err(error) => assert_eq!(error.kind(), TaskErrorKind::MemoryLimit, "{error}"),
            }
        }
        assert!(workers.len() >= 5, "{workers:?}");
        until("the old ones are gone", || {
            let exist = workers.iter().filter(|&&pid| sys::exists(pid));
            exist.count() <= 1
        });
    });
}

#[test]
fn f39_a_long_map_of_leaks_goes_on_and_ends() {
    isolated(|| {
        let executor = limited(2, 16 * MIB)
            .max_tasks_per_worker(40)
            .build()
            .unwrap();
        let (mut returned, mut stopped) = (0, 0);
        for result in executor.map(leak, [256 << 10; 1000]) {
            match result {
                Ok((found, _)) => {
                    assert!(found <= 16 * MIB, "{found}");
                    returned += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), TaskErrorKind::MemoryLimit, "{error}");
                    stopped += 1;
                }
            }
        }
        assert_eq!(returned + stopped, 1000);
        assert!(stopped < 20, "{stopped} were stopped");
        assert!(executor.stats().workers_recycled > 0);
    });
}

#[test]
fn a_long_call_is_not_stopped_for_what_a_short_one_left() {
    isolated(|| {
        let executor = limited(1, 4 * MIB).build().unwrap();
        // None of them waits for this thread.
        let pair = |_| {
            let short = executor.submit(leak, 96 << 10);
            (short, executor.submit(work, 40))
        };
        let pairs: Vec<_> = (0..80).map(pair).collect();
        let (mut workers, mut stopped) = (BTreeSet::new(), 0);
        for (short, long) in pairs {
            // One that is interrupted for long right after it has leaked may be stopped.
            stopped += u32::from(short.result().is_err());
            workers.insert(long.result().unwrap());
        }
        assert!(workers.len() >= 2, "{workers:?}");
        assert!(stopped < 5, "{stopped} were stopped");
    });
}

#[test]
fn what_grows_between_calls_recycles_the_worker() {
    isolated(|| {
        let scratch = Scratch::new();
        let (held, ended) = (scratch.log("held"), scratch.log("ended"));
        let (go_on, leak_now) = (scratch.gate("go on"), scratch.gate("leak"));
        let executor = limited(2, 16 * MIB)
            .on_worker_exit(sign_off, ended.clone())
            .build()
            .unwrap();
        // Another one is busy meanwhile, so workers are looked at.
        let other = executor.submit(hold, (held.clone(), go_on.clone()));
        held.reaches(1);
        let leaky = executor.submit(leak_later, (leak_now.clone(), 40 * MIB));
        let leaky = leaky.result().unwrap();
        leak_now.open();
        until("it signed off", || ended.numbers().contains(&leaky));
        until("another took its place", || {
            executor.submit(pid, ()).result().unwrap() != leaky
        });
        go_on.open();
        assert_ne!(other.result().unwrap(), leaky);
        let stats = executor.stats();
        assert_eq!(
            (stats.failed, stats.workers_died, stats.workers_recycled),
            (0, 0, 1)
        );
    });
}

#[task]
fn sign_off(log: Log) {
    log.add(process::id());
}

#[test]
fn a_full_worker_may_take_its_time_to_sign_off() {
    isolated(|| {
        let scratch = Scratch::new();
        let ended = scratch.log("ended");
        let executor = limited(1, 16 * MIB)
            .on_worker_exit(sign_off_slowly, ended.clone())
            .build()
            .unwrap();
        until("some have signed off", || {
            let _ = executor.submit(leak, MIB).result();
            ended.numbers().len() >= 3
        });
        let stats = executor.stats();
        assert!(stats.workers_recycled >= 2, "{stats:?}");
        // One that is interrupted for long right after it has leaked may be stopped.
        let stopped = stats.failed_with(TaskErrorKind::MemoryLimit);
        assert_eq!(stats.workers_died, stopped, "{stats:?}");
    });
}

#[task]
fn sign_off_slowly(log: Log) {
    thread::sleep(Duration::from_millis(100));
    log.add(process::id());
}

#[test]
fn what_is_left_behind_with_nothing_more_to_do_recycles_the_worker() {
    isolated(|| {
        let executor = limited(1, 16 * MIB).build().unwrap();
        until("one is gone that had too much and nothing to do", || {
            // The second call of a worker may be stopped, if it is interrupted for long.
            let leaked = executor.submit(leak, 9 * MIB).result();
            if let Ok((found, worker)) = leaked
                && found == 9 * MIB
            {
                until("it is gone", || !sys::exists(worker));
                return true;
            }
            false
        });
    });
}

#[test]
fn a_preload_does_not_count() {
    isolated(|| {
        let executor = limited(2, 16 * MIB)
            .preload(load, 80 * MIB)
            .build()
            .unwrap();
        let before = pids(&executor);
        for result in executor.map(read_loaded, [50; 10]) {
            let (sum, worker) = result.unwrap();
            assert_eq!(sum, 80 * MIB as u64 + 6);
            assert!(before.contains(&worker));
        }
        fails_with(
            executor.submit(fill_and_hang, 40 * MIB).result(),
            TaskErrorKind::MemoryLimit,
        );
        let (sum, _) = executor.submit(read_loaded, 0).result().unwrap();
        assert_eq!(sum, 80 * MIB as u64 + 6, "its replacement has it, too");
    });
}

#[test]
fn shared_values_do_not_count() {
    isolated(|| {
        let executor = limited(2, 16 * MIB).build().unwrap();
        let before = pids(&executor);
        let bytes = executor.share_slice(&vec![1_u8; 64 * MIB]).unwrap();
        let inputs = std::iter::repeat_n(bytes, 10);
        for result in executor.map(sum_slowly, inputs) {
            assert_eq!(result.unwrap(), 64 * MIB as u64);
        }
        assert_eq!(pids(&executor), before);
    });
}

#[task]
fn sum_slowly(bytes: Shared<[u8]>) -> u64 {
    let sum = sum(bytes.clone());
    work(50);
    sum
}

#[test]
fn what_a_task_starts_does_not_count() {
    isolated(|| {
        let executor = limited(1, 16 * MIB).build().unwrap();
        let before = pids(&executor);
        let worker = executor.submit(start_a_hog, (80 * MIB, 200)).result();
        assert!(before.contains(&worker.unwrap()));
        assert_eq!(pids(&executor), before);
    });
}

#[test]
fn it_is_not_tried_again_and_waits_for_no_grace() {
    isolated(|| {
        let executor = limited(1, 16 * MIB)
            .retries(5)
            .grace(Duration::from_hours(1))
            .build()
            .unwrap();
        let error = executor.submit(fill_and_hang, 40 * MIB).result();
        let error = fails_with(error, TaskErrorKind::MemoryLimit);
        assert_eq!(error.attempts(), 1);
        assert_eq!(executor.stats().retried, 0);
    });
}

#[test]
fn a_limit_that_no_worker_keeps_breaks_the_executor() {
    isolated(|| {
        let executor = limited(2, 1).build().unwrap();
        let text = why_broken(&executor);
        assert!(text.contains("before its first call"), "{text}");
        assert!(text.contains("memory_limit"), "{text}");
    });
}

#[test]
fn an_initializer_that_leaves_too_much_breaks_the_executor() {
    isolated(|| {
        let executor = limited(2, 16 * MIB).initializer(prepare, 40 * MIB).build();
        let text = why_broken(&executor.unwrap());
        assert!(text.contains("initializer"), "{text}");
        assert!(text.contains("memory_limit"), "{text}");
        let enough = limited(2, 16 * MIB).initializer(prepare, 8 * MIB).build();
        assert_eq!(enough.unwrap().submit(cube, 3).result().unwrap(), 27);
    });
}

/// Leaves too much in some of the new workers, by the order of their births.
#[task]
fn prepare_badly(born: Log, first: usize, last: usize) {
    born.add(process::id());
    if (first..=last).contains(&born.numbers().len()) {
        LEFT.lock().unwrap().push(fill(17 * MIB));
    }
}

#[test]
fn replacements_that_have_too_much_count_as_deaths() {
    isolated(|| {
        // One that is interrupted for long is stopped in its initializer, which breaks the executor.
        until("none of a few is interrupted", || {
            let scratch = Scratch::new();
            let executor = badly_replaced(&scratch, 4);
            executor.submit(cube, 3).result().is_ok()
        });
        until("none of all is interrupted", || {
            let scratch = Scratch::new();
            let text = why_broken(&badly_replaced(&scratch, usize::MAX));
            text.contains("more than 4 times") && text.contains("before its first call")
        });
    });
}

/// An executor whose first worker has served and is gone, and that bears four deaths.
fn badly_replaced(scratch: &Scratch, last: usize) -> Executor {
    let executor = limited(1, 16 * MIB)
        .initializer(prepare_badly, (scratch.log("born"), 2, last))
        .restart_limit(4, Duration::from_hours(1))
        .build()
        .unwrap();
    assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
    let stopped = executor.submit(fill_and_hang, 40 * MIB).result();
    fails_with(stopped, TaskErrorKind::MemoryLimit);
    executor
}

#[test]
fn an_initializer_that_takes_too_much_breaks_the_executor() {
    isolated(|| {
        let executor = limited(2, 16 * MIB)
            .initializer(fill_and_hang, 40 * MIB)
            .build()
            .unwrap();
        let text = why_broken(&executor);
        assert!(text.contains("initializer"), "{text}");
        assert!(text.contains("too much memory"), "{text}");
    });
}

#[test]
fn a_last_call_that_takes_too_much_is_stopped() {
    isolated(|| {
        let executor = limited(2, 16 * MIB)
            .on_worker_exit(fill_and_hang, 40 * MIB)
            .exit_timeout(Duration::from_hours(1))
            .build()
            .unwrap();
        assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
        let start = Instant::now();
        executor.shutdown();
        assert!(start.elapsed() < PATIENCE);
    });
}

#[test]
fn no_memory_is_refused_and_endless_memory_is_no_limit() {
    isolated(|| {
        let error = limited(1, 0).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert!(error.to_string().contains("memory_limit"), "{error}");
        let executor = builder(1).memory_limit(u64::MAX).build().unwrap();
        let before = pids(&executor);
        let worker = executor.submit(fill_for, (100 * MIB, 50)).result();
        assert!(before.contains(&worker.unwrap()));
    });
}

#[test]
fn it_races_with_every_other_end() {
    isolated(|| {
        let timeout = Duration::from_millis(30);
        for round in 0..rounds() * 6 {
            let executor = limited(2, 8 * MIB).build().unwrap();
            let hog = executor.options().timeout(timeout);
            let hog = if round % 6 == 0 {
                hog.submit(leak_slowly, ())
            } else {
                executor.submit(leak_slowly, ())
            };
            let queued: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
            let pause = Duration::from_millis(10 + 3 * (round as u64 / 6 % 10));
            let _ = hog.wait_timeout(pause);
            let mut end = TaskErrorKind::MemoryLimit;
            match round % 6 {
                0 => end = TaskErrorKind::TimedOut,
                1 => {
                    end = TaskErrorKind::Killed;
                    hog.kill();
                }
                2 => assert!(!hog.cancel() || hog.is_cancelled()),
                3 => executor.close(),
                4 => executor.shutdown(),
                _ => {
                    end = TaskErrorKind::Killed;
                    executor.kill();
                }
            }
            for (x, call) in (0..).zip(queued) {
                match call.result() {
                    Ok(value) => assert_eq!(value, cube(x)),
                    Err(error) => assert_eq!(round % 6, 5, "{error}"),
                }
            }
            let kind = hog.result().unwrap_err().kind();
            let ends = [TaskErrorKind::MemoryLimit, TaskErrorKind::Cancelled, end];
            assert!(ends.contains(&kind), "{kind:?} in round {round}");
        }
    });
}

#[test]
fn idle_workers_are_not_looked_at() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = limited(2, 16 * MIB).build().unwrap();
        let before = pids(&executor);
        executor
            .submit(note, scratch.log("noted"))
            .result()
            .unwrap();
        until("nobody looks any more", || {
            let woken = times_woken();
            thread::sleep(Duration::from_millis(300));
            times_woken() == woken
        });
        assert_eq!(pids(&executor), before);
    });
}

/// How often the supervising thread has gone to sleep.
fn times_woken() -> u64 {
    let threads = read_dir("/proc/self/task").unwrap().flatten();
    let statuses = threads.filter_map(|thread| read_to_string(thread.path().join("status")).ok());
    let of_one = |status: String| {
        let value = |name: &str| {
            status
                .lines()
                .find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
        };
        (value("Name:")? == "pool-supervisor")
            .then(|| value("voluntary_ctxt_switches:")?.parse::<u64>().ok())?
    };
    statuses.filter_map(of_one).sum()
}

#[test]
fn an_executor_that_is_dropped_right_away() {
    isolated(|| {
        for _ in 0..rounds() {
            let executor: Executor = limited(2, 1).build().unwrap();
            drop(executor);
            let executor: Executor = limited(2, 16 * MIB).build().unwrap();
            let hog = executor.submit(fill_and_hang, 40 * MIB);
            executor.kill();
            assert!(hog.result().is_err());
        }
    });
}

#[test]
fn a_full_worker_signs_off_once_at_the_end() {
    isolated(|| {
        for _ in 0..10 {
            let scratch = Scratch::new();
            let ended = scratch.log("ended");
            let executor = limited(1, 16 * MIB)
                .on_worker_exit(sign_off, ended.clone())
                .build()
                .unwrap();
            let _ = executor.submit(leak, 17 * MIB).result();
            executor.shutdown();
            // One that took its place before that signs off too.
            let mut ended = ended.numbers();
            ended.sort_unstable();
            assert!(ended.windows(2).all(|two| two[0] != two[1]), "{ended:?}");
        }
    });
}
