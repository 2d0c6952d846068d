//! Tasks that many tests use.

use std::{
    env, hint, process, thread,
    time::{Duration, Instant},
};

use pool_core::{AnyError, Shared, task};

use crate::{
    misdeed::{Fragile, Misdeed, Outcome, Stage},
    scratch::{Gate, Log},
};

/// The third power.
#[task]
pub fn cube(x: i64) -> i64 {
    x * x * x
}

/// The sum.
#[task]
pub fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// The worker's process.
#[task]
pub fn pid() -> u32 {
    process::id()
}

/// The variable of the worker's environment.
#[task]
pub fn variable(name: String) -> Option<String> {
    env::var(name).ok()
}

/// Nothing at all.
#[task]
pub fn nothing() {}

/// The bytes, as they came.
#[task]
pub fn bytes(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// So many zeros.
#[task]
pub fn zeros(count: usize) -> Vec<u8> {
    vec![0; count]
}

/// How many bytes there are.
#[task]
pub fn count(bytes: Vec<u8>) -> usize {
    bytes.len()
}

/// The number, but the odd ones panic.
#[task]
pub fn even(x: i64) -> i64 {
    assert!(x % 2 == 0, "{x} is odd");
    x
}

/// The sum of the bytes.
#[task]
pub fn sum(bytes: Shared<[u8]>) -> u64 {
    sum_of(&bytes)
}

/// The sum of the bytes.
pub fn sum_of(bytes: &[u8]) -> u64 {
    bytes.iter().copied().map(u64::from).sum()
}

/// What is shared, and the numbers times two.
#[task]
#[must_use]
pub fn doubled(
    numbers: Shared<[i64]>,
    text: Shared<String>,
) -> (Shared<[i64]>, String, Shared<[i64]>) {
    let doubled: Vec<i64> = numbers.iter().map(|number| number * 2).collect();
    (numbers, String::clone(&text), Shared::from_slice(&doubled))
}

/// The number in a text, else the parser's error.
#[task]
pub fn parse(text: String) -> Result<i64, AnyError> {
    Ok(text.parse()?)
}

/// Logs its process, waits for the gate, returns its process.
#[task]
pub fn hold(log: Log, gate: Gate) -> u32 {
    log.add(process::id());
    gate.pass();
    process::id()
}

/// Logs its process, and that is all.
#[task]
pub fn note(log: Log) -> u32 {
    log.add(process::id());
    process::id()
}

/// Logs a line.
#[task]
pub fn record(log: Log, line: i64) -> i64 {
    log.add(line);
    line
}

/// Waits for the gate, and returns the number.
#[task]
pub fn pass(gate: Gate, x: i64) -> i64 {
    gate.pass();
    x
}

/// Keeps a core busy for so many milliseconds.
#[task]
pub fn work(milliseconds: u64) -> u32 {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(milliseconds) {
        hint::spin_loop();
    }
    process::id()
}

/// Sleeps for so many milliseconds.
#[task]
pub fn nap(milliseconds: u64) -> u32 {
    thread::sleep(Duration::from_millis(milliseconds));
    process::id()
}

/// Fills so many bytes of memory, and never ends.
#[task]
pub fn fill_and_hang(bytes: usize) {
    let _filled = hint::black_box(vec![1_u8; bytes]);
    loop {
        thread::park();
    }
}

/// Logs its process and never ends.
#[task]
pub fn hang(log: Log) {
    log.add(process::id());
    loop {
        thread::park();
    }
}

/// Does what it is told.
#[task]
pub fn misbehave(misdeed: Misdeed) {
    // Those that come back with an error are for serde alone.
    misdeed.commit().expect("a misdeed of tasks");
}

/// Logs its process, waits for the gate, then does what it is told.
#[task]
pub fn misbehave_later(log: Log, gate: Gate, misdeed: Misdeed) {
    log.add(process::id());
    gate.pass();
    misdeed.commit().expect("a misdeed of tasks");
}

/// Goes wrong at the argument's stage.
#[task]
pub fn fragile(argument: Fragile) -> Outcome {
    let Fragile(stage, misdeed) = argument;
    if stage == Stage::Run {
        misdeed.commit().expect("a misdeed of tasks");
    }
    Outcome(stage, misdeed)
}
