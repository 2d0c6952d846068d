//! Profiles: what they leave to tasks, what is asked of the kernel, and limits of their own.

use std::{
    env,
    error::Error,
    fs,
    io::Write,
    os::{linux::net::SocketAddrExt, unix::net::SocketAddr, unix::net::UnixListener},
    path::PathBuf,
    process::{self, Child, Command},
    thread,
    time::{Duration, Instant},
};

use pool_core::{
    AnyError, ErrorKind, ExecutorBuilder, Measure, Profile, Shared, StartMethod, TaskErrorKind,
    task,
};
use pool_tests::{
    Isolated, Misdeed, Scratch, builder, fails_with, isolated, maps, sys,
    tasks::{bytes, cube, misbehave, nap, pid, variable},
    until,
};

/// Starts a child, signals it, and tells how that went.
#[task]
fn end_a_child() -> Result<String, AnyError> {
    let mut child: Child = Command::new("sleep").arg("60").spawn()?;
    sys::kill(child.id(), libc::SIGTERM)?;
    Ok(child.wait()?.to_string())
}

/// Listens on an abstract socket and connects to it from a child's side, and to one of the application's.
#[task]
fn reach_abstract_sockets(name: String) -> Result<(), AnyError> {
    use std::os::unix::net::UnixStream;
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    Ok(())
}

#[test]
fn ordinary_tasks_notice_nothing_of_the_default() {
    isolated(|| {
        let executor = builder(1).build().unwrap();
        let ended = executor.submit(end_a_child, ()).result().unwrap().unwrap();
        assert!(ended.contains("15"), "{ended}");
        let name = format!("pool-test-{}", process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();
        executor
            .submit(reach_abstract_sockets, name)
            .result()
            .unwrap()
            .unwrap();
    });
}

/// The isolation of workers at this depth of executors within tasks.
#[task]
fn nest(depth: u32) -> bool {
    let inner = builder(1).build().unwrap();
    if depth == 0 {
        return inner.isolation().holds(Measure::OwnDomain);
    }
    inner.submit(nest, depth - 1).result().unwrap()
}

#[test]
fn executors_nest_deeper_than_domains_and_say_so() {
    isolated(|| {
        let executor = builder(1).build().unwrap();
        let has_domains = executor.isolation().holds(Measure::OwnDomain);
        assert_eq!(executor.submit(nest, 1).result().unwrap(), has_domains);
        // There are 16 domains, one within the other, and no more.
        assert!(!executor.submit(nest, 17).result().unwrap());
    });
}

#[test]
fn the_kernel_may_lack_domains_and_the_default_says_so() {
    isolated(|| {
        sys::refuse(&[(libc::SYS_landlock_create_ruleset, libc::ENOSYS)]).unwrap();
        let executor = builder(1).build().unwrap();
        let isolation = executor.isolation();
        assert!(isolation.holds(Measure::NoNewPrivileges));
        assert!(!isolation.holds(Measure::OwnDomain));
        let missing: Vec<_> = isolation.missing().map(|(measure, _)| measure).collect();
        assert_eq!(missing, [Measure::OwnDomain, Measure::SignalScope]);
        assert!(
            isolation
                .to_string()
                .contains("; missing: no access to other processes (")
        );
        maps(&executor, 10);
    });
}

#[test]
fn who_forbids_domains_may_kill_for_them() {
    isolated(|| {
        sys::kill_for(libc::SYS_landlock_restrict_self).unwrap();
        let executor = builder(1).build().unwrap();
        assert!(
            !executor.isolation().holds(Measure::OwnDomain),
            "{}",
            executor.isolation()
        );
        maps(&executor, 10);
        let error = builder(1).profile(Profile::Untrusted).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Isolation);
    });
}

fn untrusted() -> ExecutorBuilder {
    builder(1).profile(Profile::Untrusted)
}

/// Whether this file can be read, and how many bytes it has.
#[task]
fn length(path: PathBuf) -> Result<usize, AnyError> {
    Ok(fs::read(path)?.len())
}

/// The names in a directory.
#[task]
fn names(path: PathBuf) -> Result<Vec<String>, AnyError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

#[test]
fn a_boundary_without_what_it_takes_is_an_error_that_names_it() {
    isolated(|| {
        for (call, measure) in [
            (libc::SYS_landlock_create_ruleset, Measure::Files),
            (libc::SYS_seccomp, Measure::SystemCalls),
        ] {
            // In a thread of its own, as what is refused to one stays so.
            let attempt = move || goes_without(call, measure);
            thread::spawn(attempt).join().unwrap();
        }
    });
}

fn goes_without(call: i64, measure: Measure) {
    let scratch = Scratch::new();
    let file = scratch.path("file");
    fs::write(&file, "x").unwrap();
    sys::refuse(&[(call, libc::ENOSYS)]).unwrap();
    let error = untrusted().build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Isolation);
    let text = error.to_string();
    assert!(
        text.contains("Untrusted") && text.contains("best_effort()"),
        "{text}"
    );
    assert!(text.contains(&measure.to_string()), "{text}");
    assert!(text.contains(measure.needs()), "{text}");

    let profile = Profile::Untrusted.read(&file);
    let executor = builder(1).profile(profile).best_effort().build().unwrap();
    assert!(!executor.isolation().holds(measure));
    assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
    // What is left still keeps files off; what was granted cannot be had without domains.
    let read = executor
        .submit(length, "/proc/version".into())
        .result()
        .unwrap();
    assert!(read.is_err());
    let granted = executor.submit(length, file).result().unwrap();
    assert_eq!(granted.is_ok(), measure != Measure::Files);
}

#[test]
fn files_that_are_granted_can_be_read_and_no_others() {
    isolated(|| {
        let scratch = Scratch::new();
        let folder = scratch.path("folder");
        fs::create_dir(&folder).unwrap();
        let (granted, other) = (folder.join("granted"), scratch.path("other"));
        fs::write(&granted, "granted").unwrap();
        fs::write(&other, "other").unwrap();
        let home = env::current_dir().unwrap();
        env::set_current_dir(scratch.path("")).unwrap();
        // Relative to where the application is now.
        let profile = Profile::Untrusted.read("folder").read("/proc/version");
        let executor = builder(1).profile(profile).build().unwrap();
        env::set_current_dir(home).unwrap();
        let length = |path: &PathBuf| executor.submit(length, path.clone()).result().unwrap();
        assert_eq!(length(&granted).unwrap(), 7);
        assert!(length(&"/proc/version".into()).unwrap() > 0);
        assert!(length(&other).is_err());
        let named = executor.submit(names, folder).result().unwrap().unwrap();
        assert_eq!(named, ["granted"]);
        assert!(
            executor
                .submit(names, scratch.path(""))
                .result()
                .unwrap()
                .is_err()
        );
    });
}

#[test]
fn all_files_can_be_granted() {
    isolated(|| {
        let executor = builder(1).profile(Profile::Untrusted.read("/")).build();
        let executor = executor.unwrap();
        assert!(executor.isolation().holds(Measure::Files));
        let length = executor.submit(length, "/proc/version".into()).result();
        assert!(length.unwrap().unwrap() > 0);
    });
}

#[test]
fn a_granted_file_that_is_gone_is_named_when_no_worker_can_begin() {
    isolated(|| {
        let scratch = Scratch::new();
        let file = scratch.path("granted\u{1b}");
        fs::write(&file, "granted").unwrap();
        let profile = Profile::Untrusted.read(&file);
        let limited = builder(1).restart_limit(1, Duration::from_mins(1));
        let executor = limited.profile(profile).build().unwrap();
        assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
        fs::remove_file(&file).unwrap();
        // One worker may be there still.
        let error = loop {
            if let Err(error) = executor.submit(cube, 3).result() {
                break error;
            }
        };
        assert_eq!(error.kind(), TaskErrorKind::PoolBroken, "{error}");
        let reason = error.source().unwrap().to_string();
        for told in [
            "granted\\u{1b}: No such file",
            "status 102, as it could not begin",
        ] {
            assert!(reason.contains(told), "{reason}");
        }
    });
}

#[test]
fn grants_and_starts_that_cannot_be_are_refused() {
    isolated(|| {
        let refused = |builder: ExecutorBuilder, words: &str| {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            assert!(error.to_string().contains(words), "{error}");
        };
        refused(
            untrusted().profile(Profile::Untrusted.read("/no/such")),
            "/no/such",
        );
        refused(
            builder(1).profile(Profile::Default.read("/")),
            "need not be granted",
        );
        refused(
            untrusted().start_method(StartMethod::Fork),
            "copies of the application",
        );
        refused(builder(1).open_files(3), "open_files");
        refused(builder(1).cpu_limit(Duration::ZERO), "cpu_limit");
    });
}

/// Prints where an application would see it, and gives the process.
#[task]
fn shout() -> u32 {
    println!("shouted");
    eprintln!("shouted");
    std::io::stdout().flush().unwrap();
    process::id()
}

#[test]
fn each_call_has_an_untrusted_worker_of_its_own() {
    isolated(|| {
        let executor = untrusted().build().unwrap();
        let pids: Vec<_> = (0..3)
            .map(|_| executor.submit(pid, ()).result().unwrap())
            .collect();
        assert!(pids[0] != pids[1] && pids[1] != pids[2], "{pids:?}");
        let trusting = untrusted().max_tasks_per_worker(2).build().unwrap();
        let pids: Vec<_> = (0..2)
            .map(|_| trusting.submit(pid, ()).result().unwrap())
            .collect();
        assert_eq!(pids[0], pids[1]);
    });
}

#[test]
fn an_untrusted_worker_has_no_environment_but_what_is_set() {
    Isolated::new().env("POOL_TEST_SECRET", "x").run(|| {
        let executor = untrusted().env("COLOUR", "blue").build().unwrap();
        let read = |name: &str| executor.submit(variable, name.to_owned()).result().unwrap();
        assert_eq!(read("POOL_TEST_SECRET"), None);
        assert_eq!(read("PATH"), None);
        assert_eq!(read("COLOUR").as_deref(), Some("blue"));
    });
}

#[test]
fn what_an_untrusted_task_prints_goes_nowhere() {
    const PRINTS: &str = "POOL_TEST_PRINTS";
    if env::var_os(PRINTS).is_some() {
        for executor in [builder(1).build().unwrap(), untrusted().build().unwrap()] {
            executor.submit(shout, ()).result().unwrap();
        }
        return;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "what_an_untrusted_task_prints_goes_nowhere",
            "--nocapture",
        ])
        .env(PRINTS, "1")
        .output()
        .unwrap();
    assert!(output.status.success());
    let shown = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let shouts = shown.join("").matches("shouted").count();
    assert_eq!(shouts, 2, "those under Default: {shown:?}");
}

/// Panics.
#[task]
fn fall() -> u32 {
    panic!("fallen")
}

/// The sum of what is shared.
#[task]
fn sum(numbers: Shared<[u64]>) -> u64 {
    numbers.iter().sum()
}

#[test]
fn all_that_a_pool_tells_is_told_of_untrusted_tasks_too() {
    isolated(|| {
        let executor = untrusted().env("RUST_BACKTRACE", "1").build().unwrap();
        let error = executor.submit(fall, ()).result().unwrap_err();
        assert_eq!(error.panic_message(), Some("fallen"));
        assert!(
            error.backtrace().unwrap().contains("fall"),
            "functions have names"
        );
        let numbers: Vec<u64> = (0..100_000).collect();
        let shared = executor.share_slice(&numbers).unwrap();
        let summed = executor.submit(sum, shared).result().unwrap();
        assert_eq!(summed, numbers.iter().sum());
        let error = executor
            .submit(misbehave, Misdeed::StackOverflow)
            .result()
            .unwrap_err();
        assert!(
            error.to_string().contains("overflowed its stack"),
            "{error}"
        );
        let large = vec![7_u8; 20 << 20];
        let back = executor.submit(bytes, large.clone()).result();
        assert!(back.unwrap() == large);
    });
}

/// Takes memory, and holds it.
#[task]
fn hoard(mebibytes: usize) -> usize {
    let held = vec![1_u8; mebibytes << 20];
    thread::sleep(Duration::from_mins(1));
    held.len()
}

/// Uses the processor until it is stopped.
#[task]
fn spin(milliseconds: u64) -> u64 {
    let end = Instant::now() + Duration::from_millis(milliseconds);
    let mut turns = 0_u64;
    while Instant::now() < end {
        turns = std::hint::black_box(turns + 1);
    }
    turns
}

#[test]
fn untrusted_tasks_have_limits_to_time_and_memory() {
    isolated(|| {
        let limited = untrusted()
            .memory_limit(64 << 20)
            .cpu_limit(Duration::from_millis(200))
            .task_timeout(Duration::from_secs(20));
        let executor = limited.build().unwrap();
        fails_with(
            executor.submit(hoard, 200).result(),
            TaskErrorKind::MemoryLimit,
        );
        fails_with(
            executor.submit(spin, 50_000).result(),
            TaskErrorKind::CpuLimit,
        );
        let hurried = executor.options().timeout(Duration::from_millis(50));
        fails_with(
            hurried.submit(nap, 50_000).result(),
            TaskErrorKind::TimedOut,
        );
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[test]
fn a_call_that_takes_too_much_processor_time_is_stopped_and_nobody_else() {
    isolated(|| {
        let limit = Duration::from_millis(100);
        let executor = builder(2).cpu_limit(limit).build().unwrap();
        // What waits takes none, nor does what others took before.
        let naps: Vec<_> = (0..2).map(|_| executor.submit(nap, 400)).collect();
        for nap in naps {
            nap.result().unwrap();
        }
        let start = Instant::now();
        let spinning = executor.options().retries(3).submit(spin, 60_000);
        until("it runs", || spinning.is_running());
        let others: Vec<_> = (0..100).map(|x| executor.submit(cube, x)).collect();
        let error = fails_with(spinning.result(), TaskErrorKind::CpuLimit);
        assert!(start.elapsed() >= limit);
        assert_eq!(error.attempts(), 1, "it would fare no better");
        assert!(error.to_string().contains("cpu_limit is 100ms"), "{error}");
        for (x, other) in (0..).zip(others) {
            assert_eq!(other.result().unwrap(), cube(x));
        }
        for _ in 0..10 {
            // Each has its own time.
            executor.submit(spin, 30).result().unwrap();
        }
        assert_eq!(executor.stats().failed_with(TaskErrorKind::CpuLimit), 1);
    });
}

#[test]
fn a_limit_of_the_process_is_told_as_one() {
    isolated(|| {
        let executor = builder(1).build().unwrap();
        let error = executor.submit(run_out_of_time, ()).result().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::CpuLimit);
        assert_eq!(error.signal(), Some(libc::SIGXCPU));
    });
}

/// Dies as the kernel ends what has no processor time left.
#[task]
fn run_out_of_time() {
    sys::raise(libc::SIGXCPU);
}

#[test]
fn another_fork_server_isolates_as_the_first() {
    isolated(|| {
        let executor = untrusted().build().unwrap();
        executor.submit(cube, 1).result().unwrap();
        let server = executor.submit(server, ()).result().unwrap();
        sys::kill(server, libc::SIGKILL).unwrap();
        until("another one serves", || {
            executor.submit(cube, 2).result().is_ok()
        });
        let read = executor
            .submit(length, "/proc/version".into())
            .result()
            .unwrap();
        assert!(read.is_err());
    });
}

/// The process that this worker came from.
#[task]
fn server() -> u32 {
    std::os::unix::process::parent_id()
}

/// What was loaded beforehand.
static LOADED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// Loads it, with the rights of the application.
#[task]
fn load() {
    let read = fs::read("/proc/version").is_ok();
    LOADED.store(read.into(), std::sync::atomic::Ordering::Relaxed);
}

/// Whether it was loaded, and could be again.
#[task]
fn loaded() -> (u32, bool) {
    let loaded = LOADED.load(std::sync::atomic::Ordering::Relaxed);
    (loaded, fs::read("/proc/version").is_ok())
}

#[test]
fn a_preload_is_trusted_and_what_it_loads_is_shared() {
    isolated(|| {
        let executor = untrusted().preload(load, ()).build().unwrap();
        assert!(!executor.isolation().holds(Measure::OwnLayout));
        assert_eq!(executor.submit(loaded, ()).result().unwrap(), (1, false));
    });
}
