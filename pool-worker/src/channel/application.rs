//! The application's end of a channel.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

mod notices;
mod receive;
mod streams;
#[cfg(all(test, not(all(loom, feature = "loom"))))]
mod tests;

use super::doorbell::Doorbell;
use super::machine::fence;
use super::payload::{Inline, Payload};
use super::ring::Ring;
use super::segment::Segment;
use super::stream::{Partial, table};
use super::{
    BELL_FUTEX, BELL_NUMBER, MAX_BODY, MAX_LAST_WORDS, RING_SIZE, body_len, events, frame_size,
    state,
};
use crate::protocol::Status;

/// How many bytes of calls are placed in the ring before the worker is told: each time, the word
/// that tells it moves between the cores.
const PUBLISHED_AT_ONCE: u64 = RING_SIZE as u64 / 128;

/// Where a call's frame lies in the ring of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// What became of an offered call.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    /// It lies in the ring: whole, or the beginning of its stream, which
    /// [`ApplicationEnd::send_more`] continues.
    Placed(Ticket),
    /// There is no room for it.
    Full,
}

/// A call's answer, copied out of the ring.
#[derive(Debug)]
pub struct Answer {
    /// The number that the call was offered with.
    pub seq: u32,
    /// How the call ended.
    pub status: Status,
    /// What belongs to the status.
    pub body: Payload,
}

/// What a dying worker left to be told.
#[derive(Debug, PartialEq, Eq)]
pub struct LastWords {
    /// The call that it was about.
    pub seq: u32,
    /// What kind of words these are; the worker's process defines the kinds.
    pub kind: u32,
    /// The words.
    pub bytes: Vec<u8>,
}

/// The worker broke the protocol: nothing that it says can be believed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub &'static str);

/// The application's end of a channel: sends calls, receives answers.
pub struct ApplicationEnd {
    pub(super) segment: Arc<Segment>,
    calls: Ring,
    head: u64,
    /// What the worker was told of `head`.
    published: u64,
    /// What the worker told last of what it let go of, when that was looked at.
    released: u64,
    answers: Ring,
    tail: u64,
    /// What the worker was told of `tail`.
    given_back: u64,
    /// Up to where there are answers, when that was looked at.
    seen: u64,
    /// What the worker has surely seen of `given_back`, or else was woken for.
    heeded: u64,
    /// The answer of which a part has arrived.
    partial: Option<(u32, Status, Partial)>,
    bell_number: u32,
    /// The worker had to be woken, and has not answered since.
    roused: bool,
    /// The most bytes of an output.
    pub(super) max_output: u64,
}

impl ApplicationEnd {
    /// The end for a segment that nobody has used yet.
    pub fn new(segment: Segment) -> Self {
        Self {
            calls: segment.calls(),
            answers: segment.answers(),
            segment: Arc::new(segment),
            head: 0,
            published: 0,
            released: 0,
            tail: 0,
            given_back: 0,
            seen: 0,
            heeded: 0,
            partial: None,
            bell_number: 0,
            roused: false,
            max_output: u64::MAX,
        }
    }

    /// A handle to wait for this worker without holding this end: for answers, and for room if
    /// there is `more` of a large call to send.
    pub fn doorbell(&self, more: bool) -> Doorbell {
        let piece = (self.head + frame_size(MAX_BODY)).saturating_sub(RING_SIZE as u64);
        Doorbell {
            segment: Arc::clone(&self.segment),
            tail: self.tail,
            room_from: more.then_some(piece),
        }
    }

    /// Places a call in the ring.
    ///
    /// The worker finds it, and is woken if it sleeps, after [`wake`](Self::wake) at the latest. After
    /// a large one nothing else may be offered until all of it was sent or the call revoked.
    #[inline]
    pub fn offer(&mut self, task: u32, seq: u32, arguments: &Payload) -> Offer {
        match arguments {
            Payload::Inline(inline) => self.offer_inline(task, seq, *inline),
            Payload::Small(bytes) => {
                self.place(task, seq, bytes.len() as u64, bytes.len(), |ring, at| {
                    ring.write_body(at, bytes);
                })
            }
            Payload::Large(buffers) => {
                let (table, total) = table(buffers);
                self.place(task, seq, total, table.len(), |ring, at| {
                    ring.write_body(at, &table);
                })
            }
        }
    }

    /// As [`offer`](Self::offer), for arguments that may be in registers.
    #[inline]
    pub fn offer_inline(&mut self, task: u32, seq: u32, arguments: Inline) -> Offer {
        let len = arguments.len();
        self.place(task, seq, len as u64, len, |ring, at| {
            match arguments.word() {
                Some(word) => ring.write_word(at, word),
                None => ring.write_body(at, arguments.as_slice()),
            }
        })
    }

    #[inline]
    fn place(
        &mut self,
        task: u32,
        seq: u32,
        total: u64,
        len: usize,
        write_body: impl FnOnce(Ring, u64),
    ) -> Offer {
        if !self.has_room(frame_size(len)) {
            return Offer::Full;
        }
        let ticket = Ticket(self.head);
        self.push(state::QUEUED, task, seq, total, len, write_body);
        Offer::Placed(ticket)
    }

    #[inline]
    fn push(
        &mut self,
        first_word: u32,
        task: u32,
        seq: u32,
        total: u64,
        len: usize,
        write_body: impl FnOnce(Ring, u64),
    ) {
        let at = self.head;
        self.calls.prefetch(at);
        self.calls.word(at, 0).store(first_word, Relaxed);
        self.calls.word(at, 1).store(body_len(len), Relaxed);
        self.calls.word(at, 2).store(task, Relaxed);
        self.calls.word(at, 3).store(seq, Relaxed);
        self.calls.total(at).store(total, Relaxed);
        write_body(self.calls, at);
        self.head += frame_size(len);
        if self.head - self.published >= PUBLISHED_AT_ONCE {
            self.publish();
        }
    }

    /// Tells the worker of all calls in the ring.
    fn publish(&mut self) {
        self.published = self.head;
        self.segment.header().calls_head.0.store(self.head, Release);
    }

    /// Whether so many bytes are free in the ring of calls. A worker that lies about them hurts only
    /// its own calls.
    #[inline]
    fn has_room(&mut self, bytes: u64) -> bool {
        let is_free =
            |end: &Self| end.head.saturating_sub(end.released) + bytes <= RING_SIZE as u64;
        is_free(self) || {
            self.released = self.look_at_released();
            is_free(self)
        }
    }

    fn look_at_released(&self) -> u64 {
        self.segment.header().calls_tail.0.load(Acquire)
    }

    /// Takes a call back. `true` means that it will never begin here.
    #[must_use]
    pub fn revoke(&self, ticket: Ticket) -> bool {
        ticket.0 >= self.look_at_released()
            && self
                .calls
                .word(ticket.0, 0)
                .compare_exchange(state::QUEUED, state::REVOKED, AcqRel, Acquire)
                .is_ok()
    }

    /// Whether the worker has begun this call, which was not taken back.
    #[inline]
    pub fn has_begun(&mut self, ticket: Ticket) -> bool {
        ticket.0 < self.released || {
            self.released = self.look_at_released();
            ticket.0 < self.released || self.calls.word(ticket.0, 0).load(Acquire) == state::CLAIMED
        }
    }

    /// What is impossible about how far the worker says that it has got, as that was seen last: who
    /// believes it takes all calls for ones that have begun.
    pub fn check(&self) -> Result<(), Violation> {
        if self.released > self.head {
            return Err(Violation("it let go of calls that it was not given"));
        }
        Ok(())
    }

    /// Wakes the worker if it sleeps. To be called after calls were placed, or when answers were taken
    /// and that [may have made room](Self::may_have_made_room).
    pub fn wake(&mut self) {
        self.heeded = self.given_back;
        if self.published != self.head {
            self.publish();
        }
        fence(SeqCst);
        let doze = &self.segment.header().doze.0;
        if doze.load(Relaxed) != 0 && doze.swap(0, AcqRel) != 0 {
            self.roused = true;
            doze.wake();
        }
    }

    /// Whether the worker had to be woken, and has not answered since.
    pub fn is_roused(&self) -> bool {
        self.roused
    }

    /// Whether the worker has not said that it sleeps.
    pub fn is_awake(&self) -> bool {
        self.segment.header().doze.0.load(Relaxed) == 0
    }

    /// Whether the worker may have to be woken, as it had no room for an answer and now has.
    ///
    /// It waits only when less than a whole frame of the ring is left, by what it has seen of the room
    /// that was given back. What it saw last is no less than when this end last passed the fence in
    /// [`wake`](Self::wake), so it cannot wait before half of the ring was filled since then.
    #[inline]
    pub fn may_have_made_room(&self) -> bool {
        self.seen.wrapping_sub(self.heeded) > RING_SIZE as u64 / 2
    }

    /// Whether something lies in the ring of answers.
    pub fn has_answers(&self) -> bool {
        self.segment.header().answers_head.0.load(Acquire) != self.tail
    }

    /// Asks to be rung in the event loop, through the control socket, at these events.
    ///
    /// `true` means that there is something to do already, answers to take or, if `LOW` was asked
    /// for, room to fill: look again before sleeping.
    #[must_use]
    pub fn arm_socket(&mut self, events: u32) -> bool {
        self.arm(events)
    }

    /// Asks for a ring of the doorbell at these events; see [`arm_socket`](Self::arm_socket).
    #[must_use]
    pub fn arm_doorbell(&mut self, events: u32) -> bool {
        self.arm(events | BELL_FUTEX)
    }

    /// Asks for silence.
    pub fn disarm(&mut self) {
        let _ = self.arm(0);
    }

    fn arm(&mut self, bell: u32) -> bool {
        self.bell_number = self.bell_number.wrapping_add(BELL_NUMBER);
        let header = self.segment.header();
        // A worker that lies about what it took hears of it at the wrong time.
        let low_water = u32::try_from(self.calls_left() / 4).unwrap_or(u32::MAX);
        header.bell.0.low_water.store(low_water, Relaxed);
        header.bell.0.word.store(self.bell_number | bell, Release);
        fence(SeqCst);
        self.has_answers() || (bell & events::LOW != 0 && self.calls_left() <= u64::from(low_water))
    }

    /// The worker's process, as it says itself: good for a text, and for nothing else.
    pub fn claimed_pid(&self) -> Option<u32> {
        match self.segment.header().pid.0.load(Relaxed) {
            0 => None,
            pid => Some(pid),
        }
    }

    /// How long a call took this worker of late, as it says itself.
    pub fn pace(&self) -> Option<Duration> {
        match self.segment.header().pace.0.load(Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    /// Bytes of calls in the ring that the worker has not let go of.
    pub fn calls_left(&self) -> u64 {
        self.head.saturating_sub(self.look_at_released())
    }

    /// Tells the worker for how many microseconds it may look for calls before it sleeps.
    pub fn allow_spinning(&self, microseconds: u32) {
        self.segment
            .header()
            .bell
            .0
            .spin
            .store(microseconds, Relaxed);
    }

    /// What the worker left to be told, once it is dead.
    pub fn last_words(&self) -> Option<LastWords> {
        let words = self.segment.last_words();
        let kind = words.kind.load(Acquire);
        if kind == 0 {
            return None;
        }
        let len = (words.len.load(Relaxed) as usize).min(MAX_LAST_WORDS);
        let mut bytes: Vec<u8> = words
            .bytes
            .iter()
            .flat_map(|word| word.load(Relaxed).to_le_bytes())
            .take(len)
            .collect();
        bytes.shrink_to_fit();
        Some(LastWords {
            seq: words.seq.load(Relaxed),
            kind,
            bytes,
        })
    }
}
