//! Large calls and answers, at the worker's end.

use super::super::machine;
use super::super::stream::{Partial, Sent, table};
use super::super::{Violation, events, frame_size};
use super::{Buffer, Encoded, Patience, Status, WorkerEnd};
use crate::fault::{self, Site};

impl WorkerEnd {
    /// Collects the frames that continue a streamed call, of which the table has arrived.
    pub(super) fn take_stream(
        &mut self,
        arguments: &mut Encoded,
        total: u64,
        spare: Vec<Buffer>,
        before_sleep: &mut impl FnMut(),
    ) {
        let mut partial = believed(Partial::new(&arguments.bytes, total, spare));
        while !partial.is_complete() {
            let events = events::IDLE | events::LOW;
            self.await_stream(events, before_sleep, |end| end.calls_left() > 0);
            self.calls_seen = self.tail + self.calls_left();
            let at = self.tail;
            let len = self.body_len(at);
            believed(partial.take(self.calls, at, len));
            self.let_go(len);
            fault::at(Site::PieceTaken);
        }
        let mut buffers = partial.into_buffers().into_iter();
        let bytes = buffers.next().unwrap_or_default();
        arguments.bytes = believed(bytes.into_vec().map_err(|_| Violation("aligned bytes")));
        arguments.parts.extend(buffers);
    }

    /// Streams and commits a large answer to the call of number `seq`.
    pub fn answer_large(&mut self, seq: u32, status: Status, buffers: &[Buffer]) {
        let (table, total) = table(buffers);
        self.push_when_room(seq, status, total, &table);
        let mut sent = Sent::default();
        while let Some(piece) = sent.next_piece(buffers) {
            self.push_when_room(seq, status, 0, piece);
            sent.advance(piece);
        }
        self.ring_fenced(events::ANSWER | events::HALF_FULL | events::LOW);
    }

    fn push_when_room(&mut self, seq: u32, status: Status, total: u64, body: &[u8]) {
        fault::at(Site::PieceAnswered);
        let size = frame_size(body.len());
        self.await_stream(events::HALF_FULL, &mut || (), |end| end.room() >= size);
        self.taken_seen = self.taken();
        self.push(seq, status, total, body);
        self.commit(machine::store_fenced);
        self.ring_fenced(events::HALF_FULL | events::LOW);
    }

    /// As [`sleep_until`](Self::sleep_until), in the middle of a stream.
    fn await_stream(
        &mut self,
        events: u32,
        before_sleep: &mut impl FnMut(),
        ready: impl Fn(&Self) -> bool,
    ) {
        self.look_then_sleep(events, before_sleep, ready, |end, ready| {
            if end.allowed_spin() == 0 || !end.patience.is_worth_while() {
                return false;
            }
            let found = Patience::look(|| ready(end));
            end.patience.learn(found);
            found
        });
    }
}

/// What the application sends is right: a worker has no one to complain to.
fn believed<T>(result: Result<T, Violation>) -> T {
    result.unwrap_or_else(|Violation(what)| panic!("{what}"))
}
