//! Runs the programs that cargo has built beside these tests.

use std::env;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long an example may run.
const DEADLINE: Duration = Duration::from_mins(2);

/// What an example has printed, and whether it ended with status 0.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) succeeded: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run of an example, to be completed with arguments and a folder.
///
/// Proxies are left out, as they cannot reach the pages that tests serve.
pub(crate) fn example(name: &str) -> Command {
    let tests = env::current_exe().expect("this program has a path");
    let profile = tests
        .ancestors()
        .nth(2)
        .expect("tests are built in PROFILE/deps");
    let mut command = Command::new(profile.join("examples").join(name));
    for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
        command.env_remove(proxy).env_remove(proxy.to_lowercase());
    }
    command
}

/// Runs an example until nobody holds its output any more: neither it nor any process that it has
/// started.
pub(crate) fn finish(command: &mut Command) -> Finished {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; build the examples first"));
    let deadline = Instant::now() + DEADLINE;
    let outputs = [
        read_to_end(child.stdout.take().expect("stdout is piped")),
        read_to_end(child.stderr.take().expect("stderr is piped")),
    ];
    let [stdout, stderr] = outputs.map(|output| {
        output
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .unwrap_or_else(|_| {
                child.kill().expect("a child can be killed");
                panic!("{command:?} did not end within {DEADLINE:?}");
            })
    });
    let status = child.wait().expect("a child can be waited for");
    Finished {
        succeeded: status.success(),
        stdout,
        stderr,
    }
}

fn read_to_end(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("examples print text");
        // Nobody is waiting any more past the deadline.
        let _ = sender.send(text);
    });
    receiver
}

/// What an example prints that takes no arguments and succeeds.
pub(crate) fn lines_of(name: &str) -> Vec<String> {
    let finished = finish(&mut example(name));
    assert!(finished.succeeded, "{finished:?}");
    finished.stdout.lines().map(str::to_owned).collect()
}
