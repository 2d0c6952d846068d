//! The call that runs in the fork server before its first fork, so that workers share what it loads.
//!
//! It runs on a thread of its own, with the stack that tasks have: the main thread goes on to watch
//! for the end of the application, and ends the process at once, with all that the call has started.
//! The call comes and is answered through a channel like that of a worker, so its panics, its last
//! words and outputs of any size are told like those of any other call.

use super::Server;
use crate::confinement::Confinement;
use crate::fault::{self, Site};
use crate::sys::{self, Readiness};
use crate::worker::{self, WorkerStart};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};

/// Where the sources are in the answer of the poll.
const SOCKET: usize = 0;
const APPLICATION: usize = 1;
const CALL: usize = 2;

impl Server {
    /// Runs the call that comes through `rings` and `control`; `false` if the application came to
    /// its end first.
    pub(super) fn run_preload(&self, rings: OwnedFd, control: OwnedFd) -> io::Result<bool> {
        fault::try_at(Site::ServerPreload)?;
        let (returned, at_end) = sys::socket_pair()?;
        let start = WorkerStart {
            rings,
            control,
            tasks: self.tasks.clone(),
            confinement: Confinement::default(),
        };
        let thread = worker::serve_one(start, at_end)?;
        let seen = sys::poll(
            [
                (self.socket.as_fd(), Readiness::Read),
                (self.application.as_fd(), Readiness::Read),
                (returned.as_fd(), Readiness::Read),
            ],
            None,
        )?;
        // Nothing is asked meanwhile, so what comes from the application is its end.
        if seen.any(SOCKET) || seen.any(APPLICATION) || !seen.any(CALL) {
            return Ok(false);
        }
        thread.join().map_err(|_| ErrorKind::Other)?;
        fault::at(Site::ServerPreloaded);
        Ok(true)
    }
}
