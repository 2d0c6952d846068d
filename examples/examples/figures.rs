//! Three figures of a pool on this machine: how long it takes to start, how long a call takes there
//! and back, and how many tiny calls `map` makes in a second.
//!
//! Run it with `cargo run --release --example figures`.

use std::error::Error;
use std::time::{Duration, Instant};

use pool_core::{Executor, task};

const STARTS: usize = 21;
const TRIPS: usize = 20_001;
const MAPPED: u32 = 1_000_000;

#[task]
fn identity(x: u32) -> u32 {
    x
}

/// The median time that `work` takes; what it gives is dropped off the clock.
fn median<T>(
    times: usize,
    mut work: impl FnMut() -> Result<T, Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let start = Instant::now();
        let given = work()?;
        taken.push(start.elapsed());
        drop(given);
    }
    taken.sort();
    Ok(taken[times / 2])
}

fn main() -> Result<(), Box<dyn Error>> {
    let start = median(STARTS, || {
        let executor = Executor::builder().workers(2).build()?;
        assert_eq!(executor.submit(identity, 1).result()?, 1);
        Ok(executor)
    })?;
    println!("From nothing to the first result of two workers: {start:.1?}");

    let executor = Executor::new()?;
    let trip = median(TRIPS, || {
        assert_eq!(executor.submit(identity, 1).result()?, 1);
        Ok(())
    })?;
    println!("A call, there and back, while all is awake: {trip:.1?}");

    let start = Instant::now();
    let mut sum = 0;
    for result in executor.map(identity, 0..MAPPED) {
        sum += u64::from(result?);
    }
    assert_eq!(sum, u64::from(MAPPED) * u64::from(MAPPED - 1) / 2);
    let each_second = f64::from(MAPPED) / start.elapsed().as_secs_f64();
    println!(
        "Tiny calls by map: {:.1} million per second",
        each_second / 1e6
    );
    Ok(())
}
