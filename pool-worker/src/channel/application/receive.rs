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
    /// Takes the next whole answer out of the ring, if there is one. Looks only once at what is
    /// there: a worker that goes on sending does not keep the caller here.
    ///
    /// A large answer may be received into memory that `spare` gives for the call of its number.
    #[inline]
    pub fn receive(
        &mut self,
        mut spare: impl FnMut(&mut Self, u32) -> Vec<Buffer>,
    ) -> Result<Option<Answer>, Violation> {
        if self.seen == self.tail {
            self.look()?;
        }
        while self.seen != self.tail {
            if let Some(answer) = self.take_frame(&mut spare)? {
                return Ok(Some(answer));
            }
        }
        self.give_back();
        Ok(None)
    }

    /// Looks up to where there are answers.
    fn look(&mut self) -> Result<(), Violation> {
        let head = self.segment.header().answers_head.0.load(Acquire);
        let available = head.wrapping_sub(self.tail);
        if available > RING_SIZE as u64 || !available.is_multiple_of(FRAME_UNIT as u64) {
            return Err(Violation("the ring of answers has an impossible position"));
        }
        self.seen = head;
        Ok(())
    }

    /// Tells the worker of the room that was made.
    fn give_back(&mut self) {
        if self.given_back != self.tail {
            self.given_back = self.tail;
            let tail = &self.segment.header().answers_tail.0;
            tail.store(self.tail, Release);
        }
    }

    /// Takes the frame at `tail`; `Some` if it completes an answer.
    #[inline]
    fn take_frame(
        &mut self,
        spare: &mut impl FnMut(&mut Self, u32) -> Vec<Buffer>,
    ) -> Result<Option<Answer>, Violation> {
        let at = self.tail;
        let status = self.answers.word(at, 0).load(Relaxed);
        let len = self.answers.word(at, 1).load(Relaxed) as usize;
        let seq = self.answers.word(at, 2).load(Relaxed);
        let total = self.answers.total(at).load(Relaxed);
        if len > MAX_BODY || frame_size(len) > self.seen - at {
            return Err(Violation("a frame is longer than what was sent"));
        }
        if let Some(word) = self.answers.short_body(at, len)
            && total == len as u64
            && self.partial.is_none()
        {
            self.let_go(len);
            let body = Payload::Inline(Inline::of_word(word, len));
            return Ok(Some(answer(seq, status, body)?));
        }
        self.take_long_frame(seq, status, (len, total), spare)
    }

    /// Takes the frame at `tail`, whose body of `len` bytes is more than a word, or a part of `total`
    /// bytes.
    fn take_long_frame(
        &mut self,
        seq: u32,
        status: u32,
        (len, total): (usize, u64),
        spare: &mut impl FnMut(&mut Self, u32) -> Vec<Buffer>,
    ) -> Result<Option<Answer>, Violation> {
        if self.partial.is_some() {
            return self.take_more(seq, len);
        }
        let mut body = vec![0; len];
        self.answers
            .read(self.tail + FRAME_HEADER as u64, &mut body);
        self.let_go(len);
        let answer = answer(seq, status, Payload::Small(body.into()))?;
        if total == len as u64 {
            self.check_size(answer.status, total)?;
            return Ok(Some(answer));
        }
        self.check_size(answer.status, total.saturating_sub(len as u64))?;
        let partial = Partial::new(answer.body.bytes(), total, spare(self, seq))?;
        self.partial = Some((seq, answer.status, partial));
        Ok(None)
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

/// An answer, unless its status is none.
#[inline]
fn answer(seq: u32, status: u32, body: Payload) -> Result<Answer, Violation> {
    let status = Status::from_raw(status).ok_or(Violation("an answer has an unknown status"))?;
    Ok(Answer { seq, status, body })
}
