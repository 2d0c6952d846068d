//! The outcome as a table, and as JSON.

use pool_compare::{Machine, aligned};
use serde_json::{Value as Json, json};

use crate::contest::Row;

/// The contestant that the others are compared with.
pub(crate) const OURS: &str = "pool-core";

/// A table in Markdown, its columns aligned: a row for each row, a column for each of `names`, and
/// one for the floors. Behind a value stands how many times as good ours is.
pub(crate) fn table(rows: &[Row], names: &[&str]) -> String {
    let head = [&[""], names, &["floors"]].concat();
    let mut lines: Vec<Vec<String>> = vec![head.iter().map(ToString::to_string).collect()];
    for row in rows.iter().filter(|row| !row.values.is_empty()) {
        let mut cells = vec![row.name.clone()];
        cells.extend(names.iter().map(|name| cell(row, name)));
        let floors = row.values.iter().filter(|value| value.is_floor);
        let floors: Vec<_> = floors
            .map(|value| format!("{} {}", value.who, cell(row, value.who)))
            .collect();
        cells.push(floors.join(", "));
        lines.push(cells);
    }
    aligned(&lines)
}

fn cell(row: &Row, who: &str) -> String {
    let Some(value) = row.of(who) else {
        return "-".to_owned();
    };
    let shown = row.unit.show(value);
    match row.of(OURS) {
        Some(ours) if who != OURS => {
            let advantage = row.unit.advantage(ours, value);
            let decimals = if advantage < 1.0 {
                2
            } else {
                usize::from(advantage < 10.0)
            };
            format!("{shown} ({advantage:.decimals$}x)")
        }
        _ => shown,
    }
}

/// Everything that was measured, for programs.
pub(crate) fn json(rows: &[Row], machine: &Machine) -> Json {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let values: Vec<_> = row
                .values
                .iter()
                .map(|value| {
                    json!({
                        "who": value.who,
                        "floor": value.is_floor,
                        "median": value.median(),
                        "rounds": value.rounds,
                    })
                })
                .collect();
            json!({ "name": row.name, "unit": row.unit, "values": values })
        })
        .collect();
    json!({ "machine": machine, "rows": rows })
}
