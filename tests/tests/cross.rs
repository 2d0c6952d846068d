//! Every fate of a task, with every use of its future, across every end of its executor, however
//! workers start.
//!
//! Each cell of the product has an executor of its own, with one worker. Its call has either begun, as
//! it told, or waits behind another one, when its future is used and the executor ends. What is due of
//! it follows from the cell alone ([`Cell::due`]), as tasks wait for a gate wherever a race would
//! decide.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    process::{self, ExitCode},
    sync::Mutex,
    thread,
    time::Duration,
};

use pool_core::{Executor, StartMethod, TaskError, TaskErrorKind, TaskFuture, task};
use pool_tests::{
    Gate, Log, Misdeed, Scratch, builder, fails_with, functions, harness, sys,
    tasks::{cube, hold},
    until,
};
use serde::{Deserialize, Serialize};

/// A limit that tasks are to run into which never end.
const SHORT: Duration = Duration::from_millis(30);
/// A limit that comes after everything else.
const LONG: Duration = Duration::from_hours(1);
/// How many cells are tried at a time, where executors may be built beside other threads.
const AT_A_TIME: usize = 8;
/// What a task returns that returns, and the error of one that fails.
const VALUE: u32 = 7;
const REFUSAL: &str = "refused";

/// What a task comes to if it is let.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Fate {
    Return,
    Fail,
    Commit(Misdeed),
    /// It never ends, but has a limit to its time.
    Hang,
}

const FATES: [Fate; 8] = [
    Fate::Return,
    Fate::Fail,
    Fate::Commit(Misdeed::Panic),
    Fate::Commit(Misdeed::Abort),
    Fate::Commit(Misdeed::BadWrite),
    Fate::Commit(Misdeed::Exit),
    Fate::Commit(Misdeed::Kill),
    Fate::Hang,
];

/// What is done with the call's future, before the executor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// A thread waits for the result.
    Waited,
    /// A thread drives an async task that awaits it.
    Awaited,
    Dropped,
    Cancelled,
    Killed,
    /// It was waited for in vain, and is again.
    TimedOut,
}

const USES: [Use; 6] = [
    Use::Waited,
    Use::Awaited,
    Use::Dropped,
    Use::Cancelled,
    Use::Killed,
    Use::TimedOut,
];

/// What becomes of the executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It stays, and is used again.
    Open,
    Shutdown,
    ShutdownNow,
    Kill,
    Dropped,
    /// It goes out of scope in a panic of the application.
    Unwound,
}

const ENDS: [End; 6] = [
    End::Open,
    End::Shutdown,
    End::ShutdownNow,
    End::Kill,
    End::Dropped,
    End::Unwound,
];

/// How far the call is by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It runs.
    Begun,
    /// Another call runs before it.
    Queued,
}

/// What is due of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// What its task came to.
    ItsFate,
    Cancelled,
    Killed,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    fate: Fate,
    used: Use,
    end: End,
    stage: Stage,
}

impl Cell {
    /// The whole product.
    fn all() -> impl Iterator<Item = Self> {
        let cells = FATES.into_iter().flat_map(|fate| {
            let uses = USES.into_iter().map(move |used| (fate, used));
            uses.flat_map(|(fate, used)| ENDS.map(|end| (fate, used, end)))
        });
        cells.flat_map(|(fate, used, end)| {
            [Stage::Begun, Stage::Queued].map(|stage| Self {
                fate,
                used,
                end,
                stage,
            })
        })
    }

    /// What is due of its call: whatever comes first, its future's use or the executor's end.
    fn due(self) -> Due {
        match (self.stage, self.used, self.end) {
            (Stage::Begun, Use::Killed, _) | (Stage::Begun, _, End::Kill | End::Unwound) => {
                Due::Killed
            }
            (Stage::Queued, Use::Cancelled | Use::Killed, _)
            | (Stage::Queued, _, End::ShutdownNow | End::Kill | End::Unwound) => Due::Cancelled,
            _ => Due::ItsFate,
        }
    }
}

/// Tells that it has begun, waits for the gate, and comes to its fate.
#[task]
fn meet(log: Log, gate: Gate, fate: Fate) -> Result<u32, String> {
    log.add(process::id());
    if fate == Fate::Hang {
        loop {
            thread::park();
        }
    }
    gate.pass();
    match fate {
        Fate::Fail => Err(REFUSAL.to_owned()),
        Fate::Commit(misdeed) => Err(misdeed.commit().unwrap_err().to_owned()),
        _ => Ok(VALUE),
    }
}

type Call = TaskFuture<Result<u32, String>>;
type Answer = Result<Result<u32, String>, TaskError>;

impl Cell {
    /// Checks what came of the call.
    #[track_caller]
    fn check(self, answer: Answer) {
        match (self.due(), self.fate) {
            (Due::Cancelled, _) => drop(fails_with(answer, TaskErrorKind::Cancelled)),
            (Due::Killed, _) => drop(fails_with(answer, TaskErrorKind::Killed)),
            (_, Fate::Return) => assert_eq!(answer.unwrap(), Ok(VALUE)),
            (_, Fate::Fail) => assert_eq!(answer.unwrap().unwrap_err(), REFUSAL),
            (_, Fate::Commit(misdeed)) => misdeed.is_told_by(&answer.unwrap_err()),
            (_, Fate::Hang) => drop(fails_with(answer, TaskErrorKind::TimedOut)),
        }
    }

    /// Uses the future, as far as that is done before the executor ends; gives it back, if it is to
    /// be waited for.
    fn use_first(self, future: Call) -> Option<Call> {
        match self.used {
            Use::Waited | Use::Awaited => Some(future),
            Use::Dropped => None,
            Use::Cancelled => {
                assert_eq!(future.cancel(), self.stage == Stage::Queued);
                Some(future)
            }
            Use::Killed => {
                assert!(future.kill());
                Some(future)
            }
            Use::TimedOut => match future.result_timeout(Duration::from_millis(1)) {
                Err(future) => Some(future),
                Ok(answer) => {
                    assert_eq!(self.fate, Fate::Hang, "all others wait for the gate");
                    self.check(answer);
                    None
                }
            },
        }
    }

    /// Waits for the future, in the way of its use.
    fn use_last(self, future: Call) -> Answer {
        match self.used {
            Use::Awaited => pollster::block_on(future),
            _ => future.result(),
        }
    }

    /// Ends the executor in its way, and lets tasks go on where that may be waited for; gives the
    /// executor back, if it is still to be used.
    fn end(
        self,
        executor: Executor,
        gate: &Gate,
        is_done: impl Fn() -> bool + Send,
    ) -> Option<Executor> {
        match self.end {
            End::Open => {
                gate.open();
                return Some(executor);
            }
            End::Shutdown => {
                gate.open();
                executor.shutdown();
            }
            End::ShutdownNow => thread::scope(|scope| {
                let opening = scope.spawn(move || {
                    if self.due() == Due::Cancelled {
                        until("the call is cancelled", is_done);
                    }
                    gate.open();
                });
                executor.shutdown_now();
                opening.join().unwrap();
            }),
            End::Kill => executor.kill(),
            End::Dropped => {
                gate.open();
                drop(executor);
                return None;
            }
            End::Unwound => {
                let unwound = catch_unwind(AssertUnwindSafe(move || {
                    let _executor = executor;
                    resume_unwind(Box::new(()));
                }));
                assert!(unwound.is_err());
                return None;
            }
        }
        fails_with(executor.submit(cube, 2).result(), TaskErrorKind::ShutDown);
        None
    }
}

/// Tries a cell, with an executor of its own.
fn try_cell(cell: Cell, start_method: StartMethod) {
    let scratch = Scratch::new();
    let (gate, begun) = (scratch.gate("gate"), scratch.log("begun"));
    let executor = builder(1).start_method(start_method).build().unwrap();
    let before = (cell.stage == Stage::Queued).then(|| {
        let held = scratch.log("held");
        let before = executor.submit(hold, (held.clone(), gate.clone()));
        held.reaches(1);
        before
    });
    // It may strike before the task has told that it has begun, on a processor with much to do.
    let is_short = cell.fate == Fate::Hang && cell.due() == Due::ItsFate;
    let options = match cell.fate {
        Fate::Hang => executor
            .options()
            .timeout(if is_short { SHORT } else { LONG }),
        _ => executor.options(),
    };
    let future = options.submit(meet, (begun.clone(), gate.clone(), cell.fate));
    if cell.stage == Stage::Begun {
        let is_over = || is_short && future.is_done();
        until("the call begins", || !begun.lines().is_empty() || is_over());
    }
    let mut workers = executor.worker_pids();
    workers.extend(follow(cell, executor, &gate, future));
    let ran = begun.numbers();
    let times = usize::from(cell.due() != Due::Cancelled);
    let is_told = ran.len() == times || is_short && ran.is_empty();
    assert!(is_told, "the task began {} times", ran.len());
    workers.extend(ran);
    if let Some(before) = before {
        let answer = before.result();
        let is_killed = answer.is_err_and(|error| error.kind() == TaskErrorKind::Killed);
        assert_eq!(is_killed, matches!(cell.end, End::Kill | End::Unwound));
    }
    workers.retain(|&pid| sys::exists(pid));
    assert!(workers.is_empty(), "workers are left: {workers:?}");
}

/// Uses the call's future, ends the executor, and checks what came of the call; gives the workers of
/// the executor if that was used again.
fn follow(cell: Cell, executor: Executor, gate: &Gate, future: Call) -> Vec<u32> {
    let handle = future.handle();
    let is_done = || handle.is_done();
    let future = cell.use_first(future);
    thread::scope(|scope| {
        let waiting = future.map(|future| scope.spawn(move || cell.use_last(future)));
        let open = cell.end(executor, gate, is_done);
        let workers = open.map_or_else(Vec::new, |executor| {
            until("the call is done", is_done);
            assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
            executor.worker_pids()
        });
        assert!(is_done());
        if let Some(waiting) = waiting {
            cell.check(waiting.join().unwrap());
        }
        workers
    })
}

/// Tries all cells, so many at a time, and tells which of them failed.
fn try_all(start_method: StartMethod, at_a_time: usize) {
    let cells = Mutex::new(Cell::all());
    let failed = Mutex::new(Vec::new());
    let next = || cells.lock().unwrap().next();
    let work = || {
        while let Some(cell) = next() {
            if catch_unwind(|| try_cell(cell, start_method)).is_err() {
                eprintln!("that was {cell:?}");
                failed.lock().unwrap().push(cell);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..at_a_time {
            scope.spawn(work);
        }
        work();
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} cells failed: {failed:?}",
        failed.len()
    );
}

fn from_a_fork_server() {
    try_all(StartMethod::ForkServer, AT_A_TIME);
}

fn spawned() {
    try_all(StartMethod::Spawn, AT_A_TIME);
}

/// One at a time, as a fork of the application is refused beside other threads.
fn forked() {
    try_all(StartMethod::Fork, 1);
}

fn main() -> ExitCode {
    harness(functions![from_a_fork_server spawned forked], &[])
}
