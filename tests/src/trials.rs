//! Many runs of a program that something goes wrong in: several at a time, as long as there is time.

use std::{
    collections::VecDeque,
    fmt::Display,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

/// How many there are at a time.
const AT_A_TIME: usize = 4;

/// Tries each of `trials`, unless `budget` is used up before, and prints what came of it. `again` is
/// the command that tries a failed one again, to be followed by its name.
pub fn try_all<T: Display + Send>(
    trials: impl IntoIterator<Item = T>,
    budget: Option<Duration>,
    again: &str,
    run: impl Fn(&T) -> Result<(), String> + Sync,
) -> ExitCode {
    let start = Instant::now();
    let waiting = Mutex::new(trials.into_iter().collect::<VecDeque<_>>());
    let results = Mutex::new((0, Vec::new()));
    let next = || {
        let has_time = budget.is_none_or(|budget| start.elapsed() < budget);
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        has_time.then(|| waiting.pop_front()).flatten()
    };
    let work = || {
        while let Some(trial) = next() {
            let result = run(&trial);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(()) => results.0 += 1,
                Err(how) => {
                    println!("{trial}: FAILED: {how}\n");
                    results.1.push(trial.to_string());
                }
            }
        }
    };
    thread::scope(|scope| (0..AT_A_TIME).for_each(|_| drop(scope.spawn(work))));
    let (passed, failed) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    for trial in &failed {
        println!("failed; again by: {again} '{trial}'");
    }
    let untried = waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{passed} passed, {} failed, {} not tried, {} s",
        failed.len(),
        untried.len(),
        start.elapsed().as_secs()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A sequence of numbers that a seed decides; it is `SplitMix64`, of Steele, Lea and Flood.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// That of the seed in `POOL_TEST_SEED`, else one that nobody has seen before; the seed is printed.
    pub fn unforeseen() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let unforeseen = || now.map_or(1, |now| now.as_secs());
        let given = std::env::var("POOL_TEST_SEED").ok();
        let seed = given
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(unforeseen);
        println!("the seed is {seed}");
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One of these.
    pub fn choose<T: Copy>(&mut self, among: &[T]) -> T {
        let count = u64::try_from(among.len()).expect("a small number");
        among[usize::try_from(self.number() % count).expect("below that number")]
    }

    /// Puts these in an order of its own.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        items.sort_by_cached_key(|_| self.number());
    }
}
