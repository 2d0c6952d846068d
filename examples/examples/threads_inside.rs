//! Tasks that use threads of their own: one computes while the other waits.
//!
//! Run it with `cargo run --release --example threads_inside`.

use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use pool_core::{Executor, task};

fn cpu_bound(x: u64) -> u64 {
    (0..x).map(|i| black_box(i).pow(2)).sum()
}

fn io_bound(x: u64) -> String {
    thread::sleep(Duration::from_secs(1)); // stands for a slow disk or network
    format!("I/O task {x} completed")
}

#[task]
fn process_task(x: u64) -> (u64, String) {
    thread::scope(|scope| {
        let sum = scope.spawn(|| cpu_bound(x));
        let text = io_bound(x);
        (sum.join().expect("a sum of squares does not panic"), text)
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let executor = Executor::builder().workers(2).build()?;
    for outcome in executor.map(process_task, 0..4) {
        println!("{:?}", outcome?);
    }
    println!("All took {:.1} seconds", start.elapsed().as_secs_f64());
    Ok(())
}
