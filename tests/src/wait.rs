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
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        holds_within(PATIENCE, condition),
        "waited in vain until {what}"
    );
}

/// Waits until `condition` holds, which nothing tells of, so that it is looked at again and again;
/// whether it does in time.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
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
