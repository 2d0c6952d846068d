//! Each test that looks at what belongs to a whole process runs in a process of its own: this
//! program executed again, for that one test.

use super::*;
use crate::sys::fixture::{LEAVE_BEHIND, fork_beside_harness};
use pool_worker::Sandbox;
use pool_worker::protocol::Surroundings;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Names the test that this process was executed for.
const SCENARIO: &str = "POOL_TEST_SCENARIO";

const SOON: Duration = Duration::from_secs(5);

/// This program, to run the test `name` alone.
fn scenario(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["--exact", "--nocapture"])
        .arg(format!("fork_server::tests::{name}"))
        .env(SCENARIO, name);
    command
}

/// Runs `body` in a process of its own, in which no other test runs.
fn alone(name: &str, body: impl FnOnce()) {
    if is_scenario(name) {
        return body();
    }
    let output = scenario(name).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn is_scenario(name: &str) -> bool {
    std::env::var_os(SCENARIO).as_deref() == Some(OsStr::new(name))
}

fn setup(start_method: StartMethod) -> Setup {
    Setup {
        tasks: vec![],
        start_method,
        surroundings: Surroundings::default(),
        sandbox: Sandbox::default(),
        open_files: None,
    }
}

fn environment() -> Variables {
    std::env::vars_os().collect()
}

fn try_launch(start_method: StartMethod) -> Result<ForkServer, Error> {
    ForkServer::launch(&setup(start_method), &environment(), &Conditions::now())
}

fn launch(start_method: StartMethod) -> ForkServer {
    try_launch(start_method).unwrap()
}

/// A worker, and the application's end of its control socket.
struct Worker {
    pid: u32,
    pidfd: OwnedFd,
    control: OwnedFd,
}

fn fork(server: &ForkServer, number: u64) -> Worker {
    let rings = sys::memfd(c"rings", 4096).unwrap();
    let (ours, theirs) = sys::socket_pair().unwrap();
    server
        .request_fork(number, rings.as_fd(), theirs.as_fd())
        .unwrap();
    match report(server) {
        (Report::Forked { worker, pid }, Some(pidfd)) if worker == number => Worker {
            pid,
            pidfd,
            control: ours,
        },
        other => panic!("{other:?}"),
    }
}

fn report(server: &ForkServer) -> (Report, Option<OwnedFd>) {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(report) = server.receive().unwrap() {
            return report;
        }
        let left = deadline.checked_duration_since(Instant::now());
        let left = left.expect("a report in time");
        sys::poll([(server.socket(), Readiness::Read)], Some(left)).unwrap();
    }
}

fn is_gone(pidfd: &OwnedFd, within: Duration) -> bool {
    let seen = sys::poll([(pidfd.as_fd(), Readiness::Read)], Some(within)).unwrap();
    seen.any(0)
}

/// Waits for `condition` to hold.
fn eventually(what: &str, within: Duration, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + within;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How many processes `sleep` with this argument.
fn sleepers(argument: &str) -> usize {
    let line = format!("sleep\0{argument}\0").into_bytes();
    fs::read_dir("/proc")
        .unwrap()
        .filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            fs::read(path.join("cmdline")).is_ok_and(|found| found == line)
        })
        .count()
}

/// An argument to `sleep` that no other process uses; each test has a number of its own.
fn unique_argument(test: u32) -> String {
    format!("{test}000000.{}", std::process::id())
}

/// The standard signals in one line of `/proc/PID/status`, signal 1 in bit 0.
fn signals(status: &str, set: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(set));
    let set = line.unwrap().trim_start_matches(':').trim();
    u64::from_str_radix(set, 16).unwrap() & 0x7fff_ffff
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn serves(start_method: StartMethod) {
    let server = launch(start_method);
    let workers: Vec<_> = (0..3).map(|number| fork(&server, number)).collect();
    sys::kill(workers[1].pidfd.as_fd()).unwrap();
    let died = Report::Died {
        worker: 1,
        status: 9,
    };
    assert_eq!(report(&server).0, died);
    assert!(is_gone(&workers[1].pidfd, Duration::ZERO));
    assert!(!is_gone(&workers[0].pidfd, Duration::ZERO));

    sys::end_of_sending(server.socket()).unwrap();
    assert!(server.wait_gone(SOON).unwrap());
    assert!(server.has_told_its_end());
    for worker in &workers {
        assert!(is_gone(&worker.pidfd, Duration::ZERO));
        assert!(!fs::exists(format!("/proc/{}", worker.pid)).unwrap());
    }
}

#[test]
fn fork_server_forks_reports_and_ends() {
    serves(StartMethod::ForkServer);
}

#[test]
fn spawned_workers_are_reported_alike() {
    serves(StartMethod::Spawn);
}

#[test]
fn closed_control_socket_ends_a_worker() {
    for start_method in [StartMethod::ForkServer, StartMethod::Spawn] {
        let server = launch(start_method);
        let worker = fork(&server, 7);
        drop(worker.control);
        let died = Report::Died {
            worker: 7,
            status: 0,
        };
        assert_eq!(report(&server).0, died);
    }
}

#[test]
fn worker_has_only_its_own_descriptors_and_default_signals() {
    for start_method in [StartMethod::ForkServer, StartMethod::Spawn] {
        let server = launch(start_method);
        let worker = fork(&server, 0);
        let proc = format!("/proc/{}", worker.pid);
        let name = || fs::read_to_string(format!("{proc}/comm")).unwrap() == "pool-worker\n";
        let descriptors = || fs::read_dir(format!("{proc}/fd")).unwrap().count();
        let status = || fs::read_to_string(format!("{proc}/status")).unwrap();
        // The last thing that it does before it serves is to start its threads, with signals blocked.
        let is_set_up = || {
            let status = status();
            status.contains("\nThreads:\t3\n") && signals(&status, "SigBlk") == 0
        };
        eventually("it serves", SOON, || name() && is_set_up());
        assert_eq!(descriptors(), 5);
        let status = status();
        assert_eq!(signals(&status, "SigIgn"), 1 << (libc::SIGPIPE - 1));
        let input = fs::read_link(format!("{proc}/fd/0")).unwrap();
        assert_eq!(input.as_os_str(), "/dev/null");
        let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        assert_eq!(core.unwrap().split_whitespace().nth(4), Some("0"));
    }
}

#[test]
fn host_sees_no_child_and_keeps_no_descriptor() {
    alone("host_sees_no_child_and_keeps_no_descriptor", || {
        let before = (open_descriptors(), sys::thread_names().unwrap().len());
        let server = launch(StartMethod::ForkServer);
        let worker = fork(&server, 0);
        assert_eq!(sys::reap_any(false).unwrap(), sys::Reaped::Childless);
        drop(server);
        assert!(is_gone(&worker.pidfd, Duration::ZERO));
        drop(worker);
        assert_eq!(sys::reap_any(false).unwrap(), sys::Reaped::Childless);
        let after = (open_descriptors(), sys::thread_names().unwrap().len());
        assert_eq!(after, before);
    });
}

#[test]
fn host_that_adopts_orphans_keeps_no_zombie() {
    alone("host_that_adopts_orphans_keeps_no_zombie", || {
        sys::subreaper().unwrap();
        drop(launch(StartMethod::ForkServer));
        assert_eq!(sys::reap_any(false).unwrap(), sys::Reaped::Childless);
    });
}

#[test]
fn what_a_dead_worker_left_behind_is_killed() {
    let name = "what_a_dead_worker_left_behind_is_killed";
    if !is_scenario(name) {
        let argument = unique_argument(1);
        let status = scenario(name).env(LEAVE_BEHIND, argument).status().unwrap();
        assert!(status.success());
        return;
    }
    let argument = std::env::var(LEAVE_BEHIND).unwrap();
    let server = launch(StartMethod::Spawn);
    let worker = fork(&server, 0);
    eventually("a sleeper", SOON, || sleepers(&argument) == 1);
    sys::kill(worker.pidfd.as_fd()).unwrap();
    eventually("no sleeper", SOON, || sleepers(&argument) == 0);

    let _worker = fork_after_death(&server);
    eventually("a sleeper", SOON, || sleepers(&argument) == 1);
    drop(server);
    assert_eq!(sleepers(&argument), 0);
}

fn fork_after_death(server: &ForkServer) -> Worker {
    assert!(matches!(report(server).0, Report::Died { .. }));
    fork(server, 1)
}

#[test]
fn killed_application_takes_everything_along() {
    let name = "killed_application_takes_everything_along";
    if is_scenario(name) {
        let server = launch(StartMethod::Spawn);
        let workers = [fork(&server, 0), fork(&server, 1)];
        let [first, second] = workers.each_ref().map(|worker| worker.pid);
        println!("\npids {} {first} {second}", server.pid());
        // Until this process is killed, or the test has failed.
        server.wait_gone(2 * SOON).unwrap();
        return;
    }
    let argument = unique_argument(2);
    let mut application = scenario(name)
        .env(LEAVE_BEHIND, &argument)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pids = BufReader::new(application.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("pids ").map(str::to_owned))
        .unwrap();
    let pidfds: Vec<_> = pids
        .split(' ')
        .map(|pid| sys::pidfd_of(pid.parse().unwrap()).unwrap())
        .collect();
    eventually("two sleepers", SOON, || sleepers(&argument) == 2);
    application.kill().unwrap();
    application.wait().unwrap();
    let second = Duration::from_secs(1);
    assert!(pidfds.iter().all(|pidfd| is_gone(pidfd, second)));
    eventually("no sleeper", second, || sleepers(&argument) == 0);
}

#[test]
fn workers_die_with_a_killed_fork_server() {
    let server = launch(StartMethod::ForkServer);
    let worker = fork(&server, 0);
    server.kill().unwrap();
    assert!(server.wait_gone(SOON).unwrap());
    assert!(!server.has_told_its_end());
    assert!(is_gone(&worker.pidfd, SOON));
}

#[test]
fn unread_reports_do_not_stop_the_fork_server_from_ending() {
    let server = launch(StartMethod::ForkServer);
    let rings = sys::memfd(c"rings", 4096).unwrap();
    let full = (0..5000).find_map(|number| {
        let (_ours, theirs) = sys::socket_pair().unwrap();
        server
            .request_fork(number, rings.as_fd(), theirs.as_fd())
            .err()
    });
    if let Some(error) = full {
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
    sys::end_of_sending(server.socket()).unwrap();
    assert!(server.wait_gone(SOON).unwrap());
}

#[test]
fn request_without_descriptors_fails_alone() {
    let server = launch(StartMethod::ForkServer);
    let request = rmp_serde::to_vec(&Request::Fork { worker: 3 }).unwrap();
    sys::send(server.socket(), &request, &[]).unwrap();
    assert!(matches!(
        report(&server).0,
        Report::ForkFailed { worker: 3, .. }
    ));
    fork(&server, 4);
}

#[test]
fn unfit_marker_leaves_main_alone_and_forbids_executors() {
    let name = "unfit_marker_leaves_main_alone_and_forbids_executors";
    if !is_scenario(name) {
        for marker in ["", "garbage", "server 3 4 5", "server 0 1 2", "worker 1"] {
            let status = scenario(name).env(entry::MARKER, marker).status().unwrap();
            assert!(status.success(), "{marker}");
        }
        return;
    }
    assert_eq!(std::env::var_os(entry::MARKER), None);
    let error = try_launch(StartMethod::ForkServer).unwrap_err();
    assert!(error.to_string().contains(entry::MARKER), "{error}");
}

#[test]
fn fork_beside_other_threads_is_refused() {
    let error = try_launch(StartMethod::Fork).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::MultiThreaded, "{error}");
}

#[test]
fn forked_fork_server_serves() {
    alone("forked_fork_server_serves", || {
        if fork_beside_harness().unwrap() == sys::Fork::Child {
            let served = std::panic::catch_unwind(|| serves(StartMethod::Fork));
            sys::exit(i32::from(served.is_err()));
        }
        let reaped = sys::reap_any(true).unwrap();
        assert!(
            matches!(reaped, sys::Reaped::Child { status: 0, .. }),
            "{reaped:?}"
        );
    });
}
