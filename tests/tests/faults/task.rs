//! What a task does to itself, and to the process that it runs in.

use std::{
    env,
    os::unix::process::CommandExt,
    process::{self, Command},
    sync::mpsc,
    thread,
};

use pool_core::{TaskErrorKind, task};
use pool_tests::{
    Misdeed, Scratch, builder, executor, fails_with, isolated, maps,
    suite::{held, pids},
    sys,
    tasks::{cube, hang, misbehave},
    threads,
};

#[test]
fn f01_a_task_panics() {
    isolated(|| {
        let executor = executor(1);
        let worker = pids(&executor);
        let call = executor.submit(misbehave, Misdeed::Panic);
        let error = fails_with(call.result(), TaskErrorKind::Panicked);
        Misdeed::Panic.is_told_by(&error);
        let place = error.panic_location().unwrap();
        assert!(place.contains("misdeed.rs:"), "{place}");
        assert_eq!(pids(&executor), worker, "its worker is kept");
    });
}

#[task]
fn raise(signal: i32) {
    sys::raise(signal);
    loop {
        thread::park();
    }
}

#[test]
fn f04_signals_that_kill() {
    isolated(|| {
        let executor = executor(2);
        let scratch = Scratch::new();
        let (neighbour, gate) = held(&executor, &scratch);
        for (signal, name) in [
            (libc::SIGABRT, "SIGABRT"),
            (libc::SIGSEGV, "SIGSEGV"),
            (libc::SIGBUS, "SIGBUS"),
            (libc::SIGFPE, "SIGFPE"),
            (libc::SIGILL, "SIGILL"),
            (libc::SIGTRAP, "SIGTRAP"),
            (libc::SIGSYS, "SIGSYS"),
        ] {
            // By this one the kernel ends whoever makes a system call that is forbidden.
            let kind = match signal {
                libc::SIGSYS => TaskErrorKind::SandboxViolation,
                _ => TaskErrorKind::WorkerDied,
            };
            let call = executor.submit(raise, signal);
            let error = fails_with(call.result(), kind);
            assert_eq!((error.signal(), error.exit_code()), (Some(signal), None));
            assert!(error.started() && error.death_cause().is_none(), "{error}");
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(executor.submit(cube, 2).result().unwrap(), 8, "replaced");
            // Sent by somebody else, to whichever thread of the worker.
            let log = scratch.log(name);
            let call = executor.submit(hang, log.clone());
            log.reaches(1);
            sys::kill(log.numbers()[0], signal).unwrap();
            let error = fails_with(call.result(), kind);
            assert_eq!(error.signal(), Some(signal));
            assert_eq!(error.death_cause(), None, "{error}");
        }
        gate.open();
        neighbour.result().unwrap();
    });
}

#[test]
fn f05_the_stack_overflows() {
    isolated(|| {
        let executor = executor(1);
        for _ in 0..3 {
            let call = executor.submit(misbehave, Misdeed::StackOverflow);
            let error = fails_with(call.result(), TaskErrorKind::WorkerDied);
            Misdeed::StackOverflow.is_told_by(&error);
            assert!(
                error.to_string().contains("overflowed its stack"),
                "{error}"
            );
        }
    });
}

#[task]
fn exit(code: i32) {
    process::exit(code);
}

#[test]
fn f06_exit_is_told_with_its_code() {
    isolated(|| {
        let executor = executor(1);
        for code in [0, 1, 3, 255] {
            let error = fails_with(
                executor.submit(exit, code).result(),
                TaskErrorKind::WorkerDied,
            );
            assert_eq!((error.signal(), error.exit_code()), (None, Some(code)));
            assert!(error.started());
        }
        Misdeed::ExitAtOnce.is_told_by(
            &executor
                .submit(misbehave, Misdeed::ExitAtOnce)
                .result()
                .unwrap_err(),
        );
    });
}

/// Writes garbage to all that the worker has open, but where it prints to.
#[task]
fn write_garbage() {
    for fd in 3..256 {
        sys::write_garbage(fd);
    }
}

#[test]
fn f35_garbage_to_every_descriptor() {
    isolated(|| {
        let executor = executor(2);
        let scratch = Scratch::new();
        let (neighbour, gate) = held(&executor, &scratch);
        for _ in 0..10 {
            // Whether its own result still comes is its affair.
            let own = executor.submit(write_garbage, ());
            own.wait();
            let _ = own.result();
            maps(&executor, 100);
        }
        gate.open();
        neighbour.result().unwrap();
    });
}

/// Leaves a thread behind that never ends; how many such there are then.
#[task]
fn leave_a_thread() -> usize {
    let (started, starts) = mpsc::channel();
    let thread = thread::Builder::new().name("left".into());
    let thread = thread.spawn(move || {
        started.send(()).unwrap();
        loop {
            thread::park();
        }
    });
    thread.unwrap();
    starts.recv().unwrap();
    threads().iter().filter(|name| *name == "left").count()
}

#[test]
fn f37_threads_that_are_left_end_with_their_worker() {
    isolated(|| {
        let lasting = executor(1);
        let left = || lasting.submit(leave_a_thread, ()).result().unwrap();
        assert_eq!(
            [left(), left(), left()],
            [1, 2, 3],
            "they stay while it lives"
        );
        maps(&lasting, 100);
        let fresh = builder(1).max_tasks_per_worker(1).build().unwrap();
        for _ in 0..3 {
            let left = fresh.submit(leave_a_thread, ()).result().unwrap();
            assert_eq!(left, 1, "each call has a fresh process");
        }
    });
}

/// What a task sees of what is its process's.
#[task]
fn surroundings() -> String {
    let directory = env::current_dir().unwrap();
    let variable = env::var_os("FAULTS_LEFT");
    let sh = Command::new("sh")
        .args([
            "-c",
            "umask; ulimit -n; grep -E '^Sig(Blk|Ign)' /proc/self/status",
        ])
        .output()
        .unwrap();
    let told = String::from_utf8(sh.stdout).unwrap();
    format!("{} {variable:?} {told}", directory.display())
}

/// Changes all of that.
#[task]
fn change_surroundings() -> String {
    env::set_current_dir("/").unwrap();
    sys::block(libc::SIGUSR1).unwrap();
    sys::ignore(libc::SIGUSR2);
    sys::limit_descriptors(200).unwrap();
    sys::change_umask(0o77);
    sys::set_variable("FAULTS_LEFT", "x");
    surroundings()
}

#[test]
fn f38_what_a_task_changes_of_its_process_goes_with_that() {
    isolated(|| {
        let fresh = builder(1).max_tasks_per_worker(1).build().unwrap();
        let before = fresh.submit(surroundings, ()).result().unwrap();
        for _ in 0..3 {
            let changed = fresh.submit(change_surroundings, ()).result().unwrap();
            assert_ne!(changed, before);
            assert_eq!(fresh.submit(surroundings, ()).result().unwrap(), before);
        }
        // One that is kept has what it was left with, as it is told.
        let kept = executor(1);
        let changed = kept.submit(change_surroundings, ()).result().unwrap();
        assert_eq!(kept.submit(surroundings, ()).result().unwrap(), changed);
    });
}

/// Becomes another program.
#[task]
fn become_another() -> String {
    Command::new("sleep").arg("1000").exec().to_string()
}

#[test]
fn a_task_that_becomes_another_program_ends_its_worker() {
    isolated(|| {
        let executor = executor(1);
        let call = executor.submit(become_another, ());
        fails_with(call.result(), TaskErrorKind::WorkerDied);
        assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
    });
}
