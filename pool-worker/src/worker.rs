//! What a worker process does.

use crate::sys::{self, Readiness};
use std::os::fd::{AsFd, OwnedFd};

/// A task by the name that calls refer to, and what this program has under it.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The name from the application.
    pub name: String,
    /// The task, unless this program knows none of that name.
    pub entry: Option<&'static crate::TaskEntry>,
}

/// What a worker begins with.
#[derive(Debug)]
pub struct WorkerStart {
    /// The memory of its rings.
    pub rings: OwnedFd,
    /// Its end of the control socket.
    pub control: OwnedFd,
    /// `tasks[i]` is the task that calls name by the number `i`.
    pub tasks: Vec<Resolved>,
}

/// Serves until the application closes the control socket.
pub fn run(start: WorkerStart) -> ! {
    loop {
        match sys::poll([(start.control.as_fd(), Readiness::Read)], None) {
            Ok(seen) if !seen.ended(0) => {}
            _ => sys::exit(0),
        }
    }
}
