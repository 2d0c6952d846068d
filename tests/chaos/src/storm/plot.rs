//! The outcome as a picture: a bar for each pool, which is all its calls.

use std::fmt::Write;

use pool_compare::picture;

use super::Row;

const LABELS_WIDTH: f64 = 170.0;
const BARS_WIDTH: f64 = 420.0;
const NOTES_WIDTH: f64 = 330.0;
const TITLE_HEIGHT: f64 = 30.0;
const BAR_STEP: f64 = 22.0;
const BAR_HEIGHT: f64 = 15.0;
const MARGIN: f64 = 20.0;

const STYLE: &str = "\
.completed { fill: #4d9375 }
.failed { fill: #c2410c }
.never { fill: #24292f }";

/// A picture in SVG.
pub(super) fn draw(rows: &[Row]) -> String {
    let mut shapes = String::new();
    let mut y = MARGIN;
    for part in rows.chunk_by(|a, b| a.storm.name == b.storm.name) {
        // Writing to a text does not fail, here and below.
        let _ = writeln!(
            shapes,
            "<text class=\"title\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
            y + 14.0,
            part[0].storm.describe()
        );
        y += TITLE_HEIGHT;
        for row in part {
            bar(&mut shapes, row, y);
            y += BAR_STEP;
        }
        y += MARGIN;
    }
    legend(&mut shapes, y);
    let width = MARGIN + LABELS_WIDTH + BARS_WIDTH + NOTES_WIDTH;
    picture(width, y + 2.0 * MARGIN, STYLE, &shapes)
}

/// One pool: what of its calls was completed, failed, and never came to an end.
fn bar(shapes: &mut String, row: &Row, y: f64) {
    let outcome = &row.outcome;
    let text = y + BAR_HEIGHT - 3.0;
    let _ = writeln!(
        shapes,
        "<text class=\"label\" x=\"{}\" y=\"{text}\">{}</text>",
        MARGIN + LABELS_WIDTH - 8.0,
        row.who
    );
    let mut x = MARGIN + LABELS_WIDTH;
    let parts = [
        ("completed", outcome.completed),
        ("failed", outcome.failures()),
        ("never", outcome.never),
    ];
    for (class, count) in parts {
        #[expect(
            clippy::cast_precision_loss,
            reason = "some thousands of calls, for a picture"
        )]
        let width = count as f64 / outcome.calls as f64 * BARS_WIDTH;
        let _ = writeln!(
            shapes,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\"/>"
        );
        x += width;
    }
    let usable = if outcome.usable { "" } else { ", unusable" };
    let _ = writeln!(
        shapes,
        "<text class=\"note\" x=\"{}\" y=\"{text}\">{} kills, {} failed, {} never completed{usable}</text>",
        x + 8.0,
        outcome.kills,
        outcome.failures(),
        outcome.never
    );
}

fn legend(shapes: &mut String, y: f64) {
    let mut x = MARGIN + LABELS_WIDTH;
    for (class, what) in [
        ("completed", "completed"),
        ("failed", "failed with an error"),
        ("never", "never completed"),
    ] {
        let _ = writeln!(
            shapes,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\"/>\
             <text x=\"{}\" y=\"{}\">{what}</text>",
            x + 18.0,
            y + 10.0
        );
        x += 150.0;
    }
}
