//! How worker processes end, and what they leave to be told. Each is this very program, executed
//! anew as a worker.

use super::*;
use crate::channel::{LastWords, MAX_LAST_WORDS, Segment};
use crate::entry;
use crate::protocol::{LastWordsKind, Setup, StartMethod, Status, Surroundings};
use crate::sys::{self, Readiness};
use crate::{Profile, Sandbox};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// How often what depends on chance is tried.
const ROUNDS: u32 = 25;

struct Worker {
    end: ApplicationEnd,
    control: Option<OwnedFd>,
    child: Child,
}

impl Worker {
    fn new(tasks: &[&str]) -> Self {
        let (segment, rings) = Segment::create().unwrap();
        let (application, control) = sys::socket_pair().unwrap();
        let setup = Setup {
            tasks: tasks.iter().map(ToString::to_string).collect(),
            start_method: StartMethod::Spawn,
            surroundings: Surroundings::default(),
            sandbox: Sandbox::from(Profile::Open),
            open_files: None,
        };
        let setup = rmp_serde::to_vec(&setup).unwrap();
        let setup = sys::write_sealed(c"setup", &setup).unwrap();
        let descriptors = [&control, &rings, &setup];
        for descriptor in descriptors {
            sys::keep_on_exec(descriptor.as_fd()).unwrap();
        }
        let [control, rings, setup] = descriptors.map(AsRawFd::as_raw_fd);
        let parent = std::process::id();
        let child = Command::new("/proc/self/exe")
            .env(
                entry::MARKER,
                format!("worker {control} {rings} {setup} {parent} 0"),
            )
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            end: ApplicationEnd::new(segment),
            control: Some(application),
            child,
        }
    }

    /// How the process ended, once it has.
    fn ended(&mut self) -> ExitStatus {
        let pidfd = sys::pidfd_of(self.child.id()).unwrap();
        let seen = sys::poll([(pidfd.as_fd(), Readiness::Read)], Some(SOON)).unwrap();
        assert!(seen.any(0), "the worker lives on");
        self.child.wait().unwrap()
    }

    /// What was written to standard error.
    fn complaints(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both do nothing to a process that `ended` has reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a worker ended by a call, and its last words.
fn died_of<T: Serialize + 'static>(task: &str, argument: &T) -> (ExitStatus, Option<LastWords>) {
    let mut worker = Worker::new(&["double", task]);
    call(&mut worker.end, 0, 1, &1i64);
    assert_eq!(decoded::<i64>(&answer(&mut worker.end)), 2);
    call(&mut worker.end, 1, 2, argument);
    let status = worker.ended();
    assert!(worker.end.receive(|_, _| Vec::new()).unwrap().is_none());
    (status, worker.end.last_words())
}

#[test]
fn a_worker_ends_when_the_application_closes_its_socket() {
    for round in 0..ROUNDS {
        let mut worker = Worker::new(&["double", "never_end"]);
        call(&mut worker.end, 0, 1, &1i64);
        assert_eq!(answer(&mut worker.end).status, Status::Returned);
        if round % 2 == 0 {
            call(&mut worker.end, 1, 2, &());
        }
        worker.control = None;
        assert_eq!(worker.ended().code(), Some(0));
        assert_eq!(worker.complaints(), "");
    }
}

#[test]
fn a_stack_overflow_is_told() {
    for _ in 0..ROUNDS {
        let (status, words) = died_of("overflow_stack", &0u64);
        assert_eq!(status.signal(), Some(libc::SIGSEGV));
        let words = words.expect("last words");
        assert_eq!(words.kind, LastWordsKind::STACK_OVERFLOW);
        assert_eq!((words.seq, words.bytes.len()), (2, 0));
    }
}

#[test]
fn other_faults_kill_without_words() {
    let (status, words) = died_of("touch_nothing", &());
    assert_eq!((status.signal(), words), (Some(libc::SIGSEGV), None));
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGKILL] {
        let (status, words) = died_of("raise", &signal);
        assert_eq!((status.signal(), words), (Some(signal), None));
    }
}

#[test]
fn a_task_may_handle_faults_itself() {
    let mut worker = Worker::new(&["leave_at_fault", "touch_nothing"]);
    call(&mut worker.end, 0, 1, &());
    assert_eq!(answer(&mut worker.end).status, Status::Returned);
    call(&mut worker.end, 1, 2, &());
    assert_eq!(worker.ended().code(), Some(42));
}

/// Asserts that a worker aborted by a panic, and gives the panic's report.
fn aborted((status, words): (ExitStatus, Option<LastWords>)) -> PanicReport {
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    let words = words.expect("last words");
    assert_eq!(words.kind, LastWordsKind::PANICKING);
    assert_eq!(words.seq, 2);
    let report = report(&words.bytes);
    let location = report.location.as_deref().unwrap();
    assert!(location.contains("tests.rs:"), "{location}");
    report
}

#[test]
fn a_panic_in_a_function_that_cannot_unwind_is_told() {
    let report = aborted(died_of("panic_through_c", &1usize));
    assert_eq!(report.message, "ü€");
    let report = aborted(died_of("panic_through_c", &1_000_000usize));
    assert!((1000..MAX_LAST_WORDS).contains(&report.message.len()));
}

#[test]
fn a_panic_while_another_unwinds_is_told() {
    let report = aborted(died_of("panic_twice", &"the first".to_owned()));
    assert_eq!(report.message, "dropped");
}

#[test]
fn an_exit_keeps_its_code() {
    for _ in 0..ROUNDS {
        let (status, words) = died_of("exit", &7);
        assert_eq!((status.code(), words), (Some(7), None));
    }
}

#[test]
fn a_worker_whose_task_thread_has_ended_aborts() {
    let (status, words) = died_of("end_thread", &());
    assert_eq!((status.signal(), words), (Some(libc::SIGABRT), None));
}

#[test]
fn panics_of_calls_are_not_printed_and_others_are() {
    let mut worker = Worker::new(&["panic_with", "panic_elsewhere"]);
    for (task, message) in [(0, "in the call"), (1, "on another thread")] {
        call(&mut worker.end, task, task, &message.to_owned());
        answer(&mut worker.end);
    }
    worker.control = None;
    worker.ended();
    let complaints = worker.complaints();
    assert!(!complaints.contains("in the call"), "{complaints}");
    assert!(complaints.contains("on another thread"), "{complaints}");
}

#[test]
fn what_tasks_print_is_seen_while_the_worker_sleeps() {
    let mut worker = Worker::new(&["print"]);
    call(&mut worker.end, 0, 1, &"half a line".to_owned());
    answer(&mut worker.end);
    let stdout = worker.child.stdout.as_mut().unwrap();
    let seen = sys::poll([(stdout.as_fd(), Readiness::Read)], Some(SOON)).unwrap();
    assert!(seen.any(0), "nothing was printed");
    let mut text = [0; 64];
    let length = stdout.read(&mut text).unwrap();
    assert_eq!(&text[..length], b"half a line");
}
