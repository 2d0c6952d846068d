//! The storms on this pool.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pool_compare::Failure;
use pool_core::{Executor, TaskError, TaskFuture, task};
use pool_tests::Random;

use super::kind::{Storm, WORKERS};
use super::outcome::Outcome;
use crate::processes::of_this_program;

/// A pool in which nothing has happened for so long is taken for stuck.
const STUCK_AFTER: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(10);

/// Sleeps for so many milliseconds and returns so many bytes.
#[task]
fn work(millis: u64, bytes: usize) -> Vec<u8> {
    if millis > 0 {
        thread::sleep(Duration::from_millis(millis));
    }
    vec![b'x'; bytes]
}

/// Workers that were killed, and how many calls failed for each.
#[derive(Default)]
struct Victims(Mutex<HashMap<u32, usize>>);

impl Victims {
    fn add(&self, pid: u32) {
        let mut victims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A number may come again, and another call with it.
        *victims.entry(pid).or_default() += 1;
    }

    /// A call failed; whether a kill explains it that explains no other.
    fn explain(&self, error: &TaskError) -> bool {
        let mut victims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kills = error.worker_pid().and_then(|pid| victims.get_mut(&pid));
        let Some(kills) = kills.filter(|kills| **kills > 0) else {
            return false;
        };
        *kills -= 1;
        error.attempts() == 1
    }
}

pub(crate) fn run(storm: &Storm, seed: u64) -> Result<Outcome, Failure> {
    // Kills that come upon idle workers are no sign of a program that cannot work.
    let builder = Executor::builder().restart_limit(u32::MAX, Duration::from_secs(1));
    let executor = builder.workers(WORKERS).build()?;
    executor.submit(work, (0, 1)).result()?;
    let mut outcome = Outcome::default();
    let (victims, kills, is_over) = (
        Victims::default(),
        AtomicUsize::new(0),
        AtomicBool::new(false),
    );
    let begin = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| kill(&executor, storm, seed, &victims, &kills, &is_over));
        loop {
            let args = (storm.millis, storm.bytes);
            let calls: Vec<_> = (0..storm.calls)
                .map(|_| executor.submit(work, args))
                .collect();
            let before = outcome.completed;
            take(storm, calls, &victims, &mut outcome);
            let is_stuck = outcome.never > 0 || outcome.completed == before;
            if is_stuck || kills.load(Ordering::SeqCst) >= storm.kills {
                break;
            }
        }
        is_over.store(true, Ordering::SeqCst);
    });
    outcome.seconds = begin.elapsed().as_secs_f64();
    outcome.kills = kills.into_inner() as u64;
    let usable = executor.submit(work, (0, 1)).result_timeout(PATIENCE);
    outcome.usable = usable.is_ok_and(|result| result.is_ok());
    outcome.ended = executor.shutdown_timeout(PATIENCE);
    Ok(outcome)
}

/// Kills a random worker after each pause.
fn kill(
    executor: &Executor,
    storm: &Storm,
    seed: u64,
    victims: &Victims,
    kills: &AtomicUsize,
    is_over: &AtomicBool,
) {
    let mut random = Random::new(seed);
    while !is_over.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(storm.pause));
        let pids = executor.worker_pids();
        if pids.is_empty() {
            continue;
        }
        let Some(worker) = of_this_program(random.pick(&pids)) else {
            continue;
        };
        victims.add(worker.pid);
        if worker.signal(libc::SIGKILL).is_ok() {
            kills.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Takes the results of calls, each once.
fn take(storm: &Storm, calls: Vec<TaskFuture<Vec<u8>>>, victims: &Victims, outcome: &mut Outcome) {
    for call in calls {
        outcome.calls += 1;
        match call.result_timeout(STUCK_AFTER) {
            Err(_) => outcome.never += 1,
            Ok(Ok(bytes)) => {
                assert_eq!(bytes.len(), storm.bytes, "the value is whole");
                outcome.completed += 1;
            }
            Ok(Err(error)) => {
                outcome.count_failure(format!("{:?}", error.kind()));
                outcome.neighbours += u64::from(!victims.explain(&error));
            }
        }
    }
}
