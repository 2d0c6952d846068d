//! Large values on their way to a worker and back.

use pool_worker::channel::ApplicationEnd;
use pool_worker::fault::{self, Site};
use pool_worker::sys::Buffer;

use super::{Member, Placed};
use crate::calls::Calls;

impl Placed {
    /// The memory of the call's arguments, for its answer, if the call has begun: then the worker
    /// has them, and the call never runs again. It does so once more if it is to be tried anew.
    pub(super) fn give_memory(
        &mut self,
        link: &mut ApplicationEnd,
        calls: &mut Calls,
    ) -> Vec<Buffer> {
        let course = calls.course(self.id);
        if course.is_some_and(|(course, _)| course.may_retry()) || !link.has_begun(self.ticket) {
            return Vec::new();
        }
        self.spent = true;
        calls.take_memory(self.id)
    }
}

impl Member {
    pub(crate) fn is_streaming(&self) -> bool {
        self.streamed.is_some()
    }

    /// Whether a large value is on its way, there or back.
    pub(crate) fn is_in_stream(&self) -> bool {
        self.is_streaming() || self.link.is_receiving()
    }

    /// Sends on the call whose arguments are larger than the ring.
    pub(crate) fn send_more(&mut self, calls: &Calls) {
        let Some(mut sent) = self.streamed else {
            return;
        };
        let seq = self.seq_at(self.window.len() - 1);
        let Some(Some(placed)) = self.window.back() else {
            return;
        };
        let Some((_, arguments)) = calls.get(placed.id).pending() else {
            return;
        };
        fault::at(Site::Streams);
        let more = self.link.send_more(seq, arguments, &mut sent);
        self.touched |= self.streamed != Some(sent);
        self.streamed = more.then_some(sent);
    }

    /// Asks the worker to ring nobody, while the calling thread looks for itself.
    pub(crate) fn silence(&mut self) {
        self.link.disarm();
    }
}
