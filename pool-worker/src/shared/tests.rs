//! Both ends in one process: the application's on the test's thread, the worker's on another or on
//! the same.

use std::cell::Cell;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::*;
use crate::codec;

/// How long a test waits for what should happen at once.
const SOON: Duration = Duration::from_secs(20);

/// The application's end, and the table of a worker whose task thread is the calling thread.
fn ends() -> (Arc<Postbox>, Arc<Table>) {
    let (postbox, table, _alarms) = ends_with_alarm();
    (postbox, table)
}

fn ends_with_alarm() -> (Arc<Postbox>, Arc<Table>, Arc<AtomicU32>) {
    let (ours, theirs) = sys::socket_pair().unwrap();
    let alarms = Arc::new(AtomicU32::new(0));
    let raised = Arc::clone(&alarms);
    let postbox = Postbox::new(ours, move || {
        raised.fetch_add(1, Ordering::Relaxed);
    });
    let table = Arc::new(Table::new(theirs));
    serve_from(Arc::clone(&table));
    (Arc::new(postbox), table, alarms)
}

fn send<T: Serialize + 'static>(value: &T) -> (Vec<u8>, Attachments) {
    let mut bytes = Vec::new();
    let (encoded, attachments) = sending(|| codec::encode(value, &mut bytes));
    encoded.unwrap();
    (bytes, attachments)
}

fn take<T: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<T, DecodeError> {
    taking(|| codec::decode(&mut &*bytes))
}

fn give<T: Serialize + 'static>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    giving(|| codec::encode(value, &mut bytes)).unwrap();
    bytes
}

fn receive<T: DeserializeOwned + 'static>(
    attachments: &Attachments,
    bytes: &[u8],
) -> Result<T, DecodeError> {
    receiving(attachments, || codec::decode(&mut &*bytes))
}

/// `value` as a worker's call gets it.
fn delivered<T>(postbox: &Arc<Postbox>, value: &T) -> T
where
    T: Serialize + DeserializeOwned + 'static,
{
    let (bytes, attachments) = send(value);
    assert!(postbox.deliver(&attachments));
    begin_call();
    take(&bytes).unwrap()
}

fn same<T: ?Sized>(one: &T, other: &T) -> bool {
    std::ptr::eq(one, other)
}

#[track_caller]
fn refused<T: Debug>(result: Result<T, DecodeError>, with: &str) {
    let text = result.unwrap_err().to_string();
    assert!(text.contains(with), "{text}");
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "{what}");
        thread::yield_now();
    }
}

#[test]
fn numbers_are_read_in_place() {
    let (postbox, _table) = ends();
    for numbers in [&[][..], &[1.5, -0.0, f64::MAX]] {
        let shared = Shared::share_slice(numbers).unwrap();
        let there = delivered(&postbox, &shared);
        assert_eq!(there[..], *numbers);
        let again = delivered(&postbox, &shared);
        assert!(same(&*there, &*again), "one mapping for all calls");
        assert!(numbers.is_empty() || !same(&*there, &*shared));
    }
    let wide = Shared::share_slice(&[u128::MAX, 0, 1]).unwrap();
    assert_eq!(delivered(&postbox, &wide)[..], [u128::MAX, 0, 1]);
}

type HandedBack = (Vec<Shared<[u8]>>, Option<Shared<[u8]>>);

#[test]
fn a_value_inside_others_is_shared_too() {
    let (postbox, _table) = ends();
    let shared = Shared::share_slice(b"abc").unwrap();
    let values = (
        7,
        vec![shared.clone(), shared.clone()],
        Some(shared.clone()),
    );
    let (_, attachments) = send(&values);
    assert_eq!(attachments.segments().len(), 1);
    let (seven, list, option) = delivered(&postbox, &values);
    assert_eq!((seven, list.len()), (7, 2));
    assert!(same(&*list[1], &**option.as_ref().unwrap()));
    let back = give(&(list, option));
    let (list, option): HandedBack = receive(&attachments, &back).unwrap();
    assert!(same(&*list[0], &*shared));
    assert!(same(&*option.unwrap(), &*shared));
}

thread_local!(static DECODED: Cell<u32> = const { Cell::new(0) });

/// Counts how often it is decoded.
#[derive(Debug, Serialize)]
struct Counted(String);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        DECODED.set(DECODED.get() + 1);
        String::deserialize(from).map(Self)
    }
}

#[test]
fn any_other_value_is_decoded_once() {
    let (postbox, _table) = ends();
    let shared = Shared::share(Counted("value".into())).unwrap();
    for _ in 0..3 {
        assert_eq!((*delivered(&postbox, &shared)).0, "value");
    }
    assert_eq!(DECODED.get(), 1);
    assert_eq!((*shared).0, "value");
}

#[test]
fn a_value_given_back_is_the_same_memory() {
    let (postbox, _table) = ends();
    let shared = Shared::share(Counted("value".into())).unwrap();
    let (_, attachments) = send(&shared);
    let back = give(&delivered(&postbox, &shared));
    let again: Shared<Counted> = receive(&attachments, &back).unwrap();
    assert!(same(&*again, &*shared));
    drop((again, shared));
    // Nobody holds it any more but the call: it is read from the memory again.
    let again: Shared<Counted> = receive(&attachments, &back).unwrap();
    assert_eq!((*again).0, "value");
    assert_eq!(
        again.segment().unwrap().id(),
        attachments.segments()[0].id()
    );
}

#[test]
fn text_is_checked_and_read_in_place() {
    let (postbox, _table) = ends();
    let shared = Shared::share_str("für").unwrap();
    let there = delivered(&postbox, &shared);
    assert_eq!(&*there, "für");
    assert!(same(&*there, &*delivered(&postbox, &shared)));
    let result: Shared<str> =
        receive(&Attachments::default(), &give(&Shared::from("wider"))).unwrap();
    assert_eq!(&*result, "wider");
    assert_eq!(&*delivered(&postbox, &result), "wider");

    let no_text = Shared::share_slice(&[0xff]).unwrap();
    let (bytes, attachments) = send(&no_text);
    assert!(postbox.deliver(&attachments));
    refused(take::<Shared<str>>(&bytes), "utf-8");
    let odd = give(&no_text);
    refused(receive::<Shared<str>>(&attachments, &odd), "a string");
}

#[test]
fn a_value_of_an_earlier_call_is_given_back_as_a_copy() {
    let (postbox, _table) = ends();
    let shared = Shared::share_slice(&[1u32, 2]).unwrap();
    let kept = delivered(&postbox, &shared);
    let text = Shared::share("text".to_owned()).unwrap();
    let kept_text = delivered(&postbox, &text);
    begin_call();
    let none = Attachments::default();
    let copy: Shared<[u32]> = receive(&none, &give(&kept)).unwrap();
    assert_eq!(copy[..], [1, 2]);
    let copy: Shared<String> = receive(&none, &give(&kept_text)).unwrap();
    assert_eq!(*copy, "text");
}

#[test]
fn a_slice_made_by_a_task_is_a_result_and_an_argument() {
    let (postbox, _table) = ends();
    let made = Shared::from_slice(&[1.5f32, 2.5]);
    // One byte in front, so that the numbers are not aligned where they arrive.
    let result: (bool, Shared<[f32]>) =
        receive(&Attachments::default(), &give(&(true, made))).unwrap();
    assert_eq!(result.1[..], [1.5, 2.5]);
    assert_eq!(delivered(&postbox, &result.1)[..], [1.5, 2.5]);
}

#[test]
fn a_worker_shares_its_argument_with_workers_of_its_own() {
    let (postbox, _table) = ends();
    let shared = Shared::share_slice(&[5i64; 100]).unwrap();
    let there = delivered(&postbox, &shared);
    let (bytes, attachments) = send(&there);
    assert_eq!(attachments.segments().len(), 1);
    // The worker's worker is another thread: its numbers are the worker's, not the application's.
    let worker = thread::spawn(move || {
        let (postbox, _table) = ends();
        assert!(postbox.deliver(&attachments));
        begin_call();
        let taken: Shared<[i64]> = take(&bytes).unwrap();
        taken.iter().sum::<i64>()
    });
    assert_eq!(worker.join().unwrap(), 500);
    let back: Shared<[i64]> = receive(&send(&shared).1, &give(&there)).unwrap();
    assert!(same(&*back, &*shared));
}

#[test]
fn outside_of_calls_it_is_refused() {
    let (postbox, _table) = ends();
    let shared = Shared::share_slice(b"abc").unwrap();
    let error = serde_json::to_string(&shared).unwrap_err().to_string();
    assert!(error.contains("only as part of a call's"), "{error}");
    let error = serde_json::from_str::<Shared<[u8]>>("{\"handle\":0}").unwrap_err();
    assert!(
        error.to_string().contains("only as part of a call's"),
        "{error}"
    );
    let error = Shared::share(vec![shared.clone()]).unwrap_err();
    assert!(error.contains("only as part of a call's"), "{error}");
    // The task itself is not part of the call's encoding.
    let there = delivered(&postbox, &shared);
    serde_json::to_string(&there).unwrap_err();
}

#[test]
fn what_was_not_sent_is_refused_at_once() {
    let (postbox, _table) = ends();
    let shared = Shared::share_slice(b"abc").unwrap();
    let (bytes, attachments) = send(&shared);
    refused(take::<Shared<[u8]>>(&bytes), "not sent to this worker");
    refused(
        receive::<Shared<[u8]>>(&Attachments::default(), &bytes),
        "did not come with the call's arguments",
    );
    refused(
        receive::<Shared<[u32]>>(&attachments, &bytes),
        "of another type",
    );
    assert!(postbox.deliver(&attachments));
    refused(take::<Shared<[u32]>>(&bytes), "end within a number");
    assert_eq!(take::<Shared<[u8]>>(&bytes).unwrap()[..], *b"abc");
    refused(take::<Shared<String>>(&bytes), "of another type");
    let odd = give(&Shared::from_slice(b"abc"));
    refused(
        receive::<Shared<[u16]>>(&attachments, &odd),
        "end within a number",
    );
}

#[test]
fn a_released_value_is_gone_in_the_worker() {
    let (postbox, table) = ends();
    let attending = thread::spawn({
        let table = Arc::clone(&table);
        move || table.attend()
    });
    let shared = Shared::share_slice(&[1u8; 10_000]).unwrap();
    let text = Shared::share("text".to_owned()).unwrap();
    let held = delivered(&postbox, &shared);
    let decoded = Arc::downgrade(&delivered(&postbox, &text).0);
    assert!(decoded.strong_count() > 0, "it is kept for other calls");
    drop((shared, text));
    until("the worker forgets them", || {
        decoded.strong_count() == 0 && Arc::strong_count(&held.0) == 1
    });
    assert_eq!(held[9999], 1, "what a task holds on to stays");
    drop(postbox);
    attending.join().unwrap();
}

#[test]
fn a_full_socket_is_tried_again() {
    let (postbox, _table, alarms) = ends_with_alarm();
    let (unknown, _) = send(&Shared::share_slice(b"unknown").unwrap());
    // Whoever asks for what he does not find has run all errands.
    let run_errands = || drop(take::<Shared<[u8]>>(&unknown).unwrap_err());
    let all: Vec<_> = (0..1000u32)
        .map(|number| Shared::share_slice(&[number]).unwrap())
        .collect();
    let (bytes, attachments) = send(&all);
    assert!(!postbox.deliver(&attachments), "a thousand do not fit");
    assert_eq!(alarms.load(Ordering::Relaxed), 1);
    assert!(postbox.retry() && !postbox.deliver(&attachments) && postbox.retry());
    assert_eq!(
        alarms.load(Ordering::Relaxed),
        1,
        "it is tried again anyhow"
    );
    assert!(!postbox.retry(), "nobody needs it any more");
    until("all have been delivered", || {
        run_errands();
        postbox.deliver(&attachments)
    });
    while postbox.retry() {}
    let alarms_before = alarms.load(Ordering::Relaxed);
    let there: Vec<Shared<[u32]>> = take(&bytes).unwrap();
    assert!(
        there
            .iter()
            .zip(0..)
            .all(|(shared, number)| shared[..] == [number])
    );
    let kept: Vec<_> = there
        .iter()
        .map(|shared| Arc::downgrade(&shared.0))
        .collect();
    drop((there, all, attachments));
    assert!(
        alarms.load(Ordering::Relaxed) > alarms_before,
        "a thousand releases do not fit"
    );
    until("the worker forgets them", || {
        run_errands();
        !postbox.retry() && kept.iter().all(|value| value.strong_count() == 0)
    });
}

#[test]
fn memory_is_freed_with_the_last_holder() {
    let shared = Shared::share_slice(&[1u8; 10]).unwrap();
    let segment = Arc::downgrade(shared.segment().unwrap());
    let (_, attachments) = send(&shared);
    drop(shared);
    assert!(segment.upgrade().is_some(), "a call refers to it");
    drop(attachments);
    assert!(segment.upgrade().is_none());
}
