//! The titles of web pages, fetched and read by worker processes.
//!
//! Run it with `cargo run --release --example scrape -- URL...`; without arguments it fetches pages
//! that it serves itself, of which most are faulty. A page that fails, is too large or takes too
//! long is reported and costs no other.

mod site;

use std::env;
use std::error::Error;
use std::time::Duration;

use pool_core::{AnyError, Executor, task};
use scraper::{Html, Selector};
use ureq::Agent;

/// How long a page may take, from looking up its server to its last byte.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// How large a page may be, in bytes.
const SIZE_LIMIT: u64 = 4 << 20;

#[task]
fn fetch_and_parse(url: String) -> Result<String, AnyError> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(TIME_LIMIT))
        .build()
        .into();
    let mut response = agent.get(url).call()?;
    let page = response
        .body_mut()
        .with_config()
        .limit(SIZE_LIMIT)
        .read_to_vec()?;
    Ok(title(&String::from_utf8_lossy(&page)).unwrap_or_else(|| "No title found".to_owned()))
}

/// The title of a page, on one line.
fn title(page: &str) -> Option<String> {
    let selector = Selector::parse("title").expect("the name of an element is a selector");
    let title: String = Html::parse_document(page)
        .select(&selector)
        .next()?
        .text()
        .collect();
    Some(title.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut urls: Vec<String> = env::args().skip(1).collect();
    if urls.is_empty() {
        urls = site::serve()?;
    }

    let executor = Executor::builder().workers(4).build()?;
    for (outcome, url) in executor.map_ref(fetch_and_parse, &urls).zip(&urls) {
        match outcome.map_err(AnyError::from).flatten() {
            Ok(title) => println!("{url}: {title}"),
            Err(error) => println!("{url} failed: {error}"),
        }
    }
    Ok(())
}
