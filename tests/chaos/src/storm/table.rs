//! The outcome as a table in Markdown.

use std::fmt::Write;

use pool_compare::aligned;

use super::Row;
use super::outcome::Outcome;

const HEAD: [&str; 9] = [
    "pool",
    "kills",
    "completed",
    "failed",
    "never completed",
    "neighbours failed",
    "usable afterwards",
    "ended in 10 s",
    "seconds",
];

/// A table for each storm, below what it is in words.
pub(super) fn draw(rows: &[Row]) -> String {
    let mut text = String::new();
    for part in rows.chunk_by(|a, b| a.storm.name == b.storm.name) {
        let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
        lines.extend(part.iter().map(line));
        let title = part[0].storm.describe();
        // Writing to a text does not fail.
        let _ = writeln!(text, "{title}:\n\n{}", aligned(&lines));
    }
    text
}

fn line(row: &Row) -> Vec<String> {
    let outcome = &row.outcome;
    let again = match outcome.calls / row.storm.calls as u64 {
        0 | 1 => String::new(),
        times => format!(", {times} times over"),
    };
    vec![
        format!("{}{again}", row.who),
        outcome.kills.to_string(),
        outcome.completed.to_string(),
        failures(outcome),
        outcome.never.to_string(),
        outcome.neighbours.to_string(),
        yes(outcome.usable),
        match outcome.left {
            0 => yes(outcome.ended),
            left => format!("{}, {left} processes left", yes(outcome.ended)),
        },
        format!("{:.1}", outcome.seconds),
    ]
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

fn failures(outcome: &Outcome) -> String {
    let kinds: Vec<_> = outcome
        .failed
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    if kinds.is_empty() {
        "0".to_owned()
    } else {
        kinds.join(", ")
    }
}
