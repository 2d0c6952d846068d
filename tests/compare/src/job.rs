//! The jobs that every contestant is given, and what their outcomes mean.

use serde::Serialize;

/// One job. Contestants in other languages get it as a line of JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub(crate) enum Job {
    /// Calls one after another, each after a pause. Yields each call's seconds.
    RoundTrip {
        pause: f64,
        trips: usize,
        /// The time after which there are enough of them.
        seconds: f64,
    },
    /// One map of tiny tasks, which is to last about so many seconds. Yields calls per second.
    Map {
        /// With the best chunk size that trying finds, for those that have one.
        tuned: bool,
        seconds: f64,
        most: u64,
    },
    /// Tiny tasks submitted by each of some threads, and then their results. Yields calls per second.
    Submit {
        threads: usize,
        seconds: f64,
        most: u64,
    },
    /// A map of tasks that compute for so long. Yields the share of the ideal speed, up to 1.
    Tasks { micros: f64, seconds: f64 },
    /// A map of tasks of these lengths. Yields the share of the ideal speed, up to 1.
    Mixed { micros: Vec<f64> },
    /// Bytes sent and returned, and what was returned sent again. Yields each trip's seconds.
    Echo { bytes: usize, seconds: f64 },
    /// Bytes in memory that both sides read, every byte of them. Yields each trip's seconds.
    Shared {
        bytes: usize,
        origin: Origin,
        seconds: f64,
    },
    /// From nothing to the first result of two workers. Yields each start's seconds.
    Start { times: usize },
    /// The end of an idle pool of two workers. Yields each end's seconds.
    Shutdown { times: usize },
    /// The single worker's task exits: until the next call's result. Yields each one's seconds.
    Replace {
        times: usize,
        /// Counted only from when the caller is told.
        told: bool,
    },
    /// Memory that is a worker's own, and its part of what is shared, before it has done much. Yields each worker's bytes.
    WorkerMemory,
    /// What each of so many pending calls costs the application. Yields bytes.
    PendingCalls { calls: u64 },
}

/// Where shared bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// The caller shared them before, and hands them to a task, which hands them back.
    Before,
    /// The same, but the caller shares them for this one call.
    Anew,
    /// A task shares them, as its result.
    Task,
}

impl Job {
    /// What its numbers are.
    pub(crate) fn unit(&self) -> Unit {
        match self {
            Self::Map { .. } | Self::Submit { .. } => Unit::PerSecond,
            Self::Tasks { .. } | Self::Mixed { .. } => Unit::Share,
            Self::WorkerMemory | Self::PendingCalls { .. } => Unit::Bytes,
            Self::RoundTrip { .. }
            | Self::Echo { .. }
            | Self::Shared { .. }
            | Self::Start { .. }
            | Self::Shutdown { .. }
            | Self::Replace { .. } => Unit::Seconds,
        }
    }
}

/// What numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Seconds; fewer are better.
    Seconds,
    /// Calls in a second; more are better.
    PerSecond,
    /// A part of what is ideal; more is better.
    Share,
    /// Bytes; fewer are better.
    Bytes,
}

impl Unit {
    /// How many times as good `value` is as `other`.
    pub(crate) fn advantage(self, value: f64, other: f64) -> f64 {
        match self {
            Self::Seconds | Self::Bytes => other / value,
            Self::PerSecond | Self::Share => value / other,
        }
    }

    /// `value` with a unit that suits its size.
    pub(crate) fn show(self, value: f64) -> String {
        let scales: &[(f64, &str)] = match self {
            Self::Seconds => &[(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")],
            Self::PerSecond => &[(1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")],
            Self::Share => return format!("{:.1} %", value * 100.0),
            Self::Bytes => &[(1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")],
        };
        let (scale, unit) = scales
            .iter()
            .find(|(scale, _)| value >= *scale)
            .unwrap_or(&scales[scales.len() - 1]);
        let number = value / scale;
        let decimals = if number < 10.0 {
            2
        } else {
            usize::from(number < 100.0)
        };
        format!("{number:.decimals$} {unit}")
    }
}

/// A job with the rows that it fills.
pub(crate) struct Entry {
    /// What its rows begin with.
    pub(crate) name: String,
    pub(crate) job: Job,
    /// The rows: what each adds to the name, and which quantile of a round's numbers it tells.
    pub(crate) readings: &'static [(&'static str, f64)],
    /// In how many turns each contestant does its part of a round.
    pub(crate) turns: usize,
}

impl Entry {
    fn new(name: impl Into<String>, job: Job) -> Self {
        Self {
            name: name.into(),
            job,
            readings: &[("", 0.5)],
            turns: 1,
        }
    }
}

/// How much is measured: everything in some minutes, or a little of everything in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Full,
    Smoke,
}

impl Extent {
    /// `full` or `smoke`.
    pub(crate) fn pick<T>(self, full: T, smoke: T) -> T {
        match self {
            Self::Full => full,
            Self::Smoke => smoke,
        }
    }
}

/// The pause that lets everybody fall asleep, in seconds.
pub(crate) const PAUSE: f64 = 0.003;

/// The median and the slowest of a hundred.
const SPREAD: &[(&str, f64)] = &[(", p50", 0.5), (", p99", 0.99)];

/// Everything that is measured, in the order of the table.
///
/// Lives come first, as a process that has had much memory takes longer to fork.
pub(crate) fn entries(extent: Extent) -> Vec<Entry> {
    let mut entries = lives(extent);
    entries.extend(round_trips(extent));
    entries.extend(throughput(extent));
    entries.extend(balance(extent));
    entries.extend(payloads(extent));
    entries.extend(shared(extent));
    entries
}

fn lives(extent: Extent) -> Vec<Entry> {
    let times = extent.pick(11, 3);
    let calls = extent.pick(1_000_000, 10_000);
    let replace = |told| Job::Replace { times, told };
    vec![
        Entry::new("start to first result, 2 workers", Job::Start { times }),
        Entry::new("shutdown, idle", Job::Shutdown { times }),
        Entry::new("from a task's exit to the next result", replace(false)),
        Entry::new("from its error to the next result", replace(true)),
        Entry::new("memory of a worker", Job::WorkerMemory),
        Entry::new("memory of a pending call", Job::PendingCalls { calls }),
    ]
}

fn round_trips(extent: Extent) -> Vec<Entry> {
    let warm = Job::RoundTrip {
        pause: 0.0,
        trips: extent.pick(20_000, 1_000),
        seconds: extent.pick(0.3, 0.1),
    };
    let parked = Job::RoundTrip {
        pause: PAUSE,
        trips: 10,
        seconds: 1.0,
    };
    // How cold a core is after a pause changes from one second to the next.
    let turns = extent.pick(15, 2);
    [
        ("round trip, warm", warm, 1),
        ("round trip, parked", parked, turns),
    ]
    .map(|(name, job, turns)| Entry {
        readings: SPREAD,
        turns,
        ..Entry::new(name, job)
    })
    .into()
}

fn throughput(extent: Extent) -> Vec<Entry> {
    let seconds = extent.pick(0.6, 0.05);
    let (mapped, submitted) = extent.pick((5_000_000, 1_000_000), (200_000, 50_000));
    let map = |tuned| Job::Map {
        tuned,
        seconds,
        most: mapped,
    };
    let submit = |threads: usize| Job::Submit {
        threads,
        seconds,
        most: submitted / threads as u64,
    };
    vec![
        Entry::new("tiny tasks, map", map(false)),
        Entry::new("tiny tasks, map, chunks tuned by hand", map(true)),
        Entry::new("tiny tasks, submit, 1 thread", submit(1)),
        Entry::new("tiny tasks, submit, 4 threads", submit(4)),
    ]
}

fn balance(extent: Extent) -> Vec<Entry> {
    let seconds = extent.pick(0.2, 0.03);
    let mut entries: Vec<_> = [("1 us", 1.0), ("100 us", 100.0), ("10 ms", 10_000.0)]
        .map(|(length, micros)| {
            let name = format!("tasks of {length}, share of ideal");
            Entry::new(name, Job::Tasks { micros, seconds })
        })
        .into();
    // Evenly spread over the magnitudes from 10 us to 20 ms, in an order that looks like chance.
    let mixed = (1..=extent.pick(300, 20))
        .map(|number| 10.0 * 2000_f64.powf((f64::from(number) * 0.618_034).fract()));
    let job = Job::Mixed {
        micros: mixed.collect(),
    };
    let name = "tasks of 10 us to 20 ms, share of ideal";
    entries.push(Entry::new(name, job));
    entries
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

fn payloads(extent: Extent) -> Vec<Entry> {
    let sizes = [
        ("1 B", 1),
        ("1 KiB", KIB),
        ("64 KiB", 64 * KIB),
        ("1 MiB", MIB),
        ("16 MiB", 16 * MIB),
        ("64 MiB", 64 * MIB),
        ("256 MiB", 256 * MIB),
    ];
    sizes
        .into_iter()
        .filter(|(_, bytes)| *bytes <= extent.pick(256, 16) * MIB)
        .map(|(size, bytes)| {
            let seconds = extent.pick(0.1, 0.01);
            Entry::new(
                format!("{size} there and back"),
                Job::Echo { bytes, seconds },
            )
        })
        .collect()
}

fn shared(extent: Extent) -> Vec<Entry> {
    let (size, bytes) = extent.pick(("64 MiB", 64 * MIB), ("16 MiB", 16 * MIB));
    let seconds = extent.pick(0.1, 0.01);
    [
        ("shared, read by both sides", Origin::Before),
        ("shared anew, read by both sides", Origin::Anew),
        ("shared by a task, read here", Origin::Task),
    ]
    .map(|(name, origin)| {
        let job = Job::Shared {
            bytes,
            origin,
            seconds,
        };
        Entry::new(format!("{size} {name}"), job)
    })
    .into()
}
