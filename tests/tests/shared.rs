//! Values that many calls refer to: what may be one, where it may stand, and what it is there.

use std::{
    collections::BTreeMap,
    hint::black_box,
    ptr,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use pool_core::{Executor, Plain, Shared, TaskErrorKind, as_completed, task};
use pool_tests::{
    executor, fails_with, isolated, rounds,
    tasks::{sum, sum_of},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

fn same<T: ?Sized>(one: &T, other: &T) -> bool {
    ptr::eq(one, other)
}

/// Which worker it is, and where the value lies there.
#[task]
fn whereabouts(bytes: Shared<[u8]>) -> (u32, usize) {
    (std::process::id(), bytes.as_ptr().addr())
}

#[task]
fn reversed(numbers: Shared<[u128]>) -> Vec<u128> {
    numbers.iter().rev().copied().collect()
}

#[test]
fn numbers_arrive_as_they_are() {
    isolated(|| {
        let executor = executor(2);
        for size in [0, 1, 4095, 4096, 4097, 1_000_000] {
            let bytes: Vec<u8> = (0..size)
                .map(|index: usize| index.to_le_bytes()[0])
                .collect();
            let shared = executor.share_slice(&bytes).unwrap();
            assert_eq!(shared[..], bytes);
            for total in executor.map(sum, vec![shared; 10]) {
                assert_eq!(total.unwrap(), sum_of(&bytes), "{size} bytes");
            }
        }
        let wide = executor.share_slice(&[0, u128::MAX, 1]).unwrap();
        let back = executor.submit(reversed, wide).result().unwrap();
        assert_eq!(back, [1, u128::MAX, 0]);
    });
}

#[test]
fn a_worker_reads_in_place() {
    isolated(|| {
        let executor = executor(2);
        let shared = executor.share_slice(&[1; 10_000]).unwrap();
        let mut places = BTreeMap::new();
        for call in executor.map(whereabouts, vec![shared; 100]) {
            let (worker, place) = call.unwrap();
            assert_eq!(place % 4096, 0, "a mapping, not a copy");
            assert_eq!(*places.entry(worker).or_insert(place), place);
        }
    });
}

/// A value of the application's own, with shared ones in all places.
#[derive(Clone, Serialize, Deserialize)]
struct Job {
    name: String,
    bytes: Shared<[u8]>,
    list: Vec<Shared<[f64]>>,
    choice: Choice,
    text: Option<Shared<String>>,
    #[serde(flatten)]
    rest: BTreeMap<String, Shared<[i32]>>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Choice {
    Number(u32),
    Numbers(Shared<[u32]>),
}

#[task]
fn handed_back(job: Job) -> (Job, f64) {
    let total = job.list.iter().flat_map(|numbers| numbers.iter()).sum();
    (job, total)
}

#[test]
fn it_may_stand_anywhere() {
    isolated(|| {
        let executor = executor(1);
        let numbers = executor.share_slice(&[0.5, 1.5]).unwrap();
        let job = Job {
            name: "job".into(),
            bytes: executor.share_slice(b"bytes").unwrap(),
            list: vec![numbers.clone(), numbers],
            choice: Choice::Numbers(executor.share_slice(&[1, 2]).unwrap()),
            text: Some(executor.share("text".to_owned()).unwrap()),
            rest: BTreeMap::from([("more".into(), executor.share_slice(&[-1]).unwrap())]),
        };
        let (back, total) = executor.submit_ref(handed_back, &job).result().unwrap();
        assert_eq!(
            (back.name.as_str(), total.to_bits()),
            ("job", 4f64.to_bits())
        );
        // What comes back is the very memory that was sent.
        assert!(same(&*back.bytes, &*job.bytes));
        assert!(same(&*back.list[1], &*job.list[0]));
        assert!(same(&*back.rest["more"], &*job.rest["more"]));
        let (Choice::Numbers(there), Choice::Numbers(here)) = (&back.choice, &job.choice) else {
            panic!("another choice");
        };
        assert!(same(&**there, &**here));
        assert!(same(
            &**back.text.as_ref().unwrap(),
            &**job.text.as_ref().unwrap()
        ));
    });
}

/// Tells how often it was decoded in its process.
#[derive(Serialize)]
struct Counted(Vec<String>);

static DECODED: AtomicU32 = AtomicU32::new(0);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.fetch_add(1, Ordering::Relaxed);
        Vec::deserialize(deserializer).map(Self)
    }
}

#[task]
fn decoded(value: Shared<Counted>, index: usize) -> (u32, String) {
    (DECODED.load(Ordering::Relaxed), value.0[index].clone())
}

#[test]
fn any_value_is_decoded_once_in_each_worker() {
    isolated(|| {
        let executor = executor(2);
        let words = ["a", "b", "c"].map(str::to_owned);
        let shared = executor.share(Counted(words.to_vec())).unwrap();
        let inputs = (0..100).map(|index| (shared.clone(), index % 3));
        for (index, call) in executor.map(decoded, inputs).enumerate() {
            assert_eq!(call.unwrap(), (1, words[index % 3].clone()));
        }
        assert_eq!(shared.0, words, "here it is the value itself");
        assert_eq!(DECODED.load(Ordering::Relaxed), 0);
    });
}

#[task]
fn squares(count: u32) -> Shared<[u64]> {
    let squares: Vec<u64> = (0..u64::from(count))
        .map(|number| number * number)
        .collect();
    Shared::from_slice(&squares)
}

#[task]
fn last(numbers: Shared<[u64]>) -> Option<u64> {
    numbers.last().copied()
}

#[test]
fn a_task_makes_results_that_are_read_in_place() {
    isolated(|| {
        let executor = executor(1);
        for count in [0, 1, 3, 100_000] {
            let result = executor.submit(squares, count).result().unwrap();
            assert_eq!(result.len(), usize::try_from(count).unwrap());
            assert!(
                result
                    .iter()
                    .zip(0..)
                    .all(|(square, number)| *square == number * number)
            );
            // It is shared as soon as it is an argument.
            let expected = result.last().copied();
            for call in executor.map(last, vec![result; 3]) {
                assert_eq!(call.unwrap(), expected);
            }
        }
    });
}

/// What a worker keeps from call to call.
static KEPT: Mutex<Vec<Shared<[u8]>>> = Mutex::new(Vec::new());

#[task]
fn keep(bytes: Shared<[u8]>) {
    KEPT.lock().unwrap().push(bytes);
}

#[task]
fn kept() -> Vec<Shared<[u8]>> {
    std::mem::take(&mut KEPT.lock().unwrap())
}

#[test]
fn a_task_may_keep_it() {
    isolated(|| {
        let executor = executor(1);
        for word in [b"one", b"two"] {
            let shared = executor.share_slice(word).unwrap();
            executor.submit(keep, shared).result().unwrap();
        }
        // Neither is known here any more: they come back as copies.
        let back = executor.submit(kept, ()).result().unwrap();
        assert_eq!((&back[0][..], &back[1][..]), (&b"one"[..], &b"two"[..]));
    });
}

#[task]
fn sum_by_workers_of_its_own(bytes: Shared<[u8]>) -> (u64, Shared<[u8]>) {
    let executor = executor(2);
    let sums: Vec<u64> = executor
        .map(sum, vec![bytes.clone(); 4])
        .collect::<Result<_, _>>()
        .unwrap();
    (sums.iter().sum(), bytes)
}

#[test]
fn a_worker_hands_it_on_to_workers_of_its_own() {
    isolated(|| {
        let executor = executor(1);
        let shared = executor.share_slice(&[3; 10_000]).unwrap();
        let call = executor.submit_ref(sum_by_workers_of_its_own, &shared);
        let (total, back) = call.result().unwrap();
        assert_eq!(total, 120_000);
        assert!(same(&*back, &*shared));
    });
}

#[test]
fn one_value_for_many_executors_and_threads() {
    isolated(|| {
        let executors = [executor(1), executor(2)];
        let shared = executors[0].share_slice(&[2; 1000]).unwrap();
        thread::scope(|scope| {
            for index in 0..4 {
                let (executor, shared) = (&executors[index % 2], shared.clone());
                scope.spawn(move || {
                    let futures = (0..50).map(|_| executor.submit_ref(sum, &shared));
                    for (_, total) in as_completed(futures.collect::<Vec<_>>()) {
                        assert_eq!(total.unwrap(), 2000);
                    }
                });
            }
        });
        let [first, second] = executors;
        drop(first);
        assert_eq!(second.submit_ref(sum, &shared).result().unwrap(), 2000);
        drop(second);
        assert_eq!(shared[999], 2, "it outlives all executors");
    });
}

#[test]
fn an_initializer_gets_it_in_each_worker() {
    isolated(|| {
        let shared = Shared::from_slice(b"set up");
        let builder = Executor::builder()
            .workers(2)
            .initializer(keep, shared.clone());
        let executor = builder.build().unwrap();
        let back = executor.submit(kept, ()).result().unwrap();
        assert_eq!(back[0][..], *b"set up");

        let many = |count| {
            (0..count)
                .map(|_| shared_of_one(&executor))
                .collect::<Vec<_>>()
        };
        let text = Executor::builder()
            .initializer(keep_all, many(100))
            .build()
            .unwrap_err()
            .to_string();
        assert!(text.contains("shared values"), "{text}");
        let preloaded = Executor::builder().preload(keep, shared).build();
        let text = preloaded.unwrap_err().to_string();
        assert!(
            text.contains("more than 0 shared values"),
            "a fork server has none: {text}"
        );
        let builder = Executor::builder()
            .workers(1)
            .initializer(keep_all, many(60));
        builder.build().unwrap().submit(kept, ()).result().unwrap();
    });
}

fn shared_of_one(executor: &Executor) -> Shared<[u8]> {
    executor.share_slice(&[1]).unwrap()
}

#[task]
fn keep_all(all: Vec<Shared<[u8]>>) {
    KEPT.lock().unwrap().extend(all);
}

/// As a [`Shared`] is written, by somebody who only knows how that looks.
#[derive(Deserialize)]
struct Forged(Option<Shared<[u8]>>);

impl Serialize for Forged {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let id = 1_000_000u64;
        serializer.serialize_some(&BTreeMap::from([("handle", id)]))
    }
}

#[task]
fn take_forged(forged: Forged) -> bool {
    forged.0.is_some()
}

#[task]
fn forge() -> Forged {
    Forged(None)
}

#[test]
fn a_forged_handle_is_undecodable_at_once() {
    isolated(|| {
        let executor = executor(1);
        let error = fails_with(
            executor.submit(take_forged, Forged(None)).result(),
            TaskErrorKind::Decode,
        );
        assert!(
            error.to_string().contains("not sent to this worker"),
            "{error}"
        );
        let error = fails_with(executor.submit(forge, ()).result(), TaskErrorKind::Decode);
        assert!(error.to_string().contains("did not come with"), "{error}");
        let shared = shared_of_one(&executor);
        assert_eq!(executor.submit(sum, shared).result().unwrap(), 1);
    });
}

/// A type whose serde is that of another format altogether.
#[derive(Serialize, Deserialize)]
struct Nested(Vec<Shared<[u8]>>);

#[test]
fn inside_another_shared_value_it_is_refused() {
    isolated(|| {
        let executor = executor(1);
        let nested = Nested(vec![shared_of_one(&executor)]);
        let error = fails_with(executor.share(nested), TaskErrorKind::Encode);
        let text = error.to_string();
        assert!(
            text.contains("Nested' could not be shared: a Shared can be encoded"),
            "{text}"
        );
    });
}

/// Cannot be encoded.
#[derive(Debug, Deserialize)]
struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("not me")
    }
}

#[test]
fn what_cannot_be_shared_is_an_error() {
    isolated(|| {
        let executor = executor(1);
        let error = fails_with(executor.share(Stubborn), TaskErrorKind::Encode);
        assert!(error.to_string().contains("panicked: not me"), "{error}");
        executor.close();
        let error = fails_with(executor.share(1), TaskErrorKind::ShutDown);
        assert!(
            error
                .to_string()
                .contains("was not shared, as the executor is shut"),
            "{error}"
        );
        fails_with(executor.share_slice(&[1]), TaskErrorKind::ShutDown);
    });
}

/// The shortest of several times that `run` takes.
fn fastest(mut run: impl FnMut()) -> Duration {
    let times = (0..rounds().max(3)).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.min().unwrap()
}

#[task]
fn take_number(number: u64) -> u64 {
    number
}

fn halves<T: Plain>(numbers: &[T]) -> [Shared<[T]>; 2] {
    let (left, right) = numbers.split_at(numbers.len() / 2);
    [left, right].map(Shared::from_slice)
}

#[test]
fn passing_it_costs_little_more_than_a_number() {
    isolated(|| {
        let executor = executor(1);
        let [shared, _] = halves(&[1u8; 10_000]);
        let shared_calls = fastest(|| {
            let inputs = std::iter::repeat_n(shared.clone(), 10_000);
            assert_eq!(executor.map(whereabouts, inputs).flatten().count(), 10_000);
        });
        let numbers = fastest(|| {
            assert_eq!(
                executor.map(take_number, 0..10_000).flatten().count(),
                10_000
            );
        });
        black_box((&shared, &numbers));
        // In an unoptimized build, beside other tests: it is the order of magnitude that counts.
        assert!(
            shared_calls < numbers * 8,
            "{shared_calls:?}, and {numbers:?} for numbers"
        );
    });
}
