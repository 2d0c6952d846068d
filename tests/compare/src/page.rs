//! Results in pages that are written by hand.

use std::fs;
use std::path::Path;

use crate::Failure;

/// Puts `results` between the lines `begin` and `end` of the page, in place of what stands there.
///
/// # Errors
///
/// If the page cannot be read or written, or has no such lines.
pub fn write_between(page: &Path, begin: &str, end: &str, results: &str) -> Result<(), Failure> {
    let place = page.display();
    let text = fs::read_to_string(page).map_err(|error| format!("{place}: {error}"))?;
    let missing = |mark| format!("{place} has no line {mark}");
    let (before, rest) = text.split_once(begin).ok_or_else(|| missing(begin))?;
    let (_, after) = rest.split_once(end).ok_or_else(|| missing(end))?;
    fs::write(page, format!("{before}{begin}\n{results}{end}{after}"))?;
    Ok(())
}
