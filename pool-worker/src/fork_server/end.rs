//! The end of what workers have left, and that of all that was ever forked in a fork server.

use super::Server;
use crate::fault::{self, Site};
use crate::protocol::Report;
use crate::sys::{self, Reaped};
use std::io;

impl Server {
    /// Kills each child that is no worker; how many it could. One that has gained other rights than
    /// this process has is out of its reach.
    pub(super) fn kill_left_overs(&self) -> io::Result<usize> {
        fault::try_at(Site::ServerSweeps)?;
        let is_left_over = |pid: &u32| !self.workers.contains_key(pid) && !self.is_spare(*pid);
        let left_overs = sys::children()?.into_iter().filter(is_left_over);
        let killed = left_overs.filter(|&pid| sys::kill_child(pid).is_ok());
        Ok(killed.count())
    }

    fn is_spare(&self, pid: u32) -> bool {
        self.spare.as_ref().is_some_and(|spare| spare.pid == pid)
    }

    /// Kills everything that was ever forked here, waits until it is gone, and tells so if it is.
    pub(super) fn end(&mut self) {
        fault::at(Site::ServerEnds);
        self.workers.clear();
        self.spare = None;
        if self.end_children().is_ok_and(|all| all) {
            // The application may be gone.
            let _ = self.report(&Report::Ended, None);
        }
    }

    /// Whether that was all: threads of a preload may start more at any time.
    fn end_children(&self) -> io::Result<bool> {
        let is_alone = sys::thread_names().is_ok_and(|names| names.len() == 1);
        while self.kill_left_overs()? > 0 && matches!(sys::reap_any(true)?, Reaped::Child { .. }) {}
        Ok(is_alone)
    }
}
