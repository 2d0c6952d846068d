//! The kill storms: what this pool makes of them, and what others do.
//!
//! Each pool runs in an application of its own, one after the other, with a limit to its time. What
//! it leaves is looked for and ended: this process is the one that orphans go to.

mod contestant;
mod kind;
mod ours;
mod outcome;
mod plot;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use pool_compare::Failure;

use contestant::Contestant;
pub(crate) use kind::{M1, M2, Storm};
pub(crate) use ours::run as run_ours;
use outcome::Outcome;

use crate::report::publish;

/// How many kills this pool goes through in the long form of M2, and in the short one.
const MANY: usize = 1000;
const FEW: usize = 60;

/// One pool in one storm.
struct Row {
    who: String,
    storm: Storm,
    outcome: Outcome,
}

/// Runs the storms on all pools, and publishes what came of it.
pub(crate) fn run(seed: u64, page: Option<&Path>) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let (contestants, notes) = contestant::all()?;
    for storm in [M1, M2] {
        for contestant in &contestants {
            rows.extend(measure(contestant, storm, seed));
        }
    }
    rows.extend(measure(&Contestant::Ours, M2.until(MANY), seed));
    let table = table::draw(&rows);
    publish("storm", &format!("Seed {seed}.\n\n{table}{notes}"), page)?;
    if page.is_some() {
        let picture = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/storm.svg"));
        fs::write(picture, plot::draw(&rows))?;
    }
    judge(&rows, 3)
}

/// Both storms on this pool alone, in a few seconds.
pub(crate) fn smoke(seed: u64) -> Result<(), Failure> {
    let storms = [M1, M2.until(FEW)];
    let rows: Vec<_> = storms
        .into_iter()
        .filter_map(|storm| measure(&Contestant::Ours, storm, seed))
        .collect();
    println!("{}", table::draw(&rows));
    judge(&rows, storms.len())
}

/// Runs one storm on one pool; nothing if that does not come to its end.
fn measure(contestant: &Contestant, storm: Storm, seed: u64) -> Option<Row> {
    let who = contestant.name().to_owned();
    eprintln!("{}: {who}", storm.name);
    match contestant.run(&storm, seed) {
        Ok(outcome) => Some(Row {
            who,
            storm,
            outcome,
        }),
        Err(error) => {
            eprintln!("{}: {who}: {error}", storm.name);
            None
        }
    }
}

/// What is asked of this pool in so many storms: nothing is lost but what was killed itself.
fn judge(rows: &[Row], storms: usize) -> Result<(), Failure> {
    let name = Contestant::Ours.name();
    let ours: Vec<_> = rows.iter().filter(|row| row.who == name).collect();
    if ours.len() < storms {
        return Err("a storm did not come to its end".into());
    }
    for row in ours {
        if !row.outcome.is_unharmed() {
            return Err(format!("{} did harm: {:?}", row.storm.name, row.outcome).into());
        }
    }
    Ok(())
}
