//! One function over many inputs, with the results in the inputs' order.
//!
//! Run it with `cargo run --release --example cubes`.

use std::error::Error;

use pool_core::{Executor, task};

#[task]
fn cube(x: i64) -> i64 {
    x.pow(3)
}

fn main() -> Result<(), Box<dyn Error>> {
    let executor = Executor::new()?;
    let cubes: Vec<i64> = executor.map(cube, 0..10).collect::<Result<_, _>>()?;
    println!("{cubes:?}");
    Ok(())
}
