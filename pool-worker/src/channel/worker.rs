//! The worker's end of a channel.

use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

use super::machine::{self, AtomicU64, fence};
use super::notice::{Claim, Notice};
use super::patience::{Outlook, Patience};
use super::ring::Ring;
use super::segment::Segment;
use super::{
    BELL_FUTEX, FRAME_HEADER, MAX_BODY, MAX_LAST_WORDS, RING_SIZE, body_len, events, frame_size,
    state,
};
use crate::codec::Encoded;
use crate::fault::{self, Site};
use crate::protocol::Status;
use crate::sys::{self, Buffer};
use pace::Pace;

mod allowance;
mod pace;
mod streams;
mod waiting;

/// A call that the worker has claimed; its arguments are in what was given to
/// [`WorkerEnd::next_call`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The task's number in the application's list.
    pub task: u32,
    /// The call's number, to answer it with.
    pub seq: u32,
    /// What else is known of it.
    pub claim: Claim,
}

/// The worker's end of a channel: claims calls, commits answers.
pub struct WorkerEnd {
    pub(super) segment: Arc<Segment>,
    control: OwnedFd,
    calls: Ring,
    tail: u64,
    /// Up to where there are calls, when that was looked at.
    calls_seen: u64,
    answers: Ring,
    head: u64,
    /// What the application had taken, when that was looked at.
    taken_seen: u64,
    /// What the last frame said of the next one.
    notice: Option<Notice>,
    last_bell: u32,
    /// The events of the last answer, where the bell was not looked at: the claim of the next call does
    /// that, as it is the full fence that has to come before.
    unrung: u32,
    pace: Pace,
    /// For how long it looks for calls before it sleeps, as far as that is allowed.
    outlook: Outlook,
    patience: Patience,
    clock: fn() -> Duration,
    /// What is done instead of sleep, if anything is.
    sleep: Option<fn()>,
}

impl WorkerEnd {
    /// The end for a fresh segment; bells go to `control`.
    pub fn new(segment: Arc<Segment>, control: OwnedFd) -> Self {
        segment.header().pid.0.store(std::process::id(), Relaxed);
        Self {
            calls: segment.calls(),
            answers: segment.answers(),
            segment,
            control,
            tail: 0,
            calls_seen: 0,
            head: 0,
            taken_seen: 0,
            notice: None,
            last_bell: 0,
            unrung: 0,
            pace: Pace::default(),
            outlook: Outlook::default(),
            patience: Patience::default(),
            clock: sys::monotonic,
            sleep: None,
        }
    }

    /// The same for a test in which `clock` has the time.
    #[must_use]
    pub fn with_clock(self, clock: fn() -> Duration) -> Self {
        Self { clock, ..self }
    }

    /// The same for a worker that a test moves by hand: `sleep` is called where the worker would sleep,
    /// after all that it does before. If that unwinds, the worker may be asked for its next call again,
    /// once it was woken.
    #[must_use]
    pub fn by_hand(self, sleep: fn()) -> Self {
        Self {
            sleep: Some(sleep),
            ..self
        }
    }

    /// Waits for a call, claims it and takes its arguments, large ones into `spare` memory where
    /// that suits.
    ///
    /// `before_sleep` runs each time before the worker goes to sleep.
    pub fn next_call(
        &mut self,
        arguments: &mut Encoded,
        spare: &mut Vec<Buffer>,
        mut before_sleep: impl FnMut(),
    ) -> Call {
        loop {
            self.await_frame(&mut before_sleep);
            let at = self.tail;
            self.calls.prefetch(at);
            let first_word = self.calls.word(at, 0);
            let state = machine::exchange_fenced(first_word, state::QUEUED, state::CLAIMED);
            let claimed = state.is_ok();
            let task = self.calls.word(at, 2).load(Relaxed);
            let seq = self.calls.word(at, 3).load(Relaxed);
            let total = self.calls.total(at).load(Relaxed);
            let notice = self.notice.take();
            if claimed {
                fault::at(Site::Claimed);
                let claim = Claim::new(&self.segment, at, notice, self.clock);
                let len = self.take_body(&mut arguments.bytes);
                fault::at(Site::Taken);
                if total != len as u64 {
                    self.take_stream(arguments, total, mem::take(spare), &mut before_sleep);
                }
                self.count_call();
                return Call { task, seq, claim };
            }
            self.let_go(self.body_len(at));
            if state == Err(state::NOTICE) {
                self.notice = Some(Notice::from_raw(total, task));
            }
        }
    }

    /// Lets go of the frame at `tail`, after copying its body out; how many bytes that has.
    #[inline]
    fn take_body(&mut self, arguments: &mut Vec<u8>) -> usize {
        let at = self.tail;
        let len = self.body_len(at);
        arguments.clear();
        if let Some(bytes) = self.calls.short_body(at, len) {
            arguments.extend_from_slice(&bytes);
            arguments.truncate(len);
        } else {
            arguments.resize(len, 0);
            self.calls.read(at + FRAME_HEADER as u64, arguments);
        }
        self.let_go(len);
        len
    }

    #[inline]
    fn body_len(&self, at: u64) -> usize {
        (self.calls.word(at, 1).load(Relaxed) as usize).min(MAX_BODY)
    }

    /// Lets go of the frame at `tail`, whose body has `len` bytes.
    #[inline]
    fn let_go(&mut self, len: usize) {
        self.tail += frame_size(len);
        self.segment.header().calls_tail.0.store(self.tail, Release);
        // Without a fence behind this a bell for room that is armed at this moment may be missed: the
        // answer to the call that begins now looks again, or the claim after that, or the sleep before
        // the rest of it comes.
        let unrung = mem::take(&mut self.unrung);
        self.ring_fenced(events::LOW | unrung);
    }

    /// Whether the calls in the ring have fallen to the mark that the application set.
    #[inline]
    fn is_low(&self) -> bool {
        let header = self.segment.header();
        let low_water = u64::from(header.bell.0.low_water.load(Relaxed));
        self.calls_seen - self.tail <= low_water && self.calls_left() <= low_water
    }

    #[inline]
    fn calls_left(&self) -> u64 {
        self.segment.header().calls_head.0.load(Acquire) - self.tail
    }

    #[inline]
    fn await_frame(&mut self, before_sleep: &mut impl FnMut()) {
        if self.calls_seen == self.tail {
            let events = events::IDLE | events::LOW;
            self.sleep_until(events, before_sleep, |end| end.calls_left() > 0);
            self.calls_seen = self.tail + self.calls_left();
        }
    }

    /// Whether no call is known beyond the one that was claimed last.
    #[inline]
    pub fn knows_no_other(&self) -> bool {
        self.calls_seen == self.tail
    }

    /// Commits the answer to the call of number `seq`, of at most [`MAX_BODY`] bytes.
    #[inline]
    pub fn answer(&mut self, seq: u32, status: Status, body: &[u8]) {
        const EVENTS: u32 = events::ANSWER | events::HALF_FULL | events::LOW;
        fault::at(Site::Answers);
        self.await_room(frame_size(body.len()));
        self.push(seq, status, body.len() as u64, body);
        if self.knows_no_other() {
            self.commit(machine::store_fenced);
            self.ring_fenced(EVENTS);
        } else {
            self.commit(|head, value| head.store(value, Release));
            self.unrung = EVENTS;
        }
    }

    /// Puts a frame into the ring of answers, where there is room.
    #[inline]
    fn push(&mut self, seq: u32, status: Status, total: u64, body: &[u8]) {
        let at = self.head;
        self.answers.prefetch(at);
        self.answers.word(at, 0).store(status as u32, Relaxed);
        self.answers
            .word(at, 1)
            .store(body_len(body.len()), Relaxed);
        self.answers.word(at, 2).store(seq, Relaxed);
        self.answers.total(at).store(total, Relaxed);
        self.answers.write_body(at, body);
        self.head += frame_size(body.len());
        fault::at(Site::Written);
    }

    /// Commits the frames that were put into the ring of answers, by such a store: one that passes a full
    /// fence, where the look at the bell comes next.
    #[inline]
    fn commit(&self, store: impl FnOnce(&AtomicU64, u64)) {
        store(&self.segment.header().answers_head.0, self.head);
        fault::at(Site::Committed);
    }

    /// Returns once there is room for an answer's frame of `size` bytes.
    #[inline]
    fn await_room(&mut self, size: u64) {
        if RING_SIZE as u64 - (self.head - self.taken_seen) < size {
            self.sleep_until(events::HALF_FULL, &mut || (), |end| end.room() >= size);
            self.taken_seen = self.taken();
        }
    }

    /// Whether half of the ring of answers is taken.
    #[inline]
    fn is_half_full(&mut self) -> bool {
        const HALF: u64 = RING_SIZE as u64 / 2;
        self.head - self.taken_seen > HALF && {
            self.taken_seen = self.taken();
            self.head - self.taken_seen > HALF
        }
    }

    fn room(&self) -> u64 {
        RING_SIZE as u64 - (self.head - self.taken())
    }

    fn taken(&self) -> u64 {
        self.segment.header().answers_tail.0.load(Acquire)
    }

    /// Looks at the bell for an answer where that was left to the claim of the next call.
    pub fn ring_unrung(&mut self) {
        let events = mem::take(&mut self.unrung);
        if events != 0 {
            self.ring(events);
        }
    }

    /// Rings the bell if the application wants to hear of any of `events` and was not rung already.
    /// Of those that hang on how full a ring is only what holds counts.
    fn ring(&mut self, events: u32) {
        fence(SeqCst);
        self.ring_fenced(events);
    }

    /// As [`ring`](Self::ring), after a full fence.
    #[inline]
    fn ring_fenced(&mut self, events: u32) {
        let bell = self.segment.header().bell.0.word.load(SeqCst);
        let wanted = bell & events;
        if wanted != 0
            && bell != self.last_bell
            && (wanted & !(events::HALF_FULL | events::LOW) != 0
                || (wanted & events::HALF_FULL != 0 && self.is_half_full())
                || (wanted & events::LOW != 0 && self.is_low()))
        {
            self.ring_at(bell);
        }
    }

    /// Rings where the bell says.
    #[cold]
    fn ring_at(&mut self, bell: u32) {
        let header = self.segment.header();
        self.last_bell = bell;
        fault::at(Site::Rings);
        if bell & BELL_FUTEX == 0 {
            machine::ring(self.control.as_fd());
        } else {
            header.doorbell.0.fetch_add(1, AcqRel);
            header.doorbell.0.wake();
        }
    }
}

impl Segment {
    /// Leaves words for the application to find after this process has died.
    ///
    /// Makes no allocation and no system call.
    pub fn leave_last_words(&self, kind: u32, seq: u32, bytes: &[u8]) {
        self.withdraw_last_words();
        let words = self.last_words();
        let bytes = &bytes[..bytes.len().min(MAX_LAST_WORDS)];
        words.seq.store(seq, Relaxed);
        words.len.store(body_len(bytes.len()), Relaxed);
        for (word, chunk) in words.bytes.iter().zip(bytes.chunks(4)) {
            let mut four = [0; 4];
            four[..chunk.len()].copy_from_slice(chunk);
            word.store(u32::from_le_bytes(four), Relaxed);
        }
        words.kind.store(kind, Release);
    }

    /// Takes back the words left.
    ///
    /// Makes no allocation and no system call.
    pub fn withdraw_last_words(&self) {
        self.last_words().kind.store(0, Relaxed);
        // Whatever is written from here on, nobody takes it for what the kind had announced.
        fence(Release);
    }
}
