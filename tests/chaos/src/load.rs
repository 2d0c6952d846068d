//! Who makes calls: everything that users do with an executor, mixed.

mod maps;
mod others;

use std::hint;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pool_core::{CallOptions, Executor, TaskError, TaskFuture, WaitFor, as_completed, wait};
use pool_tests::{Log, Misdeed, Random};

use crate::deeds::{Deed, act, content};
use crate::ledger::{Call, Ledger, Terms};

/// A call, and the future of it.
type Made = (Arc<Call>, TaskFuture<Vec<u8>>);

/// What a call is made with.
type Arguments = (Option<Log>, u32, Deed, Vec<u8>);

/// A thread that makes calls.
pub(crate) struct Caller {
    executor: Arc<Executor>,
    ledger: Arc<Ledger>,
    random: Random,
}

/// What callers do, one thing after the other. Those that are named more often are done more often.
const DOINGS: [fn(&mut Caller); 24] = [
    Caller::take_in_any_order,
    Caller::take_in_any_order,
    Caller::cancel_and_kill,
    Caller::cancel_and_kill,
    Caller::kill_in_the_end,
    Caller::set_limits,
    Caller::set_limits,
    Caller::map,
    Caller::map,
    Caller::map_plainly,
    Caller::stream,
    Caller::take_as_completed,
    Caller::wait_for_several,
    Caller::call_back,
    Caller::call_back,
    Caller::await_them,
    Caller::broadcast,
    Caller::share,
    Caller::try_them,
    Caller::resize,
    Caller::drop_futures,
    Caller::send_much,
    Caller::misencode,
    Caller::have_another,
];

/// Sizes of arguments and results: within a frame, about it, in pieces, with memory of their own.
const SIZES: [usize; 10] = [
    0,
    1,
    7,
    100,
    1 << 10,
    4 << 10,
    30_000,
    64 << 10,
    200_000,
    1 << 20,
];
impl Caller {
    pub(crate) fn new(executor: Arc<Executor>, ledger: Arc<Ledger>, random: Random) -> Self {
        Self {
            executor,
            ledger,
            random,
        }
    }

    /// Makes calls until told to stop, or nothing is taken any more.
    pub(crate) fn run(mut self, stops: &AtomicBool) {
        // Once nothing is taken any more, a few things are tried.
        while !stops.load(Ordering::SeqCst) {
            let doing = self.random.pick(&DOINGS);
            doing(&mut self);
            if self.ledger.is_closed() && self.random.one_in(4) {
                break;
            }
        }
    }

    /// What a call may do that ends by itself, good or bad.
    fn deed(&mut self) -> Deed {
        match self.random.within(0..24) {
            0 | 1 => Deed::Misbehave(self.random.pick(&Misdeed::OF_TASKS)),
            2..=4 => Deed::Sleep(self.random.within(0..15) as u64),
            5..=7 => Deed::Make(self.random.pick(&SIZES)),
            8..=10 => Deed::Digest,
            11 if self.random.one_in(6) && self.ledger.setting().is_trusting() => {
                Deed::Nest(self.count(0..200))
            }
            12 if self.ledger.setting().abandons => Deed::Abandon,
            13 if self.random.one_in(4) && self.ledger.setting().memory_limit.is_some() => {
                Deed::Fill(2 * self.ledger.setting().memory_limit.unwrap_or(0))
            }
            14 if self.random.one_in(4) && self.ledger.setting().cpu_limit.is_some() => Deed::Spin,
            15 if !self.ledger.setting().is_trusting() => Deed::Trespass,
            _ => Deed::Echo,
        }
    }

    fn count(&mut self, range: Range<usize>) -> i64 {
        i64::try_from(self.random.within(range)).unwrap_or(0)
    }

    fn size(&mut self) -> usize {
        self.random.pick(&SIZES)
    }

    fn terms(&self) -> Terms {
        Terms {
            retries: self.ledger.setting().retries,
            ..Terms::default()
        }
    }

    /// Notes a call and makes it.
    fn submit(&mut self, options: CallOptions<'_>, deed: Deed, terms: Terms) -> Made {
        let size = self.size();
        self.submit_sized(options, deed, size, terms)
    }

    fn submit_sized(
        &self,
        options: CallOptions<'_>,
        deed: Deed,
        size: usize,
        terms: Terms,
    ) -> Made {
        let call = self.ledger.open(deed, size, terms);
        let future = make(&self.ledger, options, &call);
        (call, future)
    }

    /// Some calls that end by themselves.
    fn some(&mut self, most: usize) -> Vec<Made> {
        let executor = Arc::clone(&self.executor);
        let terms = self.terms();
        let count = self.random.within(1..most);
        let make = |_| {
            let priority = self.random.pick(&[0, 0, 0, 5, -5]);
            let deed = self.deed();
            self.submit(executor.options().priority(priority), deed, terms)
        };
        (0..count).map(make).collect()
    }

    fn settle(&self, call: &Call, result: Result<Vec<u8>, TaskError>) {
        self.ledger.settle(call, result);
    }

    fn take_in_any_order(&mut self) {
        let mut calls = self.some(100);
        self.random.shuffle(&mut calls);
        for (call, mut future) in calls {
            let result = match self.random.within(0..4) {
                0 => {
                    future.wait();
                    assert!(future.is_done(), "it was waited for");
                    future.result()
                }
                1 => loop {
                    match future.result_timeout(Duration::from_millis(1)) {
                        Ok(result) => break result,
                        Err(again) => future = again,
                    }
                },
                2 => loop {
                    match future.try_result() {
                        Ok(result) => break result,
                        Err(again) => future = again,
                    }
                    thread::yield_now();
                },
                _ => future.result(),
            };
            self.settle(&call, result);
        }
    }

    fn cancel_and_kill(&mut self) {
        let executor = Arc::clone(&self.executor);
        let mut calls = self.some(30);
        let endless = (
            self.submit(executor.options(), Deed::Hang, self.terms()),
            true,
        );
        let mut calls: Vec<_> = calls.drain(..).map(|made| (made, false)).collect();
        calls.push(endless);
        if self.random.one_in(2) {
            // Long enough for any of them to begin or to end, so that calls of every age are met.
            thread::sleep(self.random.millis(0..5));
        }
        self.random.shuffle(&mut calls);
        thread::scope(|scope| {
            for ((call, future), is_endless) in &calls {
                let what = self.random.within(0..5);
                if *is_endless || what < 3 {
                    call.stop();
                }
                match what {
                    _ if *is_endless => _ = future.kill(),
                    0 => _ = future.cancel(),
                    1 => _ = future.kill(),
                    2 => {
                        let handle = future.handle();
                        scope.spawn(move || handle.kill());
                    }
                    _ => {}
                }
            }
        });
        for ((call, future), _) in calls {
            self.settle(&call, future.result());
        }
    }

    /// Calls that are killed when they are about to return, and others behind them in the same rings.
    fn kill_in_the_end(&mut self) {
        let executor = Arc::clone(&self.executor);
        let terms = self.terms();
        let micros = self.random.within(20..200);
        let deed = Deed::Work(micros as u64);
        let make = |_| self.submit_sized(executor.options(), deed, 0, terms);
        let calls: Vec<_> = (0..100).map(make).collect();
        for (call, future) in calls.iter().skip(8).step_by(8) {
            while !future.is_running() && !future.is_done() {
                thread::yield_now();
            }
            let begin = Instant::now();
            let until = Duration::from_micros(self.random.within(0..micros + 20) as u64);
            while begin.elapsed() < until {
                hint::spin_loop();
            }
            call.stop();
            future.kill();
        }
        for (call, future) in calls {
            self.settle(&call, future.result());
        }
    }

    fn set_limits(&mut self) {
        let executor = Arc::clone(&self.executor);
        let count = self.random.within(1..12);
        let make = |_| {
            let limit = self.random.millis(0..60);
            let terms = Terms {
                is_limited: true,
                retries: self.random.pick(&[0, 1]),
            };
            let options = executor.options().timeout(limit).retries(terms.retries);
            let deed = if self.random.one_in(3) {
                Deed::Hang
            } else {
                self.deed()
            };
            self.submit(options, deed, terms)
        };
        let calls: Vec<_> = (0..count).map(make).collect();
        for (call, future) in calls {
            self.settle(&call, future.result());
        }
    }

    fn take_as_completed(&mut self) {
        let (mut calls, futures): (Vec<_>, Vec<_>) = self.some(60).into_iter().unzip();
        let mut completed = as_completed(futures);
        let mut more = self.random.within(0..20);
        while let Some((number, result)) = completed.next() {
            self.settle(&calls[number], result);
            if more > 0 {
                more -= 1;
                let executor = Arc::clone(&self.executor);
                let deed = self.deed();
                let (call, future) = self.submit(executor.options(), deed, self.terms());
                assert_eq!(completed.push(future), calls.len(), "numbers go on");
                calls.push(call);
            }
        }
    }

    fn wait_for_several(&mut self) {
        let (calls, futures): (Vec<_>, Vec<_>) = self.some(40).into_iter().unzip();
        let until = self
            .random
            .pick(&[WaitFor::All, WaitFor::FirstCompleted, WaitFor::FirstError]);
        let limit = self.random.one_in(2).then(|| self.random.millis(0..20));
        let waited = wait(&futures, until, limit);
        let told = waited.done.len() + waited.pending.len();
        let is_enough = limit.is_some()
            || waited.pending.is_empty()
            || (until != WaitFor::All && !waited.done.is_empty());
        if told != calls.len()
            || !is_enough
            || !waited.done.iter().all(|&done| futures[done].is_done())
        {
            self.ledger
                .violation(format!("waited for {until:?} with {limit:?}: {waited:?}"));
        }
        for (call, future) in calls.iter().zip(futures) {
            self.settle(call, future.result());
        }
    }

    /// Callbacks, of which some make further calls.
    fn call_back(&mut self) {
        for (call, future) in self.some(30) {
            let next = self.random.one_in(3).then(|| {
                let (deed, size) = (self.deed(), self.size());
                let call = self.ledger.open(deed, size, self.terms());
                (Arc::clone(&self.executor), call)
            });
            let ledger = Arc::clone(&self.ledger);
            future.on_done(move |result| {
                ledger.settle(&call, result);
                if let Some((executor, call)) = next {
                    let future = make(&ledger, executor.options(), &call);
                    future.on_done(move |result| ledger.settle(&call, result));
                }
            });
        }
    }

    fn await_them(&mut self) {
        for (call, future) in self.some(30) {
            self.settle(&call, pollster::block_on(future));
        }
    }
}

/// Makes a call that is in the books.
fn make(ledger: &Ledger, options: CallOptions<'_>, call: &Call) -> TaskFuture<Vec<u8>> {
    let args = arguments(ledger, call);
    ledger.making(|| options.submit(act, args))
}

fn arguments(ledger: &Ledger, call: &Call) -> Arguments {
    (
        ledger.log(),
        call.id,
        call.deed,
        content(call.id, call.size),
    )
}
