//! Maps as streams, in any runtime and by hand.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};

use futures_core::FusedStream;
use pool_core::{Executor, MapStream, TaskError, TaskErrorKind};
use pool_tests::{
    Gate, Log, Misdeed, Scratch, cubes, executor, fails_with, isolated, rounds,
    tasks::{cube, even, hold, misbehave, nothing, pass, record},
    until,
};
use smol::stream::{Stream, StreamExt};
use tokio::runtime;

/// All items that are left in a stream, none of which is an error.
async fn all<R>(stream: impl Stream<Item = Result<R, TaskError>>) -> Vec<R> {
    stream.map(Result::unwrap).collect().await
}

/// Runs `future` in a runtime of tokio with several threads, in one with a single thread, in smol's
/// executor, and by a loop that does nothing but poll it.
fn everywhere<F: Future<Output = ()>>(future: impl Fn() -> F) {
    for mut builder in [
        runtime::Builder::new_multi_thread(),
        runtime::Builder::new_current_thread(),
    ] {
        let runtime = builder.worker_threads(2).build().unwrap();
        runtime.block_on(future());
    }
    let smol = smol::LocalExecutor::new();
    smol::future::block_on(smol.run(future()));
    pollster::block_on(future());
}

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn is_woken(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

/// Polls once, with `count` as the waker.
fn poll<S: Stream + Unpin>(stream: &mut S, count: &Arc<Count>) -> Poll<Option<S::Item>> {
    let waker = Waker::from(count.clone());
    Pin::new(stream).poll_next(&mut Context::from_waker(&waker))
}

/// A stream of so many calls that hold their workers until the gate opens. It was polled, and every
/// worker has one.
fn held(
    executor: &Executor,
    scratch: &Scratch,
    calls: usize,
) -> (
    impl Stream<Item = Result<u32, TaskError>> + Unpin + use<>,
    Arc<Count>,
    Gate,
    Log,
) {
    let (log, gate) = (scratch.log("held"), scratch.gate("gate"));
    let inputs = vec![(log.clone(), gate.clone()); calls];
    let mut stream = executor.map(hold, inputs).into_stream();
    let count = Arc::new(Count::default());
    // Whoever waited here would wait for ever, as nobody else opens the gate.
    assert!(poll(&mut stream, &count).is_pending());
    log.reaches(executor.workers());
    (stream, count, gate, log)
}

#[test]
fn results_come_in_the_order_of_inputs() {
    isolated(|| {
        everywhere(|| async {
            let executor = executor(2);
            assert_eq!(
                all(executor.map(cube, 0..2000).into_stream()).await,
                cubes(2000)
            );
            assert_eq!(all(executor.map(cube, 0..0).into_stream()).await, []);
            let mut map = executor.map(cube, 0..40).window(3).start();
            assert_eq!(map.next().unwrap().unwrap(), 0);
            assert_eq!(all(map.into_stream()).await, cubes(40)[1..]);
        });
    });
}

#[test]
fn an_error_comes_at_its_place_and_ends_nothing() {
    isolated(|| {
        everywhere(|| async {
            let executor = executor(2);
            let mut stream = executor.map(even, 0..100).into_stream();
            for x in 0..100 {
                match stream.next().await.unwrap() {
                    Ok(same) => assert_eq!((same, x % 2), (x, 0)),
                    Err(error) => {
                        assert_eq!(error.kind(), TaskErrorKind::Panicked);
                        assert_eq!(x % 2, 1);
                    }
                }
            }
            assert!(stream.next().await.is_none());

            let misdeeds = [Misdeed::Kill, Misdeed::Abort, Misdeed::ExitAtOnce];
            let mut stream = executor.map(misbehave, misdeeds).into_stream();
            for misdeed in misdeeds {
                misdeed.is_told_by(&stream.next().await.unwrap().unwrap_err());
            }
            assert!(stream.next().await.is_none());
        });
    });
}

#[test]
fn selected_against_others_it_loses_nothing() {
    isolated(|| {
        everywhere(|| async {
            let scratch = Scratch::new();
            let executor = executor(2);
            let gate = scratch.gate("gate");
            let inputs = (0..20).map(|x| (gate.clone(), x));
            let mut stream = executor.map(pass, inputs).into_stream();
            tokio::select! {
                biased;
                item = stream.next() => panic!("it came through a closed gate: {item:?}"),
                // The stream holds a call on each worker.
                () = tokio::task::yield_now() => gate.open(),
            }
            let mut items = Vec::new();
            let mut interrupted = 0;
            while items.len() < 20 {
                tokio::select! {
                    item = stream.next() => items.push(item.unwrap().unwrap()),
                    () = smol::future::yield_now() => interrupted += 1,
                }
            }
            assert_eq!(items, (0..20).collect::<Vec<_>>(), "{interrupted}");
            assert!(stream.next().await.is_none());
        });
    });
}

#[test]
fn many_streams_interleave_in_one_thread() {
    isolated(|| {
        let executor = executor(2);
        let smol = smol::LocalExecutor::new();
        let streams: Vec<_> = (0..10)
            .map(|_| smol.spawn(all(executor.map(cube, 0..300).into_stream())))
            .collect();
        smol::future::block_on(smol.run(async {
            for stream in streams {
                assert_eq!(stream.await, cubes(300));
            }
        }));
    });
}

#[test]
fn spawned_onto_threads_they_race() {
    isolated(|| {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(3)
            .build()
            .unwrap();
        for _ in 0..rounds() {
            let executor = executor(2);
            let streams: Vec<_> = (0..6)
                .map(|window| {
                    let map = executor.map(cube, 0..500).window(window + 1);
                    runtime.spawn(all(map.into_stream()))
                })
                .collect();
            runtime.block_on(async {
                for stream in streams {
                    assert_eq!(stream.await.unwrap(), cubes(500));
                }
            });
        }
    });
}

#[test]
fn it_is_lazy_and_bounded() {
    isolated(|| {
        let executor = executor(2);
        let drawn = Rc::new(Cell::new(0));
        let inputs = || {
            let drawn = drawn.clone();
            (0..).inspect(move |_| drawn.set(drawn.get() + 1))
        };
        drop(executor.map(cube, inputs()).into_stream());
        assert_eq!(drawn.get(), 0);
        let mut stream = executor.map(cube, inputs()).window(5).into_stream();
        assert_eq!(stream.size_hint(), (usize::MAX, None));
        assert_eq!(drawn.get(), 0);
        pollster::block_on(async {
            for taken in 1..=50 {
                stream.next().await.unwrap().unwrap();
                assert!(drawn.get() <= 5 + taken, "{}", drawn.get());
            }
        });
    });
}

#[test]
fn to_poll_is_never_to_wait() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (mut stream, count, gate, _) = held(&executor, &scratch, 3);
        assert!(poll(&mut stream, &count).is_pending());
        assert_eq!(stream.size_hint(), (3, Some(3)));
        assert!(!count.is_woken(), "before there is anything");
        gate.open();
        for left in (0..3).rev() {
            until("an item comes", || {
                matches!(poll(&mut stream, &count), Poll::Ready(Some(Ok(_))))
            });
            assert_eq!(stream.size_hint(), (left, Some(left)));
        }
        assert!(matches!(poll(&mut stream, &count), Poll::Ready(None)));
    });
}

#[test]
fn polled_by_two_tasks_in_turn_it_wakes_the_last() {
    isolated(|| {
        for round in 0..rounds() {
            let scratch = Scratch::new();
            let executor = executor(2);
            let gates = [0, 1, 2].map(|x| scratch.gate(&format!("gate {x}")));
            let inputs = (0..).zip(gates.clone()).map(|(x, gate)| (gate, x));
            let mut stream = executor.map(pass, inputs).into_stream();
            for (x, gate) in (0..).zip(&gates) {
                let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
                assert!(poll(&mut stream, &first).is_pending());
                assert!(poll(&mut stream, &second).is_pending());
                assert_eq!(Arc::strong_count(&first), 1, "its waker is let go of");
                gate.open();
                until("the last one is woken", || second.is_woken());
                assert!(!first.is_woken(), "round {round}");
                let Poll::Ready(Some(Ok(item))) = poll(&mut stream, &first) else {
                    panic!("woken, but nothing is there");
                };
                assert_eq!(item, x);
            }
            assert!(matches!(
                poll(&mut stream, &Arc::default()),
                Poll::Ready(None)
            ));
        }
    });
}

#[test]
fn handed_from_one_thread_to_another() {
    isolated(|| {
        let executor = executor(2);
        let mut stream = executor.map(cube, 0..100).into_stream();
        let mut items = Vec::new();
        while !stream.is_terminated() {
            let (back, item) = thread::spawn(move || {
                let item = pollster::block_on(stream.next());
                (stream, item)
            })
            .join()
            .unwrap();
            stream = back;
            items.extend(item.map(Result::unwrap));
        }
        assert_eq!(items, cubes(100));
    });
}

#[test]
fn dropped_it_cancels_what_has_not_begun() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let (stream, count, gate, log) = held(&executor, &scratch, 50);
        drop(stream);
        let later = executor.submit(nothing, ());
        gate.open();
        later.result().unwrap();
        // What is woken now finds no stream any more.
        until("its waker is let go of", || Arc::strong_count(&count) == 1);
        executor.shutdown();
        assert_eq!(log.lines().len(), 2, "one on each worker had begun");
    });
}

#[test]
fn dropped_after_any_number_of_polls() {
    isolated(|| {
        let executor = executor(2);
        let count = Arc::new(Count::default());
        for polls in 0..20 * rounds() {
            let mut stream = executor.map(cube, 0..).into_stream();
            let mut expected = (0..).map(cube);
            for _ in 0..polls {
                match poll(&mut stream, &count) {
                    Poll::Ready(item) => assert_eq!(item.unwrap().ok(), expected.next()),
                    Poll::Pending => thread::yield_now(),
                }
            }
            drop(stream);
            assert_eq!(executor.submit(cube, 3).result().unwrap(), 27);
        }
        until("its wakers are let go of", || {
            Arc::strong_count(&count) == 1
        });
    });
}

#[test]
fn after_the_end_it_says_so_once() {
    isolated(|| {
        everywhere(|| async {
            let scratch = Scratch::new();
            let executor = executor(1);
            let log = scratch.log("ran");
            let inputs = (0..).map(|x| (log.clone(), x));
            let mut stream = executor.map(record, inputs).window(4).into_stream();
            assert_eq!(stream.next().await.unwrap().unwrap(), 0);
            executor.close();
            let mut given = 1;
            let error = loop {
                match stream.next().await.unwrap() {
                    Ok(x) => {
                        assert_eq!(x, given);
                        given += 1;
                    }
                    error => break fails_with(error, TaskErrorKind::ShutDown),
                }
            };
            assert!(error.to_string().contains("record"), "{error}");
            assert!(stream.is_terminated());
            assert!(stream.next().await.is_none());
            assert!(stream.next().await.is_none());
            assert_eq!(log.lines().len(), usize::try_from(given).unwrap());
        });
    });
}

#[test]
fn killed_while_it_is_awaited() {
    isolated(|| {
        for _ in 0..rounds() {
            let scratch = Scratch::new();
            let executor = executor(1);
            let (log, gate) = (scratch.log("held"), scratch.gate("never"));
            let inputs = vec![(log.clone(), gate); 3];
            let mut stream: MapStream<u32, _> = executor.map(hold, inputs).into_stream();
            thread::scope(|scope| {
                let awaiting = scope.spawn(|| {
                    pollster::block_on(async {
                        fails_with(stream.next().await.unwrap(), TaskErrorKind::Killed);
                        for _ in 0..2 {
                            let cancelled = stream.next().await.unwrap();
                            fails_with(cancelled, TaskErrorKind::Cancelled);
                        }
                        assert!(stream.next().await.is_none());
                    });
                });
                log.reaches(1);
                executor.kill();
                awaiting.join().unwrap();
            });
        }
    });
}
