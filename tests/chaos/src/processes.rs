//! What `/proc` tells of other processes.

use std::fs;

use crate::sys::Process;

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may contain anything.
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The children of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads
        .into_iter()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|list| {
            let pids = list.split_ascii_whitespace().map(str::parse);
            pids.filter_map(Result::ok).collect::<Vec<_>>()
        })
        .collect()
}

/// The process that has this number now, if it runs this very program.
pub(crate) fn of_this_program(pid: u32) -> Option<Process> {
    let process = Process::open(pid).ok()?;
    let program = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let is_this = program(&pid.to_string())? == program("self")?;
    is_this.then_some(process)
}
