//! Large calls and answers, at the application's end.

use super::super::stream::Sent;
use super::super::{frame_size, state};
use super::{Answer, ApplicationEnd, Payload, Violation};

impl ApplicationEnd {
    /// Sends on the large call of number `seq`, from `sent` on, as far as there is room; whether
    /// there is more to send.
    pub fn send_more(&mut self, seq: u32, arguments: &Payload, sent: &mut Sent) -> bool {
        let Payload::Large(buffers) = arguments else {
            return false;
        };
        while let Some(piece) = sent.next_piece(buffers) {
            if !self.has_room(frame_size(piece.len())) {
                return true;
            }
            self.push(state::CONTINUED, 0, seq, 0, piece.len(), |ring, at| {
                ring.write_body(at, piece);
            });
            sent.advance(piece);
        }
        false
    }

    /// Whether a part of an answer has arrived.
    pub fn is_receiving(&self) -> bool {
        self.partial.is_some()
    }

    /// Takes in a frame that continues the answer of which a part has arrived.
    pub(super) fn take_more(&mut self, seq: u32, len: usize) -> Result<Option<Answer>, Violation> {
        let (_, status, mut partial) = self
            .partial
            .take()
            .filter(|(begun, ..)| *begun == seq)
            .ok_or(Violation("a streamed answer continues wrongly"))?;
        partial.take(self.answers, self.tail, len)?;
        self.let_go(len);
        if partial.is_complete() {
            let body = Payload::Large(partial.into_buffers().into());
            return Ok(Some(Answer { seq, status, body }));
        }
        self.partial = Some((seq, status, partial));
        Ok(None)
    }
}
