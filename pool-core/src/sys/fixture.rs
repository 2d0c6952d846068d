//! What tests need of the system, beyond what the library asks of it.

use super::Fork;
use std::fs;
use std::io;
use std::process::{Command, Stdio};

/// Has each worker that executes the program leave a process behind: `sleep` with this argument.
pub(crate) const LEAVE_BEHIND: &str = "POOL_TEST_LEAVE_BEHIND";

// SAFETY: the section holds functions that the loader calls before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = leave_behind;

/// Starts what [`LEAVE_BEHIND`] asks for, in a worker of `StartMethod::Spawn`.
extern "C" fn leave_behind() {
    let Some(argument) = std::env::var_os(LEAVE_BEHIND) else {
        return;
    };
    let parent = std::os::unix::process::parent_id();
    let parent = fs::read_to_string(format!("/proc/{parent}/comm"));
    if parent.is_ok_and(|name| name.trim_end() == "pool-server") {
        let _ = Command::new("setsid")
            .args(["--fork", "sleep"])
            .arg(argument)
            .stdout(Stdio::null())
            .status();
    }
}

/// Forks although the test harness has a thread, which holds no lock while it waits for the test.
pub(crate) fn fork_beside_harness() -> io::Result<Fork> {
    // SAFETY: see above.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid.unsigned_abs())),
    }
}
