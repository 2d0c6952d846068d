//! Meeting points of processes: files in a directory that goes with the test.

use std::{
    env,
    fmt::Display,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde::{Deserialize, Serialize};

use crate::wait::until;

/// A directory that is removed when it is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new empty directory.
    ///
    /// # Panics
    ///
    /// Where none can be made.
    #[expect(clippy::new_without_default, reason = "every one is another directory")]
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("pool-test-{}-{count}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Self(path),
                // A test that was killed left it, and its process's number is used again.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The closed gate of that name.
    pub fn gate(&self, name: &str) -> Gate {
        Gate(self.path(name).with_extension("gate"))
    }

    /// The log of that name, empty at first.
    pub fn log(&self, name: &str) -> Log {
        Log(self.path(name).with_extension("log"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A worker that was killed a moment ago may still hold it; then the file system keeps it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a task waits for until the application, or another task, opens it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gate(PathBuf);

impl Gate {
    /// The gate in the file at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The file that opens it.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Lets all pass, from now on.
    ///
    /// # Panics
    ///
    /// Where the file cannot be made.
    pub fn open(&self) {
        File::create(&self.0).expect("the gate's directory is there");
    }

    /// Waits until the gate is open.
    pub fn pass(&self) {
        until("the gate opens", || self.0.exists());
    }
}

/// Lines that any process may append to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Log(PathBuf);

impl Log {
    /// The log in the file at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The file that it is in.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Appends a line, whole even if others do so at the same time.
    ///
    /// # Panics
    ///
    /// Where the file cannot be written.
    pub fn add(&self, line: impl Display) {
        let line = format!("{line}\n");
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.0)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the log's directory is there");
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// All lines so far, as numbers.
    ///
    /// # Panics
    ///
    /// Where one is no number.
    pub fn numbers(&self) -> Vec<u32> {
        let lines = self.lines();
        lines.iter().map(|line| line.parse().unwrap()).collect()
    }

    /// Waits until there are `count` lines at least.
    pub fn reaches(&self, count: usize) {
        until(&format!("{count} lines are logged"), || {
            self.lines().len() >= count
        });
    }
}
