//! How much of a mapped input is drawn, run and held.

use std::{
    cell::Cell,
    rc::Rc,
    sync::atomic::{AtomicI64, Ordering},
};

use pool_core::{TaskErrorKind, task};
use pool_tests::{
    Scratch, cubes, executor, fails_with, isolated,
    tasks::{add, cube, even, nothing, record},
    until,
};
use serde::{Deserialize, Deserializer, Serialize};
use smol::stream::StreamExt;

#[task]
fn record_and_pass(log: pool_tests::Log, gate: pool_tests::Gate, x: i64) {
    log.add(x);
    gate.pass();
}

#[test]
fn dropped_it_cancels_what_has_not_started() {
    isolated(|| {
        // It outlives the calls that look for its gates.
        let scratch = Scratch::new();
        let executor = executor(2);
        for is_unordered in [false, true] {
            let name = format!("unordered {is_unordered}");
            let (log, gate) = (scratch.log(&name), scratch.gate(&name));
            let inputs = {
                let (log, gate) = (log.clone(), gate.clone());
                (0..1000).map(move |x| (log.clone(), gate.clone(), x))
            };
            let map = executor.map(record_and_pass, inputs).start();
            log.reaches(2);
            if is_unordered {
                drop(map.unordered());
            } else {
                drop(map);
            }
            gate.open();
            executor.submit(nothing, ()).result().unwrap();
            let after = [(); 2].map(|()| executor.submit(nothing, ()));
            for future in after {
                future.result().unwrap();
            }
            assert_eq!(log.lines().len(), 2, "one on each worker had started");
        }
    });
}

#[test]
fn cancelled_its_calls_that_have_not_started_say_so() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        for kind in ["ordered", "unordered", "stream"] {
            let (log, gate) = (scratch.log(kind), scratch.gate(kind));
            let inputs = {
                let (log, gate) = (log.clone(), gate.clone());
                (0..).map(move |x| (log.clone(), gate.clone(), x))
            };
            let mut map = executor.map(record_and_pass, inputs).window(8).start();
            log.reaches(2);
            let results: Vec<_> = match kind {
                "ordered" => {
                    map.cancel();
                    map.cancel();
                    gate.open();
                    map.collect()
                }
                "unordered" => {
                    let mut map = map.unordered();
                    map.cancel();
                    gate.open();
                    map.map(|(_, result)| result).collect()
                }
                _ => {
                    let mut stream = map.into_stream();
                    stream.cancel();
                    gate.open();
                    pollster::block_on(stream.collect())
                }
            };
            assert_eq!(results.len(), 8, "{kind}: those that were drawn");
            let (done, cancelled): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
            assert_eq!(done.len(), 2, "{kind}: one on each worker had started");
            for result in cancelled {
                fails_with(result, TaskErrorKind::Cancelled);
            }
            executor.submit(nothing, ()).result().unwrap();
            assert_eq!(log.lines().len(), 2, "{kind}");
        }
    });
}

#[test]
fn nothing_is_drawn_before_the_first_next() {
    isolated(|| {
        let executor = executor(2);
        let drawn = Rc::new(Cell::new(0));
        let inputs = |range: std::ops::RangeFrom<i64>| {
            let drawn = drawn.clone();
            range.inspect(move |_| drawn.set(drawn.get() + 1))
        };
        drop(executor.map(cube, inputs(0..)));
        assert_eq!(drawn.get(), 0);
        for window in [1, 2, 5, 10] {
            drawn.set(0);
            let mut map = executor.map(cube, inputs(0..)).window(window).start();
            assert!(
                (1..=window).contains(&drawn.get()),
                "{} of {window}",
                drawn.get()
            );
            for taken in 1..=20 {
                map.next().unwrap().unwrap();
                assert!(drawn.get() <= window + taken, "{} of {window}", drawn.get());
            }
        }
    });
}

#[test]
fn inputs_without_end() {
    isolated(|| {
        let executor = executor(2);
        let some: Vec<_> = executor
            .map(cube, 0..)
            .take(2000)
            .map(Result::unwrap)
            .collect();
        assert_eq!(some, cubes(2000));
        let sums = executor.map(add, (0..).zip(10..)).window(7);
        assert_eq!(
            sums.map(Result::unwrap).take(3).collect::<Vec<_>>(),
            [10, 12, 14]
        );
        assert_eq!(executor.map(cube, 0..).unordered().take(100).count(), 100);
    });
}

/// A range that lies about its length.
struct Liar(std::ops::Range<i64>, (usize, Option<usize>));

impl Iterator for Liar {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

#[test]
fn lengths_known_unknown_and_wrong() {
    isolated(|| {
        let executor = executor(2);
        let mut map = executor.map(cube, (0..10).collect::<Vec<_>>());
        for left in (0..=10).rev() {
            assert_eq!(map.len(), left);
            assert_eq!(map.size_hint(), (left, Some(left)));
            assert_eq!(map.next().is_some(), left > 0);
        }
        let filtered = executor.map(cube, (0..10).filter(|x| x % 2 == 0));
        assert_eq!(filtered.map(Result::unwrap).count(), 5);
        for hint in [(0, Some(0)), (3, Some(4)), (1000, None), (0, None)] {
            let map = executor.map(cube, Liar(0..40, hint));
            assert_eq!(map.map(Result::unwrap).collect::<Vec<_>>(), cubes(40));
        }
    });
}

/// How many results live in this process.
static ALIVE: AtomicI64 = AtomicI64::new(0);

/// A result that is counted while it lives.
#[derive(Serialize)]
struct Counted(i64);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Ok(Self(number))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

#[task]
fn counted(x: i64) -> Counted {
    ALIVE.fetch_add(1, Ordering::Relaxed);
    Counted(x)
}

#[test]
fn yielded_results_are_not_held() {
    isolated(|| {
        let executor = executor(2);
        for result in executor.map(counted, 0..500).window(4) {
            drop(result.unwrap());
            let alive = ALIVE.load(Ordering::Relaxed);
            assert!((0..=4).contains(&alive), "{alive} are held");
        }
        assert_eq!(ALIVE.load(Ordering::Relaxed), 0);
        let unread = executor.map(counted, 0..100).start();
        drop(unread);
        drop(executor);
        assert_eq!(ALIVE.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn early_stop() {
    isolated(|| {
        let executor = executor(2);
        assert!(executor.map(cube, 0..).any(|result| result.unwrap() > 100));
        let found = executor
            .map(cube, 0..)
            .map(Result::unwrap)
            .find(|&x| x > 100);
        assert_eq!(found, Some(125));
        let small = executor
            .map(cube, 0..)
            .map_while(Result::ok)
            .take_while(|&x| x < 100);
        assert_eq!(small.count(), 5);
        let stopped: Result<Vec<_>, _> = executor.map(even, 0..).collect();
        fails_with(stopped, TaskErrorKind::Panicked);
    });
}

#[test]
fn started_it_runs_unread() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let log = scratch.log("ran");
        let inputs = (0..3).map(|x| (log.clone(), x));
        let map = executor.map(record, inputs).start();
        until("all have run", || log.lines().len() == 3);
        assert_eq!(map.map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(log.lines().len(), 3, "each once");
    });
}
