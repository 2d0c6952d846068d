//! How the application ends: by a signal, with calls running or coming. All that was its own ends with
//! it, within a second.

use std::{
    collections::BTreeMap,
    env,
    process::{self, Command},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pool_core::{Executor, StartMethod, TaskErrorKind, TaskFuture, task};
use pool_tests::{
    Log, Scratch, executor, fails_with, functions, maps, processes, rounds,
    suite::fork_server,
    sys,
    tasks::{cube, hang},
    until,
};

use super::start;

pub(super) const TESTS: &[(&str, fn())] = functions![
    f27_killed_applications_leave_nothing
    killed_applications_take_executors_within_tasks_along
    a_killed_fork_server_takes_executors_within_tasks_along
    calls_of_exit_handlers_are_answered
    calls_of_threads_during_exit_are_answered_and_delay_nothing
];

pub(super) const PROGRAMS: &[(&str, fn())] = functions![
    busy
    nesting
    submitting_at_exit
    submitting_during_exit
];

/// How long what an application started may outlive it.
const SOON: Duration = Duration::from_secs(1);

/// Waits until no other process of this test is left; how long that takes.
fn until_gone() -> Duration {
    let start = Instant::now();
    until("nothing is left", || processes().is_empty());
    start.elapsed()
}

/// Checks that what `end` ends, and tells the time of, is gone soon. As a machine that does much else
/// makes all of it late, it is tried again if it is; the best try counts.
#[track_caller]
fn are_gone_soon(mut end: impl FnMut() -> Duration) {
    let mut late = Vec::new();
    for _ in 0..5 {
        let time = end();
        if time < SOON {
            return;
        }
        late.push(time);
    }
    panic!("gone after {late:?} only");
}

/// Waits until so many children of tasks run.
fn children_run(count: usize) {
    until("the tasks' children run", || {
        let processes = processes();
        let children = processes.iter().filter(|each| each.contains("(sleep)"));
        children.count() >= count
    });
}

/// Starts processes that would live on, then hangs.
#[task]
#[expect(clippy::zombie_processes, reason = "they are to be left")]
fn hang_with_children(log: Log) {
    for command in ["sleep 1000 & sleep 1000", "setsid sleep 1000"] {
        Command::new("sh").args(["-c", command]).spawn().unwrap();
    }
    log.add(process::id());
    loop {
        thread::park();
    }
}

/// Has two workers of an executor of its own run this, down to `depth`, where they hang with children.
#[task]
fn nest(log: Log, depth: u32, start_method: String) {
    if depth == 0 {
        hang_with_children(log);
        return;
    }
    let executor = started_by(&start_method);
    log.add(process::id());
    for call in nested(&executor, &log, depth - 1, &start_method) {
        call.result().unwrap();
    }
}

/// Two calls that nest, down to `depth`.
fn nested(executor: &Executor, log: &Log, depth: u32, start_method: &str) -> [TaskFuture<()>; 2] {
    [(); 2].map(|()| executor.submit(nest, (log.clone(), depth, start_method.to_owned())))
}

/// An executor of two workers.
fn started_by(start_method: &str) -> Executor {
    let start_method = match start_method {
        "spawn" => StartMethod::Spawn,
        _ => StartMethod::ForkServer,
    };
    let builder = Executor::builder().workers(2).start_method(start_method);
    builder.build().unwrap()
}

/// A program that keeps its workers, and their children, busy.
fn busy() {
    sys::heed(libc::SIGINT);
    let log = Log::at(env::args().nth(1).unwrap());
    let executor = started_by(&env::args().nth(2).unwrap_or_default());
    let running = [(); 2].map(|()| executor.submit(hang_with_children, log.clone()));
    executor.submit(hang, log.clone()).wait();
    drop(running);
}

/// A program whose workers, their executors' workers, and the children of these are busy.
fn nesting() {
    sys::heed(libc::SIGINT);
    let log = Log::at(env::args().nth(1).unwrap());
    let start_method = env::args().nth(2).unwrap();
    let executor = started_by(&start_method);
    for call in nested(&executor, &log, 1, &start_method) {
        call.wait();
    }
}

/// Ends a program by `signal` while so many calls and their children run; how long these outlive it.
fn end_by(signal: i32, name: &str, start_method: &str, calls: usize, children: usize) -> Duration {
    let scratch = Scratch::new();
    let log = scratch.log("running");
    let mut application = start(name, &[log.path().to_str().unwrap(), start_method]);
    log.reaches(calls);
    children_run(children);
    sys::kill(application.id(), signal).unwrap();
    application.wait().unwrap();
    let time = until_gone();
    let output = application.wait_with_output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&printed), "", "without a word");
    time
}

fn f27_killed_applications_leave_nothing() {
    for signal in [libc::SIGKILL, libc::SIGINT, libc::SIGTERM, libc::SIGABRT] {
        for start_method in ["fork server", "spawn"] {
            are_gone_soon(|| end_by(signal, "busy", start_method, 2, 6));
        }
    }
}

fn killed_applications_take_executors_within_tasks_along() {
    for signal in [libc::SIGKILL, libc::SIGINT, libc::SIGTERM] {
        for start_method in ["fork server", "spawn"] {
            are_gone_soon(|| end_by(signal, "nesting", start_method, 6, 12));
        }
    }
}

fn a_killed_fork_server_takes_executors_within_tasks_along() {
    are_gone_soon(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let log = scratch.log("running");
        let calls = nested(&executor, &log, 1, "fork server");
        log.reaches(6);
        children_run(12);
        let id = |process: &String| process.split(' ').next().map(str::to_owned);
        let before: Vec<_> = processes().iter().map(id).collect();
        sys::kill(fork_server(&executor), libc::SIGKILL).unwrap();
        let start = Instant::now();
        until("the old ones are gone", || {
            processes().iter().all(|now| !before.contains(&id(now)))
        });
        let time = start.elapsed();
        for call in calls {
            fails_with(call.result(), TaskErrorKind::WorkerDied);
        }
        maps(&executor, 100);
        time
    });
}

/// Executors that are never dropped: one from the start, and one that is built in an exit handler.
static EXECUTOR: OnceLock<Executor> = OnceLock::new();
static LATE: OnceLock<Executor> = OnceLock::new();

/// Where the programs below tell what came of their calls.
static TOLD: OnceLock<Log> = OnceLock::new();

/// Logs how many calls came to which end, of some.
fn tell_of_calls(executor: &Executor) {
    let calls: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
    let mut ends = BTreeMap::<String, u32>::new();
    for (x, call) in (0..).zip(calls) {
        let end = match call.result() {
            Ok(value) if value == cube(x) => "right".to_owned(),
            Ok(value) => format!("{value} for {x}"),
            Err(error) => format!("{:?}", error.kind()),
        };
        *ends.entry(end).or_default() += 1;
    }
    TOLD.get().unwrap().add(format!("{ends:?}"));
}

extern "C" fn call_in_exit() {
    tell_of_calls(EXECUTOR.get().unwrap());
}

extern "C" fn kill_in_exit() {
    EXECUTOR.get().unwrap().kill();
}

extern "C" fn shut_down_in_exit() {
    EXECUTOR.get().unwrap().shutdown();
}

extern "C" fn build_in_exit() {
    let executor = LATE.get_or_init(|| executor(2));
    tell_of_calls(executor);
    executor.shutdown();
    tell_of_calls(executor);
}

/// Ends this process in the way that the second argument tells.
fn exit() {
    match env::args().nth(2).as_deref() {
        Some("return") => {}
        Some("exit") => process::exit(5),
        Some("exit on another thread") => {
            let thread = thread::spawn(|| process::exit(5));
            thread.join().unwrap();
        }
        other => panic!("no way to end: {other:?}"),
    }
}

/// A program whose exit handlers make calls, end the executor, make more, and build another one.
fn submitting_at_exit() {
    let log = TOLD.get_or_init(|| Log::at(env::args().nth(1).unwrap()));
    let executor = EXECUTOR.get_or_init(|| executor(2));
    drop(executor.submit(hang, log.clone()));
    log.reaches(1);
    // The last one comes first.
    for handler in [build_in_exit, call_in_exit, kill_in_exit, call_in_exit] {
        sys::at_exit(handler);
    }
    exit();
}

/// Runs a program to its end, after which nothing may be left, and nothing have been said but what it
/// has logged. Gives that and its code.
fn ended(name: &str, args: &[&str]) -> (Vec<String>, Option<i32>) {
    let scratch = Scratch::new();
    let log = scratch.log("told");
    let args = [&[log.path().to_str().unwrap()], args].concat();
    let mut application = start(name, &args);
    let status = application.wait().unwrap();
    until_gone();
    let output = application.wait_with_output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&printed), "", "without a word");
    (log.lines(), status.code())
}

fn calls_of_exit_handlers_are_answered() {
    let ways = [("return", 0), ("exit", 5), ("exit on another thread", 5)];
    for (way, code) in ways {
        let (told, ended_with) = ended("submitting_at_exit", &[way]);
        let (right, refused) = (r#"{"right": 20}"#, r#"{"ShutDown": 20}"#);
        assert_eq!(told[1..], [right, refused, right, refused], "{way}");
        assert_eq!(ended_with, Some(code), "{way}");
    }
}

/// How many threads of the program below make calls.
const CALLERS: usize = 3;

/// How many of their calls have returned.
static RETURNED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn let_calls_return() {
    let before = RETURNED.load(Ordering::Relaxed);
    until("calls return during exit", || {
        RETURNED.load(Ordering::Relaxed) > before + 100
    });
}

extern "C" fn let_calls_fail() {
    TOLD.get().unwrap().reaches(CALLERS);
}

/// A program that exits while threads make calls, each until one of its calls fails.
fn submitting_during_exit() {
    TOLD.get_or_init(|| Log::at(env::args().nth(1).unwrap()));
    let executor = EXECUTOR.get_or_init(|| executor(2));
    let make_calls = || {
        let error = loop {
            match executor.submit(cube, 3).result() {
                Ok(value) => assert_eq!(value, 27),
                Err(error) => break error,
            }
            RETURNED.fetch_add(1, Ordering::Relaxed);
        };
        TOLD.get().unwrap().add(format!("{:?}", error.kind()));
    };
    for _ in 0..CALLERS {
        thread::spawn(make_calls);
    }
    let end: Option<extern "C" fn()> = match env::args().nth(3).as_deref() {
        Some("shutdown") => Some(shut_down_in_exit),
        Some("kill") => Some(kill_in_exit),
        _ => None,
    };
    // The last one comes first.
    if let Some(end) = end {
        sys::at_exit(let_calls_fail);
        sys::at_exit(end);
    }
    sys::at_exit(let_calls_return);
    exit();
}

fn calls_of_threads_during_exit_are_answered_and_delay_nothing() {
    for way in ["return", "exit", "exit on another thread"] {
        for (end, kinds) in [
            ("none", &[][..]),
            ("shutdown", &["ShutDown"]),
            ("kill", &["ShutDown", "Cancelled", "Killed"]),
        ] {
            for _ in 0..rounds().div_ceil(3) {
                let (told, code) = ended("submitting_during_exit", &[way, end]);
                let is_due = |kind: &String| kinds.contains(&kind.as_str());
                assert!(told.iter().all(is_due), "{way}, {end}: {told:?}");
                assert_eq!(told.len(), if end == "none" { 0 } else { CALLERS });
                assert_eq!(code, Some(if way == "return" { 0 } else { 5 }));
            }
        }
    }
}
