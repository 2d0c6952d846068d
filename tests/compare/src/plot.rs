//! The outcome as a picture: bars on logarithmic scales, a panel for each of some rows.

use std::fmt::Write;

use pool_compare::picture;

use crate::contest::{Row, Value};
use crate::job::Unit;
use crate::report::OURS;

/// The rows that are drawn, where they were measured.
const DRAWN: [&str; 8] = [
    "round trip, warm, p50",
    "round trip, parked, p50",
    "tiny tasks, map",
    "tiny tasks, submit, 1 thread",
    "tiny tasks, map, chunks tuned by hand",
    "64 MiB there and back",
    "start to first result, 2 workers",
    "from a task's exit to the next result",
];

const COLUMNS: usize = 2;
const PANEL_WIDTH: f64 = 500.0;
const LABELS_WIDTH: f64 = 150.0;
const BARS_WIDTH: f64 = 250.0;
const TITLE_HEIGHT: f64 = 30.0;
const BAR_STEP: f64 = 20.0;
const BAR_HEIGHT: f64 = 14.0;
const MARGIN: f64 = 20.0;

const STYLE: &str = "\
.ours { fill: #c2410c }
.peer { fill: #7c93ab }
.floor { fill: #cfd8e1 }";

/// A picture in SVG.
pub(crate) fn draw(rows: &[Row]) -> String {
    let drawn: Vec<_> = DRAWN
        .iter()
        .filter_map(|name| rows.iter().find(|row| row.name == *name))
        .filter(|row| !row.values.is_empty())
        .collect();
    let mut panels = String::new();
    let mut bottom = MARGIN;
    for line in drawn.chunks(COLUMNS) {
        let mut left = MARGIN;
        for row in line {
            panel(&mut panels, row, left, bottom);
            left += PANEL_WIDTH;
        }
        bottom += line.iter().map(|row| height(row)).fold(0.0, f64::max);
    }
    let width = 2.0 * PANEL_WIDTH + 2.0 * MARGIN;
    picture(width, bottom, STYLE, &panels)
}

fn bars_height(row: &Row) -> f64 {
    row.values.iter().map(|_| BAR_STEP).sum()
}

fn height(row: &Row) -> f64 {
    TITLE_HEIGHT + bars_height(row) + 2.0 * MARGIN
}

/// Draws one row with its upper left corner at `x` and `y`.
fn panel(svg: &mut String, row: &Row, x: f64, y: f64) {
    let better = match row.unit {
        Unit::Seconds | Unit::Bytes => "shorter is better",
        Unit::PerSecond | Unit::Share => "longer is better",
    };
    let numbers = row.values.iter().map(Value::median);
    let lowest = numbers.clone().fold(f64::INFINITY, f64::min).log10();
    // A bar of the lowest value is still to be seen.
    let first = (lowest - 0.1).floor();
    let decades = (numbers.fold(0.0, f64::max).log10().ceil() - first).max(1.0);
    // As many scale numbers as there is room for.
    let every = (decades / 4.0).ceil();
    let place = |number: f64| (number.log10() - first) / decades * BARS_WIDTH;
    let bars = x + LABELS_WIDTH;
    let (top, base) = (y + TITLE_HEIGHT, y + TITLE_HEIGHT + bars_height(row));

    // Writing to a text does not fail, here and below.
    let _ = writeln!(
        svg,
        "<text x=\"{bars}\" y=\"{}\"><tspan class=\"title\">{}</tspan> \
         <tspan class=\"note\">({better})</tspan></text>",
        y + 16.0,
        row.name
    );
    for decade in (0..).map(f64::from).take_while(|decade| *decade <= decades) {
        let (at, number) = (
            bars + decade / decades * BARS_WIDTH,
            10_f64.powf(first + decade),
        );
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{top}\" y2=\"{base}\"/>\
             <text class=\"tick\" x=\"{at:.1}\" y=\"{}\">{}</text>",
            base + 12.0,
            if decade % every == 0.0 {
                tick(row.unit, number)
            } else {
                String::new()
            }
        );
    }
    let mut values: Vec<_> = row.values.iter().collect();
    values.sort_by(|a, b| row.unit.advantage(b.median(), a.median()).total_cmp(&1.0));
    for (value, line) in values.iter().zip((0..).map(f64::from)) {
        let (number, at) = (value.median(), top + line * BAR_STEP);
        let class = match value {
            _ if value.who == OURS => "ours",
            _ if value.is_floor => "floor",
            _ => "peer",
        };
        let text = at + BAR_HEIGHT - 2.0;
        let _ = writeln!(
            svg,
            "<text class=\"label\" x=\"{}\" y=\"{text}\">{}</text>\
             <rect class=\"{class}\" x=\"{bars}\" y=\"{at}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\"/>\
             <text x=\"{:.1}\" y=\"{text}\">{}</text>",
            bars - 6.0,
            value.who,
            place(number),
            bars + place(number) + 5.0,
            row.unit.show(number)
        );
    }
}

/// A power of ten with its unit, without decimals.
fn tick(unit: Unit, number: f64) -> String {
    // What is a little below a power of ten would be shown in the next smaller unit.
    let shown = unit.show(number * 1.000_001);
    match shown.split_once(' ') {
        Some((number, unit)) => format!("{} {unit}", number.split('.').next().unwrap_or(number)),
        None => shown,
    }
}
