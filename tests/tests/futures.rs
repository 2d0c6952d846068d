//! What a future tells, and what may be done with it.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

use pool_core::{TaskErrorKind, TaskFuture, TaskHandle, WaitFor, as_completed, wait};
use pool_tests::{
    Misdeed, Scratch, executor, fails_with, isolated, rounds,
    suite::held,
    tasks::{cube, even, hang, misbehave, note, pass, pid},
    until,
};

/// What a future says of itself: done, running, cancelled.
fn told<R>(future: &TaskFuture<R>) -> (bool, bool, bool) {
    (future.is_done(), future.is_running(), future.is_cancelled())
}

/// A print of a call tells what it is and how it is.
#[track_caller]
fn prints(call: &impl Debug, name: &str, state: &str) {
    let print = format!("{call:?}");
    assert!(print.starts_with(name), "{print}");
    assert!(print.contains(&format!("state: \"{state}\"")), "{print}");
}

#[test]
fn every_state_is_told() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (running, gate) = held(&executor, &scratch);
        let queued = executor.submit(cube, 2);
        let cancelled = executor.submit(cube, 3);
        assert!(cancelled.cancel());
        until("it is seen to run", || running.is_running());
        assert_eq!(told(&running), (false, true, false));
        assert_eq!(told(&queued), (false, false, false));
        assert_eq!(told(&cancelled), (true, false, true));
        prints(&running, "TaskFuture<u32>", "running");
        prints(&queued, "TaskFuture<i64>", "queued");
        prints(&queued.handle(), "TaskHandle", "queued");
        prints(&cancelled, "TaskFuture<i64>", "cancelled");
        gate.open();
        running.wait();
        queued.wait();
        assert_eq!(told(&running), (true, false, false));
        assert_eq!(told(&queued), (true, false, false));
        let failed = executor.submit(even, 1);
        failed.wait();
        assert_eq!(told(&failed), (true, false, false));
        prints(&queued, "TaskFuture<i64>", "returned");
        prints(&failed, "TaskFuture<i64>", "failed");
        assert!(format!("{failed:?}").contains("error: Panicked"));
    });
}

#[test]
fn without_time_the_state_decides() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (running, gate) = held(&executor, &scratch);
        let queued = executor.submit(cube, 2);
        let running = running.result_timeout(Duration::ZERO).unwrap_err();
        let queued = queued.try_result().unwrap_err();
        let cancelled = executor.submit(cube, 3);
        assert!(cancelled.cancel());
        let result = cancelled.result_timeout(Duration::ZERO).unwrap();
        fails_with(result, TaskErrorKind::Cancelled);
        gate.open();
        running.wait();
        assert!(running.try_result().unwrap().is_ok());
        queued.wait();
        assert_eq!(queued.result_timeout(Duration::ZERO).unwrap().unwrap(), 8);
        let failed = executor.submit(even, 1);
        failed.wait();
        fails_with(failed.try_result().unwrap(), TaskErrorKind::Panicked);
    });
}

#[test]
fn a_blocked_result_wakes() {
    isolated(|| {
        let executor = executor(1);
        for _ in 0..rounds() {
            let scratch = Scratch::new();
            let (running, gate) = held(&executor, &scratch);
            let queued = executor.submit(cube, 2);
            let handle = queued.handle();
            let done = thread::spawn(move || running.result());
            let cancelled = thread::spawn(move || queued.result());
            assert!(handle.cancel());
            fails_with(cancelled.join().unwrap(), TaskErrorKind::Cancelled);
            assert!(handle.is_done());
            gate.open();
            done.join().unwrap().unwrap();
        }
    });
}

#[test]
fn many_threads_wait_for_one() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (running, gate) = held(&executor, &scratch);
        thread::scope(|scope| {
            let waiters: Vec<_> = (0..8).map(|_| scope.spawn(|| running.wait())).collect();
            let timed = scope.spawn(|| running.wait_timeout(Duration::from_secs(20)));
            gate.open();
            for waiter in waiters {
                waiter.join().unwrap();
            }
            assert!(timed.join().unwrap());
        });
        assert!(running.try_result().unwrap().is_ok());
    });
}

#[test]
fn cancel_is_true_only_if_it_never_starts() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let log = scratch.log("ran");
        let (running, gate) = held(&executor, &scratch);
        let queued: Vec<_> = (0..20)
            .map(|_| executor.submit(note, log.clone()))
            .collect();
        assert!(!running.cancel());
        assert!(!running.is_cancelled());
        assert!(queued.iter().step_by(2).all(TaskFuture::cancel));
        gate.open();
        assert!(running.result().is_ok(), "a refused cancel changes nothing");
        for (index, future) in queued.into_iter().enumerate() {
            if index % 2 == 0 {
                let error = fails_with(future.result(), TaskErrorKind::Cancelled);
                assert!(error.to_string().contains("note"), "{error}");
            } else {
                future.wait();
                assert!(!future.cancel(), "it is done");
                future.result().unwrap();
            }
        }
        assert_eq!(log.lines().len(), 10, "what is cancelled does not run");
    });
}

#[test]
fn cancelled_again_it_says_the_same() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (running, gate) = held(&executor, &scratch);
        let queued = executor.submit(cube, 2);
        let handles = [&running, &executor.submit(pid, ())].map(TaskFuture::handle);
        let [taken, cancelled] = handles.clone();
        assert!(cancelled.cancel() && queued.cancel() && queued.handle().cancel());
        assert!(handles.iter().map(TaskHandle::cancel).eq([false, true]));
        gate.open();
        running.result().unwrap();
        fails_with(queued.result(), TaskErrorKind::Cancelled);
        // Nor is it forgotten once the result was taken, and the future is gone.
        assert!(!taken.cancel() && cancelled.cancel() && cancelled.is_done());
    });
}

#[test]
fn cancel_races_with_the_start() {
    isolated(|| {
        let executor = executor(2);
        for _ in 0..rounds() * 20 {
            let scratch = Scratch::new();
            let log = scratch.log("ran");
            let futures: Vec<_> = (0..10)
                .map(|_| executor.submit(note, log.clone()))
                .collect();
            let cancelled = futures.iter().filter(|future| future.cancel()).count();
            let failed = futures.into_iter().map(TaskFuture::result);
            assert_eq!(failed.filter(Result::is_err).count(), cancelled);
            assert_eq!(log.lines().len(), 10 - cancelled);
        }
    });
}

#[test]
fn f57_kill_stops_what_runs_and_nothing_else() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let log = scratch.log("hanging");
        for round in 1..=rounds() {
            let hanging = executor.submit(hang, log.clone());
            log.reaches(round);
            let worker = log.numbers()[round - 1];
            let others: Vec<_> = (0..50).map(|x| executor.submit(cube, x)).collect();
            assert!(hanging.kill());
            let error = fails_with(hanging.result(), TaskErrorKind::Killed);
            assert_eq!(error.worker_pid(), Some(worker));
            for (x, future) in (0..).zip(others) {
                assert_eq!(future.result().unwrap(), cube(x));
            }
            until("the worker is replaced", || {
                let workers = executor.worker_pids();
                workers.len() == 2 && !workers.contains(&worker)
            });
        }
    });
}

#[test]
fn kill_of_queued_and_finished_calls() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (running, gate) = held(&executor, &scratch);
        let queued = executor.submit(cube, 2);
        assert!(queued.kill());
        fails_with(queued.result(), TaskErrorKind::Cancelled);
        let worker = executor.worker_pids();
        gate.open();
        running.wait();
        assert!(!running.kill());
        assert!(running.result().is_ok());
        assert_eq!(executor.worker_pids(), worker, "nobody was killed");
    });
}

#[test]
fn a_handle_acts_for_a_future_that_is_gone() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let log = scratch.log("hanging");
        let hanging = executor.submit(hang, log.clone());
        let handle = hanging.handle();
        log.reaches(1);
        let waiting = thread::spawn(move || hanging.result());
        assert!(!handle.is_done());
        assert!(!handle.cancel(), "it runs");
        assert!(handle.clone().kill());
        fails_with(waiting.join().unwrap(), TaskErrorKind::Killed);
        assert!(handle.is_done());
        assert!(!handle.kill());
    });
}

#[test]
fn dropped_its_task_runs_on() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let log = scratch.log("ran");
        let (running, gate) = held(&executor, &scratch);
        drop(running);
        drop(executor.submit(note, log.clone()));
        gate.open();
        log.reaches(1);
        drop(executor);
        assert_eq!(log.lines().len(), 1);
    });
}

#[test]
fn wait_for_all() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (running, gate) = held(&executor, &scratch);
        let done = executor.submit(pid, ());
        let cancelled = executor.submit(pid, ());
        assert!(cancelled.cancel());
        let all = [&running, &cancelled, &done];
        let waited = wait(all, WaitFor::All, Some(Duration::from_millis(10)));
        assert_eq!((waited.done, waited.pending), (vec![1], vec![0, 2]));
        let waited = wait(all, WaitFor::FirstCompleted, None);
        assert_eq!((waited.done, waited.pending), (vec![1], vec![0, 2]));
        gate.open();
        let waited = wait(all, WaitFor::All, None);
        assert_eq!((waited.done, waited.pending), (vec![0, 1, 2], vec![]));
        let twice = wait([&done, &done], WaitFor::All, None);
        assert_eq!(
            (twice.done, twice.pending),
            (vec![0], vec![]),
            "counted once"
        );
        let none: [&TaskFuture<u32>; 0] = [];
        for wait_for in [WaitFor::All, WaitFor::FirstCompleted, WaitFor::FirstError] {
            let waited = wait(none, wait_for, None);
            assert_eq!((waited.done.len(), waited.pending.len()), (0, 0));
        }
    });
}

#[test]
fn wait_for_the_first_error() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let (gate, brief) = (scratch.gate("gate"), scratch.gate("brief"));
        let slow = executor.submit(pass, (gate.clone(), 1));
        let busy = executor.submit(pass, (brief.clone(), 2));
        until("both run", || slow.is_running() && busy.is_running());
        let cancelled = executor.submit(even, 2);
        assert!(cancelled.cancel());
        brief.open();
        let good = executor.submit(even, 2);
        good.wait();
        let waited = wait(
            [&slow, &good],
            WaitFor::FirstError,
            Some(Duration::from_millis(20)),
        );
        assert_eq!((waited.done, waited.pending), (vec![1], vec![0]));
        let short = Some(Duration::from_millis(20));
        let waited = wait([&slow, &cancelled], WaitFor::FirstError, short);
        assert_eq!(waited.pending, [0], "a cancelled one is no error");
        let bad = executor.submit(even, 3);
        let waited = wait([&slow, &good, &bad], WaitFor::FirstError, None);
        assert!(waited.done.contains(&2) && waited.pending.contains(&0));
        let at_once = wait([&slow, &bad], WaitFor::FirstError, Some(Duration::ZERO));
        assert_eq!((at_once.done, at_once.pending), (vec![1], vec![0]));
        gate.open();
        let waited = wait([&slow, &good], WaitFor::FirstError, None);
        assert_eq!(
            waited.done,
            [0, 1],
            "without an error it ends with the last"
        );
    });
}

#[test]
fn as_completed_gives_each_once() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let gate = scratch.gate("gate");
        let slow = executor.submit(pass, (gate.clone(), 1));
        let good = executor.submit(even, 2);
        let bad = executor.submit(even, 3);
        good.wait();
        bad.wait();
        let mut completed = as_completed([slow, good, bad]);
        let mut first = [completed.next().unwrap(), completed.next().unwrap()];
        first.sort_by_key(|(index, _)| *index);
        let [(1, Ok(2)), (2, Err(error))] = first else {
            panic!("{first:?}");
        };
        assert_eq!(error.kind(), TaskErrorKind::Panicked);
        assert!(completed.next_timeout(Duration::ZERO).is_err());
        let timeout = completed
            .next_timeout(Duration::from_millis(5))
            .unwrap_err();
        assert_eq!(timeout.to_string(), "1 (of 3) futures unfinished");
        assert_eq!(completed.push(executor.submit(even, 8)), 3);
        let (index, result) = completed.next().unwrap();
        assert_eq!((index, result.unwrap()), (3, 8));
        gate.open();
        let last = completed.next_timeout(Duration::from_secs(10)).unwrap();
        let (index, result) = last.unwrap();
        assert_eq!((index, result.unwrap()), (0, 1));
        assert!(completed.next().is_none());
        assert!(completed.next_timeout(Duration::ZERO).unwrap().is_none());
        assert_eq!(completed.push(executor.submit(even, 4)), 4);
        assert_eq!(completed.next().unwrap().0, 4);
        assert!(as_completed(Vec::<TaskFuture<u8>>::new()).next().is_none());
    });
}

#[test]
fn as_completed_with_every_fate() {
    isolated(|| {
        let executor = executor(2);
        let futures: Vec<_> = (0..60)
            .map(|x| match x % 3 {
                0 => executor.submit(misbehave, Misdeed::Panic),
                1 => executor.submit(misbehave, Misdeed::ExitAtOnce),
                _ => {
                    let future = executor.submit(misbehave, Misdeed::Kill);
                    future.cancel();
                    future
                }
            })
            .collect();
        let mut indices: Vec<usize> = as_completed(futures)
            .map(|(index, result)| {
                assert!(result.is_err());
                index
            })
            .collect();
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..60));
    });
}

#[test]
fn who_only_ever_looks_sees_the_result_of_a_worker_that_slept() {
    isolated(|| {
        let executor = executor(1);
        for x in 0..20 {
            // Longer than a worker looks for calls.
            thread::sleep(Duration::from_millis(2));
            let future = executor.submit(cube, x);
            let start = Instant::now();
            while !future.wait_timeout(Duration::ZERO) {
                thread::yield_now();
                assert!(start.elapsed() < Duration::from_secs(3), "nobody takes it");
            }
            assert_eq!(future.result().unwrap(), cube(x));
        }
    });
}
