//! What `#[task]` accepts, and what it says where it refuses.

use std::{
    io::{self, Write},
    process::Command,
};

/// The version whose words the expected texts quote.
const QUOTED: &str = env!("CARGO_PKG_RUST_VERSION");

/// What the compiler says of its version.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.expect("the compiler tells its version").stdout;
    String::from_utf8_lossy(&version).trim_end().to_owned()
}

#[test]
fn accepted_and_refused() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    let compiler = compiler();
    if compiler.starts_with(&format!("rustc {QUOTED}.")) {
        cases.compile_fail("tests/ui/fail/*.rs");
    } else {
        let line = format!("skipped: what is refused: {compiler} is not {QUOTED}, as quoted\n");
        // Not by a macro, whose words are kept from the log unless the test fails.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}
