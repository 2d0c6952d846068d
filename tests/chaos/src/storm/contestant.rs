//! The pools, each in an application of its own.

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::time::{Duration, Instant};

use pool_compare::Failure;
use pool_tests::sys::become_subreaper;

use super::kind::{Storm, WORKERS};
use super::outcome::Outcome;
use crate::processes::children;
use crate::sys::{Process, reap};

/// How long an application may take for a storm.
const LIMIT: Duration = Duration::from_mins(3);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/storm/peers.py");

/// What is installed from `PyPI`, without what it depends on: it is all here.
const PACKAGES: [&str; 4] = [
    "loky==3.7.0",
    "cloudpickle==3.1.3",
    "pebble==5.2.3",
    "billiard==4.3.2",
];

/// One of the pools.
pub(super) enum Contestant {
    Ours,
    Python {
        name: &'static str,
        kind: &'static str,
        python: PathBuf,
    },
}

/// All that can take part here, and a note on those that cannot.
pub(super) fn all() -> Result<(Vec<Contestant>, String), Failure> {
    become_subreaper()?;
    let mut contestants = vec![Contestant::Ours];
    let mut add = |python: &Path, pools: &[(&'static str, &'static str)]| {
        contestants.extend(pools.iter().map(|&(name, kind)| Contestant::Python {
            name,
            kind,
            python: python.to_owned(),
        }));
    };
    let included = [
        ("ProcessPoolExecutor", "executor"),
        ("multiprocessing.Pool", "pool"),
    ];
    let installed = [
        ("loky 3.7.0", "loky"),
        ("pebble 5.2.3", "pebble"),
        ("billiard 4.3.2", "billiard"),
    ];
    let note = match install() {
        Ok(python) => {
            add(&python, &included);
            add(&python, &installed);
            String::new()
        }
        Err(error) => {
            add(Path::new("python3"), &included);
            format!(
                "Left out are loky, pebble and billiard, which could not be installed: {error}\n"
            )
        }
    };
    Ok((contestants, note))
}

/// Installs the pools from `PyPI` below `target`, if they are not there, and gives their Python.
fn install() -> Result<PathBuf, Failure> {
    let program = env::current_exe()?;
    let target = program
        .ancestors()
        .nth(2)
        .ok_or("no folder for what is built")?;
    let folder = target.join("storm-python");
    let python = folder.join("bin/python");
    let mark = folder.join(PACKAGES.join(" "));
    if mark.exists() {
        return Ok(python);
    }
    succeed(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
    ];
    succeed(Command::new(&python).args(install).args(PACKAGES))?;
    fs::write(mark, "")?;
    Ok(python)
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default();
    Err(format!("{}: {last}", output.status).into())
}

impl Contestant {
    /// How tables call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ours => "pool-core",
            Self::Python { name, .. } => name,
        }
    }

    /// Runs a storm on it, and ends what it leaves.
    pub(super) fn run(&self, storm: &Storm, seed: u64) -> Result<Outcome, Failure> {
        let mut command = self.command(storm, seed)?;
        let mut application = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let printed = await_end(&mut application);
        let left = end_orphans()?;
        let mut outcome: Outcome = serde_json::from_str(&printed?)?;
        outcome.left = left;
        if !matches!(self, Self::Ours) {
            outcome.neighbours = outcome.failures().saturating_sub(outcome.kills);
        }
        Ok(outcome)
    }

    fn command(&self, storm: &Storm, seed: u64) -> Result<Command, Failure> {
        let Storm {
            calls,
            millis,
            bytes,
            pause,
            ..
        } = *storm;
        let (mut command, numbers) = match self {
            Self::Ours => {
                let mut command = Command::new(env::current_exe()?);
                command.args(["contestant", storm.name]);
                (command, vec![storm.kills as u64, seed])
            }
            Self::Python { kind, python, .. } => {
                let mut command = Command::new(python);
                command.args([SCRIPT, kind]).stderr(Stdio::null());
                let (calls, bytes) = (calls as u64, bytes as u64);
                (
                    command,
                    vec![WORKERS as u64, calls, millis, bytes, pause, seed],
                )
            }
        };
        command.args(numbers.iter().map(u64::to_string));
        Ok(command)
    }
}

/// What an application prints until its end, which it has to come to in time.
fn await_end(application: &mut Child) -> Result<String, Failure> {
    let has_ended = Process::open(application.id())?.is_gone_by(Instant::now() + LIMIT);
    if !has_ended {
        application.kill()?;
    }
    application.wait()?;
    if !has_ended {
        return Err(format!("it did not come to an end within {LIMIT:?}").into());
    }
    let mut output = application.stdout.take().ok_or("it has no output")?;
    let mut printed = String::new();
    // What it left may hold the other end open, so that only what is there is read.
    let mut buffer = [0; 4096];
    while !printed.contains('\n') {
        let count = output.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        printed += &String::from_utf8_lossy(&buffer[..count]);
    }
    Ok(printed)
}

/// Ends what an application that has ended has left; how many processes that was. They are given a
/// moment to end by themselves.
fn end_orphans() -> Result<u64, Failure> {
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut ended = 0;
    loop {
        // Those that one of them leaves in turn are here once it has ended.
        let orphans = children(process::id());
        if orphans.is_empty() {
            return Ok(ended);
        }
        for orphan in orphans {
            // A child that nobody else reaps: the number is its own.
            let process = Process::open(orphan)?;
            if !process.is_gone_by(deadline) {
                process.signal(libc::SIGKILL)?;
                ended += 1;
            }
            reap(orphan)?;
        }
    }
}
