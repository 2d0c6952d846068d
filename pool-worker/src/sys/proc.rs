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

/// The children of the calling thread, and whatever was reparented to it.
pub fn children() -> io::Result<Vec<u32>> {
    let pids = fs::read_to_string("/proc/thread-self/children")?;
    Ok(pids
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect())
}
