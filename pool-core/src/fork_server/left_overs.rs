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

/// The session that a fork server leads.
///
/// Its number is given to no other process while the session has members. Where it has none, the number may be
/// that of another process by now, which may lead a session too, and is known by having begun at
/// another time, as long as it is there.
#[derive(Debug)]
pub(super) struct Session {
    leader: u32,
    /// When its leader began, if that could be seen.
    began: Option<u64>,
}

impl Session {
    /// That of a leader that lives.
    pub(super) fn of(leader: u32) -> Self {
        let began = look_at(leader).map(|process| process.began);
        Self { leader, began }
    }

    /// Kills what is left in it, now that its leader is gone.
    pub(super) fn kill(&self) {
        let deadline = Instant::now() + KILLED_WITHIN;
        while self.kill_members() && Instant::now() < deadline {
            thread::sleep(LOOKED_FOR_EVERY);
        }
    }

    /// Kills those that are there; whether there were any.
    fn kill_members(&self) -> bool {
        // Without /proc there are no fork servers.
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut any = false;
        for pid in pids.filter(|&pid| self.has(pid)) {
            any = true;
            // The number could be another's by now: what is looked at again is what is held.
            if let Ok(pidfd) = sys::pidfd_of(pid)
                && self.has(pid)
            {
                let _ = sys::kill(pidfd.as_fd());
            }
        }
        any
    }

    /// Whether that process lives, and is in the session.
    fn has(&self, pid: u32) -> bool {
        let is_member = |process: Process| process.lives && process.session == self.leader;
        look_at(pid).is_some_and(is_member) && !self.is_anothers()
    }

    /// Whether another process has the number of the leader.
    fn is_anothers(&self) -> bool {
        look_at(self.leader).is_some_and(|process| Some(process.began) != self.began)
    }
}

/// What is known of a process.
struct Process {
    lives: bool,
    session: u32,
    /// When it began, in ticks since the machine did.
    began: u64,
}

fn look_at(pid: u32) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name before the rest may contain anything, and need not be text.
    let stat = String::from_utf8_lossy(&stat);
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        lives: !matches!(*fields.first()?, "Z" | "X"),
        session: fields.get(3)?.parse().ok()?,
        began: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, Stdio};

    /// A process that leads a session, waits, and has this name.
    fn leader(name: &str) -> Child {
        let script = format!("printf '{name}' > /proc/$$/comm; echo; read line");
        let mut leader = Command::new("setsid")
            .args(["sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let ready = leader.stdout.take().unwrap().read_exact(&mut [0]);
        ready.unwrap();
        leader
    }

    fn was_killed(mut process: Child) -> bool {
        process.wait().unwrap().signal() == Some(libc::SIGKILL)
    }

    #[test]
    fn a_session_of_another_with_the_same_number_is_left_alone() {
        let mut leader = leader("leader");
        let session = Session::of(leader.id());
        // As the sessions of fork servers that were gone before this leader began.
        for began in [None, session.began.map(|began| began - 1)] {
            Session { began, ..session }.kill();
            assert!(leader.try_wait().unwrap().is_none(), "it lives");
        }
        session.kill();
        assert!(was_killed(leader));
    }

    #[test]
    fn no_name_hides_a_member() {
        for name in [r"\377\376", ") Z 1 ("] {
            let leader = leader(name);
            Session::of(leader.id()).kill();
            assert!(was_killed(leader), "{name}");
        }
    }
}
