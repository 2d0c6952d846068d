use std::fs::File;
use std::io::{self, ErrorKind};
use std::process::Command;

use crate::support::{Running, by_deadline, example};

#[test]
fn nothing_outlives_a_killed_program() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pipe = folder.path().join("pipe.png");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));

    let mut running = Running::start(example("sepia").current_dir(&folder).arg(&pipe));
    // It opens when a worker has begun to read it, who then waits for what is never written.
    let mut picture = by_deadline(|| File::options().write(true).open(pipe)).expect("a pipe");
    running.kill();

    let finished = running.finish();
    assert_eq!(finished.stdout, "", "{finished:?}");
    let unread = by_deadline(move || io::copy(&mut io::repeat(0), &mut picture));
    assert_eq!(
        unread.map_err(|error| error.kind()),
        Err(ErrorKind::BrokenPipe)
    );
}
