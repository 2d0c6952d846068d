//! The machine that was measured: what its figures depend on, and nothing that names it.

use std::fs;
use std::process::Command;
use std::thread;

use serde::Serialize;

/// What matters of a machine, and the day.
#[derive(Serialize)]
pub struct Machine {
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    rustc: String,
    python: String,
    date: String,
}

impl Machine {
    /// The one that this process runs on.
    pub fn this() -> Self {
        let kib = field("/proc/meminfo", "MemTotal").and_then(|text| {
            let number: u64 = text.trim_end_matches(" kB").parse().ok()?;
            Some(number)
        });
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(0, Into::into),
            memory_gib: kib.unwrap_or_default() >> 20,
            kernel: output("uname", "-sr"),
            rustc: output("rustc", "--version"),
            python: output("python3", "--version"),
            date: output("date", "+%F"),
        }
    }

    /// One sentence.
    pub fn describe(&self) -> String {
        let Self {
            processor,
            cores,
            memory_gib,
            kernel,
            rustc,
            python,
            date,
        } = self;
        format!(
            "{processor}, {cores} cores, {memory_gib} GiB; {kernel}; {rustc}; {python}; {date}."
        )
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The value of the first line `name : value` of a file.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// What a program says of itself.
fn output(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output().ok();
    output
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(unknown)
}
