//! Taking answers, whose every number is checked before it is used.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::{Answer, ApplicationEnd, Bytes, Violation};
use crate::channel::{FRAME_HEADER, FRAME_UNIT, MAX_BODY, RING_SIZE, frame_size};
use crate::protocol::Status;

/// The most memory that is set aside for an answer before its bytes have arrived.
const MAX_RESERVE: usize = 1 << 30;

/// What a [`Bytes`] without bytes holds.
const INLINE: [u8; 32] = [0; 32];

/// How many bytes of answers are taken out of the ring before the worker is told.
const GIVEN_BACK_AT_ONCE: u64 = RING_SIZE as u64 / 4;

/// An answer of which a part has arrived.
pub(super) struct Partial {
    answer: Answer,
    total: u64,
}

impl ApplicationEnd {
    /// Takes the next whole answer out of the ring, if there is one. Looks only once at what is
    /// there: a worker that goes on sending does not keep the caller here.
    #[inline]
    pub fn receive(&mut self) -> Result<Option<Answer>, Violation> {
        if self.seen == self.tail {
            self.look()?;
        }
        while self.seen != self.tail {
            if let Some(answer) = self.take_frame()? {
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
    fn take_frame(&mut self) -> Result<Option<Answer>, Violation> {
        let at = self.tail;
        let status = self.answers.word(at, 0).load(Relaxed);
        let len = self.answers.word(at, 1).load(Relaxed) as usize;
        let seq = self.answers.word(at, 2).load(Relaxed);
        let total = self.answers.total(at).load(Relaxed);
        if len > MAX_BODY || frame_size(len) > self.seen - at {
            return Err(Violation("a frame is longer than what was sent"));
        }
        if let Some(bytes) = self.answers.short_body(at, len)
            && total == len as u64
            && self.partial.is_none()
        {
            self.let_go(len);
            let mut body = Bytes::from_buf_and_len(INLINE, 0);
            body.extend_from_slice(&bytes);
            body.truncate(len);
            return Ok(Some(answer(seq, status, body)?));
        }
        self.take_piece(seq, status, len, total)
    }

    /// Takes the frame at `tail`, which may be one of many of an answer.
    fn take_piece(
        &mut self,
        seq: u32,
        status: u32,
        len: usize,
        total: u64,
    ) -> Result<Option<Answer>, Violation> {
        let mut partial = match self.partial.take() {
            Some(partial) => {
                if partial.answer.seq != seq
                    || partial.total - (partial.answer.body.len() as u64) < len as u64
                {
                    return Err(Violation("a streamed answer continues wrongly"));
                }
                partial
            }
            None => Partial {
                answer: answer(seq, status, reserve(total, len)?)?,
                total,
            },
        };
        let body = &mut partial.answer.body;
        let start = body.len();
        body.resize(start + len, 0);
        self.answers
            .read(self.tail + FRAME_HEADER as u64, &mut body[start..]);
        self.let_go(len);
        if partial.answer.body.len() as u64 == partial.total {
            return Ok(Some(partial.answer));
        }
        if len == 0 {
            return Err(Violation("a streamed answer makes no progress"));
        }
        self.partial = Some(partial);
        Ok(None)
    }

    /// Lets go of the frame at `tail`, whose body has `len` bytes.
    #[inline]
    fn let_go(&mut self, len: usize) {
        self.tail += frame_size(len);
        if self.tail - self.given_back >= GIVEN_BACK_AT_ONCE {
            self.give_back();
        }
    }
}

/// An answer, unless its status is none.
#[inline]
fn answer(seq: u32, status: u32, body: Bytes) -> Result<Answer, Violation> {
    let status = Status::from_raw(status).ok_or(Violation("an answer has an unknown status"))?;
    Ok(Answer { seq, status, body })
}

/// Memory for an answer of `total` bytes of which the first frame holds `len`.
fn reserve(total: u64, len: usize) -> Result<Bytes, Violation> {
    let total = usize::try_from(total).map_err(|_| Violation("an answer is larger than memory"))?;
    if total < len {
        return Err(Violation("an answer is longer than it says"));
    }
    let mut body = Bytes::new();
    body.try_reserve_exact(total.min(MAX_RESERVE))
        .map_err(|_| Violation("an answer is larger than memory"))?;
    Ok(body)
}
