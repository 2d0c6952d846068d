//! What `#[task]` accepts, and what it says where it refuses.

use std::process::Command;

/// Whether the compiler is of the version whose words the expected texts quote.
fn compiler_is_as_quoted() -> bool {
    let output = Command::new("rustc").arg("--version").output();
    let version = output.expect("the compiler tells its version").stdout;
    let quoted = format!("rustc {}.", env!("CARGO_PKG_RUST_VERSION"));
    version.starts_with(quoted.as_bytes())
}

#[test]
fn accepted_and_refused() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    if compiler_is_as_quoted() {
        cases.compile_fail("tests/ui/fail/*.rs");
    }
}
