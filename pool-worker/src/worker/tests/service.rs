//! What calls come to, as long as the worker survives them.

use super::*;
use crate::channel::{Segment, WorkerEnd};
use crate::protocol::Status;
use crate::worker::panics::{self, MAX_TEXT};
use crate::worker::service::Service;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::thread;

/// The application's end of a service that serves for as long as the test runs.
fn service(tasks: &[&str]) -> ApplicationEnd {
    service_of_outputs(tasks, u64::MAX)
}

/// As [`service`], whose outputs may have so many bytes.
fn service_of_outputs(tasks: &[&str], most: u64) -> ApplicationEnd {
    let (segment, memfd) = Segment::create().unwrap();
    let mut application = ApplicationEnd::new(segment);
    application.limit_outputs(most);
    let tasks = resolve(tasks);
    panics::install_hook();
    thread::spawn(move || {
        let (_application, control) = UnixDatagram::pair().unwrap();
        let segment = Arc::new(Segment::open(memfd.as_fd()).unwrap());
        let end = WorkerEnd::new(Arc::clone(&segment), OwnedFd::from(control));
        let mut service = Service::new(end, None, segment, tasks);
        loop {
            service.serve_call();
        }
    });
    application
}

/// The answer to one call of one task.
fn answered<T: Serialize + 'static>(task: &str, argument: &T) -> Answer {
    let mut end = service(&[task, "double"]);
    call(&mut end, 0, 7, argument);
    let its_answer = answer(&mut end);
    assert_eq!(its_answer.seq, 7);
    assert_eq!(end.last_words(), None);
    call(&mut end, 1, 8, &21i64);
    assert_eq!(decoded::<i64>(&answer(&mut end)), 42, "after {task}");
    its_answer
}

fn text(answer: &Answer) -> &str {
    str::from_utf8(answer.body.bytes()).unwrap()
}

#[test]
fn a_call_returns() {
    let answer = answered("double", &4i64);
    assert_eq!(answer.status, Status::Returned);
    assert_eq!(decoded::<i64>(&answer), 8);
}

#[test]
fn a_panic_is_reported_with_message_and_place() {
    for _ in 0..200 {
        let answer = answered("panic_with", &"no luck".to_owned());
        assert_eq!(answer.status, Status::Panicked);
        let report = report(answer.body.bytes());
        assert_eq!(report.message, "no luck");
        let location = report.location.unwrap();
        assert!(location.contains("tests.rs:"), "{location}");
    }
}

#[test]
fn a_long_panic_message_is_clipped_to_whole_characters() {
    let answer = answered("panic_at_length", &MAX_TEXT);
    let report = report(answer.body.bytes());
    assert!((MAX_TEXT - 3..=MAX_TEXT).contains(&report.message.len()));
}

#[test]
fn a_panic_without_text_is_reported() {
    let answer = answered("panic_with_number", &5u32);
    assert_eq!(answer.status, Status::Panicked);
    let report = report(answer.body.bytes());
    assert!(report.message.contains("not a string"));
    assert!(report.location.is_some());
}

#[test]
fn a_payload_that_panics_when_dropped_hurts_nobody() {
    for _ in 0..200 {
        let answer = answered("panic_with_bomb", &());
        assert_eq!(answer.status, Status::Panicked);
    }
}

#[test]
fn an_unwinding_without_a_panic_is_reported() {
    let report = report(
        answered("resume_with", &"carried over".to_owned())
            .body
            .bytes(),
    );
    assert_eq!(report.message, "carried over");
    assert_eq!(report.location, None);
}

#[test]
fn a_panic_that_the_task_caught_is_not_taken_for_another() {
    let answer = answered("catch_own_panic", &"caught".to_owned());
    assert_eq!(answer.status, Status::Returned);
    assert!(decoded::<bool>(&answer));
    let report = report(
        answered("resume_after_another", &"the second".to_owned())
            .body
            .bytes(),
    );
    assert_eq!(report.message, "the second");
    assert_eq!(report.location, None);
}

#[test]
fn arguments_of_another_type_are_undecodable() {
    let answer = answered("double", &"four".to_owned());
    assert_eq!(answer.status, Status::ArgumentsUndecodable);
    assert!(!text(&answer).is_empty());
}

#[test]
fn an_output_that_fails_to_serialize_is_unencodable() {
    let answer = answered("return_unencodable", &());
    assert_eq!(answer.status, Status::OutputUnencodable);
    assert!(text(&answer).contains("the second value cannot be encoded"));
}

#[test]
fn an_output_that_is_too_large_is_told_by_its_size() {
    let mut end = service_of_outputs(&["repeat", "double"], 20);
    for (count, size) in [(12, None), (13, Some(21_u64)), (100_000, Some(100_008))] {
        call(&mut end, 0, 7, &count);
        let answer = answer(&mut end);
        let status = size.map_or(Status::Returned, |_| Status::OutputTooLarge);
        assert_eq!(answer.status, status, "{count} letters");
        if let Some(size) = size {
            assert_eq!(answer.body.bytes(), size.to_le_bytes());
        }
    }
    call(&mut end, 1, 8, &21i64);
    assert_eq!(decoded::<i64>(&answer(&mut end)), 42, "it goes on");
}

#[test]
fn a_task_that_is_not_here_is_unknown() {
    let answer = answered("no_such_task", &());
    assert_eq!(answer.status, Status::UnknownTask);
    assert!(text(&answer).contains("'no_such_task'"));
    let mut end = service(&[]);
    call(&mut end, 3, 1, &());
    assert_eq!(super::answer(&mut end).status, Status::UnknownTask);
}
