//! How fast what is broken is seen and mended, and what it costs to keep workers from others, in figures.

mod profiles;

use std::env;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pool_compare::{Failure, aligned, quantile};
use pool_core::{Executor, TaskErrorKind, TaskFuture, task};
use pool_tests::tasks::nothing;
use pool_tests::until;

use crate::deeds::{abandon_child, hang};
use crate::processes::{children, parent};
use crate::report::publish;
use crate::sys::Process;

/// How many workers an application has that is killed.
const WORKERS: usize = 4;

/// Something that is measured, in milliseconds.
struct Figure {
    name: &'static str,
    /// What is aimed at, of a quantile of all.
    targets: &'static [(f64, f64)],
    millis: Vec<f64>,
}

/// How often each is measured.
#[derive(Clone, Copy)]
pub(crate) struct Rounds {
    deaths: usize,
    deadlines: usize,
    ends: usize,
    starts: usize,
}

pub(crate) const FULL: Rounds = Rounds {
    deaths: 1000,
    deadlines: 500,
    ends: 50,
    starts: 200,
};
pub(crate) const SHORT: Rounds = Rounds {
    deaths: 100,
    deadlines: 50,
    ends: 8,
    starts: 10,
};

/// Measures all, and publishes it. Fails where a target is missed by more than `allowance`
/// times.
pub(crate) fn run(rounds: Rounds, page: Option<&Path>, allowance: f64) -> Result<(), Failure> {
    let (errors, replacements) = deaths(rounds.deaths)?;
    let starts = profiles::starts(rounds.starts)?;
    let figures = [
        Figure {
            name: "worker killed until the call's error is there",
            targets: &[(0.5, 1.0), (0.99, 5.0)],
            millis: errors,
        },
        Figure {
            name: "worker killed until its replacement's first result",
            targets: &[(0.5, 5.0)],
            millis: replacements,
        },
        Figure {
            name: "end of a call beyond its limit of 20 ms",
            targets: &[(0.99, 5.0)],
            millis: deadlines(rounds.deadlines)?,
        },
        Figure {
            name: "`shutdown_timeout` beyond its 20 ms, workers busy",
            targets: &[(1.0, 50.0)],
            millis: shutdowns(rounds.ends)?,
        },
        Figure {
            name: "application killed until its last process is gone",
            targets: &[(1.0, 100.0)],
            millis: applications(rounds.ends)?,
        },
        Figure {
            name: "a worker's start under `Open`, to its first result",
            targets: &[],
            millis: starts.open,
        },
        Figure {
            name: "what `Default` adds to that",
            targets: &[(0.5, 0.1)],
            millis: starts.default,
        },
        Figure {
            name: "what `Untrusted` adds to that, workers forked",
            targets: &[(0.5, 1.5)],
            millis: starts.forked,
        },
        Figure {
            name: "what `Untrusted` adds to that, workers executed",
            targets: &[],
            millis: starts.executed,
        },
    ];
    publish("figures", &table(&figures), page)?;
    let missed: Vec<_> = figures
        .iter()
        .filter(|figure| figure.is_missed(allowance))
        .map(|figure| figure.name)
        .collect();
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!("targets are missed: {}", missed.join("; ")).into())
    }
}

impl Figure {
    fn is_missed(&self, allowance: f64) -> bool {
        let beyond = |(part, target): &(f64, f64)| self.at(*part) > target * allowance;
        self.targets.iter().any(beyond)
    }

    fn at(&self, part: f64) -> f64 {
        quantile(&mut self.millis.clone(), part)
    }
}

fn table(figures: &[Figure]) -> String {
    let head = ["figure, in ms", "target", "p50", "p99", "most", "times"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    for figure in figures {
        let targets = figure.targets.iter().map(|(part, target)| match part {
            1.0 => format!("most < {target}"),
            part => format!("p{} < {target}", part * 100.0),
        });
        lines.push(vec![
            figure.name.to_owned(),
            targets.collect::<Vec<_>>().join(", "),
            format!("{:.2}", figure.at(0.5)),
            format!("{:.2}", figure.at(0.99)),
            format!("{:.2}", figure.at(1.0)),
            figure.millis.len().to_string(),
        ]);
    }
    aligned(&lines)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Never ends.
#[task]
fn run_on() {
    hang()
}

/// Never ends, and has a process of its own.
#[task]
fn run_on_with_child() {
    abandon_child();
    hang()
}

fn await_start<R>(call: &TaskFuture<R>) {
    until("the call runs", || call.is_running());
}

/// From the signal to the error of the call that ran, and to the result of the next.
fn deaths(times: usize) -> Result<(Vec<f64>, Vec<f64>), Failure> {
    let builder = Executor::builder().workers(1);
    let executor = builder.build()?;
    let (mut errors, mut replacements) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let call = executor.submit(run_on, ());
        await_start(&call);
        let next = executor.submit(nothing, ());
        let worker = Process::open(executor.worker_pids()[0])?;
        let begin = Instant::now();
        worker.signal(libc::SIGKILL)?;
        let error = call.result().expect_err("its worker was killed");
        errors.push(millis(begin.elapsed()));
        assert_eq!(error.signal(), Some(libc::SIGKILL), "{error}");
        next.result()?;
        replacements.push(millis(begin.elapsed()));
    }
    Ok((errors, replacements))
}

/// From the end of a call's time to its error. That the call begins later than it is made counts, too.
fn deadlines(times: usize) -> Result<Vec<f64>, Failure> {
    let executor = Executor::builder().workers(1).build()?;
    let limit = Duration::from_millis(20);
    let mut overshoots = Vec::new();
    for _ in 0..times {
        executor.submit(nothing, ()).result()?;
        let begin = Instant::now();
        let call = executor.options().timeout(limit).submit(run_on, ());
        let error = call.result().expect_err("it never ends");
        overshoots.push(millis(begin.elapsed().saturating_sub(limit)));
        assert_eq!(error.kind(), TaskErrorKind::TimedOut, "{error}");
    }
    Ok(overshoots)
}

/// From the end of the time that an executor has to end to its being gone, with all its processes.
fn shutdowns(times: usize) -> Result<Vec<f64>, Failure> {
    let limit = Duration::from_millis(20);
    let mut overshoots = Vec::new();
    for _ in 0..times {
        let executor = Executor::builder().workers(WORKERS).build()?;
        let calls: Vec<_> = (0..WORKERS)
            .map(|_| executor.submit(run_on_with_child, ()))
            .collect();
        calls.iter().for_each(await_start);
        let begin = Instant::now();
        assert!(!executor.shutdown_timeout(limit), "they never end");
        overshoots.push(millis(begin.elapsed().saturating_sub(limit)));
    }
    Ok(overshoots)
}

/// From the signal that kills an application to the end of its last process: fork server, workers,
/// what these have started.
fn applications(times: usize) -> Result<Vec<f64>, Failure> {
    let mut times_taken = Vec::new();
    for _ in 0..times {
        let mut command = Command::new(env::current_exe()?);
        let command = command
            .arg("busy")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut application = command.spawn()?;
        let output = application.stdout.take().ok_or("it has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let pids: Result<Vec<u32>, _> = line.split_ascii_whitespace().map(str::parse).collect();
        let processes: Result<Vec<_>, _> = pids?.into_iter().map(Process::open).collect();
        let processes = processes?;
        assert_eq!(
            processes.len(),
            1 + 2 * WORKERS,
            "fork server, workers, their children"
        );
        let begin = Instant::now();
        application.kill()?;
        let deadline = begin + Duration::from_secs(10);
        for process in processes {
            if !process.is_gone_by(deadline) {
                return Err(format!("process {} outlived its application", process.pid).into());
            }
        }
        times_taken.push(millis(begin.elapsed()));
        application.wait()?;
    }
    Ok(times_taken)
}

/// The application that is killed: tells its processes once all are busy, and waits.
pub(crate) fn busy() -> Result<(), Failure> {
    let executor = Executor::builder().workers(WORKERS).build()?;
    let calls: Vec<_> = (0..WORKERS)
        .map(|_| executor.submit(run_on_with_child, ()))
        .collect();
    calls.iter().for_each(await_start);
    let mut pids = executor.worker_pids();
    let grandchildren = || {
        pids.iter()
            .flat_map(|&pid| children(pid))
            .collect::<Vec<_>>()
    };
    until("each worker has its child", || {
        grandchildren().len() >= WORKERS
    });
    let server = parent(pids[0]).ok_or("a worker without a parent")?;
    pids.extend(grandchildren());
    pids.push(server);
    let line = pids.iter().fold(String::new(), |mut line, pid| {
        // Writing to a text does not fail.
        let _ = write!(line, "{pid} ");
        line
    });
    println!("{line}");
    loop {
        thread::park();
    }
}
