//! What `/proc` tells about processes.

use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread that has ended may still be listed, and how often that is looked at.
const THREADS_END_WITHIN: Duration = Duration::from_millis(200);
const THREADS_LOOKED_AT_EVERY: Duration = Duration::from_millis(1);

/// The names of this process's threads, the calling one among them.
pub fn thread_names() -> io::Result<Vec<String>> {
    fs::read_dir("/proc/self/task")?
        .map(|entry| {
            // A thread that ends meanwhile has no name to read.
            let name = fs::read(entry?.path().join("comm")).unwrap_or_default();
            Ok(String::from_utf8_lossy(name.trim_ascii_end()).into_owned())
        })
        .collect()
}

/// The names of this process's threads. Where there are several, those that have ended are waited for
/// as long as they may still be listed: whoever has joined one may find it here.
pub fn lasting_thread_names() -> io::Result<Vec<String>> {
    let deadline = Instant::now() + THREADS_END_WITHIN;
    loop {
        let names = thread_names()?;
        if names.len() == 1 || Instant::now() >= deadline {
            return Ok(names);
        }
        thread::sleep(THREADS_LOOKED_AT_EVERY);
    }
}

/// The children of this process, whichever of its threads started them, and whatever was reparented
/// to it.
pub fn children() -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    // That of the calling thread can be read if any can.
    let own = fs::read_to_string("/proc/thread-self/children")?;
    add_pids(&mut children, &own);
    for entry in fs::read_dir("/proc/self/task")? {
        // A thread that ends meanwhile hands its children to another.
        let others = fs::read_to_string(entry?.path().join("children")).unwrap_or_default();
        add_pids(&mut children, &others);
    }
    children.sort_unstable();
    children.dedup();
    Ok(children)
}

fn add_pids(pids: &mut Vec<u32>, text: &str) {
    let numbers = text.split_ascii_whitespace();
    pids.extend(numbers.filter_map(|pid| pid.parse::<u32>().ok()));
}

/// Bytes of memory that are the own of a process, `self` or a number: heap and stacks, and what a fork
/// of it would have to share page by page. No files and no memory that was mapped to be shared.
pub fn anonymous_memory(process: impl Display) -> io::Result<u64> {
    anonymous_in(&fs::read_to_string(format!("/proc/{process}/statm"))?)
}

/// A look at the [`anonymous_memory`] of this process that opens no file.
#[derive(Debug)]
pub struct OwnMemory(File);

impl OwnMemory {
    /// Opens the file.
    pub fn open() -> io::Result<Self> {
        File::open("/proc/self/statm").map(Self)
    }

    /// How much there is now.
    pub fn anonymous(&self) -> io::Result<u64> {
        let mut text = [0; 256];
        let length = self.0.read_at(&mut text, 0)?;
        anonymous_in(&String::from_utf8_lossy(&text[..length]))
    }
}

fn anonymous_in(statm: &str) -> io::Result<u64> {
    let mut pages = statm.split_ascii_whitespace().map(str::parse::<u64>);
    let (_size, Some(Ok(resident)), Some(Ok(shared))) = (pages.next(), pages.next(), pages.next())
    else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    Ok(resident.saturating_sub(shared) * page_size())
}

/// Whether a process has been stopped, or, if it `should_run`, no thread of it runs, wants to, or waits
/// for a disk. One that a debugger has stopped is not: somebody looks at it. Where `/proc` does not tell,
/// it is not either.
pub fn is_stuck(pid: u32, should_run: bool) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    let states: Vec<u8> = threads
        .flatten()
        .filter_map(|thread| state_of(&fs::read(thread.path().join("stat")).ok()?))
        .collect();
    let are_all = |wanted: &[u8]| states.iter().all(|state| wanted.contains(state));
    !states.is_empty() && (are_all(b"T") || should_run && are_all(b"ST"))
}

/// The letter for a thread's state, by its `stat`: behind the name, which may have anything in it.
fn state_of(stat: &[u8]) -> Option<u8> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    stat.get(end + 2).copied()
}

fn page_size() -> u64 {
    // SAFETY: takes no memory.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}
