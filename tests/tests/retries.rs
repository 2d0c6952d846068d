//! Calls that begin anew after the death of their worker.

use std::{process, thread, time::Duration};

use pool_core::{CallOptions, Executor, Shared, TaskErrorKind, task};
use pool_tests::{
    Gate, Log, Misdeed, Scratch, executor, fails_with, isolated, rounds,
    suite::pids,
    sys,
    tasks::{cube, hang, hold},
    until,
};

/// Logs the attempt, and dies in all up to `deaths`; then gives back what it was called with.
#[task]
fn die_first(log: Log, deaths: u32, value: Vec<u8>) -> (u32, Vec<u8>) {
    let attempt = pool_core::current().expect("a task runs").attempt();
    log.add(attempt);
    if attempt <= deaths {
        process::abort();
    }
    (attempt, value)
}

/// As `die_first`, and gives a number that was shared.
#[task]
fn die_with_shared(log: Log, deaths: u32, numbers: Shared<[u32]>) -> u32 {
    die_first(log, deaths, Vec::new());
    numbers[1]
}

#[test]
fn it_is_tried_again_until_it_returns() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        for deaths in 0..4 {
            let log = scratch.log(&format!("deaths-{deaths}"));
            let patient = executor.options().retries(3);
            let value = vec![1, 2, 3];
            let call = patient.submit(die_first, (log.clone(), deaths, value.clone()));
            assert_eq!(call.result().unwrap(), (deaths + 1, value));
            assert_eq!(log.numbers(), (1..=deaths + 1).collect::<Vec<_>>());
        }
    });
}

#[test]
fn the_last_attempt_tells_of_all() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        for retries in 0..3 {
            let log = scratch.log(&format!("retries-{retries}"));
            let call = executor
                .options()
                .retries(retries)
                .submit(die_first, (log.clone(), 9, Vec::new()));
            let error = fails_with(call.result(), TaskErrorKind::WorkerDied);
            assert_eq!(error.attempts(), retries + 1);
            assert_eq!(error.signal(), Some(libc::SIGABRT));
            assert_eq!(log.numbers(), (1..=retries + 1).collect::<Vec<_>>());
            let told = error
                .to_string()
                .contains(&format!("it was tried {} times", retries + 1));
            assert_eq!(told, retries > 0, "{error}");
        }
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}

#[test]
fn every_death_is_tried_again_and_nothing_else() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = Executor::builder().workers(1).retries(1).build().unwrap();
        for (index, misdeed) in (0..).zip(Misdeed::OF_TASKS) {
            let log = scratch.log(&format!("misdeed-{index}"));
            let error = executor
                .submit(log_and_misbehave, (log.clone(), misdeed))
                .result()
                .unwrap_err();
            let attempts = if error.kind() == TaskErrorKind::WorkerDied {
                2
            } else {
                1
            };
            assert_eq!(error.attempts(), attempts, "{misdeed:?}: {error}");
            assert_eq!(log.lines().len(), attempts as usize, "{misdeed:?}: {error}");
        }
    });
}

#[task]
fn log_and_misbehave(log: Log, misdeed: Misdeed) {
    log.add(process::id());
    pool_tests::tasks::misbehave(misdeed);
}

#[test]
fn large_and_shared_arguments_are_there_again() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let patient = executor.options().retries(2);
        // Large enough to be streamed, and for the memory of arguments to be used for the result.
        let large: Vec<u8> = (0..=250).cycle().take(5_000_000).collect();
        for deaths in [0, 1, 2] {
            let log = scratch.log(&format!("large-{deaths}"));
            let call = patient.submit(die_first, (log, deaths, large.clone()));
            assert!(call.result().unwrap() == (deaths + 1, large.clone()));
            let log = scratch.log(&format!("shared-{deaths}"));
            let numbers = executor.share_slice(&[4, 5, 6]).unwrap();
            let call = patient.submit(die_with_shared, (log, deaths, numbers));
            assert_eq!(call.result().unwrap(), 5);
        }
    });
}

/// Logs its process, returns so many bytes, half of which are never sent.
#[task]
fn die_in_the_answer(log: Log, len: usize) -> DiesInTheAnswer {
    log.add(process::id());
    DiesInTheAnswer(log.lines().len() == 1, vec![3; len])
}

/// Ends the process while it is encoded, if told so.
#[derive(serde::Deserialize)]
struct DiesInTheAnswer(bool, Vec<u8>);

impl serde::Serialize for DiesInTheAnswer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 {
            process::exit(3);
        }
        (self.0, &self.1).serialize(serializer)
    }
}

#[test]
fn a_death_in_the_answer_is_tried_again() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let patient = executor.options().retries(1);
        let call = patient.submit(die_in_the_answer, (scratch.log("tries"), 100_000));
        assert_eq!(call.result().unwrap().1.len(), 100_000);
    });
}

#[test]
fn maps_are_tried_again_item_by_item() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let inputs: Vec<_> = (0..40u8)
            .map(|index| {
                (
                    scratch.log(&format!("item-{index}")),
                    u32::from(index % 4),
                    vec![index],
                )
            })
            .collect();
        let results: Vec<_> = executor
            .options()
            .retries(2)
            .map_ref(die_first, &inputs)
            .collect();
        for (index, result) in (0..).zip(results) {
            match u32::from(index % 4) {
                3 => assert_eq!(result.unwrap_err().attempts(), 3),
                deaths => assert_eq!(result.unwrap(), (deaths + 1, vec![index])),
            }
        }
    });
}

#[test]
fn each_attempt_has_its_own_time() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let options = executor
            .options()
            .retries(5)
            .timeout(Duration::from_secs(1));
        let log = scratch.log("hanging");
        let error = options.submit(die_then_hang, log.clone()).result();
        let error = fails_with(error, TaskErrorKind::TimedOut);
        assert_eq!(error.attempts(), 3, "{error}");
        assert_eq!(log.lines().len(), 3, "no more after the time was over");
    });
}

#[task]
fn die_then_hang(log: Log) {
    die_first(log, 2, Vec::new());
    loop {
        thread::park();
    }
}

#[test]
fn what_is_killed_is_not_tried_again() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let log = scratch.log("hanging");
        let hanging = executor.options().retries(5).submit(hang, log.clone());
        log.reaches(1);
        assert!(hanging.kill());
        assert_eq!(
            fails_with(hanging.result(), TaskErrorKind::Killed).attempts(),
            1
        );
        let hanging = executor.options().retries(5).submit(hang, log.clone());
        log.reaches(2);
        executor.kill();
        fails_with(hanging.result(), TaskErrorKind::Killed);
        assert_eq!(log.lines().len(), 2);
    });
}

/// Waits for the gate in the first attempt, and then dies, in all.
#[task]
fn die_later(log: Log, gate: Gate) {
    log.add(process::id());
    gate.pass();
    process::abort();
}

#[test]
fn shutdown_waits_for_all_attempts_and_shutdown_now_for_one() {
    isolated(|| {
        let ends = [
            (Executor::shutdown as fn(&_), 3),
            (Executor::shutdown_now, 1),
        ];
        for (end, attempts) in ends {
            let scratch = Scratch::new();
            let executor = executor(1);
            let (log, gate) = (scratch.log("tries"), scratch.gate("gate"));
            let dying = executor
                .options()
                .retries(2)
                .submit(die_later, (log.clone(), gate.clone()));
            log.reaches(1);
            thread::scope(|scope| {
                scope.spawn(|| end(&executor));
                until("the end has begun", || executor.share(1).is_err());
                gate.open();
            });
            let error = fails_with(dying.result(), TaskErrorKind::WorkerDied);
            assert_eq!(error.attempts(), attempts, "{error}");
        }
    });
}

#[test]
fn workers_killed_from_outside_cost_no_call() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(2);
        let patient: CallOptions<'_> = executor.options().retries(u32::MAX);
        for round in 0..rounds() {
            let log = scratch.log(&format!("held-{round}"));
            let gate = scratch.gate(&format!("gate-{round}"));
            let held: Vec<_> = (0..2)
                .map(|_| patient.submit(hold, (log.clone(), gate.clone())))
                .collect();
            let queued: Vec<_> = (0..50).map(|x| executor.submit(cube, x)).collect();
            log.reaches(2);
            let first = log.numbers();
            for &worker in &first {
                sys::kill(worker, libc::SIGKILL).unwrap();
            }
            log.reaches(4);
            gate.open();
            for call in held {
                assert!(!first.contains(&call.result().unwrap()));
            }
            for (x, call) in (0..).zip(queued) {
                assert_eq!(call.result().unwrap(), cube(x));
            }
            assert_eq!(pids(&executor).len(), 2);
        }
    });
}
