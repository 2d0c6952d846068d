//! Where processes are worth their cost, and where they are not.
//!
//! Computing fills the cores, and in a process of its own it can be stopped, or crash, without
//! hurting its caller. Calls that only wait, for a disk or a network, and that can be trusted, are
//! better off on threads, as the two times show.
//!
//! Run it with `cargo run --release --example io_bound`.

use std::hint::black_box;
use std::time::Instant;
use std::{env, fs, process, thread};

use pool_core::{AnyError, Executor, task};

#[task]
fn cpu_bound_task(x: u64) -> u128 {
    (0..x).map(|i| u128::from(black_box(i)).pow(2)).sum()
}

#[task]
fn io_bound_task(x: u32) -> Result<String, AnyError> {
    let file = env::temp_dir().join(format!("temp_file_{}_{x}.txt", process::id()));
    fs::write(&file, format!("Data for task {x}"))?;
    fs::remove_file(&file)?;
    Ok(format!("I/O task {x} completed"))
}

/// Good practice.
fn computing_on_processes() -> Result<Vec<u128>, AnyError> {
    let executor = Executor::new()?;
    let sums = executor.map(cpu_bound_task, [1_000_000, 10_000_000, 100_000_000]);
    Ok(sums.collect::<Result<_, _>>()?)
}

/// Not recommended.
fn files_on_processes() -> Result<Vec<String>, AnyError> {
    let executor = Executor::new()?;
    let texts = executor.map(io_bound_task, 0..5);
    texts.map(|outcome| outcome?).collect()
}

/// Recommended instead.
fn files_on_threads() -> Result<Vec<String>, AnyError> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..5)
            .map(|x| scope.spawn(move || io_bound_task(x)))
            .collect();
        let texts = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        texts
            .map(|text| text.expect("file work does not panic"))
            .collect()
    })
}

fn main() -> Result<(), AnyError> {
    println!("CPU-bound results: {:?}", computing_on_processes()?);

    let start = Instant::now();
    println!("I/O-bound results: {:?}", files_on_processes()?);
    println!("On processes: {:.1?}", start.elapsed());

    let start = Instant::now();
    println!("I/O-bound results: {:?}", files_on_threads()?);
    println!("On threads: {:.1?}", start.elapsed());
    Ok(())
}
