//! What is done less often: shared values, broadcasts, refusals, other executors.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;

use pool_core::{Executor, StartMethod, TaskError, TaskErrorKind};
use pool_tests::tasks::{cube, doubled, fill_and_hang, fragile};
use pool_tests::{Fragile, Misdeed, Stage, maps};

use super::{Caller, arguments};
use crate::deeds::{Deed, act};

/// More than an executor of a round ever has.
const MOST_WORKERS: u64 = 16;

/// Sizes that take many pieces. One such call is made at a time, as the machine is not ours alone.
const LARGE_SIZES: [usize; 5] = [1 << 20, (4 << 20) + 1, 9 << 20, 33_333_333, 64 << 20];
static LARGE: Mutex<()> = Mutex::new(());

impl Caller {
    pub(super) fn broadcast(&mut self) {
        let ledger = &self.ledger;
        ledger.begun.fetch_add(MOST_WORKERS, Ordering::SeqCst);
        let calls = self.executor.broadcast(cube, 5);
        let count = calls.len() as u64;
        ledger.made.fetch_add(count, Ordering::SeqCst);
        ledger
            .begun
            .fetch_sub(MOST_WORKERS - count, Ordering::SeqCst);
        for call in calls {
            self.take_cube(5, call.result());
        }
    }

    /// The result of a call that is in no books.
    pub(super) fn take_cube(&self, x: i64, result: Result<i64, TaskError>) {
        match result {
            Ok(value) if value == cube(x) => {}
            Ok(value) => self.ledger.violation(format!("{value} as the cube of {x}")),
            Err(error) => self.ledger.fail(&error),
        }
    }

    pub(super) fn share(&mut self) {
        let size = self.random.pick(&[0, 1, 100, 50_000]);
        let numbers: Vec<i64> = (0..).take(size).collect();
        let text = "shared".to_owned();
        let shared = match (
            self.executor.share_slice(&numbers),
            self.executor.share(text),
        ) {
            (Ok(numbers), Ok(text)) => (numbers, text),
            (Err(error), _) | (_, Err(error)) => return self.ledger.excuse(&error),
        };
        let count = self.random.within(1..6);
        let submit = |_| {
            self.ledger
                .making(|| self.executor.submit(doubled, shared.clone()))
        };
        let calls: Vec<_> = (0..count).map(submit).collect();
        drop(shared);
        for call in calls {
            match call.result() {
                Ok((same, text, twice)) => {
                    let is_twice = twice.iter().copied().eq(numbers.iter().map(|x| x * 2));
                    if *same != *numbers || text != "shared" || !is_twice {
                        let what = format!("{size} shared numbers came back wrong");
                        self.ledger.violation(what);
                    }
                }
                // Encoded, a number has up to nine bytes.
                Err(error) if self.ledger.setting().bounds.explain(&error, 0, 9 * size) => {
                    self.ledger.count_failure(error.kind());
                }
                Err(error) => self.ledger.fail(&error),
            }
        }
    }

    pub(super) fn try_them(&mut self) {
        let mut taken = Vec::new();
        for _ in 0..self.random.within(1..40) {
            let (deed, size) = (self.deed(), self.size());
            let call = self.ledger.open(deed, size, self.terms());
            let args = arguments(&self.ledger, &call);
            self.ledger.begun.fetch_add(1, Ordering::SeqCst);
            match self.executor.try_submit(act, args) {
                Ok(future) => {
                    self.ledger.made.fetch_add(1, Ordering::SeqCst);
                    taken.push((call, future));
                }
                Err(rejected) => {
                    self.ledger.begun.fetch_sub(1, Ordering::SeqCst);
                    self.ledger.refuse(&call, rejected.error());
                    let (_, id, _, given) = rejected.into_args();
                    if (id, given.len()) != (call.id, size) {
                        self.ledger
                            .violation(format!("other arguments came back: {call:?}"));
                    }
                }
            }
        }
        for (call, future) in taken {
            self.ledger.settle(&call, future.result());
        }
    }

    pub(super) fn resize(&mut self) {
        let workers = self.random.within(1..6);
        if let Err(error) = self.executor.resize(workers)
            && !self.ledger.is_closed()
            && !self.ledger.may_be_broken()
        {
            self.ledger.violation(format!("no new size: {error}"));
        }
    }

    pub(super) fn drop_futures(&mut self) {
        let executor = Arc::clone(&self.executor);
        for _ in 0..self.random.within(1..20) {
            let kills = self.random.one_in(2);
            let deed = if kills { Deed::Hang } else { self.deed() };
            let options = executor.options().kill_on_drop(kills);
            let (call, future) = self.submit(options, deed, self.terms());
            if self.random.one_in(3) {
                thread::yield_now();
            }
            call.stop();
            call.abandon();
            drop(future);
        }
    }

    pub(super) fn send_much(&mut self) {
        let Ok(_alone) = LARGE.try_lock() else {
            return;
        };
        let executor = Arc::clone(&self.executor);
        let size = self.random.pick(&LARGE_SIZES);
        let (deed, size) = self
            .random
            .pick(&[(Deed::Echo, size), (Deed::Make(size), 0)]);
        let (call, future) = self.submit_sized(executor.options(), deed, size, self.terms());
        self.ledger.settle(&call, future.result());
    }

    /// Arguments and results that serde refuses, here or there.
    pub(super) fn misencode(&mut self) {
        use Stage::{DecodeArguments, DecodeResult, EncodeArguments, EncodeResult};
        let stage =
            self.random
                .pick(&[EncodeArguments, DecodeArguments, EncodeResult, DecodeResult]);
        let kind = match stage {
            EncodeArguments | EncodeResult => TaskErrorKind::Encode,
            _ => TaskErrorKind::Decode,
        };
        let argument = Fragile(stage, Misdeed::Fail);
        let call = self
            .ledger
            .making(|| self.executor.submit(fragile, argument));
        match call.result() {
            Ok(_) => self.ledger.violation(format!("{stage:?} did not fail")),
            // Its worker has done its part: the executor counts it as completed.
            Err(error) if error.kind() == kind && stage == DecodeResult => {}
            Err(error) if error.kind() == kind => self.ledger.count_failure(kind),
            Err(error) => self.ledger.fail(&error),
        }
    }

    /// Another executor, which nobody hurts.
    pub(super) fn have_another(&mut self) {
        let start_method = self
            .random
            .pick(&[StartMethod::ForkServer, StartMethod::Spawn]);
        let builder = Executor::builder().workers(self.random.within(1..3));
        let executor = builder.start_method(start_method).build();
        let executor = executor.expect("another executor is possible at any time");
        maps(&executor, self.count(0..300));
        let hangs = executor.submit(fill_and_hang, 1);
        match self.random.within(0..3) {
            0 => executor.kill(),
            1 => _ = executor.shutdown_timeout(self.random.millis(0..10)),
            _ => _ = hangs.kill(),
        }
    }
}
