//! One call on a worker process, and its result.
//!
//! Run it with `cargo run --release --example square`.

use std::error::Error;

use pool_core::{Executor, task};

#[task]
fn square(x: i64) -> i64 {
    x * x
}

fn main() -> Result<(), Box<dyn Error>> {
    let executor = Executor::new()?;
    let future = executor.submit(square, 5);
    println!("Result: {}", future.result()?);
    Ok(())
}
