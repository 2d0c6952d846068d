//! What dead workers leave behind, and workers that are hard to end.

use std::{
    collections::BTreeSet,
    process::{self, Command, Stdio},
    time::Duration,
};

use pool_core::{StartMethod, TaskErrorKind, task};
use pool_tests::{
    Log, Misdeed, Scratch, builder, fails_with, isolated, processes, rounds,
    suite::pids,
    sys,
    tasks::{cube, hang, pass},
    tireless_executor as executor, until, values,
};

#[test]
fn no_zombie_while_the_executor_lives() {
    isolated(|| {
        let executor = executor(2);
        let mut dead = BTreeSet::new();
        for _ in 0..10 {
            let old = pids(&executor);
            for &worker in &old {
                sys::kill(worker, libc::SIGKILL).unwrap();
            }
            dead.extend(old);
        }
        pids(&executor);
        until("all are reaped", || {
            dead.iter().all(|&pid| !sys::exists(pid))
        });
        let left = processes();
        assert!(left.len() <= 3, "two workers and a fork server: {left:?}");
    });
}

/// What a process said that the task has started, and how a child of its own ended.
#[task]
fn use_children() -> (String, Option<i32>) {
    let output = Command::new("echo").arg("hello").output().unwrap();
    let status = Command::new("sh").args(["-c", "exit 3"]).status().unwrap();
    (String::from_utf8(output.stdout).unwrap(), status.code())
}

#[test]
fn a_task_may_have_children_and_wait_for_them() {
    isolated(|| {
        let executor = executor(2);
        for result in executor.map(use_children, [(); 10]) {
            assert_eq!(result.unwrap(), ("hello\n".to_owned(), Some(3)));
        }
    });
}

/// Starts processes that would live on: a child, and one in a session of its own.
#[task]
#[expect(clippy::zombie_processes, reason = "they are to be left")]
fn leave_children(log: Log, misdeed: Option<Misdeed>) {
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    log.add(child.id());
    let script = "setsid sleep 1000 & echo $!";
    let output = Command::new("sh")
        .args(["-c", script])
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    log.add(output.id());
    if let Some(misdeed) = misdeed {
        misdeed.commit().unwrap();
    }
}

#[test]
fn f36_grandchildren_go_with_their_worker() {
    isolated(|| {
        for misdeed in [
            None,
            Some(Misdeed::Kill),
            Some(Misdeed::ExitAtOnce),
            Some(Misdeed::Panic),
        ] {
            let scratch = Scratch::new();
            let executor = executor(1);
            let log = scratch.log("children");
            let future = executor.submit(leave_children, (log.clone(), misdeed));
            assert_eq!(future.result().is_ok(), misdeed.is_none());
            log.reaches(2);
            if matches!(misdeed, Some(Misdeed::Kill | Misdeed::ExitAtOnce)) {
                until("they are gone with the worker", || {
                    processes().iter().all(|process| !process.contains("sleep"))
                });
                assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
            }
            executor.shutdown();
            assert_eq!(processes(), Vec::<String>::new());
        }
    });
}

/// The worker's parent, once the worker has left a child.
#[task]
#[expect(clippy::zombie_processes, reason = "it is to be left")]
fn leave_child_and_tell_parent() -> u32 {
    Command::new("sleep").arg("1000").spawn().unwrap();
    std::os::unix::process::parent_id()
}

#[test]
fn grandchildren_go_with_a_killed_fork_server() {
    isolated(|| {
        for start_method in [StartMethod::ForkServer, StartMethod::Spawn] {
            let executor = builder(2).start_method(start_method).build().unwrap();
            for _ in 0..rounds() {
                let calls = (0..4).map(|_| executor.submit(leave_child_and_tell_parent, ()));
                let server = values(calls)[0];
                sys::kill(server, libc::SIGKILL).unwrap();
                until("they are gone with the fork server", || {
                    processes().iter().all(|process| !process.contains("sleep"))
                });
                assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
            }
        }
    });
}

#[task]
fn close_all_descriptors() -> u32 {
    sys::close_all();
    process::id()
}

#[test]
fn f34_a_task_that_closes_all_descriptors() {
    isolated(|| {
        let executor = executor(1);
        for _ in 0..rounds() {
            // Whether its own result still comes is its affair.
            let own = executor.submit(close_all_descriptors, ());
            let _ = own.result_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
        }
    });
}

#[test]
fn a_stopped_worker_can_be_killed() {
    isolated(|| {
        let scratch = Scratch::new();
        let executor = executor(1);
        let log = scratch.log("hanging");
        let hanging = executor.submit(hang, log.clone());
        log.reaches(1);
        sys::kill(log.numbers()[0], libc::SIGSTOP).unwrap();
        assert!(hanging.kill());
        fails_with(hanging.result(), TaskErrorKind::Killed);
        let gate = scratch.gate("gate");
        gate.open();
        assert_eq!(executor.submit(pass, (gate, 5)).result().unwrap(), 5);
    });
}
