//! From how much work on a call does a pool pay? 1000 calls are made here, on a pool that is
//! started for them and shut down after them, and on a pool that runs already.
//!
//! Run it with `cargo run --release --example overhead`.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use pool_core::{Executor, task};

const CALLS: u32 = 1000;
/// The table ends with calls that take as long here.
const LONGEST_CALL: Duration = Duration::from_micros(50);

/// Twice `x`, after so many rounds of work.
#[task]
fn quick_task(x: u32, rounds: u32) -> u32 {
    for round in 0..rounds {
        black_box(round);
    }
    x * 2
}

fn sequential(rounds: u32) -> Vec<u32> {
    (0..CALLS).map(|x| quick_task(x, rounds)).collect()
}

fn parallel(executor: &Executor, rounds: u32) -> Result<Vec<u32>, Box<dyn Error>> {
    let calls = (0..CALLS).map(|x| (x, rounds));
    Ok(executor.map(quick_task, calls).collect::<Result<_, _>>()?)
}

/// The time of the fastest of three runs: the one that other programs disturbed least.
fn measure(
    mut work: impl FnMut() -> Result<Vec<u32>, Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut fastest = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        let doubled = work()?;
        fastest = fastest.min(start.elapsed());
        assert!(doubled.into_iter().eq((0..CALLS).map(|x| x * 2)));
    }
    Ok(fastest)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn main() -> Result<(), Box<dyn Error>> {
    let running = Executor::new()?;
    let mut pays_from = [None; 2];
    println!("Work of a call   Sequential     New pool   Running pool");
    let (mut rounds, mut call) = (0, Duration::ZERO);
    while call < LONGEST_CALL {
        let here = measure(|| Ok(sequential(rounds)))?;
        let pools = [
            measure(|| parallel(&Executor::new()?, rounds))?,
            measure(|| parallel(&running, rounds))?,
        ];

        call = here / CALLS;
        println!(
            "{:>11.2} us {:>9.2} ms {:>9.2} ms {:>11.2} ms",
            milliseconds(call) * 1e3,
            milliseconds(here),
            milliseconds(pools[0]),
            milliseconds(pools[1]),
        );
        for (from, pool) in pays_from.iter_mut().zip(pools) {
            *from = from.or(Some(call)).filter(|_| pool < here);
        }
        rounds = (rounds * 3).max(100);
    }
    for (pool, from) in ["A new pool", "A running pool"].into_iter().zip(pays_from) {
        match from {
            Some(call) => println!("{pool} pays from {call:.1?} a call on"),
            None => println!("{pool} does not pay for calls as short as these"),
        }
    }
    Ok(())
}
