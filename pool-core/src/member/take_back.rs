//! Calls that a worker has not begun, and never will.

use super::{Member, Placed};
use crate::calls::{Binding, CallId};

/// Which calls that a worker has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unbegun {
    All,
    /// Those that another one may run, up to so many.
    Spare(usize),
}

impl Member {
    /// Takes calls back that have not begun, the last ones, in their order.
    pub(crate) fn take_back(&mut self, which: Unbegun) -> Vec<CallId> {
        let count = match which {
            Unbegun::All => usize::MAX,
            Unbegun::Spare(count) => count,
        };
        let mut taken = Vec::new();
        for index in (0..self.window.len()).rev() {
            if taken.len() == count {
                break;
            }
            let Some(placed) = &self.window[index] else {
                continue;
            };
            if placed.binding.slot().is_some() && which != Unbegun::All {
                continue;
            }
            if placed.binding == Binding::Own || !self.revoke(placed) {
                break;
            }
            taken.extend(self.revoked(index));
        }
        taken.reverse();
        taken
    }

    /// Takes this call back, if it has not begun; whether it had not.
    pub(crate) fn take_back_one(&mut self, seq: u32, id: CallId) -> bool {
        let Some(index) = self.index_of(seq, id) else {
            return false;
        };
        let free = |placed: &Placed| self.revoke(placed);
        self.window[index].as_ref().is_some_and(free) && self.revoked(index).is_some()
    }

    /// Sees to it that a call never begins here; `false` if it has begun.
    #[must_use]
    pub(crate) fn revoke(&self, placed: &Placed) -> bool {
        // Whatever the worker says of it by now: without its arguments it can begin nowhere else.
        !placed.spent && self.link.revoke(placed.ticket)
    }

    fn revoked(&mut self, index: usize) -> Option<CallId> {
        if index + 1 == self.window.len() {
            self.streamed = None;
        }
        self.live -= 1;
        let placed = self.window[index].take()?;
        if placed.binding != Binding::Own {
            self.count_taken_back();
        }
        Some(placed.id)
    }
}
