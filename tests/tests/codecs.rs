//! Arguments and results that go wrong while they are encoded or decoded, on either side.
//!
//! What exits or crashes while it encodes arguments or decodes results does so in the application
//! itself, which is the application's own end. All other ways are here.

use pool_core::{Executor, TaskError, TaskErrorKind};
use pool_tests::{
    Fragile, Misdeed, Outcome, Stage, executor, isolated, rounds,
    suite::pids,
    tasks::{cube, fragile},
};

/// Calls the fragile task once.
fn call(executor: &Executor, stage: Stage, misdeed: Misdeed) -> Result<Outcome, TaskError> {
    executor.submit(fragile, Fragile(stage, misdeed)).result()
}

#[test]
fn f45_every_misdeed_at_every_stage_in_the_worker() {
    isolated(|| {
        let executor = executor(2);
        for stage in [Stage::DecodeArguments, Stage::Run, Stage::EncodeResult] {
            for misdeed in Misdeed::OF_TASKS {
                let error = call(&executor, stage, misdeed).unwrap_err();
                if misdeed != Misdeed::Panic {
                    misdeed.is_told_by(&error);
                }
                assert!(error.to_string().contains("fragile"), "{error}");
                assert_eq!(executor.submit(cube, 2).result().unwrap(), 8);
            }
        }
    });
}

#[test]
fn f43_a_panic_of_serde_is_the_calls_error() {
    isolated(|| {
        let executor = executor(1);
        let workers = pids(&executor);
        for (stage, kind) in [
            (Stage::EncodeArguments, TaskErrorKind::Encode),
            // In a worker it is a panic of the call like any other, with its place.
            (Stage::DecodeArguments, TaskErrorKind::Panicked),
            (Stage::Run, TaskErrorKind::Panicked),
            (Stage::EncodeResult, TaskErrorKind::Panicked),
            (Stage::DecodeResult, TaskErrorKind::Decode),
        ] {
            let error = call(&executor, stage, Misdeed::Panic).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.kind(), kind, "{stage:?}: {error:?}");
            assert!(text.contains("panicked"), "{stage:?}: {text}");
        }
        assert_eq!(pids(&executor), workers, "no worker was lost");
    });
}

#[test]
fn an_error_of_serde_is_the_calls_error() {
    isolated(|| {
        let executor = executor(2);
        let workers = pids(&executor);
        for round in 0..20 * rounds() {
            for (stage, kind) in [
                (Stage::EncodeArguments, TaskErrorKind::Encode),
                (Stage::DecodeArguments, TaskErrorKind::Decode),
                (Stage::EncodeResult, TaskErrorKind::Encode),
                (Stage::DecodeResult, TaskErrorKind::Decode),
            ] {
                let error = call(&executor, stage, Misdeed::Fail).unwrap_err();
                assert_eq!(error.kind(), kind, "round {round}, {stage:?}: {error}");
                assert!(
                    error.to_string().contains("on purpose"),
                    "{stage:?}: {error}"
                );
            }
        }
        assert_eq!(pids(&executor), workers, "no worker was lost");
    });
}

#[test]
fn failing_and_good_calls_in_a_row() {
    isolated(|| {
        let executor = executor(2);
        for stage in [
            Stage::EncodeArguments,
            Stage::DecodeArguments,
            Stage::EncodeResult,
            Stage::DecodeResult,
        ] {
            let bad = Fragile(stage, Misdeed::Fail);
            let bad: Vec<_> = (0..100)
                .map(|_| executor.submit_ref(fragile, &bad))
                .collect();
            let good: Vec<_> = (0..100).map(|x| executor.submit(cube, x)).collect();
            assert!(bad.into_iter().all(|future| future.result().is_err()));
            for (x, future) in (0..).zip(good) {
                assert_eq!(future.result().unwrap(), cube(x));
            }
        }
    });
}

#[test]
fn shutdown_while_they_go_wrong() {
    isolated(|| {
        let ends = [
            Executor::shutdown as fn(&Executor),
            Executor::shutdown_now,
            Executor::kill,
        ];
        for end in ends {
            for stage in [
                Stage::EncodeArguments,
                Stage::DecodeArguments,
                Stage::EncodeResult,
                Stage::DecodeResult,
            ] {
                let executor = executor(2);
                let good = executor.submit(cube, 2);
                good.wait();
                let bad = executor.submit(fragile, Fragile(stage, Misdeed::Panic));
                let dead = executor.submit(fragile, Fragile(stage, Misdeed::Fail));
                end(&executor);
                assert!(bad.result().is_err());
                assert!(dead.result().is_err());
                assert_eq!(good.result().unwrap(), 8);
            }
        }
    });
}
