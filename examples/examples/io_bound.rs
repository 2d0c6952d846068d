//! File work on a pool, and the same file work on threads.
//!
//! Processes are for computing, for isolation, and for code that must be stoppable. Where calls
//! only wait, for a disk or a network, a thread waits as well as a process and costs less, as the
//! two times show.
//!
//! Run it with `cargo run --release --example io_bound`.

use std::error::Error;
use std::time::Instant;
use std::{env, fs, process, thread};

use pool_core::{AnyError, Executor, task};

#[task]
fn io_bound_task(x: u32) -> Result<String, AnyError> {
    let file = env::temp_dir().join(format!("temp_file_{}_{x}.txt", process::id()));
    fs::write(&file, format!("Data for task {x}"))?;
    fs::remove_file(&file)?;
    Ok(format!("I/O task {x} completed"))
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let start = Instant::now();
    let executor = Executor::new()?;
    for outcome in executor.map(io_bound_task, 0..5) {
        println!("{}", outcome??);
    }
    drop(executor);
    println!("On processes: {:.1?}", start.elapsed());

    let start = Instant::now();
    let threads: Vec<_> = (0..5)
        .map(|x| thread::spawn(move || io_bound_task(x)))
        .collect();
    for thread in threads {
        println!("{}", thread.join().expect("file work does not panic")?);
    }
    println!("On threads: {:.1?}", start.elapsed());
    Ok(())
}
