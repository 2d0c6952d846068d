//! Submitting several calls of a map in one go, under the lock.

use std::sync::Arc;

use pool_worker::channel::{Inline, Payload};
use pool_worker::registry::TaskId;

use super::flight::Flight;
use crate::call::Prepared;
use crate::calls::CallId;
use crate::driver::Locked;
use crate::scheduler::Share;
use crate::terms::Terms;
use crate::waiter::Signal;

/// Calls that are being submitted, one after another.
pub(super) struct Submission<'a, 'pool> {
    locked: &'a mut Locked<'pool>,
    flight: &'a mut Flight,
    terms: &'a Terms,
    /// Who is told of their ends.
    signal: Option<&'a Arc<Signal>>,
    /// Nothing is asked of them but to be run.
    plain: bool,
    share: Share,
}

impl<'a, 'pool> Submission<'a, 'pool> {
    pub(super) fn new(
        locked: &'a mut Locked<'pool>,
        flight: &'a mut Flight,
        terms: &'a Terms,
        signal: Option<&'a Arc<Signal>>,
    ) -> Self {
        locked.look_at_clock();
        Self {
            locked,
            flight,
            terms,
            signal,
            plain: terms.is_plain(),
            share: Share::default(),
        }
    }

    /// Submits a short call, of so many that are left.
    #[inline]
    pub(super) fn inline(&mut self, task: TaskId, arguments: Inline, left: usize) {
        if !self.plain {
            let arguments = Payload::Inline(arguments).into();
            return self.other(Ok((task, arguments)));
        }
        let id = self
            .locked
            .submit_at_once(task, arguments, left, &mut self.share);
        self.submitted(id, arguments.len());
    }

    /// Submits any call, or what is none.
    pub(super) fn other(&mut self, prepared: Prepared) {
        match prepared {
            Ok((task, arguments)) => {
                let bytes = arguments.len();
                let id = self.locked.submit(task, arguments, self.terms);
                self.submitted(id, bytes);
            }
            Err(error) => {
                let id = self.locked.submit_failed(error);
                self.submitted(id, 0);
            }
        }
    }

    #[inline]
    fn submitted(&mut self, id: CallId, bytes: usize) {
        if let Some(signal) = self.signal {
            self.locked.signal_end(id, signal, self.flight.next_index());
        }
        self.flight.push(id, bytes);
    }
}
