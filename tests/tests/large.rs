//! Large values: of all plain types, both ways at once, broken off in the middle.

use std::thread;

use pool_core::{TaskErrorKind, task};
use pool_tests::{
    Isolated, executor, fails_with, isolated, pattern, resident, rounds, sys,
    tasks::{bytes, count, cube, zeros},
    tireless_executor, until,
};

/// Large enough that it is on its way for a while.
const LARGE: usize = 64 << 20;

/// The sizes around which something changes on the way.
const SIZES: [usize; 16] = [
    0,
    1,
    16_351,
    16_352,
    16_353,
    16_360,
    16_361,
    16_384,
    16_385,
    65_535,
    65_536,
    65_537,
    (1 << 20) - 1,
    1 << 20,
    (1 << 20) + 1,
    LARGE,
];

#[test]
fn what_came_back_is_sent_again() {
    Isolated::new().large().run(|| {
        let executor = executor(1);
        for size in SIZES {
            let sent = pattern(size);
            let mut value = executor.submit_ref(bytes, &sent).result().unwrap();
            for _ in 0..3 {
                value = executor.submit(bytes, value).result().unwrap();
                assert!(value == sent, "{size} bytes");
            }
        }
    });
}

#[test]
fn an_answer_lands_in_the_memory_of_its_call() {
    isolated(|| {
        let executor = executor(1);
        let value = pattern(1 << 20);
        let address = value.as_ptr().addr();
        let value = executor.submit(bytes, value).result().unwrap();
        assert_eq!(value.as_ptr().addr(), address);

        let shorter = executor.submit(first, (value, 100_000)).result().unwrap();
        assert!(shorter == pattern(100_000));
        assert!(shorter.capacity() < 200_000, "memory would lie idle");
    });
}

#[task]
fn first(mut bytes: Vec<u8>, count: usize) -> Vec<u8> {
    bytes.truncate(count);
    bytes
}

#[task]
fn text(value: String) -> String {
    value
}

#[task]
fn boxed_text(value: Box<str>) -> Box<str> {
    value
}

#[task]
fn boxed_bytes(value: Box<[u8]>) -> Box<[u8]> {
    value
}

#[task]
fn halves(value: Vec<i16>) -> Vec<i16> {
    value
}

#[task]
fn doubles(value: Vec<f64>) -> Vec<f64> {
    value
}

#[task]
fn wide(value: Vec<u128>) -> Vec<u128> {
    value
}

#[task]
fn nested(value: Vec<(Vec<u8>, String)>) -> Vec<(Vec<u8>, String)> {
    value
}

#[test]
fn of_all_plain_types_and_within_others() {
    Isolated::new().large().run(|| {
        let executor = executor(2);
        for len in [0, 1000, 16_384, 100_003, 3_000_001] {
            macro_rules! echo {
                ($task:ident, $value:expr) => {
                    let value = $value;
                    let lent = executor.submit_ref($task, &value).result().unwrap();
                    assert!(lent == value, "{len} in {}", stringify!($task));
                    let given = executor.submit($task, lent).result().unwrap();
                    assert!(given == value, "{len} in {}", stringify!($task));
                };
            }
            let numbers = pattern(len);
            let letters: String = numbers.iter().copied().map(char::from).collect();
            echo!(boxed_text, letters.clone().into_boxed_str());
            echo!(
                halves,
                numbers
                    .iter()
                    .map(|&n| i16::from(n) - 100)
                    .collect::<Vec<_>>()
            );
            echo!(
                doubles,
                numbers
                    .iter()
                    .map(|&n| f64::from(n) / 3.0)
                    .collect::<Vec<_>>()
            );
            echo!(
                wide,
                numbers
                    .iter()
                    .map(|&n| u128::from(n) << 90)
                    .collect::<Vec<_>>()
            );
            echo!(nested, vec![(numbers.clone(), letters.clone()); 2]);
            echo!(text, letters);
            echo!(boxed_bytes, numbers.into_boxed_slice());
        }
    });
}

#[task]
fn joined(
    front: Vec<u8>,
    byte: u8,
    text: String,
    numbers: Vec<f64>,
    nothing: (),
    bytes: Vec<u8>,
    maybe: Option<Vec<u8>>,
) -> Vec<u8> {
    let () = nothing;
    let numbers = numbers.into_iter().flat_map(f64::to_le_bytes);
    let rest = bytes.into_iter().chain(maybe.into_iter().flatten());
    let front = front.into_iter().chain([byte]).chain(text.into_bytes());
    front.chain(numbers).chain(rest).collect()
}

#[test]
fn several_large_arguments_among_small_ones() {
    Isolated::new().large().run(|| {
        let executor = executor(1);
        for [first, second, third] in [
            [20_000, 30_000, 40_000],
            [3, 1 << 20, 5],
            [1 << 20, 0, 2 << 20],
            [16_384, 16_383, 16_385],
        ] {
            let args = (
                pattern(first),
                7,
                "ü".repeat(second),
                vec![0.1; third],
                (),
                pattern(third),
                Some(pattern(second)),
            );
            let lent = executor.submit_ref(joined, &args).result().unwrap();
            let (front, byte, text, numbers, nothing, bytes, maybe) = args.clone();
            let expected = joined(front, byte, text, numbers, nothing, bytes, maybe);
            assert!(lent == expected);
            assert!(executor.submit(joined, args).result().unwrap() == expected);
        }
    });
}

#[test]
fn both_ways_at_once_on_all_workers() {
    Isolated::new().large().run(|| {
        let executor = executor(3);
        thread::scope(|scope| {
            for number in 0..4 {
                let executor = &executor;
                scope.spawn(move || {
                    let sent = pattern((5 << 20) + number);
                    let mut futures: Vec<_> =
                        (0..4).map(|_| executor.submit_ref(bytes, &sent)).collect();
                    futures.push(executor.submit(zeros, 3 << 20));
                    assert_eq!(futures.pop().unwrap().result().unwrap().len(), 3 << 20);
                    for future in futures {
                        assert!(future.result().unwrap() == sent);
                    }
                });
            }
        });
    });
}

#[test]
fn a_worker_killed_while_an_argument_arrives() {
    Isolated::new().large().run(|| {
        let executor = executor(1);
        let value = pattern(LARGE);
        for round in 0..rounds() {
            let [pid] = executor.worker_pids()[..] else {
                panic!("one worker")
            };
            let future = executor.submit_ref(count, &value);
            until("it has begun", || future.is_running() || future.is_done());
            if round % 2 == 0 {
                sys::kill(pid, libc::SIGKILL).unwrap();
            } else {
                future.kill();
            }
            match future.result() {
                Ok(counted) => assert_eq!(counted, value.len()),
                Err(error) => assert!(matches!(
                    error.kind(),
                    TaskErrorKind::WorkerDied | TaskErrorKind::Killed
                )),
            }
            assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
            until("it is replaced", || executor.worker_pids() != [pid]);
        }
    });
}

#[test]
fn f11_a_worker_killed_while_a_result_arrives() {
    Isolated::new().large().run(|| {
        let executor = tireless_executor(1);
        for round in 0..4 * rounds() {
            let [pid] = executor.worker_pids()[..] else {
                panic!("one worker")
            };
            let part = LARGE / 8 * (round % 8);
            let before = resident();
            let future = executor.submit(zeros, LARGE);
            until("a part of it has arrived", || {
                future.is_done() || resident() > before + part
            });
            sys::kill(pid, libc::SIGKILL).unwrap();
            match future.result() {
                Ok(zeros) => assert!(zeros == vec![0; LARGE]),
                Err(error) => assert_eq!(error.kind(), TaskErrorKind::WorkerDied),
            }
            assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
            until("it is replaced", || executor.worker_pids() != [pid]);
        }
    });
}

#[test]
fn cancelled_before_its_worker_takes_it() {
    Isolated::new().large().run(|| {
        let executor = executor(1);
        let value = pattern(LARGE);
        for _ in 0..rounds() {
            let futures: Vec<_> = (0..3).map(|_| executor.submit_ref(bytes, &value)).collect();
            for future in futures {
                if future.cancel() {
                    fails_with(future.result(), TaskErrorKind::Cancelled);
                } else {
                    assert!(future.result().unwrap() == value);
                }
            }
            assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
        }
    });
}

#[test]
#[ignore = "takes some 20 GiB of memory"]
fn more_than_four_gibibytes() {
    Isolated::new().large().run(|| {
        let executor = executor(1);
        let size = (4 << 30) + 12_345;
        let mut value = vec![1; size];
        value[size - 1] = 7;
        let value = executor.submit(bytes, value).result().unwrap();
        assert_eq!(value.len(), size);
        assert_eq!(value[size - 2..], [1, 7]);
        let text = String::from_utf8(value).unwrap();
        assert_eq!(executor.submit(text_length, text).result().unwrap(), size);
    });
}

#[task]
fn text_length(text: String) -> usize {
    text.len()
}
