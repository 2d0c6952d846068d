//! An executor lives as long as its block: at the end it waits for its calls, and its processes are
//! gone.
//!
//! Run it with `cargo run --release --example scope`.

use std::error::Error;
use std::path::Path;
use std::process;

use pool_core::{Executor, task};

#[task]
fn process_id() -> u32 {
    process::id()
}

fn main() -> Result<(), Box<dyn Error>> {
    let workers = {
        let executor = Executor::builder().workers(2).build()?;
        let futures: Vec<_> = (0..5).map(|_| executor.submit(process_id, ())).collect();
        for future in futures {
            println!("Task executed in process: {}", future.result()?);
        }
        executor.worker_pids()
    };
    println!("Executor has been shut down");

    let left = workers
        .iter()
        .filter(|pid| Path::new(&format!("/proc/{pid}")).exists());
    println!("Processes left: {}", left.count());
    Ok(())
}
