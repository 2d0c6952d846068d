//! This crate in a shared library that a foreign program loads.

use pool_worker::entry;
use std::path::PathBuf;
use std::process::Command;

/// The shared library that cargo builds from the example `plugin`, unless told to build less.
fn plugin() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let profile = deps.ancestors().nth(2).unwrap();
    let plugin = profile.join("examples/libplugin.so");
    assert!(
        plugin.exists(),
        "no library: `cargo build -p pool-worker --example plugin` makes it"
    );
    plugin
}

/// Runs Python with the library loaded as `plugin`.
fn python(script: &str, marker: Option<&str>) -> String {
    let load = "import ctypes, os, sys; plugin = ctypes.CDLL(sys.argv[1]);";
    let mut command = Command::new("python3");
    command
        .arg("-c")
        .arg(format!("{load} {script}"))
        .arg(plugin());
    if let Some(marker) = marker {
        command.env(entry::MARKER, marker);
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn library_loads_and_refuses_executors() {
    let refused = python("print(plugin.executors_are_refused() & 1)", None);
    assert_eq!(refused, "1\n");
}

#[test]
fn marker_does_not_take_over_a_foreign_program() {
    let marker = Some("server 3 4 5");
    assert_eq!(python("print('still here')", marker), "still here\n");
}
