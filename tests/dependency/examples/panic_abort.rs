//! A program whose panics abort, as `panic = "abort"` has it: a task that panics ends its worker then, is
//! told as one that panicked all the same, and is not tried again, as that was no accident of the worker.

use pool_core::{Executor, TaskErrorKind, task};

#[task]
fn half(x: u32) -> u32 {
    assert!(x.is_multiple_of(2), "{x} is odd");
    x / 2
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if !cfg!(panic = "abort") {
        return Err(
            "it shows nothing in a program that unwinds; run it with --profile abort".into(),
        );
    }
    let executor = Executor::builder().workers(1).build()?;
    let odd = executor.options().retries(3).submit(half, 7);
    let even = executor.submit(half, 8);
    let error = odd.result().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Panicked, "{error}");
    assert_eq!(error.panic_message(), Some("7 is odd"));
    assert_eq!(error.signal(), Some(6), "{error}");
    assert_eq!(error.attempts(), 1, "{error}");
    assert_eq!(even.result()?, 4);
    println!("{error}");
    Ok(())
}
