//! Bounds that hold on any machine: ours beside what the machine itself takes, in the same moment.
//!
//! What is seen in a quiet moment is written down here; what is worse by [`TOLERATED`] fails. That
//! leaves room for noise, and none for a loss by a factor of two. A machine that other work disturbs
//! is given time for a quiet moment instead of more room. Numbers that depend on no machine are bounds
//! themselves.

use std::thread;
use std::time::{Duration, Instant};

use pool_compare::{Failure, quantile};
use pool_core::Executor;

use crate::contest::Contestant;
use crate::floors::Floor;
use crate::job::{Job, Origin, PAUSE, Unit};
use crate::rust::Rust;
use crate::sys::OneCore;

/// How often both are measured at least: the best of each counts, as noise makes things slow, never
/// fast.
const TRIES: usize = 3;

/// How long a bound is tried before it counts as broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many times as bad as usual is not broken yet.
const TOLERATED: f64 = 1.6;

/// What ours is held against.
enum Against {
    /// What the machine takes for the same job.
    Floor(Floor),
    /// A number that depends on no machine, and is the bound itself.
    Fixed(f64),
}

/// A bound on one job.
struct Bound {
    what: &'static str,
    job: Job,
    against: Against,
    /// How many times that ours takes as a rule.
    usual: f64,
    /// Where neighbours cannot change who waits for whom.
    on_one_core: bool,
}

impl Bound {
    fn floor(what: &'static str, job: Job, floor: Floor, usual: f64) -> Self {
        Self {
            what,
            job,
            against: Against::Floor(floor),
            usual,
            on_one_core: false,
        }
    }

    fn fixed(what: &'static str, job: Job, bound: f64) -> Self {
        Self {
            what,
            job,
            against: Against::Fixed(bound),
            usual: 1.0,
            on_one_core: false,
        }
    }

    fn on_one_core(what: &'static str, job: Job, floor: Floor, usual: f64) -> Self {
        Self {
            on_one_core: true,
            ..Self::floor(what, job, floor, usual)
        }
    }

    /// Tries until it holds, and says how that went. Whether it holds.
    fn check(&self, cores: usize) -> Result<bool, Failure> {
        let unit = self.job.unit();
        let most = match self.against {
            Against::Floor(_) => self.usual * TOLERATED,
            Against::Fixed(_) => 1.0,
        };
        let mut best_of_other = Best::new(unit);
        let mut best_of_ours = Best::new(unit);
        let _one_core = self.on_one_core.then(OneCore::new).transpose()?;
        let workers = if self.on_one_core { 1 } else { cores };
        let begin = Instant::now();
        let mut ratio = f64::INFINITY;
        let mut tries = 0;
        while tries < TRIES || (ratio > most && begin.elapsed() < PATIENCE) {
            // A new one each time, which has learnt nothing from a noisy moment.
            let mut ours = Rust::<Executor>::new(workers);
            let other = best_of_other.with(match self.against {
                Against::Floor(mut floor) => undisturbed(&mut floor, &self.job)?,
                Against::Fixed(number) => number,
            });
            ratio = unit.advantage(other, best_of_ours.with(undisturbed(&mut ours, &self.job)?));
            tries += 1;
        }
        let holds = ratio <= most;
        let other = match self.against {
            Against::Floor(floor) => floor.name().to_owned(),
            Against::Fixed(number) => unit.show(number),
        };
        let verdict = if holds { "holds" } else { "BROKEN" };
        println!(
            "{}: {ratio:.2} of at most {most:.2} times {other}: {verdict}, try {tries}",
            self.what
        );
        Ok(holds)
    }
}

/// The best number so far.
struct Best {
    unit: Unit,
    number: Option<f64>,
}

impl Best {
    fn new(unit: Unit) -> Self {
        Self { unit, number: None }
    }

    /// The best, now that there is another number.
    fn with(&mut self, number: f64) -> f64 {
        let before = self.number.unwrap_or(number);
        let better = self.unit.advantage(number, before) > 1.0;
        *self.number.insert(if better { number } else { before })
    }
}

/// A number that all but a quarter of those of a job exceed, as the rest are disturbed by whatever
/// else runs; where it has but one, that.
fn undisturbed(contestant: &mut dyn Contestant, job: &Job) -> Result<f64, Failure> {
    let mut numbers = contestant
        .measure(job)?
        .filter(|numbers| !numbers.is_empty())
        .ok_or_else(|| format!("{} has no such job", contestant.name()))?;
    Ok(quantile(&mut numbers, 0.25))
}

/// All bounds that make sense on so many cores. Lives come first: see [`entries`](crate::job::entries).
fn bounds(cores: usize) -> Vec<Bound> {
    const SECONDS: f64 = 0.05;
    let trip = |pause, trips| Job::RoundTrip {
        pause,
        trips,
        seconds: 4.0 * SECONDS,
    };
    let start = Job::Start { times: 9 };
    let replace = Job::Replace {
        times: 9,
        told: false,
    };
    let pending = Job::PendingCalls { calls: 100_000 };
    let map = Job::Map {
        tuned: false,
        seconds: SECONDS,
        most: 300_000,
    };
    let submit = Job::Submit {
        threads: 1,
        seconds: SECONDS,
        most: 100_000,
    };
    let tasks = Job::Tasks {
        micros: 100.0,
        seconds: SECONDS,
    };
    let echo = |bytes| Job::Echo {
        bytes,
        seconds: SECONDS,
    };
    let shared = Job::Shared {
        bytes: 1 << 24,
        origin: Origin::Before,
        seconds: SECONDS,
    };
    let mut bounds = vec![
        Bound::floor("start to first result", start, Floor::Exec, 2.05),
        Bound::floor(
            "from a task's exit to the next result",
            replace,
            Floor::Fork,
            4.2,
        ),
        Bound::fixed("memory of a worker", Job::WorkerMemory, 200.0 * 1024.0),
        Bound::fixed("memory of a pending call", pending, 128.0),
        Bound::on_one_core("round trip, one core", trip(0.0, 2_000), Floor::Futex, 1.3),
        Bound::on_one_core(
            "round trip, parked, one core",
            trip(PAUSE, 40),
            Floor::Futex,
            1.7,
        ),
        Bound::on_one_core("map, one core", map.clone(), Floor::Loop, 470.0),
        Bound::on_one_core(
            "64 KiB there and back, one core",
            echo(1 << 16),
            Floor::Pipe,
            1.2,
        ),
        Bound::floor("submit", submit, Floor::Loop, 800.0),
        Bound::floor("16 MiB there and back", echo(1 << 24), Floor::Memcpy, 1.7),
        Bound::floor("16 MiB shared", shared, Floor::Read, 1.1),
    ];
    if cores > 1 {
        // Both sides at work at once.
        bounds.extend([
            Bound::floor("map", map, Floor::Loop, 250.0),
            Bound::floor("64 KiB there and back", echo(1 << 16), Floor::Memcpy, 2.2),
            Bound::floor("round trip, warm", trip(0.0, 1_000), Floor::Spin, 5.5),
            Bound::fixed("tasks of 100 us, share of ideal", tasks, 0.8),
        ]);
    }
    bounds
}

/// Checks all bounds that make sense here.
///
/// # Errors
///
/// The text names those that are broken.
pub(crate) fn check() -> Result<(), Failure> {
    let cores = thread::available_parallelism()?.get();
    let mut broken = Vec::new();
    for bound in bounds(cores) {
        if !bound.check(cores)? {
            broken.push(bound.what);
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!("slower than it was: {}", broken.join("; ")).into())
}
