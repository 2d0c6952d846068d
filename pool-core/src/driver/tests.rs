//! Executors without processes, threads or time: see [`simulation`].

mod simulation;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use simulation::Simulation;

/// For how long schedules are tried, unless `POOL_SIM_SCHEDULES` says how many.
const BUDGET: Duration = Duration::from_secs(3);

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}

fn run(seed: u64) {
    let run = catch_unwind(AssertUnwindSafe(|| Simulation::new(seed).run()));
    if let Err(panic) = run {
        eprintln!("schedule {seed} failed; POOL_SIM_SEED={seed} tries it again");
        resume_unwind(panic);
    }
}

#[test]
fn every_schedule_ends_each_call_once_and_leaves_nobody_asleep() {
    if let Some(seed) = variable("POOL_SIM_SEED") {
        return run(seed);
    }
    let start = Instant::now();
    let schedules = variable("POOL_SIM_SCHEDULES");
    let first = variable("POOL_SIM_FIRST").unwrap_or(1);
    let is_over = |tried| match schedules {
        Some(schedules) => tried == schedules,
        None => start.elapsed() >= BUDGET,
    };
    let mut tried = 0;
    while !is_over(tried) {
        run(first + tried);
        tried += 1;
    }
    println!(
        "{tried} schedules, from {first} on, in {:.1?}",
        start.elapsed()
    );
}
