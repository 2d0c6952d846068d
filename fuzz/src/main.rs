//! A quick look with nothing but the stable compiler: each target is given what is kept in `corpus`,
//! then random changes of it for some time.
//!
//! ```sh
//! cargo run --release --no-default-features -- [SECONDS [SEED [TARGET]]]
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use pool_fuzz::{TARGETS, Target, most_memory};

/// The most bytes that are tried.
const MAX_LEN: usize = 1024;
/// How many changes of an input are made at most.
const MAX_CHANGES: usize = 6;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let seconds = arguments
        .next()
        .map_or(1, |seconds| seconds.parse().expect("seconds"));
    let seed = arguments
        .next()
        .map_or(1, |seed| seed.parse().expect("a seed"));
    let only = arguments.next();
    let mut code = ExitCode::SUCCESS;
    for (name, target) in TARGETS {
        if only.as_deref().is_none_or(|only| only == name)
            && !try_out(name, target, Duration::from_secs(seconds), seed)
        {
            code = ExitCode::FAILURE;
        }
    }
    if let Some(bytes) = most_memory() {
        println!("memory for each byte of a value, at the most: {bytes:.1} bytes");
    }
    code
}

/// Whether all went well.
fn try_out(name: &str, target: Target, time: Duration, seed: u64) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = corpus(&folder.join("corpus").join(name));
    let start = Instant::now();
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut tried = 0;
    while tried < corpus.len() || start.elapsed() < time {
        let input = match corpus.get(tried) {
            Some(kept) => kept.clone(),
            None => random.change(&corpus),
        };
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            let path = env::temp_dir().join(format!("pool-fuzz-{name}-{seed}-{tried}"));
            fs::write(&path, &input).expect("the input can be kept");
            eprintln!(
                "{name}: input {tried} of seed {seed} failed; it is kept as {}",
                path.display()
            );
            return false;
        }
        tried += 1;
    }
    println!("{name}: {tried} inputs, {} of them kept ones", corpus.len());
    true
}

fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("each target has a corpus");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a file"))
        .collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).expect("64 bits") % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("it is below 256")
    }

    /// One input of the corpus, changed a little, or joined with another.
    fn change(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let any = |random: &mut Self| {
            corpus
                .get(random.below(corpus.len()))
                .cloned()
                .unwrap_or_default()
        };
        let mut input = any(self);
        for _ in 0..=self.below(MAX_CHANGES) {
            let at = self.below(input.len() + 1);
            match self.below(6) {
                0 => input.insert(at, self.byte()),
                1 => input.truncate(at),
                2 => input.extend(any(self)),
                3 => drop(input.drain(at..(at + self.below(8)).min(input.len()))),
                4 if at < input.len() => input[at] ^= 1 << self.below(8),
                _ if at < input.len() => input[at] = self.byte(),
                _ => input.push(self.byte()),
            }
        }
        input.truncate(MAX_LEN);
        input
    }
}
