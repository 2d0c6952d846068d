//! Calls with a notice, at the application's end.

use std::time::Duration;

use super::super::notice::Notice;
use super::super::{frame_size, state};
use super::{ApplicationEnd, Offer, Payload, Ticket, table};

impl ApplicationEnd {
    /// As [`offer`](Self::offer), with a notice before the call.
    pub fn offer_with(
        &mut self,
        notice: Notice,
        task: u32,
        seq: u32,
        arguments: &Payload,
    ) -> Offer {
        let first = match arguments {
            Payload::Large(buffers) => table(buffers).0.len(),
            small => small.len(),
        };
        // A notice without its call would be taken for the next one's.
        if !self.has_room(frame_size(0) + frame_size(first)) {
            return Offer::Full;
        }
        let limit = notice.raw_limit();
        self.push(state::NOTICE, notice.attempt, seq, limit, 0, |_, _| ());
        self.offer(task, seq, arguments)
    }

    /// When the worker claimed a call with a notice, as it says itself, by
    /// [`monotonic`](crate::sys::monotonic).
    pub fn stamp(&self, ticket: Ticket) -> Option<Duration> {
        self.segment.stamp(ticket.0)
    }

    /// Tells the worker that this call should end, if its task cares to look.
    pub fn ask_to_end(&self, ticket: Ticket) {
        self.segment.ask_to_end(ticket.0);
    }

    /// Tells the worker its place in its executor.
    pub fn set_place(&self, place: u32) {
        self.segment.set_place(place);
    }
}
