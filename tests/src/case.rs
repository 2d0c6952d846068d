//! A process of its own for every test, a limit to its time, and a look at what it left.
//!
//! Tests that share a process cannot tell whose descriptors, threads and children they see, and a
//! test that hangs takes all others along. So `isolated` runs the body in a re-executed copy of
//! the test binary, whose environment bears a mark. Every process that the test brings about
//! inherits the mark, so none can hide.

use std::{
    any::type_name,
    env,
    ffi::OsStr,
    fs::{File, read_to_string},
    os::unix::process::ExitStatusExt,
    panic::{AssertUnwindSafe, catch_unwind},
    process::{self, Command, ExitCode, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    footprint::{Footprint, MARK, kill_marked, mark, marked_processes},
    scratch::Scratch,
    sys,
    wait::holds_within,
};

/// The variable that names the test to be run in this process.
const CASE: &str = "POOL_TEST_CASE";

/// The variable that names the program that this process is to be.
const PROGRAM: &str = "POOL_TEST_PROGRAM";

/// How long a test may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Runs the body of a test in a process of its own.
///
/// # Panics
///
/// Where the body panics, takes longer than a minute, or leaves anything behind.
pub fn isolated<F: FnOnce()>(body: F) {
    Isolated::new().run(body);
}

/// How the process of a test shall be, where not as usual.
#[derive(Debug, Default)]
pub struct Isolated {
    environment: Vec<(&'static str, &'static str)>,
    is_large: bool,
}

impl Isolated {
    /// As usual.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// With four times as much time.
    #[must_use]
    pub fn large(mut self) -> Self {
        self.is_large = true;
        self
    }

    /// Runs the body of a test in such a process.
    ///
    /// # Panics
    ///
    /// Where the body panics, takes too long, or leaves anything behind.
    pub fn run<F: FnOnce()>(self, body: F) {
        let name = test_name(type_name::<F>());
        if env::var(CASE).is_ok_and(|case| case == name) {
            run_here(body);
            return;
        }
        let mut command = this_program();
        command
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            // Whoever asked for this test asked for it although it is ignored.
            .arg("--include-ignored")
            .envs(self.environment)
            .env(CASE, name);
        let limit = if self.is_large { 4 * LIMIT } else { LIMIT };
        if let Err(report) = run_case(command, limit) {
            panic!("{report}");
        }
    }
}

/// The name of the test whose body has the type `type_name`, as the test harness knows it.
fn test_name(type_name: &'static str) -> &'static str {
    let path = type_name.trim_end_matches("::{{closure}}");
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// Runs a test's body in this process, which is its own.
///
/// # Panics
///
/// Where the body panics, or leaves anything behind in this process.
pub fn run_here(body: impl FnOnce()) {
    sys::forbid_cores().expect("a limit can always be lowered");
    let footprint = Footprint::take();
    body();
    footprint.returns();
}

/// The command that runs this very binary.
fn this_program() -> Command {
    Command::new(env::current_exe().expect("the binary's path is known"))
}

/// Runs a test in the process that `command` starts, and gives what it has printed.
///
/// # Errors
///
/// What went wrong: it failed, took longer than `limit`, or left processes.
pub fn run_case(command: Command, limit: Duration) -> Result<String, String> {
    let Observed { status, output } = observe(command, limit, |_| {})?;
    match status.signal() {
        Some(signal) => Err(format!("the test was killed by signal {signal}\n{output}")),
        None if !status.success() => Err(format!("the test failed ({status})\n{output}")),
        None => Ok(output),
    }
}

/// How a program ended that left nothing behind.
#[derive(Debug)]
pub struct Observed {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed, on standard output and error.
    pub output: String,
}

/// Runs a program, and looks at it `meanwhile`, every other millisecond.
///
/// # Errors
///
/// If it takes longer than `limit`, or leaves processes behind, with where they stand, and what it
/// printed. None lives on after that.
pub fn observe(
    mut command: Command,
    limit: Duration,
    mut meanwhile: impl FnMut(u32),
) -> Result<Observed, String> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mark = format!("{}-{count}", process::id());
    let scratch = Scratch::new();
    let output_path = scratch.path("output");
    let output = || read_to_string(&output_path).unwrap_or_default();
    let stdout = File::create(&output_path).map_err(|error| error.to_string())?;
    let stderr = stdout.try_clone().map_err(|error| error.to_string())?;
    command
        .env(MARK, &mark)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if start.elapsed() > limit => {
                let where_they_are = whereabouts(&mark);
                child.kill().map_err(|error| error.to_string())?;
                child.wait().map_err(|error| error.to_string())?;
                kill_marked(&mark);
                return Err(format!(
                    "the test hung for {limit:?}; its processes:{where_they_are}\n{}",
                    output()
                ));
            }
            None => {
                meanwhile(child.id());
                thread::sleep(Duration::from_millis(2));
            }
        }
    };
    let left = left_processes(&mark);
    if !left.is_empty() {
        kill_marked(&mark);
        return Err(format!(
            "the test ({status}) left processes: {left:?}\n{}",
            output()
        ));
    }
    Ok(Observed {
        status,
        output: output(),
    })
}

/// The processes of a test that has ended, which may take moments to follow it.
fn left_processes(mark: &str) -> Vec<String> {
    let mut left = Vec::new();
    holds_within(Duration::from_secs(5), || {
        left = marked_processes(mark);
        left.is_empty()
    });
    left
}

/// Where the threads of all processes of a test stand, but those of this one, a line each.
fn whereabouts(mark: &str) -> String {
    let mut report = String::new();
    for process in marked_processes(mark) {
        report.extend(["\n  ", &process]);
        let pid = process.split(' ').next().unwrap_or_default();
        let threads = format!("/proc/{pid}/task");
        for thread in std::fs::read_dir(threads).into_iter().flatten().flatten() {
            let read = |file| read_to_string(thread.path().join(file)).unwrap_or_default();
            let (name, place, call) = (read("comm"), read("wchan"), read("syscall"));
            report.extend([
                "
    ",
                name.trim_end(),
                " in ",
                &place,
                ", system call ",
                &call,
            ]);
        }
    }
    report
}

/// The `main` of a test binary without libtest, for tests that must be a whole program, or must
/// start with a single thread. Each of `tests` runs in a process of its own; `programs` are what
/// [`program`] starts. Arguments choose tests by a part of their name, or leave some out after `--skip`.
pub fn harness(tests: &[(&str, fn())], programs: &[(&str, fn())]) -> ExitCode {
    let find = |name: &OsStr, among: &[(&str, fn())]| {
        among
            .iter()
            .find(|(known, _)| OsStr::new(known) == name)
            .unwrap_or_else(|| panic!("{} is not known here", name.display()))
            .1
    };
    if let Some(name) = env::var_os(PROGRAM) {
        find(&name, programs)();
        return ExitCode::SUCCESS;
    }
    if let Some(name) = env::var_os(CASE) {
        let test = find(&name, tests);
        let result = catch_unwind(AssertUnwindSafe(|| run_here(test)));
        return if result.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--skip" {
            left_out.extend(arguments.next());
        } else if !argument.starts_with('-') {
            chosen.push(argument);
        }
    }
    let is_in = |name: &str, parts: &[String]| parts.iter().any(|part| name.contains(part));
    let is_chosen =
        |name: &str| (chosen.is_empty() || is_in(name, &chosen)) && !is_in(name, &left_out);
    let mut code = ExitCode::SUCCESS;
    for (name, _) in tests.iter().filter(|(name, _)| is_chosen(name)) {
        let mut command = this_program();
        command.env(CASE, name);
        match run_case(command, LIMIT) {
            Ok(_) => println!("test {name} ... ok"),
            Err(report) => {
                println!("test {name} ... FAILED\n{report}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// The command that runs the program `name` of a binary that is a [`harness`].
pub fn program(name: &str) -> Command {
    let mut command = this_program();
    command.env(PROGRAM, name);
    command
}

/// Pairs of a function's name and the function, as [`harness`] takes them.
#[macro_export]
macro_rules! functions {
    ($($name:ident)*) => {
        &[$((stringify!($name), $name as fn())),*]
    };
}

/// Other processes of the test that this one belongs to.
///
/// # Panics
///
/// Outside a test's own process.
pub fn processes() -> Vec<String> {
    marked_processes(&mark().expect("the test runs in a process of its own"))
}
