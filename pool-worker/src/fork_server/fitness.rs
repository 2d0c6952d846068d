//! Whether this process can be a fork server, and its workers what they are to be.

use super::Server;
use crate::confinement::Confinement;
use crate::isolation::Isolation;
use crate::protocol::Setup;
use crate::sys;
use std::io;

/// The most characters of a reason why the fork server refuses to serve, so that it fits into a
/// datagram.
const MAX_REASON: usize = 2048;

impl Server {
    /// Sees to it that workers will be what they are to be; the error says what cannot be, and the
    /// remedy.
    pub(super) fn prepare(&mut self, setup: &Setup) -> Result<Isolation, String> {
        setup.surroundings.take_up()?;
        let obstacle = obstacle("have no constructor of a library start threads");
        if let Some(reason) = obstacle.map_err(|error| error.to_string())? {
            return Err(reason);
        }
        let (confinement, isolation) = Confinement::found(setup).map_err(|error| {
            format!("workers cannot be confined ({error}): have the profile name what is there")
        })?;
        self.confinement = confinement;
        Ok(isolation)
    }
}

/// Why this process cannot be a fork server, if so; `remedy` is for one that has threads.
pub(super) fn obstacle(remedy: &str) -> io::Result<Option<String>> {
    if let Err(error) = sys::children() {
        return Ok(Some(format!(
            "the fork server cannot list its children ({error}): mount /proc, and use a kernel \
             with CONFIG_PROC_CHILDREN"
        )));
    }
    let names = sys::lasting_thread_names()?;
    if names.len() == 1 {
        return Ok(None);
    }
    let reason = format!(
        "the fork server has {} threads ({}), and forking beside them is unsafe: {remedy}",
        names.len(),
        names.join(", "),
    );
    Ok(Some(clipped(&reason)))
}

/// As much of a reason as fits into a report.
pub(super) fn clipped(reason: &str) -> String {
    reason.chars().take(MAX_REASON).collect()
}
