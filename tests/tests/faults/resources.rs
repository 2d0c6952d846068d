//! What runs out: memory, descriptors, processes, in the application and in its workers.

use std::{fs, hint::black_box, path::PathBuf, process, time::Duration};

use pool_core::{DeathCause, Executor, TaskErrorKind, task};
use pool_tests::{
    Isolated, Misdeed, builder, fails_with, isolated, maps, pattern, skipped,
    suite::{fork_server, pids, why_broken},
    sys,
    tasks::{bytes, cube, fill_and_hang, misbehave, pid, zeros},
    tireless_executor, until,
};

/// A control group for memory, in which this process is for as long as this lives.
struct MemoryGroup {
    home: PathBuf,
    group: PathBuf,
}

impl MemoryGroup {
    /// One that may have so many bytes, if this machine lets us make one.
    fn of(bytes: usize) -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path = |line: &str| Some(line.splitn(3, ':').nth(2)?.trim_matches('/').to_owned());
        let first = groups.lines().find(|line| line.contains(":memory:"));
        let second = groups.lines().find(|line| line.starts_with("0::"));
        let (home, limit) = match (first, second) {
            (Some(line), _) => (
                PathBuf::from("/sys/fs/cgroup/memory").join(path(line)?),
                "memory.limit_in_bytes",
            ),
            (_, Some(line)) => (
                PathBuf::from("/sys/fs/cgroup").join(path(line)?),
                "memory.max",
            ),
            _ => return None,
        };
        let group = home.join(format!("pool-test-{}", process::id()));
        fs::create_dir(&group).ok()?;
        let group = Self { home, group };
        fs::write(group.group.join(limit), bytes.to_string()).ok()?;
        fs::write(group.group.join("cgroup.procs"), process::id().to_string()).ok()?;
        Some(group)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Whatever was not allowed need not be undone.
        let _ = fs::write(self.home.join("cgroup.procs"), process::id().to_string());
        let _ = fs::remove_dir(&self.group);
    }
}

#[test]
fn f15_the_kernel_kills_a_worker_for_want_of_memory() {
    isolated(|| {
        let Some(_group) = MemoryGroup::of(200 << 20) else {
            skipped(
                "a kill for want of memory",
                "no control group can be made here",
            );
            return;
        };
        let executor = tireless_executor(2);
        for _ in 0..3 {
            let hungry = executor.submit(fill_and_hang, 1 << 30);
            let error = fails_with(hungry.result(), TaskErrorKind::WorkerDied);
            assert_eq!(error.signal(), Some(libc::SIGKILL), "{error}");
            assert_eq!(error.death_cause(), Some(DeathCause::OomKiller), "{error}");
            assert!(error.started());
            // Others kill as well.
            let killed = executor.submit(misbehave, Misdeed::Kill);
            let error = fails_with(killed.result(), TaskErrorKind::WorkerDied);
            assert_eq!(error.death_cause(), None, "{error}");
            maps(&executor, 10);
        }
    });
}

#[task]
fn limit_address_space(bytes: u64) {
    sys::limit(libc::RLIMIT_AS, bytes).unwrap();
}

#[task]
fn allocate(bytes: usize) -> usize {
    black_box(vec![1_u8; bytes]).len()
}

/// Has the kernel refuse this thread memory, which it bears, then aborts for another reason.
#[task]
fn abort_after_a_refusal(bytes: usize) {
    assert!(Vec::<u8>::new().try_reserve(bytes).is_err());
    assert!(fs::read("/nowhere").is_err());
    process::abort();
}

#[test]
fn f16_an_allocation_fails() {
    // With a backtrace of its own, the standard library opens files before it aborts.
    let quiet = Isolated::new().env("RUST_BACKTRACE", "0");
    quiet.run(|| {
        let executor = builder(1)
            .initializer(limit_address_space, 1 << 30)
            .build()
            .unwrap();
        for _ in 0..3 {
            let call = executor.submit(allocate, 2 << 30);
            let error = fails_with(call.result(), TaskErrorKind::WorkerDied);
            assert_eq!(error.signal(), Some(libc::SIGABRT), "{error}");
            assert_eq!(
                error.death_cause(),
                Some(DeathCause::OutOfMemory),
                "{error}"
            );
            let call = executor.submit(misbehave, Misdeed::Abort);
            let error = fails_with(call.result(), TaskErrorKind::WorkerDied);
            assert_eq!(error.death_cause(), None, "{error}");
            let call = executor.submit(abort_after_a_refusal, 2 << 30);
            let error = fails_with(call.result(), TaskErrorKind::WorkerDied);
            assert_eq!(error.death_cause(), None, "{error}");
            assert_eq!(executor.submit(allocate, 1000).result().unwrap(), 1000);
        }
    });
}

/// Has the application get no replacement of a worker for a while, which another one lives through.
fn lives_with_what_is_left(executor: &Executor, refuse: impl FnOnce(), allow: impl FnOnce()) {
    let [first, second] = executor.worker_pids()[..] else {
        panic!("two workers");
    };
    refuse();
    sys::kill(first, libc::SIGKILL).unwrap();
    until("it is gone", || executor.stats().alive == 1);
    for _ in 0..20 {
        maps(executor, 100);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(executor.stats().alive, 1);
    assert!(sys::exists(second), "the other one serves");
    allow();
    assert_eq!(pids(executor).len(), 2);
}

/// An executor that bears hardly any deaths outside of tasks.
fn fragile(workers: usize) -> Executor {
    let hour = Duration::from_hours(1);
    builder(workers).restart_limit(6, hour).build().unwrap()
}

#[test]
fn f20_the_application_has_no_descriptors_left() {
    isolated(|| {
        let executor = fragile(2);
        lives_with_what_is_left(
            &executor,
            || sys::limit_descriptors(3).unwrap(),
            || sys::limit_descriptors(1024).unwrap(),
        );
    });
}

#[test]
fn f20_without_workers_the_want_of_descriptors_is_told() {
    isolated(|| {
        let executor = fragile(1);
        let [only] = executor.worker_pids()[..] else {
            panic!("one worker");
        };
        sys::limit_descriptors(3).unwrap();
        sys::kill(only, libc::SIGKILL).unwrap();
        until("it is broken", || {
            executor.submit(cube, 2).result().is_err()
        });
        let why = why_broken(&executor);
        assert!(why.contains("could not be asked for"), "{why}");
        assert!(why.contains("open files"), "{why}");
        sys::limit_descriptors(1024).unwrap();
    });
}

#[task]
fn use_up_descriptors() -> usize {
    sys::limit_descriptors(3).unwrap();
    fs::read_dir("/proc/self").map_or(0, Iterator::count)
}

#[test]
fn f21_a_worker_has_no_descriptors_left() {
    isolated(|| {
        let executor = builder(1).build().unwrap();
        let worker = executor.submit(pid, ()).result().unwrap();
        assert_eq!(executor.submit(use_up_descriptors, ()).result().unwrap(), 0);
        maps(&executor, 1000);
        let sent = pattern(1 << 20);
        let back = executor.submit(bytes, sent.clone()).result().unwrap();
        assert!(back == sent, "calls need none");
        assert_eq!(executor.submit(pid, ()).result().unwrap(), worker);
    });
}

#[test]
fn f22_no_worker_can_be_forked_for_a_while() {
    isolated(|| {
        sys::renounce_privileges().unwrap();
        let executor = fragile(2);
        let server = fork_server(&executor);
        lives_with_what_is_left(
            &executor,
            || sys::limit_of(server, libc::RLIMIT_NPROC, 0).unwrap(),
            || sys::limit_of(server, libc::RLIMIT_NPROC, u64::MAX).unwrap(),
        );
    });
}

#[test]
fn f22_without_workers_the_want_of_processes_is_told() {
    isolated(|| {
        sys::renounce_privileges().unwrap();
        let executor = fragile(1);
        let server = fork_server(&executor);
        sys::limit_of(server, libc::RLIMIT_NPROC, 0).unwrap();
        sys::kill(executor.worker_pids()[0], libc::SIGKILL).unwrap();
        until("it is broken", || {
            executor.submit(cube, 2).result().is_err()
        });
        let why = why_broken(&executor);
        assert!(why.contains("could not be forked"), "{why}");
    });
}

#[test]
fn f24_no_memory_can_be_shared_with_a_new_worker_for_a_while() {
    isolated(|| {
        let executor = fragile(2);
        // Less than the rings of a worker have, and more than anything here prints.
        lives_with_what_is_left(
            &executor,
            || sys::limit(libc::RLIMIT_FSIZE, 100_000).unwrap(),
            || sys::limit(libc::RLIMIT_FSIZE, u64::MAX).unwrap(),
        );
    });
}

/// How many bytes of addresses this process uses.
fn address_space() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn f26_the_application_has_no_memory_for_a_result() {
    isolated(|| {
        let executor = builder(2).build().unwrap();
        // Its supervising thread has begun, which takes memory.
        assert_eq!(executor.worker_pids().len(), 2);
        sys::limit(libc::RLIMIT_AS, address_space() + (64 << 20)).unwrap();
        let large = executor.submit(zeros, 512 << 20);
        let error = fails_with(large.result(), TaskErrorKind::WorkerDied);
        assert!(error.to_string().contains("larger than memory"), "{error}");
        maps(&executor, 100);
        assert_eq!(
            executor.submit(zeros, 1 << 20).result().unwrap().len(),
            1 << 20
        );
        assert_eq!(pids(&executor).len(), 2);
    });
}

#[test]
fn f67_limits_that_are_too_low_are_told_when_it_is_built() {
    isolated(|| {
        sys::renounce_privileges().unwrap();
        sys::limit(libc::RLIMIT_NPROC, 0).unwrap();
        let error = builder(2).build().unwrap_err().to_string();
        assert!(error.contains("temporarily unavailable"), "{error}");
        sys::limit(libc::RLIMIT_NPROC, u64::MAX).unwrap();
        sys::limit_descriptors(10).unwrap();
        let error = builder(2).build().unwrap_err().to_string();
        assert!(error.contains("RLIMIT_NOFILE"), "{error}");
        assert!(error.chars().any(|char| char.is_ascii_digit()), "{error}");
        sys::limit_descriptors(1024).unwrap();
        sys::limit(libc::RLIMIT_FSIZE, 10).unwrap();
        let error = builder(2).build().unwrap_err().to_string();
        assert!(error.contains("too large"), "{error}");
        sys::limit(libc::RLIMIT_FSIZE, u64::MAX).unwrap();
        assert_eq!(
            builder(2)
                .build()
                .unwrap()
                .submit(cube, 2)
                .result()
                .unwrap(),
            8
        );
    });
}
