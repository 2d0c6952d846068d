//! What a test must leave as it found it.

use std::{
    env,
    fs::{self, read_link, read_to_string},
    io::ErrorKind,
    path::Path,
    process,
};

use crate::{sys, wait::until};

/// The variable by which all processes that a test brings about are known.
pub(crate) const MARK: &str = "POOL_TEST_MARK";

/// What of this process, and around it, outlives a test that does not clean up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footprint {
    descriptors: Vec<String>,
    threads: Vec<String>,
    memfds: Vec<String>,
    dispositions: Vec<String>,
    environment: Vec<String>,
    processes: Vec<String>,
}

impl Footprint {
    /// The footprint as it is now.
    pub(crate) fn take() -> Self {
        Self {
            descriptors: descriptors(),
            threads: threads(),
            memfds: lines("/proc/self/maps", &["memfd:"]),
            dispositions: lines(
                "/proc/self/status",
                &["SigBlk", "SigIgn", "SigCgt", "Umask"],
            ),
            environment: environment(),
            processes: mark().map_or_else(Vec::new, |mark| marked_processes(&mark)),
        }
    }

    /// Waits until the footprint is again what `self` is, and this process has no child.
    ///
    /// # Panics
    ///
    /// Where it does not come back, with the difference.
    pub(crate) fn returns(&self) {
        let mut now = Self::take();
        for _ in 0..2000 {
            if now == *self {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
            now = Self::take();
        }
        assert_eq!(now, *self, "left: what the test left; right: what it found");
        let child = sys::wait_for_any_child();
        assert!(
            matches!(&child, Err(error) if error.raw_os_error() == Some(libc::ECHILD)),
            "a child is left, or was: {child:?}"
        );
    }
}

/// The mark of the test that this process belongs to.
pub(crate) fn mark() -> Option<String> {
    env::var(MARK).ok()
}

/// Other processes that bear `mark`, told by their number, name and state.
pub(crate) fn marked_processes(mark: &str) -> Vec<String> {
    let wanted = format!("{MARK}={mark}");
    let mut found = Vec::new();
    for pid in numbers("/proc") {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let is_marked = environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == wanted.as_bytes());
        if is_marked && pid != process::id() {
            let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let told: Vec<&str> = stat.split_ascii_whitespace().take(4).collect();
            found.push(told.join(" "));
        }
    }
    found
}

/// Ends what is left of a test's processes, by their numbers.
pub(crate) fn kill_marked(mark: &str) {
    until("the test's processes are gone", || {
        let left = marked_processes(mark);
        for process in &left {
            let pid = process.split(' ').next().and_then(|pid| pid.parse().ok());
            // It may have ended by now, which is all that is wanted.
            let _ = pid.map(|pid| sys::kill(pid, libc::SIGKILL));
        }
        left.is_empty()
    });
}

/// The names of this process's threads.
pub fn threads() -> Vec<String> {
    let mut names: Vec<String> = numbers("/proc/self/task")
        .into_iter()
        .filter_map(|thread| read_to_string(format!("/proc/self/task/{thread}/comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .collect();
    names.sort();
    names
}

/// This process's descriptors, each with what it leads to.
fn descriptors() -> Vec<String> {
    numbers("/proc/self/fd")
        .into_iter()
        .filter_map(|fd| Some((fd, read_link(format!("/proc/self/fd/{fd}")).ok()?)))
        .filter(|(_, target)| !target.starts_with("/proc"))
        .map(|(fd, target)| format!("{fd} {}", target.display()))
        .collect()
}

/// This process's environment, as the program sees it.
fn environment() -> Vec<String> {
    let mut variables: Vec<String> = env::vars_os()
        .map(|(name, value)| format!("{}={}", name.display(), value.display()))
        .collect();
    variables.sort();
    variables
}

/// The numbers among the names in a directory of `/proc`, sorted.
fn numbers(directory: &str) -> Vec<u32> {
    let entries = match Path::new(directory).read_dir() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        entries => entries.unwrap_or_else(|error| panic!("{directory}: {error}")),
    };
    let mut numbers: Vec<u32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// The lines of `path` that contain one of `words`.
fn lines(path: &str, words: &[&str]) -> Vec<String> {
    let text = read_to_string(path).unwrap_or_default();
    text.lines()
        .filter(|line| words.iter().any(|word| line.contains(word)))
        .map(str::to_owned)
        .collect()
}
