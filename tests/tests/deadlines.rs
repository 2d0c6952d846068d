//! Calls whose time is limited, and maps that have to be done in time.

use std::{
    iter, process,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use pool_core::{Executor, TaskError, TaskErrorKind, WaitFor, as_completed, task, wait};
use pool_tests::{
    Log, Scratch, builder, cubes, executor, fails_with, isolated, maps, processes, rounds,
    suite::held,
    sys,
    tasks::{count, cube, hang, nap, nothing, pid, record, work},
    until, values,
};

/// A limit that calls are to run into.
const SHORT: Duration = Duration::from_millis(60);
/// A limit that no call runs into that returns at once, be the machine as busy as it may.
const AMPLE: Duration = Duration::from_secs(15);
/// What takes longer than any limit here, in milliseconds.
const FOR_EVER: u64 = 3_600_000;

/// The error of a call that was out of time, which says so in words.
#[track_caller]
fn timed_out<R>(result: Result<R, TaskError>, limit: Duration) -> TaskError {
    let error = fails_with(result, TaskErrorKind::TimedOut);
    let text = error.to_string();
    assert!(text.contains("timed out: it had run for "), "{text}");
    assert!(text.contains(&format!("its limit is {limit:?}")), "{text}");
    assert!(error.worker_pid().is_some(), "{text}");
    assert_eq!(error.attempts(), 1, "{text}");
    error
}

/// Never ends, and takes no system call.
#[task]
fn spin(log: Log) {
    log.add(process::id());
    loop {
        std::hint::spin_loop();
    }
}

/// Never ends, whatever signals it gets.
#[task]
fn ignore_signals(log: Log) {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGALRM] {
        // SAFETY: to ignore a signal runs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    hang(log);
}

/// Has its process stopped, as by a debugger.
#[task]
fn stand_still(log: Log) {
    log.add(process::id());
    sys::kill(process::id(), libc::SIGSTOP).unwrap();
    // The signal may stop another thread a moment before this one.
    loop {
        thread::park();
    }
}

/// Starts a process, and never ends.
#[task]
fn start_and_hang(log: Log) {
    log.add(process::id());
    Command::new("sleep").arg("1000").status().unwrap();
}

#[test]
fn whatever_hangs_is_stopped() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let limited = executor.options().timeout(SHORT);
        let log = scratch.log("hanging");
        let hanging = [
            limited.submit(hang, log.clone()),
            limited.submit(spin, log.clone()),
            limited.submit(ignore_signals, log.clone()),
            limited.submit(stand_still, log.clone()),
            limited.submit(start_and_hang, log.clone()),
        ];
        for future in hanging {
            let error = timed_out(future.result(), SHORT);
            assert_eq!(error.signal(), Some(libc::SIGKILL));
        }
        let stopped = log.numbers();
        assert_eq!(stopped.len(), 5);
        let new = executor.submit(pid, ()).result().unwrap();
        assert!(!stopped.contains(&new), "the worker was not replaced");
        until("what they had started is gone", || {
            !processes()
                .iter()
                .any(|process| process.contains("(sleep)"))
        });
    });
}

/// How long a call had run when it was stopped, as its error says.
fn ran_for(error: &TaskError) -> Duration {
    let text = error.to_string();
    let (_, ran) = text.split_once("it had run for ").unwrap();
    let (ran, _) = ran.split_once(", ").unwrap();
    let (number, unit) = match ran.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (ran.strip_suffix('s').unwrap(), 1.0),
    };
    Duration::from_secs_f64(number.parse::<f64>().unwrap() * unit)
}

#[test]
fn f17_it_is_stopped_in_time() {
    isolated(|| {
        let executor = executor(1);
        let limited = executor.options().timeout(SHORT);
        executor.submit(nothing, ()).result().unwrap();
        // A thread that merely sleeps for as long tells how late the machine itself is.
        let (mut asleep, mut late): (Vec<_>, Vec<_>) = (0..15)
            .map(|_| {
                let worker = executor.submit(pid, ()).result().unwrap();
                let start = Instant::now();
                thread::sleep(SHORT);
                let asleep = start.elapsed().checked_sub(SHORT).expect("not before");
                let end = sys::watched(worker).unwrap();
                let watcher = thread::spawn(move || end.await_end().map(|()| Instant::now()));
                let error = timed_out(limited.submit(work, FOR_EVER).result(), SHORT);
                let told = Instant::now();
                let gone = watcher.join().unwrap().unwrap();
                let until_killed = ran_for(&error).checked_sub(SHORT).expect("not before");
                (asleep, until_killed + told.saturating_duration_since(gone))
            })
            .unzip();
        asleep.sort_unstable();
        late.sort_unstable();
        // Not how long a process that spins, and was killed, waited for a core to die on: on a busy
        // machine that is most of it, and nobody's but the kernel's.
        println!("too late by {late:?}, a sleeper by {asleep:?}");
        // Four threads have to be woken one after the other until the call is told of.
        let allowed = Duration::from_millis(30) + 4 * asleep[7];
        assert!(late[7] < allowed, "{late:?}, a sleeper {asleep:?}");
    });
}

#[test]
fn whoever_waits_is_told() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let limited = executor.options().timeout(SHORT);
        let call = || limited.submit(work, FOR_EVER);
        timed_out(pollster::block_on(call()), SHORT);
        timed_out(call().result_timeout(AMPLE).unwrap(), SHORT);
        assert!(call().wait_timeout(AMPLE));
        let told = scratch.log("told");
        let teller = told.clone();
        call().on_done(move |result| teller.add(result.unwrap_err()));
        told.reaches(1);
        assert!(told.lines()[0].contains("its limit is 60ms"));
        let calls = [call(), executor.submit(work, 0), call()];
        let waited = wait(&calls, WaitFor::All, Some(AMPLE));
        assert_eq!(waited.done.len(), 3);
        let mut results: Vec<_> = as_completed(calls).collect();
        results.sort_unstable_by_key(|(index, _)| *index);
        let failed: Vec<_> = results.iter().map(|(_, result)| result.is_err()).collect();
        assert_eq!(failed, [true, false, true]);
        // Several threads wait for one.
        let shared = call();
        thread::scope(|scope| {
            let waits = [(); 3].map(|()| scope.spawn(|| shared.wait_timeout(AMPLE)));
            assert!(waits.into_iter().all(|wait| wait.join().unwrap()));
        });
    });
}

#[test]
fn within_its_limit_a_call_is_unharmed() {
    isolated(|| {
        let executor = executor(2);
        let limited = executor.options().timeout(Duration::from_secs(3));
        let calls: Vec<_> = [0, 1, 10, 300]
            .map(|milliseconds| limited.submit(work, milliseconds))
            .into();
        let workers = executor.worker_pids();
        for call in calls {
            assert!(workers.contains(&call.result().unwrap()));
        }
        assert_eq!(executor.worker_pids(), workers);
        let large = vec![7; 3_000_000];
        let long = executor.options().timeout(AMPLE);
        assert_eq!(
            long.submit_ref(count, &large).result().unwrap(),
            large.len()
        );
    });
}

#[test]
fn the_clock_does_not_run_in_the_queue() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (first, gate) = held(&executor, &scratch);
        let limit = Duration::from_secs(1);
        let limited = executor.options().timeout(limit);
        // The first of them lies in the ring, the others in the backlog.
        let queued: Vec<_> = (0..5).map(|x| limited.submit(cube, x)).collect();
        let over = Instant::now() + 3 * limit / 2;
        until("their limit has passed in the queue", || {
            Instant::now() > over
        });
        gate.open();
        first.result().unwrap();
        assert_eq!(values(queued), cubes(5));
    });
}

#[test]
fn its_neighbours_in_the_queue_are_unharmed() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let log = scratch.log("ran");
        // The pace that these tell has many calls lie in the ring at a time.
        assert!(executor.map(cube, 0..2000).all(|cube| cube.is_ok()));
        let limited = executor.options().timeout(SHORT);
        for round in 0..5 {
            let before: Vec<_> = (0..20)
                .map(|x| executor.submit(record, (log.clone(), x)))
                .collect();
            let hanging = limited.submit(work, FOR_EVER);
            let after: Vec<_> = (20..100)
                .map(|x| executor.submit(record, (log.clone(), x)))
                .collect();
            timed_out(hanging.result(), SHORT);
            for (x, future) in (0..).zip(before.into_iter().chain(after)) {
                assert_eq!(future.result().unwrap(), x);
            }
            assert_eq!(log.lines().len(), 100 * (round + 1), "a call ran twice");
        }
    });
}

#[test]
fn of_a_hundred_exactly_those_that_take_too_long() {
    isolated(|| {
        let executor = executor(4);
        let limit = Duration::from_secs(2);
        let takes_long = |index: usize| index % 20 == 3;
        let inputs = (0..100).map(|index| if takes_long(index) { FOR_EVER } else { 1 });
        let results = executor.options().timeout(limit).map(nap, inputs);
        for (index, result) in results.enumerate() {
            if takes_long(index) {
                timed_out(result, limit);
            } else {
                result.unwrap();
            }
        }
    });
}

#[test]
fn the_limit_races_with_the_end() {
    isolated(|| {
        let executor = executor(2);
        let limit = Duration::from_millis(4);
        let limited = executor.options().timeout(limit);
        let (mut returned, mut stopped) = (0, 0);
        for _ in 0..rounds() {
            for milliseconds in [1, 2, 3, 4, 5, 6] {
                let calls: Vec<_> = (0..4).map(|_| limited.submit(work, milliseconds)).collect();
                let others: Vec<_> = (0..20).map(|x| executor.submit(cube, x)).collect();
                for call in calls {
                    match call.result() {
                        Ok(_) => returned += 1,
                        Err(error) => {
                            timed_out::<()>(Err(error), limit);
                            stopped += 1;
                        }
                    }
                }
                for (x, other) in (0..).zip(others) {
                    assert_eq!(other.result().unwrap(), cube(x));
                }
            }
        }
        println!("{returned} returned, {stopped} were stopped");
        assert!(stopped > 0);
    });
}

#[test]
fn the_executors_limit_holds_unless_a_call_has_its_own() {
    isolated(|| {
        let executor = builder(2).task_timeout(SHORT).build().unwrap();
        timed_out(executor.submit(work, FOR_EVER).result(), SHORT);
        let (a, b) = ([FOR_EVER], [1, FOR_EVER]);
        for result in executor.map(work, a).chain(executor.map_ref(work, &a)) {
            timed_out(result, SHORT);
        }
        let longer = executor.options().timeout(Duration::MAX);
        assert_eq!(
            longer.map(work, [100, 200]).filter_map(Result::ok).count(),
            2
        );
        let other = 2 * SHORT;
        let results = executor.options().timeout(other).map_ref(work, &b);
        timed_out(results.last().unwrap(), other);
        let options = executor.options().timeout(SHORT).retries(3);
        let text = format!("{options:?}");
        assert!(
            text.contains("60ms") && text.contains("retries: 3"),
            "{text}"
        );
    });
}

#[test]
fn no_time_and_endless_time() {
    isolated(|| {
        let executor = executor(1);
        let none = executor.options().timeout(Duration::ZERO);
        timed_out(none.submit(work, FOR_EVER).result(), Duration::ZERO);
        for endless in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            let options = executor.options().timeout(endless);
            assert_eq!(options.submit(cube, 2).result().unwrap(), 8);
            let mut cubes = options.map(cube, [3]).deadline(endless);
            assert_eq!(cubes.next().unwrap().unwrap(), 27);
        }
    });
}

#[test]
fn a_limit_ends_a_shutdown() {
    isolated(|| {
        for end in [Executor::shutdown as fn(&_), Executor::shutdown_now] {
            let scratch = Scratch::new();
            let executor = executor(1);
            let log = scratch.log("hanging");
            let hanging = executor.options().timeout(SHORT).submit(hang, log);
            // On a busy machine it may be out of time before it is seen to run.
            until("it has begun", || hanging.is_running() || hanging.is_done());
            end(&executor);
            timed_out(hanging.result(), SHORT);
        }
    });
}

/// The kinds of errors of the results, where they are errors.
fn kinds<R>(results: impl IntoIterator<Item = Result<R, TaskError>>) -> Vec<Option<TaskErrorKind>> {
    let kind = |result: Result<R, TaskError>| result.err().map(|error| error.kind());
    results.into_iter().map(kind).collect()
}

const LATE: Option<TaskErrorKind> = Some(TaskErrorKind::TimedOut);

#[test]
fn a_map_has_a_deadline() {
    isolated(|| {
        let executor = executor(2);
        let deadline = Duration::from_secs(2);
        let inputs = [1, 1, FOR_EVER].into_iter().chain(iter::repeat(FOR_EVER));
        let mut naps = executor.map(nap, inputs).window(6).deadline(deadline);
        // Its clock starts with the first draw, not here.
        let later = Instant::now() + deadline;
        until("time has passed", || Instant::now() > later);
        let start = Instant::now();
        assert!(naps.next().unwrap().is_ok());
        assert!(naps.next().unwrap().is_ok());
        let late: Vec<_> = naps.by_ref().map(Result::unwrap_err).collect();
        assert!(start.elapsed() >= deadline);
        assert_eq!(late.len(), 6, "those that were drawn, once");
        for error in late {
            assert_eq!(error.kind(), TaskErrorKind::TimedOut);
            let text = error.to_string();
            assert!(text.contains("2s after the first input"), "{text}");
        }
        assert!(naps.next().is_none());
        assert_eq!(naps.size_hint(), (0, Some(0)));
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);

        let naps = executor.map(nap, vec![FOR_EVER; 100]);
        let mut naps = naps.window(3).deadline(SHORT).start();
        fails_with(naps.next().unwrap(), TaskErrorKind::TimedOut);
        assert_eq!(naps.len(), 2, "there is no time for the other inputs");
        assert_eq!(naps.count(), 2);
    });
}

#[test]
fn a_deadline_stops_the_calls_of_its_map_alone() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let (held, gate) = held(&executor, &scratch);
        let queued = executor.map(cube, 0..3).deadline(SHORT).start();
        let others: Vec<_> = (0..10).map(|x| executor.submit(cube, x)).collect();
        assert_eq!(kinds(queued), [LATE; 3], "although no worker had room");
        gate.open();
        held.result().unwrap();
        assert_eq!(values(others), cubes(10));
    });
}

#[test]
fn what_has_come_before_the_deadline_is_given_after_it() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let log = scratch.log("ran");
        // On a busy machine it may be a while until there are workers.
        maps(&executor, 100);
        let inputs = (0..4).map(|x| (log.clone(), x));
        let deadline = Duration::from_secs(2);
        let mut results = executor.map(record, inputs).deadline(deadline).start();
        let over = Instant::now() + deadline;
        log.reaches(4);
        until("the deadline has passed", || Instant::now() > over);
        let mut values: Vec<_> = results.by_ref().map(Result::unwrap).collect();
        values.sort_unstable();
        assert_eq!(values, [0, 1, 2, 3]);
        assert!(results.next().is_none());
    });
}

#[test]
fn a_deadline_holds_for_what_was_drawn_before_it_was_set() {
    isolated(|| {
        let executor = executor(2);
        for limit in [Duration::MAX, 2 * AMPLE] {
            let options = executor.options().timeout(limit);
            let naps = options.map(work, [FOR_EVER; 5]).start();
            let start = Instant::now();
            assert_eq!(kinds(naps.deadline(SHORT)), [LATE; 5]);
            assert!(start.elapsed() < AMPLE);
        }
        let none = executor.map(work, [1, 300]).deadline(SHORT).start();
        assert!(none.deadline(Duration::MAX).all(|nap| nap.is_ok()));
    });
}

#[test]
fn unordered_results_have_a_deadline_too() {
    isolated(|| {
        let executor = executor(3);
        let inputs = [FOR_EVER, 1, FOR_EVER, 2];
        let deadline = Duration::from_secs(2);
        let results = executor.map(nap, inputs).deadline(deadline).unordered();
        let mut results: Vec<_> = results
            .map(|(index, result)| (index, result.is_ok()))
            .collect();
        assert!(results[0].1 && results[1].1, "{results:?}");
        results.sort_unstable();
        let expected = [(0, false), (1, true), (2, false), (3, true)];
        assert_eq!(results, expected);
    });
}

#[test]
fn deadlines_pass_while_nobody_waits() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let log = scratch.log("hanging");
        let limited = executor.options().timeout(SHORT);
        let future = limited.submit(hang, log.clone());
        let map = executor.map(hang, iter::repeat(log.clone()));
        let map = map.window(3).deadline(2 * SHORT).start();
        until("the call is stopped", || future.is_done());
        timed_out(future.result(), SHORT);
        // Nobody looks at the map, and yet its calls do not keep the worker.
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
        assert_eq!(kinds(map), [LATE; 3]);
    });
}
