//! Cancelling a call that still waits, and stopping one that already runs.
//!
//! A call that has started cannot be cancelled, but as it runs in a process of its own it can be
//! killed: the worker is replaced, and other calls do not notice.
//!
//! Run it with `cargo run --release --example cancel`.

use std::error::Error;
use std::thread;
use std::time::Duration;

use pool_core::{Executor, task};

#[task]
fn long_running_task(seconds: u64) -> String {
    thread::sleep(Duration::from_secs(seconds));
    format!("Task completed after {seconds} seconds")
}

fn main() -> Result<(), Box<dyn Error>> {
    let executor = Executor::builder().workers(1).build()?;
    let running = executor.submit(long_running_task, 600);
    let waiting = executor.submit(long_running_task, 5);
    while !running.is_running() {
        thread::sleep(Duration::from_millis(1));
    }

    println!("Waiting task cancelled: {}", waiting.cancel());
    println!("Running task cancelled: {}", running.cancel());
    println!("Running task killed: {}", running.kill());
    for future in [waiting, running] {
        match future.result() {
            Ok(text) => println!("{text}"),
            Err(error) => println!("{:?}: {error}", error.kind()),
        }
    }

    println!("{}", executor.submit(long_running_task, 1).result()?);
    Ok(())
}
