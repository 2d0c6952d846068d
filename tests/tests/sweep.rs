//! Every system call of a small program, made to fail: each in turn, with each error that there is.
//!
//! `strace` attaches to the program once its `main` runs, and has the `K`-th call of one name fail in
//! each thread that makes so many: in those of the application alone, or in those of its fork server
//! and workers as well, which then come to their `K`-th call one after the other. How many calls of
//! which name there are is counted before. The program has to end by itself, with its calls' values or
//! errors that say what happened, and nothing is to be left of it.
//!
//! The program is run under the default profile, and under `Untrusted` with workers that are forked and
//! with such that are executed. There a worker gives up all that it may not have, and is looked at for
//! that: what fails there may keep it from its calls, and may not have it run them with more.
//!
//! What cannot tell anything of this library is left out, in [`LEFT_OUT`] and [`ONLY`], with the reason.
//!
//! Without arguments as many of the default profile's are tried as half a minute allows, in an order that a
//! seed decides. `all` tries them all, `one INJECTION` one again, as a failure names it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::{self, Display, Formatter},
    fs::{self, read_to_string},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitCode, Stdio},
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use pool_core::StartMethod;
use pool_tests::{
    Observed, Random, Scratch, functions, harness, load, observe, program, run_here, sys,
    trials::try_all, until,
};

/// How long calls are made to fail that nobody asked for.
const BUDGET: Duration = Duration::from_secs(30);
/// How long one run may take. A fork server that hangs at its start is given 10 seconds.
const LIMIT: Duration = Duration::from_secs(25);
/// How long `strace` may live on after the program.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// The command that tries an injection again.
const AGAIN: &str =
    "cargo test --release -p pool-tests --features fault-injection --test sweep -- one";

/// The errors that are tried.
const ERRORS: [&str; 8] = [
    "EINTR", "EAGAIN", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EPERM", "ENOSYS",
];

/// Instead of an error: there is nothing to be had, as if all were read, or the other side gone. (Less
/// than there is can be had of no call here: `strace` would have to make a shorter one, where all that it
/// can do is to say that one was made which was not.)
const NOTHING: &str = "NOTHING";

/// Calls that are tried with [`NOTHING`] as well.
const TAKING: [&str; 4] = ["read", "recvmsg", "recvfrom", "getdents64"];

/// Calls that are left out, and why.
const LEFT_OUT: [(&str, &[&str]); 5] = [
    (
        "they never fail, or not in these ways, and nobody could tell if they did",
        &[
            "exit",
            "exit_group",
            "getpid",
            "gettid",
            "getppid",
            "rt_sigreturn",
            "sched_yield",
            "restart_syscall",
            "set_tid_address",
            "set_robust_list",
            "rseq",
            "arch_prctl",
            "rt_sigprocmask",
            "rt_sigaction",
            "clock_nanosleep",
            "getrandom",
        ],
    ),
    (
        "where one that wakes fails, which none does, its sleeper sleeps on for ever; whether waits that \
         are interrupted begin anew is tested by signals",
        &["futex"],
    ),
    (
        "made to fail they are not made, so that what was to be given back is kept; the kernel gives it \
         back whatever it says",
        &["close", "munmap"],
    ),
    (
        "the C library aborts where it fails, or the loader before anything of ours has run",
        &["brk", "pread64"],
    ),
    ("it is how `strace` began the program", &["execve"]),
];

/// Calls of which only some errors are tried, as the kernel gives no other, and the code may rely on
/// that: memory of a thread that is gone, a child that is there.
const ONLY: [(&str, &[&str]); 3] = [
    ("wait4", &["EINTR"]),
    ("waitid", &["EINTR"]),
    ("madvise", &["EAGAIN", "ENOMEM"]),
];

/// What every program of Rust's says that aborts as it cannot have memory, or a thread that is just
/// there its stack for signals.
const OUT_OF_MEMORY: [&str; 3] = [
    "memory allocation of ",
    "failed to allocate an alternative stack",
    "failed to set up alternative stack guard page",
];

/// The name of the thread by which the program waits for `strace`.
const READY: &str = "swept";

/// The variable that has the program wait for `strace`.
const TRACED: &str = "POOL_TEST_TRACED";

/// The program whose calls fail, under the default profile.
fn default() {
    swept(load::little);
}

/// The same under `Untrusted`, with workers that are forked.
fn untrusted() {
    swept(|| load::little_untrusted(StartMethod::ForkServer));
}

/// The same with workers that are executed, as they are by default there.
fn executed() {
    swept(|| load::little_untrusted(StartMethod::Spawn));
}

fn swept(load: fn()) {
    // A process may refuse to be traced by any but its parent.
    sys::allow_tracing();
    run_here(|| {
        let awaiting = thread::Builder::new().name(READY.into());
        let awaiting = awaiting.spawn(|| until("strace is there", || tracer().is_some()));
        awaiting.expect("a thread").join().expect("strace came");
        load();
        until("strace has let go", || {
            // What is looked at next is no part of what is tried.
            let _ = tracer().map(|strace| sys::kill(strace, libc::SIGTERM));
            tracer().is_none()
        });
    });
}

/// The process that traces this one.
fn tracer() -> Option<u32> {
    loop {
        // This fails as well when its turn comes.
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        let mut lines = status.lines();
        if let Some(tracer) = lines.find_map(|line| line.strip_prefix("TracerPid:\t")) {
            return tracer.parse().ok().filter(|&pid| pid != 0);
        }
    }
}

fn main() -> ExitCode {
    if env::var_os(TRACED).is_some() {
        return harness(&[], functions!(default untrusted executed));
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["all"] => {
            let all = PROGRAMS.into_iter().flat_map(injections);
            try_all("all failing system calls", all, None, AGAIN, run)
        }
        ["one", injection] => {
            let one = [injection.parse().expect("an injection")];
            try_all("a failing system call", one, None, AGAIN, run)
        }
        _ => {
            let mut some = injections(PROGRAMS[0]);
            Random::unforeseen().shuffle(&mut some);
            try_all("failing system calls", some, Some(BUDGET), AGAIN, run)
        }
    }
}

/// The names of the programs.
const PROGRAMS: [&str; 3] = ["default", "untrusted", "executed"];

/// Whose calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Those of the application's threads.
    Application,
    /// Those of all processes.
    All,
}

/// Calls that are made to fail.
struct Injection {
    program: &'static str,
    scope: Scope,
    call: String,
    error: String,
    when: usize,
}

impl Display for Injection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scope = match self.scope {
            Scope::Application => "application",
            Scope::All => "all",
        };
        let Self {
            program,
            call,
            error,
            when,
            ..
        } = self;
        write!(f, "{program} {scope} {call} {error} {when}")
    }
}

impl FromStr for Injection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is none: write `program scope call error when`");
        let words: Vec<&str> = text.split(' ').collect();
        let &[program, scope, call, error, when] = words.as_slice() else {
            return Err(wrong());
        };
        let known = PROGRAMS.into_iter().find(|known| *known == program);
        Ok(Self {
            program: known.ok_or_else(wrong)?,
            scope: match scope {
                "application" => Scope::Application,
                "all" => Scope::All,
                _ => return Err(wrong()),
            },
            call: call.into(),
            error: error.into(),
            when: when.parse().map_err(|_| wrong())?,
        })
    }
}

/// All that are to be tried of a program, by what it is seen to do.
fn injections(program: &'static str) -> Vec<Injection> {
    let mut injections = Vec::new();
    for scope in [Scope::Application, Scope::All] {
        for (call, most) in count(program, scope) {
            for error in errors_of(&call) {
                injections.extend((1..=most).map(|when| Injection {
                    program,
                    scope,
                    call: call.clone(),
                    error: error.into(),
                    when,
                }));
            }
        }
    }
    injections
}

/// The errors that a call is made to fail with.
fn errors_of(call: &str) -> Vec<&'static str> {
    let only = ONLY.iter().find(|(name, _)| *name == call);
    let mut errors = only.map_or(ERRORS.to_vec(), |(_, errors)| errors.to_vec());
    errors.extend(TAKING.contains(&call).then_some(NOTHING));
    errors
}

/// How often each call is made by the thread that makes it most often.
fn count(program: &str, scope: Scope) -> BTreeMap<String, usize> {
    let scratch = Scratch::new();
    let log = scratch.path("calls");
    let path = log.to_str().expect("a path of letters").to_owned();
    trace(program, scope, &["-o", &path]).expect("a run in which nothing fails");
    let left_out: BTreeSet<&str> = LEFT_OUT
        .iter()
        .flat_map(|(_, calls)| *calls)
        .copied()
        .collect();
    let mut calls = BTreeMap::<(String, String), usize>::new();
    for line in read_to_string(&log).expect("what strace wrote").lines() {
        // `thread call(arguments) = result`, or `thread <... call resumed>` for the rest of one.
        let mut words = line.split_ascii_whitespace();
        let (Some(thread), Some(call)) = (words.next(), words.next()) else {
            continue;
        };
        if let Some((name, _)) = call
            .split_once('(')
            .filter(|(name, _)| !left_out.contains(name))
        {
            *calls.entry((name.into(), thread.into())).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((call, _), count) in calls {
        let most = most.entry(call).or_insert(0);
        *most = count.max(*most);
    }
    assert!(most.len() > 10, "strace tells otherwise of calls: {most:?}");
    most
}

/// Runs the program with these calls made to fail; the error tells what was wrong about its end.
fn run(injection: &Injection) -> Result<(), String> {
    let Injection {
        program,
        scope,
        call,
        error,
        when,
    } = injection;
    let result = match error.as_str() {
        NOTHING => "retval=0".to_owned(),
        error => format!("error={error}"),
    };
    let inject = format!("--inject={call}:{result}:when={when}");
    let Observed { status, output } = trace(program, *scope, &["-o", "/dev/null", &inject])?;
    let out_of_memory = status.signal() == Some(libc::SIGABRT)
        && OUT_OF_MEMORY.iter().any(|text| output.contains(text));
    if status.success() || out_of_memory {
        return Ok(());
    }
    Err(format!(
        "it ended otherwise than it may ({status})\n{output}"
    ))
}

/// Runs the program of this name under `strace`, which is given these arguments as well.
fn trace(name: &str, scope: Scope, arguments: &[&str]) -> Result<Observed, String> {
    let mut command = program(name);
    command.env(TRACED, "").env("RUST_BACKTRACE", "0");
    let mut strace: Option<Child> = None;
    let observed = observe(command, LIMIT, |pid| {
        if strace.is_none() && !is_ready(pid) {
            return;
        }
        strace.get_or_insert_with(|| {
            let mut command = Command::new("strace");
            command
                .args(["-f", "-qqq", "-p", &pid.to_string()])
                .args(arguments);
            if scope == Scope::Application {
                command.arg("--detach-on=execve");
            }
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.spawn().expect("strace is installed")
        });
    });
    if let Some(strace) = strace {
        end(strace);
    }
    observed
}

/// Whether the program waits for `strace`.
fn is_ready(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().any(|thread| {
        let name = read_to_string(thread.path().join("comm")).unwrap_or_default();
        name.trim_end() == READY
    })
}

/// Waits for `strace`, whose processes are gone.
fn end(mut strace: Child) {
    let start = Instant::now();
    while strace
        .try_wait()
        .expect("it is a child of this process")
        .is_none()
    {
        if start.elapsed() > ENDS_WITHIN {
            strace.kill().expect("it is a child of this process");
        }
        thread::sleep(Duration::from_millis(1));
    }
}
