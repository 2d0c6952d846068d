//! Runs the programs that cargo has built beside these tests.

use std::env;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long an example may run.
const DEADLINE: Duration = Duration::from_mins(2);

/// What an example has printed, and whether it ended with status 0.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) pid: u32,
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

/// An example that has been started.
pub(crate) struct Running {
    child: Child,
    outputs: [Receiver<String>; 2],
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; build the examples first"));
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let outputs = [
            in_background(move || read_to_end(&mut stdout)),
            in_background(move || read_to_end(&mut stderr)),
        ];
        Self { child, outputs }
    }

    /// Kills the program itself, and nothing that it has started.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
    }

    /// Waits until nobody holds the output any more: neither the program nor any process that it
    /// has started.
    pub(crate) fn finish(mut self) -> Finished {
        let deadline = Instant::now() + DEADLINE;
        let [stdout, stderr] = [0, 1].map(|output| {
            let rest = deadline.saturating_duration_since(Instant::now());
            self.outputs[output].recv_timeout(rest).unwrap_or_else(|_| {
                self.kill();
                panic!("the example or what it started still runs after {DEADLINE:?}");
            })
        });
        let status = self.child.wait().expect("a child can be waited for");
        Finished {
            pid: self.child.id(),
            succeeded: status.success(),
            stdout,
            stderr,
        }
    }
}

fn read_to_end(pipe: &mut impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).expect("examples print text");
    text
}

fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody is waiting any more past the deadline.
        let _ = sender.send(work());
    });
    receiver
}

/// What `work` gives, which must not take longer than an example may.
pub(crate) fn by_deadline<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    in_background(work)
        .recv_timeout(DEADLINE)
        .expect("done within the deadline")
}

/// Runs an example to its end.
pub(crate) fn finish(command: &mut Command) -> Finished {
    Running::start(command).finish()
}

/// What an example prints that takes no arguments and succeeds.
pub(crate) fn lines_of(name: &str) -> Vec<String> {
    let finished = finish(&mut example(name));
    assert!(finished.succeeded, "{finished:?}");
    finished.stdout.lines().map(str::to_owned).collect()
}
