//! Maps: to their end or dropped before, in order or not, as iterators and as streams.

use std::iter::from_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use futures_core::Stream;
use pool_core::TaskError;
use pool_tests::tasks::cube;

use super::{Arguments, Caller, arguments};
use crate::deeds::{Deed, act};
use crate::ledger::{Call, Ledger, Terms};

/// The calls of a map, in the order in which their inputs were drawn.
#[derive(Clone, Default)]
struct Drawn(Arc<Mutex<Vec<Arc<Call>>>>);

impl Drawn {
    fn push(&self, call: Arc<Call>) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
    }

    fn get(&self, number: usize) -> Option<Arc<Call>> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(number).cloned()
    }

    /// No more results are taken.
    fn abandon(&self) {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().for_each(|call| call.abandon());
    }

    fn count(&self) -> usize {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.len()
    }
}

/// One of a map's results.
type Item = (usize, Result<Vec<u8>, TaskError>);

impl Caller {
    pub(super) fn map(&mut self) {
        let executor = Arc::clone(&self.executor);
        let (terms, limit) = self.map_terms();
        let options = limit.map_or(executor.options(), |limit| {
            executor.options().timeout(limit)
        });
        let options = options.kill_on_drop(self.random.one_in(2));
        let deadline = self.random.one_in(4).then(|| self.random.millis(1..100));
        let terms = Terms {
            is_limited: terms.is_limited || deadline.is_some(),
            ..terms
        };
        let (drawn, count, inputs) = self.inputs(terms);
        let mut map = options.map(act, inputs);
        if self.random.one_in(3) {
            map = map.window(self.random.within(1..20));
        }
        if let Some(deadline) = deadline {
            map = map.deadline(deadline);
        }
        if self.random.one_in(2) {
            self.take(&drawn, count, terms, map.unordered());
        } else {
            self.take(&drawn, count, terms, map.enumerate());
        }
    }

    pub(super) fn stream(&mut self) {
        let executor = Arc::clone(&self.executor);
        let (terms, limit) = self.map_terms();
        let options = limit.map_or(executor.options(), |limit| {
            executor.options().timeout(limit)
        });
        let (drawn, count, inputs) = self.inputs(terms);
        let mut stream = pin!(options.map(act, inputs).into_stream());
        let mut next = || {
            let next = std::future::poll_fn(|context| -> Poll<_> {
                Pin::as_mut(&mut stream).poll_next(context)
            });
            pollster::block_on(next)
        };
        self.take(&drawn, count, terms, from_fn(&mut next).enumerate());
    }

    /// Terms of a map's calls, and the limit to their time.
    fn map_terms(&mut self) -> (Terms, Option<std::time::Duration>) {
        let limit = self.random.one_in(3).then(|| self.random.millis(5..100));
        let terms = Terms {
            is_limited: limit.is_some(),
            ..self.terms()
        };
        (terms, limit)
    }

    /// Inputs, how many there are, and where those are noted that are drawn.
    fn inputs(&mut self, terms: Terms) -> (Drawn, usize, impl Iterator<Item = Arguments> + use<>) {
        let count = self.random.within(0..150);
        let deed = |_| match self.deed() {
            Deed::Sleep(_) if terms.is_limited && self.random.one_in(4) => (Deed::Hang, 0),
            deed => (deed, self.size()),
        };
        let deeds: Vec<_> = (0..count).map(deed).collect();
        let drawn = Drawn::default();
        let (ledger, noted) = (Arc::clone(&self.ledger), drawn.clone());
        let inputs = deeds.into_iter().map(move |(deed, size)| {
            let call = ledger.open(deed, size, terms);
            ledger.begun.fetch_add(1, Ordering::SeqCst);
            noted.push(Arc::clone(&call));
            arguments(&ledger, &call)
        });
        (drawn, count, inputs)
    }

    /// Takes results, to the end or not so far.
    fn take(
        &mut self,
        drawn: &Drawn,
        count: usize,
        terms: Terms,
        mut map: impl Iterator<Item = Item>,
    ) {
        let mut enough = if self.random.one_in(3) {
            self.random.within(0..count + 1)
        } else {
            usize::MAX
        };
        let mut given = 0;
        while enough > 0 {
            let Some((number, result)) = map.next() else {
                check_end(&self.ledger, drawn, count, given, terms);
                break;
            };
            match (drawn.get(number), result) {
                (Some(call), result) => {
                    given += 1;
                    self.ledger.settle(&call, result);
                }
                // The one for all that was not drawn.
                (None, Err(error)) => self.ledger.excuse(&error),
                (None, Ok(_)) => self
                    .ledger
                    .violation(format!("a value of no input, {number}")),
            }
            enough -= 1;
        }
        drawn.abandon();
        drop(map);
        // Inputs that are drawn together and then refused have one error for all of them.
        let is_refused = self.ledger.is_closed() || self.ledger.may_be_broken();
        let made = if is_refused { given } else { drawn.count() };
        self.ledger.made.fetch_add(made as u64, Ordering::SeqCst);
    }

    /// Many calls of next to nothing.
    pub(super) fn map_plainly(&mut self) {
        // Where each call has a worker of its own, they take a thousand times as long.
        let is_trusting = self.ledger.setting().is_trusting();
        let count = self.count(1..if is_trusting { 5000 } else { 100 });
        let ledger = &self.ledger;
        let inputs = (0..count).inspect(|_| _ = ledger.begun.fetch_add(1, Ordering::SeqCst));
        let mut expected = 0;
        for result in self.executor.map(cube, inputs) {
            if let Err(error) = &result
                && expected == count
            {
                ledger.excuse(error);
                break;
            }
            self.take_cube(expected, result);
            expected += 1;
        }
        ledger
            .made
            .fetch_add(expected.unsigned_abs(), Ordering::SeqCst);
    }
}

/// A map has ended by itself: every input has had its result.
fn check_end(ledger: &Ledger, drawn: &Drawn, count: usize, given: usize, terms: Terms) {
    let is_refused = ledger.is_closed() || ledger.may_be_broken();
    let is_cut = is_refused || terms.is_limited;
    if (given != drawn.count() && !is_refused) || (given != count && !is_cut) {
        let drawn = drawn.count();
        ledger.violation(format!(
            "{given} results of {drawn} inputs drawn of {count}"
        ));
    }
}
