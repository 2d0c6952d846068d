//! Taking answers, whose every number is checked before it is used.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::{Answer, ApplicationEnd, Partial, Payload, Violation};
use crate::channel::payload::Inline;
use crate::channel::{FRAME_HEADER, FRAME_UNIT, MAX_BODY, RING_SIZE, frame_size};
use crate::protocol::Status;
use crate::sys::Buffer;

/// How many bytes of answers are taken out of the ring before the worker is told.
const GIVEN_BACK_AT_ONCE: u64 = RING_SIZE as u64 / 4;

impl ApplicationEnd {
    /// Looks up to where there are answers. Each look takes a word from the worker's cache.
    pub fn look(&mut self) -> Result<(), Violation> {
        let head = self.segment.header().answers_head.0.load(Acquire);
        let available = head.wrapping_sub(self.tail);
        if available > RING_SIZE as u64 || !available.is_multiple_of(FRAME_UNIT as u64) {
            return Err(Violation("the ring of answers has an impossible position"));
        }
        self.seen = head;
        Ok(())
    }

    /// Whether answers were seen that were not taken.
    #[inline]
    pub fn has_seen(&self) -> bool {
        self.seen != self.tail
    }

    /// Takes the next whole answer out of the ring, if there is one. Looks only once at what is
    /// there: a worker that goes on sending does not keep the caller here.
    ///
    /// A large answer may be received into memory that `spare` gives for the call of its number.
    #[inline]
    pub fn receive(
        &mut self,
        mut spare: impl FnMut(&mut Self, u32) -> Vec<Buffer>,
    ) -> Result<Option<Answer>, Violation> {
        if !self.has_seen() {
            self.look()?;
        }
        while self.has_seen() {
            if let Some(answer) = self.take_frame(&mut spare)? {
                return Ok(Some(answer));
            }
        }
        self.give_back();
        Ok(None)
    }

    /// Takes the next answer that was [seen](Self::has_seen) out of the ring, if it is of the most
    /// frequent form: a result that is one word; gives its number as well. All others are left to
    /// [`receive`](Self::receive), which takes such ones too, but by way of memory.
    #[inline]
    pub fn receive_word(&mut self) -> Result<Option<(u32, Inline)>, Violation> {
        let Frame {
            status,
            len,
            seq,
            total,
        } = self.frame()?;
        let word = self.answers.short_body(self.tail, len);
        let Some(word) = word.filter(|_| {
            status == Status::Returned as u32 && total == len as u64 && self.partial.is_none()
        }) else {
            return Ok(None);
        };
        self.let_go(len);
        Ok(Some((seq, Inline::of_word(word, len))))
    }

    /// Tells the worker of the room that was made.
    pub fn give_back(&mut self) {
        if self.given_back != self.tail {
            self.given_back = self.tail;
            let tail = &self.segment.header().answers_tail.0;
            tail.store(self.tail, Release);
        }
    }

    /// The header of the frame at `tail`.
    #[inline]
    fn frame(&self) -> Result<Frame, Violation> {
        let at = self.tail;
        let frame = Frame {
            status: self.answers.word(at, 0).load(Relaxed),
            len: self.answers.word(at, 1).load(Relaxed) as usize,
            seq: self.answers.word(at, 2).load(Relaxed),
            total: self.answers.total(at).load(Relaxed),
        };
        if frame.len > MAX_BODY || frame_size(frame.len) > self.seen - at {
            return Err(Violation("a frame is longer than what was sent"));
        }
        Ok(frame)
    }

    /// Takes the frame at `tail`; `Some` if it completes an answer.
    fn take_frame(
        &mut self,
        spare: &mut impl FnMut(&mut Self, u32) -> Vec<Buffer>,
    ) -> Result<Option<Answer>, Violation> {
        let frame = self.frame()?;
        let Frame {
            len, seq, total, ..
        } = frame;
        if self.partial.is_some() {
            return self.take_more(seq, len);
        }
        let body = self.body(len);
        self.let_go(len);
        let status = Status::from_raw(frame.status);
        let answer = Answer {
            seq,
            status: status.ok_or(Violation("an answer has an unknown status"))?,
            body,
        };
        if total == len as u64 {
            self.check_size(answer.status, total)?;
            return Ok(Some(answer));
        }
        self.check_size(answer.status, total.saturating_sub(len as u64))?;
        let partial = Partial::new(answer.body.bytes(), total, spare(self, seq))?;
        self.partial = Some((seq, answer.status, partial));
        Ok(None)
    }

    /// A copy of the body of the frame at `tail`, which has `len` bytes.
    fn body(&self, len: usize) -> Payload {
        if let Some(word) = self.answers.short_body(self.tail, len) {
            return Payload::Inline(Inline::of_word(word, len));
        }
        let start = self.tail + FRAME_HEADER as u64;
        let mut few = [0; 16];
        if let Some(bytes) = few.get_mut(..len) {
            self.answers.read(start, bytes);
            return Payload::of_first(&few, len);
        }
        let mut bytes = vec![0; len];
        self.answers.read(start, &mut bytes);
        Payload::Small(bytes.into())
    }

    /// Lets go of the frame at `tail`, whose body has `len` bytes.
    #[inline]
    pub(super) fn let_go(&mut self, len: usize) {
        self.tail += frame_size(len);
        self.roused = false;
        if self.tail - self.given_back >= GIVEN_BACK_AT_ONCE {
            self.give_back();
        }
    }
}

/// What the header of a frame says.
struct Frame {
    status: u32,
    len: usize,
    seq: u32,
    total: u64,
}
