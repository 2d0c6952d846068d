//! What the tasks do, and what doing it costs without any pool.

use std::hint::black_box;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

/// The tiny task.
pub(crate) fn double(x: u64) -> u64 {
    x.wrapping_mul(2)
}

/// Steps that take a processor about as long each time, as each needs the one before.
pub(crate) fn burn(steps: u64) -> u64 {
    (0..steps).fold(1, |state: u64, step| {
        black_box(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(step),
        )
    })
}

/// Steps of [`burn`] that take about a microsecond here.
pub(crate) fn steps(micros: f64) -> u64 {
    static STEPS_PER_MICRO: LazyLock<f64> = LazyLock::new(|| {
        const STEPS: u32 = 1_000_000;
        let fastest = (0..10)
            .map(|_| time(|| _ = burn(u64::from(STEPS))))
            .min()
            .unwrap_or_default();
        f64::from(STEPS) / (fastest.as_secs_f64() * 1e6)
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rounded number of steps, at least one"
    )]
    let steps = (micros * *STEPS_PER_MICRO).round().max(1.0) as u64;
    steps
}

/// How long `work` takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The times of `work`, for about so many seconds, but at least twice.
pub(crate) fn repeated<E>(
    seconds: f64,
    mut work: impl FnMut() -> Result<(), E>,
) -> Result<Vec<f64>, E> {
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 2 || (times.len() < 1000 && begin.elapsed().as_secs_f64() < seconds) {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64());
    }
    Ok(times)
}

/// Reads all of `bytes`, as fast as memory gives them: their sum, eight of them for a number.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let words = words.iter().copied().map(u64::from_le_bytes);
    words
        .chain(rest.iter().copied().map(u64::from))
        .fold(0, u64::wrapping_add)
}

/// The time of the same work on bare threads, the longest tasks first, each to the thread that has
/// least: nobody who does not know the lengths beforehand can do better, and few can who do.
pub(crate) fn ideal(lengths: &[u64], workers: usize) -> Duration {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let mut shares = vec![(0, Vec::new()); workers];
    for length in sorted {
        if let Some((total, share)) = shares.iter_mut().min_by_key(|(total, _)| *total) {
            *total += length;
            share.push(length);
        }
    }
    time(|| {
        thread::scope(|scope| {
            for (_, share) in &shares {
                scope.spawn(move || {
                    for length in share {
                        black_box(burn(*length));
                    }
                });
            }
        });
    })
}

/// Finds how much fits into about so many seconds, up to `most`, and does that: its amount, and
/// what it took.
pub(crate) fn at_full_speed<E>(
    seconds: f64,
    most: u64,
    mut run: impl FnMut(u64) -> Result<(), E>,
) -> Result<(u64, Duration), E> {
    let mut amount = most.min(8);
    loop {
        let start = Instant::now();
        run(amount)?;
        let taken = start.elapsed();
        if amount == most || taken.as_secs_f64() >= seconds / 2.0 {
            return Ok((amount, taken));
        }
        // Not the whole step at once: the first calls are slower than those that follow.
        let fits = per_second(amount, taken) * seconds;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rounded number of calls"
        )]
        let fitting = fits as u64;
        amount = fitting.clamp(amount + 1, amount * 16).min(most);
    }
}

/// So many in so long, for each second.
pub(crate) fn per_second(count: u64, taken: Duration) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of calls are far smaller"
    )]
    let count = count as f64;
    count / taken.as_secs_f64().max(1e-9)
}
