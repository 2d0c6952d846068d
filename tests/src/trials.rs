//! Many runs of a program that something goes wrong in: several at a time, as long as there is time.

use std::{
    collections::VecDeque,
    fmt::Display,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How many there are at a time.
const AT_A_TIME: usize = 4;

/// Tries each of `trials`, unless `budget` is used up before, and prints what came of it, in the last
/// line the numbers. `what` are they, and `again` is the command that tries a failed one again, to be
/// followed by its name.
pub fn try_all<T: Display + Send>(
    what: &str,
    trials: impl IntoIterator<Item = T>,
    budget: Option<Duration>,
    again: &str,
    run: impl Fn(&T) -> Result<(), String> + Sync,
) -> ExitCode {
    let start = Instant::now();
    let waiting = Mutex::new(trials.into_iter().collect::<VecDeque<_>>());
    let results = Mutex::new((0, Vec::new()));
    let next = || {
        let has_time = budget.is_none_or(|budget| start.elapsed() < budget);
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        has_time.then(|| waiting.pop_front()).flatten()
    };
    let work = || {
        while let Some(trial) = next() {
            let result = run(&trial);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(()) => results.0 += 1,
                Err(how) => {
                    println!("{trial}: FAILED: {how}\n");
                    results.1.push(trial.to_string());
                }
            }
        }
    };
    thread::scope(|scope| (0..AT_A_TIME).for_each(|_| drop(scope.spawn(work))));
    let (passed, failed) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    for trial in &failed {
        println!("failed; again by: {again} '{trial}'");
    }
    let untried = waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{what}: {} tried, {} failed, {} not tried, {} s",
        passed + failed.len(),
        failed.len(),
        untried.len(),
        start.elapsed().as_secs()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
