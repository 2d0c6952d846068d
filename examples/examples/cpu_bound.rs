//! Heavy computing on as many worker processes as there are cores, each task timing itself.
//!
//! Run it with `cargo run --release --example cpu_bound`.

use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use pool_core::{Executor, task};

/// The sum of the squares below `n`, and how long it took.
///
/// The sum for 10^8 is past `u64`. The black box keeps the compiler from finding the formula.
#[task]
fn sum_of_squares(n: u64) -> (u128, Duration) {
    let start = Instant::now();
    let sum = (0..n).map(|i| u128::from(black_box(i)).pow(2)).sum();
    (sum, start.elapsed())
}

fn main() -> Result<(), Box<dyn Error>> {
    let cores = thread::available_parallelism()?.get();
    println!("Number of CPU cores: {cores}");

    let executor = Executor::builder().workers(cores).build()?;
    for outcome in executor.map(sum_of_squares, [1_000_000, 10_000_000, 100_000_000]) {
        let (sum, took) = outcome?;
        println!("Result: {sum}");
        println!("Task completed in {:.2} seconds", took.as_secs_f64());
    }

    let futures: Vec<_> = (0..2 * cores)
        .map(|_| executor.submit(sum_of_squares, 10_000_000))
        .collect();
    for future in futures {
        let (_, took) = future.result()?;
        println!("Task completed in {:.2} seconds", took.as_secs_f64());
    }
    Ok(())
}
