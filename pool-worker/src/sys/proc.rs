//! What `/proc` tells about this process.

use std::fs;
use std::io;

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

/// Bytes of memory that are this process's own: what a fork would have to share page by page.
pub fn anonymous_memory() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok());
    Ok(kilobytes.unwrap_or(0) * 1024)
}
