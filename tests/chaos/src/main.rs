//! Kills of every kind, at any moment: what is left of this pool, and of others.
//!
//! `cargo run --release -p pool-chaos -- run --seed S --minutes M` makes calls of every kind while a
//! killer is about; `storm` compares pools; `figures` measures how fast what is broken is mended. `RELIABILITY.md`
//! says what is tried and how.

mod bounds;
mod deeds;
mod figures;
mod killer;
mod ledger;
mod load;
mod options;
mod processes;
mod report;
mod round;
mod run;
mod setting;
mod storm;
mod sys;
mod totals;

use std::process::ExitCode;
use std::time::Duration;

use pool_compare::Failure;
use pool_tests::Log;

use options::Command;

fn main() -> ExitCode {
    let command = match Command::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("{error}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match obey(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn obey(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(extent) => run::run(&extent)?,
        Command::Episode(seed) => return Ok(run::episode(seed)),
        Command::Victim(seed, log) => run::victim(seed, Log::at(log)),
        Command::Storm { seed, page } => storm::run(seed, page.as_deref())?,
        Command::Figures { page } => figures::run(figures::FULL, page.as_deref(), 1.0)?,
        Command::Busy => figures::busy()?,
        Command::Smoke => smoke()?,
        Command::Contestant(storm, seed) => {
            println!(
                "{}",
                serde_json::to_string(&storm::run_ours(&storm, seed)?)?
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A little of everything, in less than half a minute.
fn smoke() -> Result<(), Failure> {
    // A machine that does other work as well is slower at times, but not by so much.
    figures::run(figures::SHORT, None, 20.0)?;
    storm::smoke(1)?;
    run::run(&run::Extent {
        seed: 1,
        time: Duration::from_secs(8),
        only: None,
    })
}
