//! Rows of the catalogue of faults that take a whole program: what its terminal, its kernel and its files
//! do to it, and what it does to itself.

use std::{
    env,
    fmt::Display,
    fs::{self, read_to_string},
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{self, Child, Command},
    thread,
    time::Duration,
};

use pool_core::{Executor, TaskErrorKind, task};
use pool_tests::{
    Gate, Log, Misdeed, Scratch, executor, functions, maps, pattern, processes, program, rounds,
    skipped,
    suite::{fork_server, pids},
    sys,
    tasks::{bytes, cube, hang, misbehave},
    tireless_executor, until,
};

use super::{has_no_child, start};

pub(super) const TESTS: &[(&str, fn())] = functions![
    f29_an_interrupt_of_the_terminal_reaches_no_worker
    f30_workers_run_on_while_the_terminal_has_the_application_stopped
    f32_an_application_that_becomes_another_program_leaves_nothing
    an_application_that_aborts_leaves_nothing
    f53_the_programs_file_is_replaced_and_removed
    f66_a_worker_that_dies_breaks_no_pipe
    f68_few_files_are_needed
    f68_without_proc_it_is_told
    f69_the_first_process_of_a_container
    f70_under_a_filter_of_system_calls
];

pub(super) const PROGRAMS: &[(&str, fn())] = functions![
    bearing_interrupts
    becoming_another
    aborting
    losing_its_file
    dying_of_broken_pipes
    among_few_files
    without_proc
    first_process
    under_a_filter
];

/// Starts the program `name`, with `args`, in a group of processes of its own, as a shell does.
fn start_in_group(name: &str, args: &[&Path]) -> Child {
    let mut command = program(name);
    command.args(args).process_group(0);
    command.spawn().unwrap()
}

/// The state of a process, as the letter in its `stat`.
fn state(pid: u32) -> String {
    let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let state = stat.rsplit(')').next().unwrap().trim_start().chars().next();
    state.unwrap().to_string()
}

/// Logs a line before the gate and one behind it.
#[task]
fn log_twice(log: Log, gate: Gate) {
    log.add(process::id());
    gate.pass();
    log.add(process::id());
}

/// A program that bears interrupts, and has a call run that waits for a gate.
fn bearing_interrupts() {
    sys::catch(libc::SIGINT).unwrap();
    let mut args = env::args().skip(1);
    let (log, gate) = (Log::at(args.next().unwrap()), args.next().unwrap());
    let executor = executor(2);
    let call = executor.submit(log_twice, (log, Gate::at(gate)));
    call.result().unwrap();
    maps(&executor, 100);
}

fn f29_an_interrupt_of_the_terminal_reaches_no_worker() {
    let scratch = Scratch::new();
    let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
    let mut application = start_in_group("bearing_interrupts", &[log.path(), gate.path()]);
    log.reaches(1);
    for _ in 0..3 {
        sys::signal_group(application.id(), libc::SIGINT).unwrap();
    }
    gate.open();
    assert!(application.wait().unwrap().success());
    assert_eq!(log.lines().len(), 2);
}

fn f30_workers_run_on_while_the_terminal_has_the_application_stopped() {
    let scratch = Scratch::new();
    let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
    let mut application = start_in_group("bearing_interrupts", &[log.path(), gate.path()]);
    log.reaches(1);
    sys::signal_group(application.id(), libc::SIGTSTP).unwrap();
    until("it has stopped", || state(application.id()) == "T");
    gate.open();
    log.reaches(2);
    assert_eq!(state(application.id()), "T");
    sys::signal_group(application.id(), libc::SIGCONT).unwrap();
    assert!(application.wait().unwrap().success());
}

/// How many descriptors a process has open, but for the one to look.
fn open_descriptors(process: impl Display) -> u32 {
    let open = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let target = |fd: io::Result<fs::DirEntry>| fs::read_link(fd.unwrap().path());
    let lasting = open.filter_map(|fd| target(fd).ok());
    let lasting = lasting.filter(|target| !target.starts_with("/proc"));
    u32::try_from(lasting.count()).unwrap()
}

/// A program that becomes another one while a call of its executor runs.
fn becoming_another() {
    let log = Log::at(env::args().nth(1).unwrap());
    log.add(open_descriptors("self"));
    let executor = executor(2);
    let _hanging = executor.submit(hang, log.clone());
    log.reaches(2);
    let error = Command::new("sleep").arg("1000").exec();
    panic!("{error}");
}

fn f32_an_application_that_becomes_another_program_leaves_nothing() {
    for _ in 0..rounds() {
        let scratch = Scratch::new();
        let log = scratch.log("running");
        let mut application = start("becoming_another", &[log.path().to_str().unwrap()]);
        log.reaches(2);
        until("the other program is all that is left", || {
            let left = processes();
            left.len() == 1 && left[0].contains("(sleep)")
        });
        // It opens its libraries as it begins.
        until("it has none of our descriptors", || {
            open_descriptors(application.id()) == log.numbers()[0]
        });
        application.kill().unwrap();
        application.wait().unwrap();
    }
}

/// A program that aborts with a call running, as its own code does where it must not go on.
fn aborting() {
    sys::forbid_cores().unwrap();
    let log = Log::at(env::args().nth(1).unwrap());
    let executor = executor(2);
    drop(executor.submit(hang, log.clone()));
    log.reaches(1);
    process::abort();
}

fn an_application_that_aborts_leaves_nothing() {
    assert_eq!(super::code_of("aborting"), None);
}

/// A program whose file goes while it runs, and comes again as another.
fn losing_its_file() {
    let file = env::args().nth(1).unwrap();
    let executor = tireless_executor(2);
    let workers = pids(&executor);
    fs::rename(&file, format!("{file}.old")).unwrap();
    fs::write(&file, "#!/bin/sh\nexit 77\n").unwrap();
    // A worker is forked, a fork server executes the program anew, as does another executor's.
    for &worker in &workers {
        sys::kill(worker, libc::SIGKILL).unwrap();
    }
    maps(&executor, 100);
    sys::kill(fork_server(&executor), libc::SIGKILL).unwrap();
    until("calls are run again", || {
        executor.submit(cube, 2).result().is_ok()
    });
    fs::remove_file(format!("{file}.old")).unwrap();
    sys::kill(fork_server(&executor), libc::SIGKILL).unwrap();
    until("calls are run again", || {
        executor.submit(cube, 2).result().is_ok()
    });
    maps(&tireless_executor(1), 100);
}

fn f53_the_programs_file_is_replaced_and_removed() {
    let scratch = Scratch::new();
    let original = program("losing_its_file");
    let copy = scratch.path("program");
    fs::copy(original.get_program(), &copy).unwrap();
    let mut command = Command::new(&copy);
    command.arg(&copy).envs(environment(&original));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// What a command sets in its program's environment.
fn environment(command: &Command) -> impl Iterator<Item = (&std::ffi::OsStr, &std::ffi::OsStr)> {
    let variables = command.get_envs();
    variables.filter_map(|(name, value)| Some((name, value?)))
}

/// A program that dies of writing to nobody, as programs do that are not Rust's, and whose workers die
/// while it writes to them.
fn dying_of_broken_pipes() {
    sys::heed(libc::SIGPIPE);
    let executor = tireless_executor(2);
    for round in 0..10 * rounds() {
        let large = executor.submit(bytes, pattern(1 << 20));
        let kill = executor.submit(misbehave, Misdeed::Kill);
        for &worker in executor.worker_pids().get(round % 2..).unwrap_or_default() {
            // It may be gone by now.
            let _ = sys::kill(worker, libc::SIGKILL);
        }
        let _shared = executor.share_slice(&[1_u8; 100]).unwrap();
        let _ = (large.result(), kill.result());
    }
    maps(&executor, 100);
}

fn f66_a_worker_that_dies_breaks_no_pipe() {
    let output = program("dying_of_broken_pipes").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Uses an executor in all ways that take something of the system.
fn using_all() {
    let executor = tireless_executor(2);
    maps(&executor, 1000);
    let sent = pattern(1 << 20);
    assert!(executor.submit_ref(bytes, &sent).result().unwrap() == sent);
    let shared = executor.share_slice(&sent).unwrap();
    let sum = executor.submit(pool_tests::tasks::sum, shared);
    assert_eq!(sum.result().unwrap(), pool_tests::tasks::sum_of(&sent));
    for misdeed in Misdeed::OF_TASKS {
        misdeed.is_told_by(&executor.submit(misbehave, misdeed).result().unwrap_err());
    }
    let limited = executor.options().timeout(Duration::from_millis(50));
    let scratch = Scratch::new();
    let error = limited.submit(hang, scratch.log("hung")).result();
    assert_eq!(error.unwrap_err().kind(), TaskErrorKind::TimedOut);
    drop(executor);
    assert!(has_no_child());
}

/// Runs the program `name` by `unshare`, with `args` before it; skips what this machine does not allow.
fn unshared(what: &str, args: &[&str], name: &str) {
    let mut probe = Command::new("unshare");
    let allowed = probe.args(args).arg("true").output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        skipped(what, "`unshare` is not allowed or not there");
        return;
    }
    let program = program(name);
    let mut command = Command::new("unshare");
    command
        .args(args)
        .arg(program.get_program())
        .envs(environment(&program));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{what}: {output:?}");
}

/// Leaves a process behind, in a session of its own.
#[task]
fn leave_an_orphan() {
    let orphan = Command::new("sh")
        .args(["-c", "setsid sleep 1000 & exit"])
        .status();
    assert!(orphan.unwrap().success());
}

/// A program that is the first process of its container, to which all orphans come.
fn first_process() {
    assert_eq!(process::id(), 1);
    using_all();
    let executor = tireless_executor(1);
    executor.submit(leave_an_orphan, ()).result().unwrap();
    drop(executor);
    until("it is alone", || {
        assert!(has_no_child(), "no orphan comes to it");
        fs::read_dir("/proc").unwrap().all(|entry| {
            let name = entry.unwrap().file_name();
            name == "1" || name.to_string_lossy().parse::<u32>().is_err()
        })
    });
}

fn f69_the_first_process_of_a_container() {
    let args = [
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
    ];
    unshared("being process 1", &args, "first_process");
}

/// A program that finds `/` and `/proc` read-only, and nothing in `/dev/shm`.
fn among_few_files() {
    assert!(fs::write("/pool-test", "").is_err(), "it is read-only");
    let score = fs::File::options()
        .write(true)
        .open("/proc/self/oom_score_adj");
    assert!(score.is_err(), "it is read-only");
    let executor = tireless_executor(2);
    maps(&executor, 1000);
    let shared = executor.share_slice(&vec![7_u8; 1 << 20]).unwrap();
    let sum = executor.submit(pool_tests::tasks::sum, shared);
    assert_eq!(sum.result().unwrap(), 7 << 20);
    Misdeed::Kill.is_told_by(
        &executor
            .submit(misbehave, Misdeed::Kill)
            .result()
            .unwrap_err(),
    );
    maps(&executor, 100);
}

/// A program that finds no `/proc`, so that there is no way to execute it anew.
fn without_proc() {
    assert!(!Path::new("/proc/self").exists());
    let error = Executor::new().unwrap_err().to_string();
    assert!(error.contains("/proc"), "{error}");
}

/// Runs the program `name` in a tree of mounts of its own, which `script` changes.
fn remounted(what: &str, script: &str, name: &str) {
    let script = format!("{script} && exec \"$0\" \"$@\"");
    let args = ["--user", "--map-root-user", "--mount", "sh", "-c", &script];
    unshared(what, &args, name);
}

fn f68_few_files_are_needed() {
    let script = "mount -o remount,bind,ro / && mount -o remount,bind,ro /proc \
                  && mount -t tmpfs -o ro none /dev/shm";
    remounted("a file system that is read-only", script, "among_few_files");
}

fn f68_without_proc_it_is_told() {
    let script = "mount -t tmpfs none /proc";
    remounted("a system without /proc", script, "without_proc");
}

/// A program to which the kernel refuses what is new in it, as containers' filters do.
fn under_a_filter() {
    let refused = [
        (libc::SYS_clone3, libc::ENOSYS),
        (libc::SYS_unshare, libc::EPERM),
        (libc::SYS_landlock_create_ruleset, libc::ENOSYS),
        (libc::SYS_landlock_add_rule, libc::ENOSYS),
        (libc::SYS_landlock_restrict_self, libc::ENOSYS),
        (libc::SYS_io_uring_setup, libc::EPERM),
        (libc::SYS_openat2, libc::ENOSYS),
        (libc::SYS_userfaultfd, libc::EPERM),
        (libc::SYS_perf_event_open, libc::EPERM),
        (libc::SYS_ptrace, libc::EPERM),
        (libc::SYS_process_vm_readv, libc::EPERM),
    ];
    sys::refuse(&refused).unwrap();
    let refused = thread::Builder::new()
        .spawn(|| ())
        .map(thread::JoinHandle::join);
    assert!(refused.is_ok(), "threads there are still");
    until("it is alone again", || pool_tests::threads().len() == 1);
    using_all();
}

fn f70_under_a_filter_of_system_calls() {
    let output = program("under_a_filter").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {text}", output.status);
}
