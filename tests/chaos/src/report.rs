//! Results, on the terminal and in the repository's pages.

use std::path::Path;

use pool_compare::{Failure, Machine, write_between};

/// Prints results and what they depend on, and puts the same into the page, between its marks of this
/// name.
pub(crate) fn publish(name: &str, results: &str, page: Option<&Path>) -> Result<(), Failure> {
    let report = format!("{}\n\n{results}", Machine::this().describe());
    println!("\n{report}");
    let Some(page) = page else {
        return Ok(());
    };
    let (begin, end) = (
        format!("<!-- {name} -->"),
        format!("<!-- end of {name} -->"),
    );
    write_between(page, &begin, &end, &report)
}
