//! What it costs a worker to be kept from others.

use std::time::Instant;

use pool_compare::Failure;
use pool_core::{Executor, Profile, StartMethod};
use pool_tests::tasks::nothing;
use pool_tests::until;

use super::millis;

/// How many workers are started together.
const WORKERS: usize = 8;

/// Starts of workers, in milliseconds.
#[derive(Default)]
pub(super) struct Starts {
    pub(super) open: Vec<f64>,
    /// What they took longer under `Default`, than those under `Open` right before.
    pub(super) default: Vec<f64>,
    /// The same under `Untrusted`, of workers that are forked as the others are.
    pub(super) forked: Vec<f64>,
    /// The same, of workers that execute the program, as they do unless something is preloaded.
    pub(super) executed: Vec<f64>,
}

/// Starts workers under one profile after the other, and that so many times over.
pub(super) fn starts(times: usize) -> Result<Starts, Failure> {
    let build = |profile: Profile, start_method| {
        let builder = Executor::builder().workers(1).profile(profile);
        // The first one is there all along.
        let builder = builder.max_tasks_per_worker(u64::MAX);
        builder.start_method(start_method).build()
    };
    let open = build(Profile::Open, StartMethod::ForkServer)?;
    let default = build(Profile::Default, StartMethod::ForkServer)?;
    let forked = build(Profile::Untrusted, StartMethod::ForkServer)?;
    let executed = build(Profile::Untrusted, StartMethod::Spawn)?;
    let mut starts = Starts::default();
    for _ in 0..times {
        let least = start(&open)?;
        starts.open.push(least);
        starts.default.push(start(&default)? - least);
        starts.forked.push(start(&forked)? - least);
        starts.executed.push(start(&executed)? - least);
    }
    Ok(starts)
}

/// How long workers take to their first results, for each of those that are started together.
#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn start(executor: &Executor) -> Result<f64, Failure> {
    let begin = Instant::now();
    executor.resize(1 + WORKERS)?;
    let calls = executor.broadcast(nothing, ());
    assert_eq!(calls.len(), 1 + WORKERS, "each worker has one");
    for call in calls {
        call.result()?;
    }
    let taken = millis(begin.elapsed());
    executor.resize(1)?;
    until("the workers have ended", || executor.stats().alive == 1);
    Ok(taken / WORKERS as f64)
}
