use pool_core::task;

#[task(name = "")]
fn empty() {}

#[task(name = "  ")]
fn blank() {}

#[task(name = "a", name = "b")]
fn twice() {}

#[task(crate = pool_core, name = "c", crate = ::pool_core)]
fn crate_twice() {}

#[task(timeout = 3, retries(2), nam = "x")]
fn unknown() {}

#[task(name)]
fn no_value() {}

#[task(name = 3)]
fn no_text() {}

#[task(crate = "pool_core")]
fn text_for_path() {}

#[task("name")]
fn bare() {}

#[task(bogus, name = "")]
async fn with_a_bad_function(_x: &str) {}

fn main() {}
