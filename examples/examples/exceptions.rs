//! What a task's error and a task's panic look like to the caller.
//!
//! The `Err` of a task comes back as it was returned, inside the call's own result. A panic is the
//! call's error, and tells the task, the place and the message. Neither disturbs any other call.
//!
//! Run it with `cargo run --release --example exceptions`.

use std::error::Error;

use pool_core::{Executor, task};

#[task]
fn risky_function(x: u32) -> Result<f64, String> {
    if x == 0 {
        return Err("Cannot process zero".to_owned());
    }
    Ok(1.0 / f64::from(x))
}

#[task]
fn careless_function(x: u32) -> u32 {
    100 / x
}

fn main() -> Result<(), Box<dyn Error>> {
    let executor = Executor::new()?;

    let futures: Vec<_> = (0..5).map(|x| executor.submit(risky_function, x)).collect();
    for future in futures {
        match future.result()? {
            Ok(value) => println!("Result: {value}"),
            Err(error) => println!("Error occurred: {error}"),
        }
    }

    for outcome in executor.map(careless_function, [0, 4]) {
        match outcome {
            Ok(value) => println!("Result: {value}"),
            Err(error) => println!("Call failed: {error}"),
        }
    }
    Ok(())
}
