//! Mapped inputs: order, errors, laziness, bounds.

use std::{
    iter,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use pool_core::{TaskErrorKind, task};
use pool_tests::{
    Fragile, Log, Misdeed, Scratch, Stage, cubes, executor, fails_with, isolated,
    suite::pids,
    tasks::{add, cube, even, fragile, nothing, pass, zeros},
    until,
};
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};

#[test]
fn equals_a_serial_map_for_every_window() {
    isolated(|| {
        let executor = executor(3);
        for window in [1, 2, 3, 6, 40, 50, 80] {
            let map = executor.map(cube, 0..40).window(window);
            assert_eq!(map.collect::<Result<Vec<_>, _>>().unwrap(), cubes(40));
            let mut pairs: Vec<_> = executor
                .map(cube, 0..40)
                .window(window)
                .unordered()
                .map(|(index, result)| (index, result.unwrap()))
                .collect();
            pairs.sort_unstable();
            assert!(pairs.into_iter().eq(cubes(40).into_iter().enumerate()));
        }
        for count in [1, 2, 39, 1000] {
            let map = executor.map(cube, 0..count);
            assert_eq!(map.collect::<Result<Vec<_>, _>>().unwrap(), cubes(count));
        }
    });
}

#[test]
fn the_shortest_input_ends_it() {
    isolated(|| {
        let executor = executor(2);
        let sums = executor.map(add, (0..).zip([10, 20, 30]));
        assert_eq!(sums.map(Result::unwrap).collect::<Vec<_>>(), [10, 21, 32]);
    });
}

#[test]
fn nothing_in_nothing_out() {
    isolated(|| {
        let executor = executor(2);
        assert!(executor.map(cube, []).next().is_none());
        assert!(executor.map(cube, []).start().next().is_none());
        assert!(executor.map(cube, []).window(3).next().is_none());
        assert!(executor.map(cube, []).unordered().next().is_none());
        let mut map = executor.map(cube, []);
        assert!(map.next_timeout(Duration::ZERO).unwrap().is_none());
        assert_eq!(map.len(), 0);
        assert!(executor.map_ref(cube, &[]).next().is_none());
    });
}

#[task]
fn echo(value: Option<Vec<Vec<Option<()>>>>) -> Option<Vec<Vec<Option<()>>>> {
    value
}

#[test]
fn nothing_is_flattened() {
    isolated(|| {
        let executor = executor(2);
        let values = [None, Some(vec![]), Some(vec![vec![], vec![None, Some(())]])];
        let map = executor.map_ref(echo, &values);
        assert_eq!(map.collect::<Result<Vec<_>, _>>().unwrap(), values);
        let units = executor.map(nothing, iter::repeat_n((), 100));
        assert_eq!(units.map(Result::unwrap).count(), 100);
    });
}

#[test]
fn an_error_comes_at_its_place_and_ends_nothing() {
    isolated(|| {
        let executor = executor(2);
        for window in [1, 2, 11, 200] {
            let mut map = executor.map(even, 0..100).window(window);
            for x in 0..100 {
                let result = map.next().unwrap();
                if x % 2 == 0 {
                    assert_eq!(result.unwrap(), x);
                } else {
                    let error = fails_with(result, TaskErrorKind::Panicked);
                    assert_eq!(error.panic_message(), Some(&*format!("{x} is odd")));
                }
            }
            assert!(
                (0..3).all(|_| map.next().is_none()),
                "then it stays exhausted"
            );
        }
        let indices: Vec<usize> = executor
            .map(even, 0..100)
            .unordered()
            .filter_map(|(index, result)| result.is_err().then_some(index))
            .collect();
        assert_eq!(indices.len(), 50);
        assert!(indices.iter().all(|index| index % 2 == 1));
    });
}

#[test]
fn a_timeout_loses_no_item() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let gate = scratch.gate("gate");
        let mut map = executor.map(pass, (0..3).map(|x| (gate.clone(), x)));
        for _ in 0..3 {
            let error = map.next_timeout(Duration::from_millis(5)).unwrap_err();
            assert!(!error.to_string().is_empty());
        }
        let error = map.next_timeout(Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "3 (of 3) futures unfinished");
        gate.open();
        for x in 0..3 {
            let next = map.next_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(next.unwrap().unwrap(), x);
        }
        assert!(map.next_timeout(Duration::ZERO).unwrap().is_none());

        // What waits behind it to be given is done.
        let (gate, open) = (scratch.gate("first"), scratch.gate("open"));
        open.open();
        let inputs = [gate.clone(), open.clone(), open].into_iter().zip(0..);
        let two = pool_tests::executor(2);
        let mut map = two.map(pass, inputs);
        until("the others are done", || {
            let error = map.next_timeout(Duration::from_millis(5)).unwrap_err();
            error.unfinished() == 1 && error.to_string() == "1 (of 3) futures unfinished"
        });
        gate.open();
        assert_eq!(map.map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2]);

        let gate = scratch.gate("other");
        let mut unordered = executor.map(pass, [(gate.clone(), 5)]).unordered();
        assert!(unordered.next_timeout(Duration::from_millis(5)).is_err());
        gate.open();
        let next = unordered.next_timeout(Duration::from_secs(10)).unwrap();
        let (index, result) = next.unwrap();
        assert_eq!((index, result.unwrap()), (0, 5));
        assert!(unordered.next_timeout(Duration::ZERO).unwrap().is_none());
    });
}

#[test]
fn unordered_gives_the_fast_ones_first() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let (slow, open) = (scratch.gate("slow"), scratch.gate("open"));
        open.open();
        let inputs = [slow.clone()].into_iter().chain(iter::repeat_n(open, 20));
        let mut map = executor.map(pass, inputs.zip(0..)).unordered();
        let mut fast: Vec<usize> = (0..20).map(|_| map.next().unwrap().0).collect();
        fast.sort_unstable();
        assert!(fast.into_iter().eq(1..21));
        slow.open();
        let (index, result) = map.next().unwrap();
        assert_eq!((index, result.unwrap()), (0, 0));
        assert!(map.next().is_none());
    });
}

#[test]
fn maps_and_calls_interleave() {
    isolated(|| {
        let executor = executor(2);
        let mut first = executor.map(cube, 0..);
        let mut second = executor.map(add, (0..).zip(0..)).window(3);
        let mut third = executor.map(even, 0..).unordered();
        for x in 0..200 {
            assert_eq!(first.next().unwrap().unwrap(), cube(x));
            assert_eq!(second.next().unwrap().unwrap(), 2 * x);
            assert!(third.next().is_some());
            assert_eq!(executor.submit(cube, x).result().unwrap(), cube(x));
        }
        drop(first);
        assert_eq!(second.next().unwrap().unwrap(), 400);
    });
}

#[task]
fn shout(size: usize) {
    panic!("{}", "a".repeat(size));
}

#[test]
fn large_errors_block_nothing() {
    isolated(|| {
        let executor = executor(2);
        let mut map = executor.map(shout, iter::repeat_n(1 << 20, 40)).start();
        let error = fails_with(map.next().unwrap(), TaskErrorKind::Panicked);
        assert!(error.panic_message().unwrap().starts_with("aaaa"));
        assert_eq!(map.filter(Result::is_err).count(), 39);
        let unread = executor.map(shout, iter::repeat_n(1 << 20, 40)).start();
        executor.shutdown();
        drop(unread);
    });
}

#[test]
fn an_item_that_serde_refuses() {
    isolated(|| {
        let executor = executor(2);
        let stage_of = |x| match x % 10 {
            3 => Stage::EncodeArguments,
            5 => Stage::EncodeResult,
            7 => Stage::DecodeResult,
            _ => Stage::Run,
        };
        let inputs = (0..100).filter(|x| x % 10 != 0).map(|x| match stage_of(x) {
            Stage::Run => (Stage::DecodeResult, Misdeed::Panic),
            stage => (stage, Misdeed::Fail),
        });
        for (stage, misdeed) in inputs {
            let mut map = executor.map(fragile, [Fragile(stage, misdeed)]);
            let kind = match stage {
                Stage::DecodeResult => TaskErrorKind::Decode,
                _ => TaskErrorKind::Encode,
            };
            fails_with(map.next().unwrap(), kind);
        }
    });
}

/// A number that cannot be encoded if it is a multiple of five.
#[derive(Debug, Deserialize)]
struct Picky(i64);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 5 == 0 {
            return Err(S::Error::custom("five times something"));
        }
        self.0.serialize(serializer)
    }
}

#[task]
fn unpacked(log: Log, number: Picky) -> i64 {
    log.add(number.0);
    number.0
}

#[test]
fn an_item_that_cannot_be_encoded_costs_no_other() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let workers = pids(&executor);
        for window in [1, 2, 7, 100] {
            let log = scratch.log(&format!("window {window}"));
            let inputs = || (0..50).map(|x| (log.clone(), Picky(x)));
            let check = |(x, result)| {
                if x % 5 == 0 {
                    let error = fails_with(result, TaskErrorKind::Encode);
                    assert!(error.to_string().contains("five times"), "{error}");
                    assert!(!error.started(), "{error}");
                } else {
                    assert_eq!(result.unwrap(), x);
                }
                x
            };
            let map = executor.map(unpacked, inputs()).window(window);
            assert!((0..).zip(map).map(check).eq(0..50), "in order");
            assert_eq!(log.lines().len(), 40, "no other one is run");
            let map = executor.map(unpacked, inputs()).window(window).unordered();
            let given = map.map(|(index, result)| check((index.try_into().unwrap(), result)));
            let mut given: Vec<_> = given.collect();
            given.sort_unstable();
            assert!(given.into_iter().eq(0..50));
        }
        assert_eq!(pids(&executor), workers, "no worker was lost");
    });
}

#[test]
fn a_panicking_input_panics_where_it_is_drawn() {
    isolated(|| {
        let executor = executor(2);
        let inputs = (0..100).inspect(|&x| assert!(x < 50, "no more input"));
        let mut map = executor.map(cube, inputs);
        let panic = catch_unwind(AssertUnwindSafe(|| map.by_ref().count())).unwrap_err();
        assert!(
            panic
                .downcast_ref::<&str>()
                .is_some_and(|text| text.contains("no more input"))
        );
        drop(map);
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[test]
fn after_shutdown_what_was_drawn_then_one_error() {
    isolated(|| {
        let executor = executor(2);
        let mut map = executor.map(cube, 0..).window(5).start();
        executor.shutdown();
        let mut given = 0;
        let error = loop {
            match map.next().expect("input is left, so an error is due") {
                Ok(value) => assert_eq!(value, cube(given)),
                Err(error) => break error,
            }
            given += 1;
        };
        assert!((1..=5).contains(&given), "{given}");
        assert_eq!(error.kind(), TaskErrorKind::ShutDown);
        assert!((0..3).all(|_| map.next().is_none()));
        fails_with(
            executor.map(cube, 0..3).next().unwrap(),
            TaskErrorKind::ShutDown,
        );
        assert!(
            executor.map(cube, []).next().is_none(),
            "no input is left to refuse"
        );
    });
}

#[test]
fn it_outlives_its_executor() {
    isolated(|| {
        let executor = executor(2);
        let mut map = executor.map(cube, 0..1000).window(8);
        assert_eq!(map.next().unwrap().unwrap(), 0);
        drop(executor);
        let rest: Vec<_> = map.collect();
        let (last, given) = rest.split_last().unwrap();
        assert_eq!(last.as_ref().unwrap_err().kind(), TaskErrorKind::ShutDown);
        assert!(given.iter().all(Result::is_ok));
    });
}

#[test]
fn large_results_keep_inputs_from_being_drawn() {
    const MEBIBYTE: usize = 1 << 20;
    isolated(|| {
        let executor = executor(2);
        let drawn = AtomicI64::new(0);
        let inputs = iter::repeat_with(|| {
            drawn.fetch_add(1, Ordering::Relaxed);
            MEBIBYTE
        });
        let mut map = executor.map(zeros, inputs);
        for taken in 1..=100 {
            assert_eq!(map.next().unwrap().unwrap().len(), MEBIBYTE);
            let ahead = drawn.load(Ordering::Relaxed) - taken;
            assert!(ahead <= 16, "{ahead} of them wait after {taken}");
        }
    });
}
