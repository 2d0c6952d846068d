//! Contestants, and how they take turns.

use std::time::{Duration, Instant};

use pool_compare::{Failure, quantile};

use crate::job::{Entry, Job, Unit};

/// A pool, or a floor that no pool can go below.
pub(crate) trait Contestant {
    /// How the tables call it.
    fn name(&self) -> &'static str;

    /// Whether it only tells what is possible.
    fn is_floor(&self) -> bool {
        false
    }

    /// Does `job` once; `None` if it has nothing of the kind.
    fn measure(&mut self, job: &Job) -> Result<Option<Vec<f64>>, Failure>;
}

/// One contestant's numbers in one row.
pub(crate) struct Value {
    pub(crate) who: &'static str,
    pub(crate) is_floor: bool,
    /// What each round gave.
    pub(crate) rounds: Vec<f64>,
}

impl Value {
    /// The median of the rounds.
    pub(crate) fn median(&self) -> f64 {
        quantile(&mut self.rounds.clone(), 0.5)
    }
}

/// One row of the table.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) values: Vec<Value>,
}

impl Row {
    /// The value of `who`, if it has one.
    pub(crate) fn of(&self, who: &str) -> Option<f64> {
        let value = self.values.iter().find(|value| value.who == who)?;
        Some(value.median())
    }
}

/// Does one job in turns, A B C A B C, and gives its rows.
///
/// Who has taken longer than `allowance` for the job, or has failed, has no more turns.
pub(crate) fn compete(
    contestants: &mut [Box<dyn Contestant>],
    entry: &Entry,
    rounds: usize,
    allowance: Duration,
) -> Vec<Row> {
    let mut rows: Vec<_> = entry
        .readings
        .iter()
        .map(|(suffix, _)| Row {
            name: format!("{}{suffix}", entry.name),
            unit: entry.job.unit(),
            values: Vec::new(),
        })
        .collect();
    let mut spent = vec![Duration::ZERO; contestants.len()];
    for _ in 0..rounds {
        let mut round = vec![Vec::new(); contestants.len()];
        for _ in 0..entry.turns {
            let turns = contestants.iter_mut().zip(&mut spent).zip(&mut round);
            for ((contestant, spent), round) in turns.filter(|((_, spent), _)| **spent <= allowance)
            {
                let start = Instant::now();
                let outcome = contestant.measure(&entry.job);
                *spent += start.elapsed();
                match outcome {
                    Ok(Some(numbers)) if !numbers.is_empty() => round.extend(numbers),
                    Ok(_) => *spent = Duration::MAX,
                    Err(error) => {
                        eprintln!("{}, {}: {error}", entry.name, contestant.name());
                        *spent = Duration::MAX;
                    }
                }
            }
        }
        for (contestant, mut numbers) in contestants.iter().zip(round) {
            if !numbers.is_empty() {
                for (row, (_, part)) in rows.iter_mut().zip(entry.readings) {
                    note(row, contestant.as_ref(), quantile(&mut numbers, *part));
                }
            }
        }
    }
    rows
}

fn note(row: &mut Row, contestant: &dyn Contestant, number: f64) {
    let who = contestant.name();
    match row.values.iter_mut().find(|value| value.who == who) {
        Some(value) => value.rounds.push(number),
        None => row.values.push(Value {
            who,
            is_floor: contestant.is_floor(),
            rounds: vec![number],
        }),
    }
}
