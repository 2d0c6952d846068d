//! What a test must leave as it found it.

use std::{
    env,
    fs::{self, read_link, read_to_string},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    io::ErrorKind,
    path::Path,
    process,
};

use crate::{sys, wait::until};

/// The variable by which all processes that a test brings about are known.
pub(crate) const MARK: &str = "POOL_TEST_MARK";

/// What of this process, and around it, outlives a test that does not clean up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint(Vec<String>);

impl Footprint {
    /// The footprint as it is now.
    pub fn take() -> Self {
        let mut all = descriptors();
        all.extend(threads().into_iter().map(|name| format!("thread {name}")));
        all.extend(lines("/proc/self/maps", &["memfd:"]));
        all.extend(dispositions());
        all.extend(environment());
        all.extend(directory());
        all.extend(mark().into_iter().flat_map(|mark| marked_processes(&mark)));
        Self(all)
    }

    /// Waits until the footprint is again what `self` is, and this process has no child.
    ///
    /// # Panics
    ///
    /// Where it does not come back, with the difference.
    pub fn returns(&self) {
        let is_back = || Self::take() == *self;
        // What becomes this program between the two looks is seen as it does so.
        let is_clean = || is_back() && !any_begins() && is_back();
        let comes_back = (0..2000).any(|_| {
            let clean = is_clean();
            if !clean {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            clean
        });
        let now = Self::take();
        let only = |these: &Self, those: &Self| -> Vec<String> {
            let missing = |line: &&String| !those.0.contains(line);
            these.0.iter().filter(missing).cloned().collect()
        };
        assert!(
            now == *self,
            "the test left {:?}, where it found {:?}",
            only(&now, self),
            only(self, &now)
        );
        assert!(
            comes_back,
            "it came back too late, or a process is still about to become this program"
        );
        let child = sys::wait_for_any_child();
        assert!(
            matches!(&child, Err(error) if error.raw_os_error() == Some(libc::ECHILD)),
            "a child is left, or was: {child:?}"
        );
    }
}

/// The resident memory of this process, in bytes.
///
/// # Panics
///
/// Where the kernel does not tell it.
pub fn resident() -> usize {
    in_status("VmRSS")
}

/// The part of [`resident`] that is of no file and not shared: what was allocated, and stacks.
///
/// # Panics
///
/// Where the kernel does not tell it.
pub fn anonymous() -> usize {
    in_status("RssAnon")
}

/// The most memory that this process has ever had reserved, in bytes, whether it was touched or not.
///
/// # Panics
///
/// Where the kernel does not tell it.
pub fn most_reserved() -> usize {
    in_status("VmPeak")
}

/// The memory of this process that goes by `name`, in bytes.
fn in_status(name: &str) -> usize {
    let lines = lines("/proc/self/status", &[name]);
    let number = lines
        .first()
        .and_then(|line| line.split_ascii_whitespace().nth(1));
    let kib: usize = number
        .and_then(|kib| kib.parse().ok())
        .expect("a number of KiB");
    kib * 1024
}

/// The mark of the test that this process belongs to.
pub(crate) fn mark() -> Option<String> {
    env::var(MARK).ok()
}

/// What this thread blocks, and what its process does with signals and modes of files.
fn dispositions() -> Vec<String> {
    // Two signals that the C library uses for itself, from the first thread on.
    const INTERNAL: u64 = 0b11 << 31;
    let words = ["SigBlk", "SigIgn", "SigCgt", "Umask"];
    // Not those of the process: its first thread may be about to start one, all signals blocked.
    lines("/proc/thread-self/status", &words)
        .into_iter()
        .filter_map(|line| {
            let (name, set) = line.split_once(":\t")?;
            let set = u64::from_str_radix(set, 16).ok()? & !INTERNAL;
            Some(format!("{name} {set:x}"))
        })
        .collect()
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

/// Whether a process is in the middle of becoming this program: then it has no environment, nor arguments,
/// and bears nobody's mark.
fn any_begins() -> bool {
    let program = read_link("/proc/self/exe").ok();
    numbers("/proc").into_iter().any(|pid| {
        let file = |name| format!("/proc/{pid}/{name}");
        let is_empty = |name| fs::read(file(name)).is_ok_and(|text| text.is_empty());
        is_empty("environ") && is_empty("cmdline") && read_link(file("exe")).ok() == program
    })
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

/// The same, once those of an executor without hooks have given themselves their names: until then
/// they bear that of the thread that started them.
pub fn threads_with_executor() -> Vec<String> {
    let started = ["pool-callbacks", "pool-supervisor", "pool-wakers"];
    until("threads have their names", || {
        let names = threads();
        started.iter().all(|name| names.iter().any(|it| it == name))
    });
    threads()
}

/// This process's descriptors, each with what it leads to.
fn descriptors() -> Vec<String> {
    numbers("/proc/self/fd")
        .into_iter()
        .filter_map(|fd| Some((fd, read_link(format!("/proc/self/fd/{fd}")).ok()?)))
        .filter(|(_, target)| !target.starts_with("/proc"))
        .map(|(fd, target)| format!("descriptor {fd} to {}", target.display()))
        .collect()
}

/// This process's working directory.
fn directory() -> Option<String> {
    let path = read_link("/proc/self/cwd").ok()?;
    Some(format!("directory {}", path.display()))
}

/// This process's environment as the program sees it, values as their hashes.
fn environment() -> Vec<String> {
    let mut variables: Vec<String> = env::vars_os()
        .map(|(name, value)| {
            let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(value);
            format!("variable {} of hash {hash:x}", name.display())
        })
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
