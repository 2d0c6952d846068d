//! The harness: episodes of several rounds each, in processes of their own that are looked after.

use std::env;
use std::io;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use pool_compare::Failure;
use pool_tests::{Footprint, Log, Random, Scratch, run_case};

use crate::round;
use crate::setting::Setting;
use crate::totals::Totals;

/// How long an episode may take.
const LIMIT: Duration = Duration::from_mins(2);
const ROUNDS: usize = 5;

/// Which episodes are to be run.
pub(crate) struct Extent {
    pub(crate) seed: u64,
    pub(crate) time: Duration,
    /// Only the episode of this number.
    pub(crate) only: Option<u64>,
}

/// Runs episodes until the time is up, or one goes wrong.
pub(crate) fn run(extent: &Extent) -> Result<(), Failure> {
    let start = Instant::now();
    let mut all = Totals::default();
    let first = extent.only.unwrap_or(0);
    let mut episodes = 0;
    for number in first.. {
        let seed = Random::new(extent.seed ^ number.rotate_left(32)).number();
        let mut command = Command::new(env::current_exe()?);
        command.args(["episode", &seed.to_string()]);
        let output = run_case(command, LIMIT).map_err(|report| {
            let again = format!("run --seed {} --episode {number}", extent.seed);
            format!("{report}\nagain: pool-chaos {again}\nuntil then: {all}")
        })?;
        let totals = Totals::told_in(&output).ok_or("an episode told no totals")?;
        all = [all, totals].into_iter().sum();
        episodes += 1;
        if extent.only.is_some() {
            print!("{output}");
        }
        if extent.only.is_some() || start.elapsed() >= extent.time {
            break;
        }
    }
    let seconds = start.elapsed().as_secs();
    println!(
        "chaos: seed {}, {seconds} s, {episodes} episodes, {all}",
        extent.seed
    );
    Ok(())
}

/// Runs one episode, by its seed.
pub(crate) fn episode(seed: u64) -> ExitCode {
    let scratch = Scratch::new();
    let mut random = Random::new(seed);
    let rounds = (0..ROUNDS).map(|number| {
        let seed = random.number();
        let log = scratch.log(&number.to_string());
        if random.one_in(8) {
            kill_application(seed, &log, random.millis(50..900))
        } else {
            round::play(seed, log)
        }
    });
    let totals: Totals = rounds.sum();
    totals.tell();
    if totals.violations() > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Kills an application in the middle of a round. Whatever belonged to it goes with it.
fn kill_application(seed: u64, log: &Log, after: Duration) -> Totals {
    let before = Footprint::take();
    let die = || -> io::Result<()> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("victim").arg(seed.to_string()).arg(log.path());
        let mut victim = command.spawn()?;
        thread::sleep(after);
        victim.kill()?;
        victim.wait().map(drop)
    };
    die().expect("an application can be started and killed");
    before.returns();
    Totals::of_killed()
}

/// The application that is killed.
pub(crate) fn victim(seed: u64, log: Log) {
    let mut random = Random::new(seed);
    let setting = Setting::draw(&mut random).of_victim();
    round::play_setting(&setting, random, log).tell();
}
