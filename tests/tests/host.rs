//! The application around an executor: it is not disturbed, and however it ends, nothing is left.

use std::{
    cell::RefCell,
    env,
    fs::{self, read_to_string},
    io::{self, Read, Write},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pool_core::{Executor, ExecutorBuilder, TaskErrorKind, task};
use pool_tests::{
    Log, Misdeed, Scratch, executor, functions, harness, processes, program, rounds,
    suite::{fork_server, pids},
    sys,
    tasks::{cube, hang, misbehave},
    threads, until,
};

#[path = "host/ends.rs"]
mod ends;
#[path = "host/faults.rs"]
mod faults;

fn main() -> ExitCode {
    let tests: &[(&str, fn())] = functions![
        the_host_has_no_child
        the_hosts_own_children_are_its_own
        f65_the_host_ignores_its_children
        the_host_is_a_subreaper
        the_hosts_threads_and_mask_stay
        the_hosts_descriptors_stay_here
        f31_a_forked_copy_of_the_host_delays_nothing
        a_forked_copy_of_the_host_ends_nothing
        f28_applications_killed_at_the_start_leave_nothing
        applications_killed_while_they_load_leave_nothing
        what_a_preload_prints_is_printed_once
        what_tasks_print_is_printed
        what_tasks_print_last_is_printed
        f23_a_killed_fork_server_is_replaced
        work_pending_at_the_end_of_main_is_done
        an_executor_in_a_static_delays_no_exit
        f74_exit_with_calls_running
        a_panic_in_main_kills_what_runs
        standard_input_is_the_applications
        without_standard_descriptors
        a_standard_error_that_nobody_reads_holds_nothing_up
    ];
    let programs: &[(&str, fn())] = functions![
        loading
        lingering
        printing
        printing_tasks
        printing_to_the_end
        pending
        in_a_static
        exiting
        panicking
        reading
        detached
        complaining
    ];
    harness(
        &[tests, ends::TESTS, faults::TESTS].concat(),
        &[programs, ends::PROGRAMS, faults::PROGRAMS].concat(),
    )
}

/// Whether `waitpid(-1)` says that there is no child.
fn has_no_child() -> bool {
    sys::wait_for_any_child().is_err_and(|error| error.raw_os_error() == Some(libc::ECHILD))
}

fn the_host_has_no_child() {
    let executor = executor(2);
    assert!(has_no_child());
    pids(&executor);
    let killed = executor.submit(misbehave, Misdeed::Kill);
    Misdeed::Kill.is_told_by(&killed.result().unwrap_err());
    assert!(has_no_child());
    pids(&executor);
    assert!(has_no_child());
    let children = read_to_string("/proc/thread-self/children").unwrap();
    assert_eq!(children, "");
}

fn the_hosts_own_children_are_its_own() {
    let executor = executor(2);
    let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
    Misdeed::Abort.is_told_by(
        &executor
            .submit(misbehave, Misdeed::Abort)
            .result()
            .unwrap_err(),
    );
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(has_no_child());
}

fn f65_the_host_ignores_its_children() {
    sys::ignore(libc::SIGCHLD);
    let executor = executor(2);
    for misdeed in Misdeed::OF_TASKS {
        misdeed.is_told_by(&executor.submit(misbehave, misdeed).result().unwrap_err());
    }
    drop(executor);
    sys::heed(libc::SIGCHLD);
}

fn the_host_is_a_subreaper() {
    sys::become_subreaper().unwrap();
    for _ in 0..3 {
        let executor = executor(2);
        pids(&executor);
        drop(executor);
        until("no zombie is left to the host", has_no_child);
    }
}

#[task]
fn blocked_signals() -> String {
    let status = read_to_string("/proc/thread-self/status").unwrap();
    let blocked = status.lines().find(|line| line.starts_with("SigBlk"));
    blocked.unwrap().to_owned()
}

fn the_hosts_threads_and_mask_stay() {
    sys::block(libc::SIGTERM).unwrap();
    let before = blocked_signals();
    assert_eq!(threads().len(), 1);
    let executor = executor(2);
    assert_eq!(blocked_signals(), before);
    let there = executor.submit(blocked_signals, ()).result().unwrap();
    assert!(
        there.ends_with("0000000000000000"),
        "none is blocked in a worker: {there}"
    );
    drop(executor);
    until("it is alone again", || threads().len() == 1);
    sys::unblock(libc::SIGTERM).unwrap();
}

/// What a program started by this process has open.
#[task]
fn inherited() -> String {
    let output = Command::new("ls").arg("/proc/self/fd").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn the_hosts_descriptors_stay_here() {
    let before = inherited();
    let executor = executor(2);
    pids(&executor);
    assert_eq!(
        inherited(),
        before,
        "what the host starts inherits none of ours"
    );
    let there = executor.submit(inherited, ()).result().unwrap();
    assert_eq!(there.lines().count(), 4, "nor what a task starts: {there}");
}

fn f31_a_forked_copy_of_the_host_delays_nothing() {
    let executor = executor(2);
    let workers = pids(&executor);
    let copy = sys::fork_idle_copy().unwrap();
    let start = Instant::now();
    drop(executor);
    assert!(start.elapsed() < Duration::from_secs(5));
    until("the workers are gone", || {
        workers.iter().all(|&pid| !sys::exists(pid))
    });
    sys::kill(copy, libc::SIGKILL).unwrap();
    until("the copy is reaped", || sys::wait_for_any_child().is_err());
}

fn a_forked_copy_of_the_host_ends_nothing() {
    let executor = executor(1);
    let cubes = executor.map(cube, 0..20).start();
    let (executor, cubes) = sys::in_forked_copy((executor, cubes), drop).unwrap();
    assert_eq!(cubes.flatten().count(), 20);
    executor.shutdown();
}

/// Starts the program `name`, with `args`.
fn start(name: &str, args: &[&str]) -> Child {
    let mut command = program(name);
    command.args(args).stdin(Stdio::piped());
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn f28_applications_killed_at_the_start_leave_nothing() {
    for round in 0..10 * rounds() {
        let scratch = Scratch::new();
        let log = scratch.log("running");
        let mut application = start("busy", &[log.path().to_str().unwrap()]);
        let from = Instant::now();
        let delay = Duration::from_micros(300 * u64::try_from(round).unwrap());
        while from.elapsed() < delay {
            thread::yield_now();
        }
        application.kill().unwrap();
        application.wait().unwrap();
        until("nothing is left", || processes().is_empty());
    }
}

#[task]
fn load_with_a_child(log: Log) {
    let mut child = Command::new("sleep").arg("3600").spawn().expect("a child");
    log.add(child.id());
    child.wait().expect("a child to wait for");
}

/// What takes an hour to drop.
struct Lingering(Log);

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.add("dropped");
        thread::sleep(Duration::from_hours(1));
    }
}

#[task]
fn load_with_a_long_end(log: Log) {
    thread_local!(static LATE: RefCell<Option<Lingering>> = const { RefCell::new(None) });
    LATE.set(Some(Lingering(log)));
}

fn load(preload: fn(Log, ExecutorBuilder) -> ExecutorBuilder) {
    let builder = Executor::builder().workers(1);
    let executor = preload(Log::at(env::args().nth(1).unwrap()), builder);
    executor.build().unwrap().submit(cube, 2).wait();
}

/// A program whose preload never returns.
fn loading() {
    load(|log, builder| builder.preload(load_with_a_child, log));
}

/// A program whose preload returns, on a thread that does not end.
fn lingering() {
    load(|log, builder| builder.preload(load_with_a_long_end, log));
}

fn applications_killed_while_they_load_leave_nothing() {
    for _ in 0..rounds() {
        for program in ["loading", "lingering"] {
            let scratch = Scratch::new();
            let log = scratch.log("loading");
            let mut application = start(program, &[log.path().to_str().unwrap()]);
            log.reaches(1);
            application.kill().unwrap();
            application.wait().unwrap();
            until("nothing is left", || processes().is_empty());
        }
    }
}

#[task]
fn print_half_a_line() {
    print!("half a line, ");
}

/// A program whose preload prints.
fn printing() {
    let builder = Executor::builder()
        .workers(3)
        .preload(print_half_a_line, ());
    let executor = builder.build().unwrap();
    assert_eq!(pids(&executor).len(), 3);
}

fn what_a_preload_prints_is_printed_once() {
    let output = program("printing").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("half a line").count(), 1, "{text}");
}

#[task]
fn print_digit(digit: u8) {
    print!("{digit}");
}

/// A program whose tasks print no whole line, one of them before its worker dies in another.
fn printing_tasks() {
    let executor = executor(1);
    for digit in 0..10 {
        executor.submit(print_digit, digit).result().unwrap();
    }
    let sleeps = || {
        let worker = executor.worker_pids()[0];
        let threads = format!("/proc/{worker}/task");
        fs::read_dir(threads).unwrap().all(|thread| {
            let stat = read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default();
            stat.contains(") S ")
        })
    };
    until("the worker sleeps", sleeps);
    assert!(executor.submit(misbehave, Misdeed::Kill).result().is_err());
}

fn what_tasks_print_is_printed() {
    let output = program("printing_tasks").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "0123456789");
}

/// A program whose executors end right after a task has printed less than a line.
fn printing_to_the_end() {
    for digit in 0..10 {
        let executor = executor(1);
        executor.submit(print_digit, digit).result().unwrap();
    }
}

fn what_tasks_print_last_is_printed() {
    for _ in 0..rounds() {
        let output = program("printing_to_the_end").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text, "0123456789");
    }
}

fn f23_a_killed_fork_server_is_replaced() {
    let scratch = Scratch::new();
    let executor = executor(2);
    let log = scratch.log("hanging");
    let hanging = executor.submit(hang, log.clone());
    log.reaches(1);
    let old = executor.worker_pids();
    sys::kill(fork_server(&executor), libc::SIGKILL).unwrap();
    let error = hanging.result().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::WorkerDied, "{error}");
    assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    assert!(pids(&executor).is_disjoint(&old.into_iter().collect()));
}

#[task]
fn say(x: i64) {
    // The worker's standard output is the application's.
    println!("call {x}");
}

/// A program that ends `main` with calls pending.
fn pending() {
    let executor = executor(2);
    for x in 0..10 {
        drop(executor.submit(say, x));
    }
}

fn work_pending_at_the_end_of_main_is_done() {
    let output = start("pending", &[]).wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for x in 0..10 {
        assert!(
            text.lines().any(|line| line == format!("call {x}")),
            "{text}"
        );
    }
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

/// An executor that is never dropped.
static EXECUTOR: OnceLock<Executor> = OnceLock::new();

/// A program whose executor is in a static, with a call that never ends.
fn in_a_static() {
    let log = Log::at(env::args().nth(1).unwrap());
    let executor = EXECUTOR.get_or_init(|| executor(2));
    assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    drop(executor.submit(hang, log.clone()));
    log.reaches(1);
}

/// A program that calls `exit` with a call that never ends.
fn exiting() {
    let log = Log::at(env::args().nth(1).unwrap());
    let executor = executor(2);
    drop(executor.submit(hang, log.clone()));
    log.reaches(1);
    std::process::exit(5);
}

/// A program that panics with a call that never ends.
fn panicking() {
    let log = Log::at(env::args().nth(1).unwrap());
    let executor = executor(2);
    drop(executor.submit(hang, log.clone()));
    log.reaches(1);
    panic!("the application fails");
}

/// Runs a program that has a call running, and returns its code; nothing may be left of it.
fn code_of(name: &str) -> Option<i32> {
    let scratch = Scratch::new();
    let log = scratch.log("running");
    let output = start(name, &[log.path().to_str().unwrap()])
        .wait_with_output()
        .unwrap();
    until("nothing is left", || processes().is_empty());
    output.status.code()
}

fn an_executor_in_a_static_delays_no_exit() {
    assert_eq!(code_of("in_a_static"), Some(0));
}

fn f74_exit_with_calls_running() {
    assert_eq!(code_of("exiting"), Some(5));
}

fn a_panic_in_main_kills_what_runs() {
    assert_eq!(code_of("panicking"), Some(101));
}

#[task]
fn read_input() -> usize {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).unwrap_or(0)
}

/// A program whose tasks read standard input, and that then reads it itself.
fn reading() {
    let executor = executor(2);
    assert_eq!(executor.submit(read_input, ()).result().unwrap(), 0);
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).unwrap();
    print!("{text}");
}

fn standard_input_is_the_applications() {
    let mut application = start("reading", &[]);
    let mut input = application.stdin.take().unwrap();
    input.write_all(b"for main").unwrap();
    drop(input);
    let output = application.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "for main");
}

/// A program that has no standard descriptors.
fn detached() {
    let log = Log::at(env::args().nth(1).unwrap());
    let executor = executor(2);
    let sum: i64 = executor.map(cube, 0..100).map(Result::unwrap).sum();
    log.add(sum);
}

fn without_standard_descriptors() {
    let scratch = Scratch::new();
    let log = scratch.log("sum");
    let program = program("detached");
    let script = "exec \"$0\" \"$1\" <&- >&- 2>&-";
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(program.get_program())
        .arg(log.path());
    command.envs(
        program
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    assert!(command.status().unwrap().success());
    let expected: i64 = (0..100).map(cube).sum();
    assert_eq!(log.lines(), [expected.to_string()]);
}

#[task]
fn fail_to_sign_off(hangs: bool) -> Result<(), String> {
    if hangs {
        thread::park_timeout(Duration::from_hours(1));
    }
    Err("no pen".into())
}

/// A program of whose workers there is something to tell, where nobody hears it: the pipe at its
/// standard error has no reader, or is full, and a thread that writes to it has the lock.
fn complaining() {
    if env::args().nth(1).as_deref() == Some("full") {
        static WRITTEN: AtomicUsize = AtomicUsize::new(0);
        let page = "x".repeat(4095);
        thread::spawn(move || {
            loop {
                eprintln!("{page}");
                WRITTEN.fetch_add(1, Ordering::Relaxed);
            }
        });
        until("the pipe is full", || WRITTEN.load(Ordering::Relaxed) >= 16);
    }
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let start = Instant::now();
    for hangs in [false, true] {
        let executor = Executor::builder()
            .workers(1)
            .max_tasks_per_worker(if hangs { 100 } else { 1 })
            .on_worker_exit(fail_to_sign_off, hangs)
            .exit_timeout(Duration::from_secs(if hangs { 1 } else { 30 }));
        let executor = executor.build().unwrap();
        for x in 0..3 {
            assert_eq!(executor.submit(cube, x).result().unwrap(), x * x * x);
        }
        executor.shutdown();
    }
    println!("{}", start.elapsed().as_secs());
}

fn a_standard_error_that_nobody_reads_holds_nothing_up() {
    for how in ["gone", "full"] {
        let mut application = start("complaining", &[how]);
        let errors = application.stderr.take().filter(|_| how == "full");
        drop(application.stdin.take());
        let output = application.wait_with_output().unwrap();
        drop(errors);
        assert!(output.status.success(), "{how}: {:?}", output.status);
        let seconds = String::from_utf8(output.stdout).unwrap();
        // A worker whose last call is not seen to return is waited for much longer.
        let seconds: u64 = seconds.trim().parse().unwrap();
        assert!(seconds < 10, "{how}: {seconds} s");
    }
}
