//! The texts and traits of `TaskError`.

use pool_worker::codec::{DecodeError, Limits, Source, decode_from};
use serde::de::DeserializeOwned;

use super::*;
use TaskErrorKind as Kind;

fn error(kind: Kind) -> TaskError {
    TaskError::new(kind, "thumbs::resize")
}

fn report(message: &str) -> PanicReport {
    PanicReport {
        message: message.to_owned(),
        location: Some("src/main.rs:12:5".to_owned()),
        backtrace: Some("0: resize".to_owned()),
    }
}

#[track_caller]
fn says(error: &TaskError, text: &str) {
    assert_eq!(error.to_string(), text);
}

#[test]
fn is_one_pointer_and_travels() {
    fn travels<T: Error + Clone + Send + Sync + UnwindSafe + RefUnwindSafe + 'static>() {}
    travels::<TaskError>();
    assert_eq!(size_of::<TaskError>(), size_of::<usize>());
    assert_eq!(size_of::<Option<TaskError>>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), TaskError>>(), size_of::<usize>());
}

#[test]
fn panics() {
    let panicked = error(Kind::Panicked)
        .panicked(report("empty image"))
        .worker(4711);
    says(
        &panicked,
        "task 'thumbs::resize' panicked at src/main.rs:12:5: empty image (worker 4711)",
    );
    assert_eq!(panicked.kind(), Kind::Panicked);
    assert_eq!(panicked.task(), "thumbs::resize");
    assert_eq!(panicked.worker_pid(), Some(4711));
    assert_eq!(panicked.panic_message(), Some("empty image"));
    assert_eq!(panicked.panic_location(), Some("src/main.rs:12:5"));
    assert_eq!(panicked.backtrace(), Some("0: resize"));
    assert_eq!((panicked.signal(), panicked.exit_code()), (None, None));

    let aborted = panicked.status(libc::SIGABRT);
    assert_eq!(aborted.signal(), Some(6));
    says(
        &aborted,
        "task 'thumbs::resize' panicked at src/main.rs:12:5: empty image \
         (worker 4711 was killed by signal 6 (SIGABRT))",
    );
}

#[test]
fn texts_from_workers_cannot_forge_lines() {
    let forged = error(Kind::Panicked).panicked(report("a\nb\x1b[2J\u{9b}ä"));
    says(
        &forged,
        "task 'thumbs::resize' panicked at src/main.rs:12:5: a\\nb\\u{1b}[2J\\u{9b}ä",
    );
    assert_eq!(forged.panic_message(), Some("a\nb\x1b[2J\u{9b}ä"));
}

#[test]
fn deaths() {
    let died = error(Kind::WorkerDied).worker(4711);
    says(
        &died,
        "task 'thumbs::resize' did not finish, as its worker died \
         (worker 4711, it is not known how it ended)",
    );
    let segfault = died.clone().status(libc::SIGSEGV | 0x80); // with a core dump
    assert_eq!((segfault.signal(), segfault.exit_code()), (Some(11), None));
    says(
        &segfault,
        "task 'thumbs::resize' did not finish, as its worker died \
         (worker 4711 was killed by signal 11 (SIGSEGV))",
    );
    let killed = died.clone().status(libc::SIGKILL).to_string();
    assert!(
        killed.contains("signal 9 (SIGKILL)); nobody here sent"),
        "{killed}"
    );
    let exited = died.clone().status(3 << 8);
    assert_eq!((exited.signal(), exited.exit_code()), (None, Some(3)));
    says(
        &exited,
        "task 'thumbs::resize' did not finish, as its worker died \
         (worker 4711 exited with status 3 during the call)",
    );
    let real_time = died.status(libc::SIGRTMIN()).to_string();
    assert!(
        real_time.ends_with("(worker 4711 was killed by signal 34)"),
        "{real_time}"
    );
}

#[test]
fn causes_of_death() {
    let died = error(Kind::WorkerDied).worker(4711);
    assert_eq!(died.death_cause(), None);
    for (cause, status, text) in [
        (
            DeathCause::StackOverflow,
            libc::SIGSEGV,
            "task 'thumbs::resize' did not finish, as its worker died: the task overflowed its stack \
             (worker 4711 was killed by signal 11 (SIGSEGV))",
        ),
        (
            DeathCause::OutOfMemory,
            libc::SIGABRT,
            "task 'thumbs::resize' did not finish, as its worker died: it aborted when memory could \
             not be allocated (worker 4711 was killed by signal 6 (SIGABRT))",
        ),
        (
            DeathCause::OomKiller,
            libc::SIGKILL,
            "task 'thumbs::resize' did not finish, as its worker died: most likely the kernel killed \
             it for want of memory (worker 4711 was killed by signal 9 (SIGKILL))",
        ),
    ] {
        let told = died.clone().status(status).died_of(cause);
        assert_eq!(told.death_cause(), Some(cause));
        says(&told, text);
    }
}

#[test]
fn what_is_too_large_says_how_much_and_what_to_do() {
    let arguments = error(Kind::TooLarge).sized(5000, 1000);
    says(
        &arguments,
        "task 'thumbs::resize' was not called, as its arguments are too large: 5000 bytes, where \
         1000 are allowed; pass less, share what many calls read, or set a higher max_args",
    );
    let sizes = (arguments.size(), arguments.size_limit());
    assert_eq!(sizes, (Some(5000), Some(1000)));
    let result = error(Kind::TooLarge).side(Side::Worker).worker(4711);
    says(
        &result.sized(5000, 1000),
        "task 'thumbs::resize' returned more than the application takes: 5000 bytes, where 1000 are \
         allowed (worker 4711); return less, or set a higher max_result",
    );
    assert_eq!(error(Kind::Encode).size(), None);
}

#[test]
fn what_goes_beyond_a_limit_names_the_option() {
    let limits = Limits {
        depth: 1,
        elements: 3,
        memory: 100,
    };
    let refused = |error: Option<DecodeError>| {
        let error = error.expect("it is too much");
        self::error(Kind::Decode).undecodable(&error).to_string()
    };
    let begin = "task 'thumbs::resize' returned what the application could not decode: ";
    for (text, told) in [
        (
            refused(decoded::<Vec<Vec<bool>>>(&[0x91, 0x91, 0xc2], limits)),
            "nested deeper than 1 levels; return what is nested less, or set a higher \
             max_result_depth if it is below 128",
        ),
        (
            refused(decoded::<Vec<bool>>(
                &[0x94, 0xc2, 0xc2, 0xc2, 0xc2],
                limits,
            )),
            "more than 3 elements; return fewer, or set a higher max_result_elements",
        ),
        (
            refused(decoded::<Vec<[u128; 20]>>(&[0x91, 0x90], limits)),
            "its values would take more memory than 64 times its bytes and 100 bytes; put what is \
             seldom there into a Box, or set a higher max_result_memory",
        ),
    ] {
        assert_eq!(text, format!("{begin}{told}"));
    }
}

fn decoded<T: DeserializeOwned + 'static>(bytes: &[u8], limits: Limits) -> Option<DecodeError> {
    let mut source = Source::new(bytes, &mut []).within(limits);
    decode_from::<T>(&mut source).err()
}

#[test]
fn what_has_begun_is_told() {
    assert!(error(Kind::WorkerDied).worker(4711).started());
    assert!(!error(Kind::Cancelled).started());
    assert!(
        error(Kind::Cancelled).tried_before(1).started(),
        "a worker had begun it and died"
    );
    assert!(error(Kind::Decode).started(), "its result had come");
    assert!(!error(Kind::Encode).started());
    assert!(
        error(Kind::Encode)
            .side(Side::Worker)
            .worker(4711)
            .started()
    );
    let poisoned = error(Kind::Poisoned).worker(4711).status(libc::SIGSEGV);
    assert_eq!((poisoned.started(), poisoned.attempts()), (false, 0));
    assert!(poisoned.clone().tried_before(1).started());
    says(
        &poisoned,
        "task 'thumbs::resize' was given up, as workers died before they began it (worker 4711 was \
         killed by signal 11 (SIGSEGV)); look at what its arguments do to a worker, \
         or at who kills workers",
    );
}

#[test]
fn stops() {
    says(
        &error(Kind::TimedOut).detail("2s were allowed").worker(4711),
        "task 'thumbs::resize' timed out: 2s were allowed (worker 4711)",
    );
    says(
        &error(Kind::Cancelled),
        "task 'thumbs::resize' was cancelled before it started",
    );
    says(
        &error(Kind::Killed).detail("by Executor::kill").worker(4711),
        "task 'thumbs::resize' was killed while it ran: by Executor::kill (worker 4711)",
    );
}

#[test]
fn a_result_that_was_taken_is_no_value_that_cannot_be_decoded() {
    says(
        &error(Kind::Decode).side(Side::Taken),
        "task 'thumbs::resize' was asked for its result again; take it once: a future that was ready \
         when it was polled has none any more",
    );
}

#[test]
fn values_that_cannot_cross_name_side_and_remedy() {
    for (kind, side, text) in [
        (
            Kind::Encode,
            Side::Application,
            "its arguments could not be encoded: why",
        ),
        (
            Kind::Encode,
            Side::Worker,
            "what the worker could not encode: why",
        ),
        (
            Kind::Decode,
            Side::Application,
            "what the application could not decode: why",
        ),
        (
            Kind::Decode,
            Side::Worker,
            "the worker could not decode its arguments: why",
        ),
    ] {
        let text_of = error(kind).side(side).detail("why").to_string();
        assert!(text_of.contains(text), "{text_of}");
        assert!(text_of.contains("; "), "{text_of}");
    }
}

#[test]
fn calls_that_are_not_taken_say_what_to_do() {
    let unknown = error(Kind::UnknownTask)
        .detail("known are a, b")
        .to_string();
    assert!(unknown.starts_with("task 'thumbs::resize' is not known: known are a, b"));
    let full = error(Kind::QueueFull).detail("100 calls").to_string();
    assert!(
        full.contains("the queue is full: 100 calls; wait"),
        "{full}"
    );
    let closed = error(Kind::ShutDown).to_string();
    assert!(
        closed.contains("executor is shut down; make calls before"),
        "{closed}"
    );
}

#[test]
fn limits_and_sandboxes_say_what_to_do() {
    let greedy = error(Kind::CpuLimit).worker(4711).status(9).detail("why");
    says(
        &greedy,
        "task 'thumbs::resize' was stopped, as it took too much processor time: why (worker 4711); \
         have the task do less at a time, or set a higher cpu_limit (or ulimit -t)",
    );
    let hostile = error(Kind::SandboxViolation).worker(4711).status(31);
    says(
        &hostile,
        "task 'thumbs::resize' was stopped, as it made a system call that its sandbox forbids (worker \
         4711 was killed by signal 31 (SIGSYS)); take it for an attack, or have tasks that need such \
         calls run in another Profile",
    );
}

#[test]
fn a_broken_executor_says_why() {
    let source = Arc::new(std::io::Error::other("no\nmemory"));
    let broken = error(Kind::PoolBroken).caused_by(source);
    says(
        &broken,
        "task 'thumbs::resize' did not finish, as the executor is broken: no\\nmemory",
    );
    assert_eq!(Error::source(&broken).unwrap().to_string(), "no\nmemory");
    let text = format!("{:?}", broken.detail("the initializer failed 3 times"));
    assert_eq!(
        text,
        "TaskError { kind: PoolBroken, message: task 'thumbs::resize' did not finish, as the \
         executor is broken: the initializer failed 3 times, .. }",
    );
}

#[test]
fn attempts_are_counted_and_told_where_there_were_more() {
    let once = error(Kind::WorkerDied).worker(4711).status(6);
    assert_eq!(once.attempts(), 1);
    assert!(!once.to_string().contains("tried"));
    let thrice = once.tried_before(2);
    assert_eq!(thrice.attempts(), 3);
    says(
        &thrice,
        "task 'thumbs::resize' did not finish, as its worker died (worker 4711 was killed by \
         signal 6 (SIGABRT)); it was tried 3 times",
    );
    let given_up = error(Kind::Cancelled).tried_before(1);
    assert_eq!(given_up.attempts(), 1);
    assert!(given_up.to_string().ends_with("; it was tried once"));
    assert_eq!(error(Kind::Cancelled).attempts(), 0);
}
