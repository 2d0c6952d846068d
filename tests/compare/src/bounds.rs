//! Bounds that hold on any machine: ours beside what the machine itself takes, in the same moment.
//!
//! They are wide enough for noise, and too narrow for a loss by a factor of two.

use std::thread;

use pool_core::Executor;

use crate::contest::{Contestant, Failure, quantile};
use crate::floors::Floor;
use crate::job::{Job, PAUSE, Unit};
use crate::rust::Rust;

/// How often both are measured before a verdict: the best of each counts, as noise makes things
/// slow, never fast.
const LEAST_TRIES: usize = 3;

/// How often a bound is tried before it counts as broken.
const MOST_TRIES: usize = 12;

/// What ours is held against.
enum Against {
    /// What the machine takes for the same job.
    Floor(Floor),
    /// A number that depends on no machine.
    Fixed(f64),
}

/// A bound on one job.
struct Bound {
    what: &'static str,
    job: Job,
    unit: Unit,
    against: Against,
    /// How many times as good as ours the other may be.
    most: f64,
    /// The cores without which the job makes no sense.
    cores: usize,
}

impl Bound {
    /// Tries until it holds, and says how that went. Whether it holds.
    fn check(&mut self, ours: &mut dyn Contestant) -> Result<bool, Failure> {
        let unit = self.unit;
        let better = |one, other| {
            if unit.advantage(one, other) > 1.0 {
                one
            } else {
                other
            }
        };
        let mut best: Option<(f64, f64)> = None;
        let mut ratio = f64::INFINITY;
        let mut tries = 0;
        while tries < LEAST_TRIES || (ratio > self.most && tries < MOST_TRIES) {
            let other = match &mut self.against {
                Against::Fixed(number) => *number,
                Against::Floor(floor) => median(floor, &self.job)?,
            };
            let ours = median(ours, &self.job)?;
            let (best_other, best_ours) = best.unwrap_or((other, ours));
            let (other, ours) = (better(best_other, other), better(best_ours, ours));
            best = Some((other, ours));
            ratio = unit.advantage(other, ours);
            tries += 1;
        }
        let (what, most) = (self.what, self.most);
        let against = match &self.against {
            Against::Floor(floor) => floor.name().to_owned(),
            Against::Fixed(number) => unit.show(*number),
        };
        let verdict = if ratio > most { "BROKEN" } else { "holds" };
        println!("{what}: {ratio:.2} of at most {most} times {against}: {verdict} (try {tries})");
        Ok(ratio <= most)
    }
}

fn median(contestant: &mut dyn Contestant, job: &Job) -> Result<f64, Failure> {
    let mut numbers = contestant
        .measure(job)?
        .filter(|numbers| !numbers.is_empty())
        .ok_or_else(|| format!("{} has no such job", contestant.name()))?;
    Ok(quantile(&mut numbers, 0.5))
}

fn bounds() -> Vec<Bound> {
    let bound = |what, unit, job, against, most| Bound {
        what,
        job,
        unit,
        against,
        most,
        cores: 1,
    };
    let on_two_cores = |bound| Bound { cores: 2, ..bound };
    let trip = |pause, trips| Job::RoundTrip {
        pause,
        trips,
        seconds: 0.2,
    };
    let map = Job::Map {
        tuned: false,
        seconds: 0.1,
        most: 500_000,
    };
    let submit = Job::Submit {
        threads: 1,
        seconds: 0.1,
        most: 200_000,
    };
    let tasks = Job::Tasks {
        micros: 100.0,
        seconds: 0.1,
    };
    let echo = |bytes| Job::Echo {
        bytes,
        seconds: 0.1,
    };
    let replace = Job::Replace {
        times: 5,
        told: false,
    };
    let floor = Against::Floor;
    let fixed = Against::Fixed;
    let pending = Job::PendingCalls { calls: 100_000 };
    vec![
        bound(
            "start to first result",
            Unit::Seconds,
            Job::Start { times: 5 },
            floor(Floor::Fork),
            16.0,
        ),
        bound(
            "from a task's exit to the next result",
            Unit::Seconds,
            replace,
            floor(Floor::Fork),
            8.0,
        ),
        bound(
            "memory of a worker",
            Unit::Bytes,
            Job::WorkerMemory,
            fixed(614_400.0),
            1.0,
        ),
        bound(
            "memory of a pending call",
            Unit::Bytes,
            pending,
            fixed(256.0),
            1.0,
        ),
        on_two_cores(bound(
            "round trip, warm",
            Unit::Seconds,
            trip(0.0, 20_000),
            floor(Floor::Spin),
            9.0,
        )),
        bound(
            "round trip, no pause",
            Unit::Seconds,
            trip(0.0, 2_000),
            floor(Floor::Futex),
            3.0,
        ),
        bound(
            "round trip, parked",
            Unit::Seconds,
            trip(PAUSE, 40),
            floor(Floor::Futex),
            8.0,
        ),
        bound("map", Unit::PerSecond, map, floor(Floor::Loop), 1200.0),
        bound(
            "submit",
            Unit::PerSecond,
            submit,
            floor(Floor::Loop),
            1600.0,
        ),
        on_two_cores(bound(
            "tasks of 100 us",
            Unit::Share,
            tasks,
            fixed(1.0),
            1.25,
        )),
        bound(
            "64 KiB there and back",
            Unit::Seconds,
            echo(1 << 16),
            floor(Floor::Memcpy),
            10.0,
        ),
        bound(
            "16 MiB there and back",
            Unit::Seconds,
            echo(1 << 24),
            floor(Floor::Memcpy),
            3.5,
        ),
    ]
}

/// Checks all bounds that make sense here.
///
/// # Errors
///
/// The text names those that are broken.
pub(crate) fn check() -> Result<(), Failure> {
    let cores = thread::available_parallelism()?.get();
    let mut ours = Rust::<Executor>::new(cores);
    let mut broken = Vec::new();
    for mut bound in bounds() {
        if bound.cores <= cores && !bound.check(&mut ours)? {
            broken.push(bound.what);
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!("slower than it was: {}", broken.join("; ")).into())
}
