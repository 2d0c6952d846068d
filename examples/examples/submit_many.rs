//! Two calls at the same time: both take as long as the longer one alone.
//!
//! Run it with `cargo run --release --example submit_many`.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use pool_core::{Executor, task};

#[task]
fn slow_task(seconds: u64) -> String {
    thread::sleep(Duration::from_secs(seconds));
    format!("Task completed in {seconds} seconds")
}

fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let executor = Executor::builder().workers(2).build()?;
    let first = executor.submit(slow_task, 2);
    let second = executor.submit(slow_task, 1);
    println!("{}", first.result()?); // waits for two seconds
    println!("{}", second.result()?); // is there already
    println!("Both took {:.1} seconds", start.elapsed().as_secs_f64());
    Ok(())
}
