//! What calls weigh that are not done and count against the limits of the queue.

use super::{CallId, Calls, Stage};

/// How many calls, and the bytes of their arguments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) calls: usize,
    pub(crate) bytes: usize,
}

impl Calls {
    /// Has a call that is not done count until it is.
    pub(crate) fn count(&mut self, id: CallId) {
        self.get_mut(id).counts = true;
        self.load.calls += 1;
        self.load.bytes += self.argument_bytes(id);
    }

    /// Has a call that is about to be done count no more.
    #[inline]
    pub(super) fn uncount(&mut self, id: CallId) {
        if self.get(id).counts {
            self.load.bytes -= self.argument_bytes(id);
            self.load.calls -= 1;
            self.get_mut(id).counts = false;
        }
    }

    /// The memory of a call's arguments goes to its result.
    pub(super) fn uncount_bytes(&mut self, id: CallId) {
        if self.get(id).counts {
            self.load.bytes -= self.argument_bytes(id);
        }
    }

    fn argument_bytes(&self, id: CallId) -> usize {
        match &self.get(id).stage {
            Stage::Pending(arguments) => arguments.len(),
            Stage::Free(_) | Stage::Done(_) | Stage::Taken(_) => 0,
        }
    }
}
