//! Futures awaited, in any runtime and by hand.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Sender, channel},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use pool_core::{Executor, TaskErrorKind, TaskFuture};
use pool_tests::{
    Misdeed, PATIENCE, Scratch, executor, fails_with, isolated,
    tasks::{cube, even, hang, misbehave, nothing, pass},
    until,
};
use smol::{
    future::{or, race, yield_now},
    stream::StreamExt,
};
use tokio::{runtime, task::JoinSet, time::timeout};

/// Runs `future` in a runtime of several threads, and again in one of a single thread.
fn in_both_runtimes<F: Future<Output = ()>>(future: impl Fn() -> F) {
    for mut builder in [
        runtime::Builder::new_multi_thread(),
        runtime::Builder::new_current_thread(),
    ] {
        let runtime = builder.worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(future());
    }
}

#[test]
fn awaited_in_a_runtime() {
    isolated(|| {
        in_both_runtimes(|| async {
            let executor = executor(2);
            assert_eq!(executor.submit(cube, 3).await.unwrap(), 27);
            let (one, two, bad) = tokio::join!(
                executor.submit(cube, 1),
                executor.submit(cube, 2),
                executor.submit(even, 1),
            );
            assert_eq!((one.unwrap(), two.unwrap()), (1, 8));
            fails_with(bad, TaskErrorKind::Panicked);
            let dead = executor.submit(misbehave, Misdeed::Kill).await;
            Misdeed::Kill.is_told_by(&dead.unwrap_err());
        });
    });
}

#[test]
fn the_first_of_several() {
    isolated(|| {
        in_both_runtimes(|| async {
            let scratch = Scratch::new();
            let executor = executor(2);
            let gate = scratch.gate("gate");
            let mut slow = executor.submit(pass, (gate.clone(), 1));
            tokio::select! {
                result = &mut slow => panic!("the slow one came first: {result:?}"),
                result = executor.submit(cube, 2) => assert_eq!(result.unwrap(), 8),
            }
            let late = timeout(Duration::from_millis(10), &mut slow).await;
            assert!(late.is_err());
            gate.open();
            assert_eq!(slow.await.unwrap(), 1);
        });
    });
}

/// Runs `future` in smol's executor, and by a loop that does nothing but poll it.
fn in_smol_and_in_none<F: Future<Output = ()>>(future: impl Fn() -> F) {
    let smol = smol::LocalExecutor::new();
    smol::future::block_on(smol.run(future()));
    pollster::block_on(future());
}

#[test]
fn the_first_of_several_without_tokio() {
    isolated(|| {
        in_smol_and_in_none(|| async {
            let scratch = Scratch::new();
            let executor = executor(3);
            let (gate, later) = (scratch.gate("gate"), scratch.gate("later"));
            let mut slow = executor.submit(pass, (gate.clone(), 1));
            let mut slower = executor.submit(pass, (later.clone(), 2));
            let first = or(or(&mut slow, &mut slower), executor.submit(cube, 2));
            assert_eq!(first.await.unwrap(), 8);
            // Interrupted again and again, each wakes whoever awaits it in the end.
            for _ in 0..10 {
                let late = async { Some((&mut slow).await) };
                let none = or(late, async {
                    yield_now().await;
                    None
                });
                assert!(none.await.is_none());
            }
            gate.open();
            assert_eq!(race(&mut slower, &mut slow).await.unwrap(), 1);
            assert!(!slower.is_done());
            later.open();
            assert_eq!(slower.await.unwrap(), 2);
            let text = fails_with(slow.await, TaskErrorKind::Decode).to_string();
            assert!(text.contains("asked for its result again"), "{text}");
        });
    });
}

#[test]
fn what_loses_a_race_is_done_all_the_same() {
    isolated(|| {
        in_smol_and_in_none(|| async {
            let executor = executor(2);
            let [mut one, mut two] = [1, 2].map(|x| executor.submit(cube, x));
            one.wait();
            two.wait();
            // Both are there: the one that is asked first is taken, and the other keeps its result.
            assert_eq!(or(&mut one, &mut two).await.unwrap(), 1);
            assert_eq!(two.await.unwrap(), 8);
        });
    });
}

#[test]
fn spawned_onto_a_runtime() {
    isolated(|| {
        in_both_runtimes(|| async {
            let executor = Arc::new(executor(2));
            let mut set = JoinSet::new();
            for x in 0..200 {
                set.spawn(executor.submit(cube, x));
                let executor = executor.clone();
                set.spawn(async move { executor.submit(cube, -x).await });
            }
            let mut sum = 0;
            while let Some(result) = set.join_next().await {
                sum += result.unwrap().unwrap();
            }
            assert_eq!(sum, 0);
        });
    });
}

#[test]
fn cancelled_and_killed_through_a_handle() {
    isolated(|| {
        in_both_runtimes(|| async {
            let scratch = Scratch::new();
            let executor = executor(1);
            let log = scratch.log("hanging");
            let running = executor.submit(hang, log.clone());
            let queued = executor.submit(cube, 1);
            let (running_handle, queued_handle) = (running.handle(), queued.handle());
            let end = async {
                let begun = tokio::task::spawn_blocking(move || log.reaches(1));
                begun.await.unwrap();
                assert!(queued_handle.cancel());
                assert!(running_handle.kill());
            };
            let (running, queued, ()) = tokio::join!(running, queued, end);
            fails_with(running, TaskErrorKind::Killed);
            fails_with(queued, TaskErrorKind::Cancelled);
        });
    });
}

#[test]
fn blocking_calls_inside_a_runtimes_threads() {
    isolated(|| {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        let sum = runtime.block_on(async {
            let blocking = (0..4).map(|x| {
                tokio::spawn(async move {
                    let executor = executor(1);
                    let values: Result<Vec<i64>, _> = executor.map(cube, 0..100).collect();
                    values.unwrap()[x]
                })
            });
            let mut sum = 0;
            for value in blocking.collect::<Vec<_>>() {
                sum += value.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 1 + 8 + 27);
    });
}

#[test]
fn awaited_without_a_runtime() {
    isolated(|| {
        let executor = executor(2);
        assert_eq!(pollster::block_on(executor.submit(cube, 3)).unwrap(), 27);
        let sum = pollster::block_on(async {
            let mut sum = 0;
            for x in 0..100 {
                sum += executor.submit(cube, x).await.unwrap();
            }
            sum
        });
        assert_eq!(sum, (0..100).map(cube).sum());
    });
}

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once, with `count` as the waker.
fn poll<F: Future>(future: Pin<&mut F>, count: &Arc<Count>) -> Poll<F::Output> {
    let waker = Waker::from(count.clone());
    future.poll(&mut Context::from_waker(&waker))
}

#[test]
fn the_last_waker_is_woken() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let gate = scratch.gate("gate");
        let mut future = pin!(executor.submit(pass, (gate.clone(), 5)));
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        assert!(poll(future.as_mut(), &first).is_pending());
        assert!(poll(future.as_mut(), &second).is_pending());
        assert_eq!(
            second.0.load(Ordering::SeqCst),
            0,
            "woken before it is done"
        );
        gate.open();
        until("it is woken", || second.0.load(Ordering::SeqCst) > 0);
        let Poll::Ready(result) = poll(future.as_mut(), &second) else {
            panic!("woken, but not done");
        };
        assert_eq!(result.unwrap(), 5);
    });
}

#[test]
fn given_up_it_keeps_no_waker() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let gate = scratch.gate("gate");
        let count = Arc::new(Count::default());
        let mut future = executor.submit(pass, (gate.clone(), 5));
        let handle = future.handle();
        assert!(poll(Pin::new(&mut future), &count).is_pending());
        assert_eq!(Arc::strong_count(&count), 2, "it waits");
        drop(future);
        assert_eq!(Arc::strong_count(&count), 1);
        let mut stream = executor.map(pass, [(gate.clone(), 6)]).into_stream();
        assert!(poll(pin!(stream.next()), &count).is_pending());
        assert_eq!(Arc::strong_count(&count), 2, "it waits");
        drop(stream);
        assert_eq!(Arc::strong_count(&count), 1);
        gate.open();
        until("it is done all the same", || handle.is_done());
        assert_eq!(count.0.load(Ordering::SeqCst), 0, "woken for nothing");
    });
}

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics on purpose");
    }
}

#[test]
fn a_panicking_waker_hurts_nobody() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let gate = scratch.gate("gate");
        let mut future = Box::pin(executor.submit(pass, (gate.clone(), 5)));
        let waker = Waker::from(Arc::new(Panics));
        assert!(
            future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        gate.open();
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
        assert_eq!(pollster::block_on(executor.submit(cube, 3)).unwrap(), 27);
        until("it is done", || future.is_done());
        assert_eq!(pollster::block_on(future).unwrap(), 5);
    });
}

/// Ends its executor.
struct Ending(Executor, Sender<()>);

impl Wake for Ending {
    fn wake(self: Arc<Self>) {
        self.0.shutdown();
        self.1.send(()).unwrap();
    }
}

#[test]
fn a_waker_may_wait_for_a_worker_that_has_to_be_initialized() {
    isolated(|| {
        let scratch = Scratch::new();
        let builder = Executor::builder().workers(1).initializer(nothing, ());
        let executor = builder.build().unwrap();
        let gate = scratch.gate("gate");
        let _first = executor.submit(pass, (gate.clone(), 5));
        let mut dying = pin!(executor.submit(misbehave, Misdeed::Kill));
        let cubed = executor.submit(cube, 3);
        let (sender, ended) = channel();
        let waker = Waker::from(Arc::new(Ending(executor, sender)));
        let mut context = Context::from_waker(&waker);
        assert!(dying.as_mut().poll(&mut context).is_pending());
        gate.open();
        ended.recv_timeout(PATIENCE).expect("the executor ends");
        assert_eq!(cubed.result().unwrap(), 27);
    });
}

#[test]
fn polled_then_taken_by_blocking() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let gate = scratch.gate("gate");
        let mut future: TaskFuture<i64> = executor.submit(pass, (gate.clone(), 5));
        let count = Arc::new(Count::default());
        assert!(poll(Pin::new(&mut future), &count).is_pending());
        let other = thread::spawn(move || future.result());
        gate.open();
        assert_eq!(other.join().unwrap().unwrap(), 5);
    });
}

#[test]
fn polled_after_it_was_ready_it_says_so() {
    isolated(|| {
        let executor = executor(1);
        let mut future = executor.submit(cube, 3);
        assert_eq!(pollster::block_on(&mut future).unwrap(), 27);
        let again = pollster::block_on(&mut future);
        for result in [again, future.result()] {
            let text = fails_with(result, TaskErrorKind::Decode).to_string();
            assert!(text.contains("asked for its result again"), "{text}");
        }
    });
}

#[test]
fn awaited_across_the_end() {
    isolated(|| {
        in_both_runtimes(|| async {
            let executor = executor(1);
            let futures: Vec<_> = (0..100).map(|x| executor.submit(cube, x)).collect();
            executor.close();
            for (x, future) in (0..).zip(futures) {
                assert_eq!(future.await.unwrap(), cube(x));
            }
            fails_with(executor.submit(cube, 1).await, TaskErrorKind::ShutDown);
        });
    });
}
