//! A program that uses a bit of everything, to be run where something goes wrong: any call may fail,
//! with an error that says how, but a value that comes is the right one, and nothing hangs or is left.

use std::{
    env,
    fmt::Debug,
    fs::File,
    io::{self, Write},
    os::unix::net::UnixDatagram,
    process::Command,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use pool_core::{Executor, ExecutorBuilder, Profile, StartMethod, TaskError, task};

use crate::{
    Misdeed, builder, sys,
    tasks::{bytes, cube, doubled, even, misbehave, nothing, work},
};

/// How long a task may take. What is stopped must not hold up the program for long.
const LIMIT: Duration = Duration::from_millis(500);
/// How long a hook may take, which breaks the executor if it takes longer.
const HOOK_LIMIT: Duration = Duration::from_secs(4);
/// The limit of calls that are to come upon it.
const SHORT: Duration = Duration::from_millis(20);
/// Milliseconds that a call takes which is waited for, or ended before.
const A_WHILE: u64 = 2;
const TOO_LONG: u64 = 60_000;
/// Bytes of a value that is streamed.
const LARGE: usize = 200_000;
/// As many calls as a worker runs before another takes its place.
const CALLS_PER_WORKER: u64 = 100;

/// The variable that tells how many MiB the preload is to load.
pub const PRELOADED: &str = "POOL_TEST_PRELOADED";
/// The variable that tells that values may be wrong, as a worker may write anything.
pub const GARBLED: &str = "POOL_TEST_GARBLED";

/// Loads so many MiB, for good. The application sleeps by then, and has to be rung.
#[task]
fn preload(mebibytes: usize) {
    vec![1_u8; mebibytes << 20].leak();
    thread::sleep(Duration::from_millis(A_WHILE));
}

/// What a task can do of what none may under `Untrusted`: read a file, have a socket, start a process.
#[task]
fn freedoms() -> [bool; 3] {
    let reads = File::open("/etc/passwd").is_ok();
    let connects = UnixDatagram::unbound().is_ok();
    [reads, connects, Command::new("true").status().is_ok()]
}

/// The fork server that the worker comes from.
#[task]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// The executor whose calls are counted that fail.
struct Load {
    executor: Executor,
    failures: Mutex<Vec<String>>,
}

/// Runs all of it, and prints which calls failed that should not have.
///
/// # Panics
///
/// Where a call gives another value than its own.
pub fn load() {
    let mebibytes = env::var(PRELOADED).map_or(0, |text| text.parse().expect("a number of MiB"));
    let builder = Executor::builder()
        .preload(preload, mebibytes)
        .preload_timeout(HOOK_LIMIT)
        .initializer(nothing, ())
        .initializer_timeout(HOOK_LIMIT)
        .on_worker_exit(nothing, ())
        .exit_timeout(HOOK_LIMIT)
        .max_tasks_per_worker(CALLS_PER_WORKER);
    run(builder, |load| {
        load.maps(3 * CALLS_PER_WORKER);
        load.shares();
        load.streams();
        load.misbehaves();
        load.is_called_back();
        load.waits_in_threads();
        load.loses_its_fork_server();
    });
}

/// Whether a program that printed this had no more calls that failed than so many. A hook that fails
/// breaks the executor, and with it all of them.
///
/// # Panics
///
/// Where it printed something else.
pub fn failed_at_most(most: usize, output: &str) -> bool {
    let told = output
        .lines()
        .find_map(|line| line.split_once(" calls failed: "));
    let count = told.and_then(|(count, _)| count.parse().ok());
    let count: usize = count.unwrap_or_else(|| panic!("it did not come to its end: {output}"));
    count <= most || output.contains("the initializer '")
}

/// As [`load`], with fewer calls, of the system as well.
///
/// # Panics
///
/// Where a call gives another value than its own.
pub fn little() {
    run(Executor::builder(), Load::uses_little);
}

/// As [`little`], by workers that may do nothing but compute, and are looked at whether they can do more.
///
/// # Panics
///
/// Where a call gives another value than its own, or a task can do what it may not.
pub fn little_untrusted(start_method: StartMethod) {
    let builder = builder(2)
        .profile(Profile::Untrusted)
        .start_method(start_method)
        .max_tasks_per_worker(CALLS_PER_WORKER);
    run(builder, |load| {
        load.uses_little();
        load.is_kept_out();
    });
}

fn run(builder: ExecutorBuilder, use_it: impl FnOnce(&Load)) {
    let executor = match builder.workers(2).task_timeout(LIMIT).build() {
        Ok(executor) => executor,
        Err(error) => return tell(&format!("no executor: {error}")),
    };
    let load = Load {
        executor,
        failures: Mutex::default(),
    };
    use_it(&load);
    load.executor.shutdown();
    let failures = load.failures.into_inner().expect("no thread panicked");
    tell(&format!("{} calls failed: {failures:#?}", failures.len()));
}

/// Prints a line, unless that fails as well.
fn tell(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn is_garbled() -> bool {
    env::var_os(GARBLED).is_some()
}

impl Load {
    /// Compares what a call gave, if it gave anything.
    fn check<R: PartialEq + Debug>(&self, result: Result<R, TaskError>, expected: &R) {
        match result {
            Ok(value) => assert!(value == *expected || is_garbled(), "another value came"),
            Err(error) => self
                .failures
                .lock()
                .expect("no thread panicked")
                .push(error.to_string()),
        }
    }

    fn check_failed<R>(result: &Result<R, TaskError>) {
        assert!(
            result.is_err() || is_garbled(),
            "a value came instead of an error"
        );
    }

    fn uses_little(&self) {
        self.maps(4);
        self.shares();
        self.streams();
        self.is_called_back();
        Self::check_failed(&self.executor.submit(misbehave, Misdeed::Kill).result());
        self.maps(4);
    }

    fn is_kept_out(&self) {
        self.check(self.executor.submit(freedoms, ()).result(), &[false; 3]);
    }

    fn maps(&self, calls: u64) {
        let inputs = 0..i64::try_from(calls).expect("a small number");
        for (x, result) in inputs.clone().zip(self.executor.map(cube, inputs)) {
            self.check(result, &cube(x));
        }
    }

    fn shares(&self) {
        let numbers: Vec<i64> = (0..1000).collect();
        let twice: Vec<i64> = numbers.iter().map(|number| number * 2).collect();
        let shared = self.executor.share_slice(&numbers);
        let text = self.executor.share("text".to_owned());
        let (Ok(shared), Ok(text)) = (shared, text) else {
            return;
        };
        let inputs = std::iter::repeat_n((shared, text), 4);
        for result in self.executor.map(doubled, inputs) {
            let result = result.map(|(same, text, twice)| (same.to_vec(), text, twice.to_vec()));
            self.check(result, &(numbers.clone(), "text".into(), twice.clone()));
        }
        // Workers are told that nobody holds them any more, and have a while to hear it.
        thread::sleep(Duration::from_millis(A_WHILE));
    }

    fn streams(&self) {
        let large = vec![7; LARGE];
        for result in self.executor.map_ref(bytes, [&large, &large]) {
            self.check(result, &large);
        }
    }

    /// Calls that fail as they should, if not otherwise.
    fn misbehaves(&self) {
        let panicking = self.executor.submit(even, 1);
        let aborting = self.executor.submit(misbehave, Misdeed::Abort);
        let late = self
            .executor
            .options()
            .timeout(SHORT)
            .submit(work, TOO_LONG);
        Self::check_failed(&panicking.result());
        Self::check_failed(&aborting.result());
        Self::check_failed(&late.result());
        let [killed, cancelled] = [(); 2].map(|()| self.executor.submit(work, TOO_LONG));
        killed.kill();
        cancelled.cancel();
        cancelled.kill();
        Self::check_failed(&killed.result());
        Self::check_failed(&cancelled.result());
    }

    fn is_called_back(&self) {
        let (sender, receiver) = mpsc::channel();
        let call = self.executor.submit(cube, 5);
        call.on_done(move |result| drop(sender.send(result)));
        // A callback that panicked has dropped its sender.
        if let Ok(result) = receiver.recv() {
            self.check(result, &cube(5));
        }
    }

    /// More threads than workers.
    fn waits_in_threads(&self) {
        let call = || match self.executor.submit(work, A_WHILE).result() {
            Ok(pid) => assert!(
                pid != std::process::id() || is_garbled(),
                "another value came"
            ),
            Err(error) => self.check(Err(error), &()),
        };
        thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(call))));
    }

    /// Its fork server is killed, and another one takes its place.
    fn loses_its_fork_server(&self) {
        let server_of_a_worker = || self.executor.submit(parent, ()).result();
        if let Ok(server) = server_of_a_worker() {
            // It may have died otherwise.
            let _ = sys::kill(server, libc::SIGKILL);
            // Its workers die of it, but not in the same moment.
            while server_of_a_worker().is_ok_and(|other| other == server) {}
        }
        for (x, result) in (0..10).zip(self.executor.map(cube, 0..10)) {
            self.check(result, &cube(x));
        }
    }
}
