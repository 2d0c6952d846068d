//! Python's pools, in a process of Python's that is told each job by a line of JSON.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pool_compare::Failure;

use crate::contest::Contestant;
use crate::job::Job;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/peers.py");

/// One of Python's pools.
pub(crate) struct Python {
    name: &'static str,
    process: Child,
    /// `None` tells the script to end.
    jobs: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// `concurrent.futures.ProcessPoolExecutor`.
    pub(crate) fn executor(workers: usize) -> Result<Self, Failure> {
        Self::launch("ProcessPoolExecutor", "executor", workers)
    }

    /// `multiprocessing.Pool`.
    pub(crate) fn pool(workers: usize) -> Result<Self, Failure> {
        Self::launch("multiprocessing.Pool", "pool", workers)
    }

    fn launch(name: &'static str, kind: &str, workers: usize) -> Result<Self, Failure> {
        let mut process = Command::new("python3")
            .args([SCRIPT, kind, &workers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name} is left out, as python3 does not start: {error}"))?;
        let jobs = process.stdin.take();
        let answers = process.stdout.take().ok_or("python3 has no output")?;
        Ok(Self {
            name,
            process,
            jobs,
            answers: BufReader::new(answers),
        })
    }
}

impl Contestant for Python {
    fn name(&self) -> &'static str {
        self.name
    }

    fn measure(&mut self, job: &Job) -> Result<Option<Vec<f64>>, Failure> {
        let jobs = self.jobs.as_mut().ok_or("the script has ended")?;
        let mut line = serde_json::to_string(job)?;
        line.push('\n');
        jobs.write_all(line.as_bytes())?;
        line.clear();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the script ended without an answer".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.jobs = None;
        // Its end is all that is asked of it: it has printed what went wrong, if anything did.
        let _ = self.process.wait();
    }
}
