//! What outlives a fork server that was killed: processes that tasks have started.
//!
//! A fork server that ends in good order kills whatever its workers leave. One that is killed cannot:
//! its workers die with it, and what they had started goes to a process that knows nothing of it. All
//! that is left is in the session that the fork server led, unless it has begun one of its own.

use std::fs;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use crate::sys;

/// How long to look for those that were started while others were killed.
const KILLED_WITHIN: Duration = Duration::from_secs(1);
const LOOKED_FOR_EVERY: Duration = Duration::from_millis(1);

/// Kills what is left in the session of a leader that is gone.
pub(super) fn kill_session(leader: u32) {
    let deadline = Instant::now() + KILLED_WITHIN;
    while kill_members(leader) && Instant::now() < deadline {
        thread::sleep(LOOKED_FOR_EVERY);
    }
}

/// Kills those that are there; whether there were any.
fn kill_members(leader: u32) -> bool {
    // Without /proc there are no fork servers.
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut any = false;
    for pid in pids.filter(|&pid| is_member(pid, leader)) {
        any = true;
        // The number could be another's by now: what is looked at again is what is held.
        if let Ok(pidfd) = sys::pidfd_of(pid)
            && is_member(pid, leader)
        {
            let _ = sys::kill(pidfd.as_fd());
        }
    }
    any
}

/// Whether that process lives, and is in the session.
fn is_member(pid: u32, leader: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before the rest may contain anything.
    let mut fields = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_ascii_whitespace();
    let lives = !matches!(fields.next(), None | Some("Z" | "X"));
    lives && fields.nth(2).and_then(|session| session.parse().ok()) == Some(leader)
}
