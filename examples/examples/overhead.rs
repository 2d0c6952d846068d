//! From how much work on a call is worth a pool: the same 1000 calls here and on the workers, the
//! start of the pool included.
//!
//! Run it with `cargo run --release --example overhead`.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use pool_core::{Executor, task};

const CALLS: u32 = 1000;

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

fn parallel(rounds: u32) -> Result<Vec<u32>, Box<dyn Error>> {
    let executor = Executor::new()?;
    let calls = (0..CALLS).map(|x| (x, rounds));
    Ok(executor.map(quick_task, calls).collect::<Result<_, _>>()?)
}

fn measure<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut pays_from = None;
    println!("Work of a call   Sequential time   Parallel time");
    for rounds in [0, 100, 1_000, 10_000, 100_000] {
        let (expected, serial) = measure(|| sequential(rounds));
        let (doubled, pool) = measure(|| parallel(rounds));
        assert_eq!(doubled?, expected);

        let call = serial / CALLS;
        println!(
            "{:>11.2} us   {:>7.4} seconds   {:>5.4} seconds",
            call.as_secs_f64() * 1e6,
            serial.as_secs_f64(),
            pool.as_secs_f64(),
        );
        if pool >= serial {
            pays_from = None;
        } else if pays_from.is_none() {
            pays_from = Some(call);
        }
    }
    match pays_from {
        Some(call) => println!("The pool pays from {call:.0?} a call on"),
        None => println!("The pool does not pay for calls as short as these"),
    }
    Ok(())
}
