//! Conditions with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

use pool_core::{TaskError, TaskErrorKind};

/// How long a test waits for what should come at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds; panics, saying `what` did not come, where it never does.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// How often a race is tried: `POOL_TEST_ROUNDS`, else a few times.
pub fn rounds() -> usize {
    std::env::var("POOL_TEST_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5)
}

/// The error that `result` is; panics where there is none, or one of another kind.
#[track_caller]
pub fn fails_with<R>(result: Result<R, TaskError>, kind: TaskErrorKind) -> TaskError {
    match result {
        Ok(_) => panic!("a result where {kind:?} was due"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            error
        }
    }
}
