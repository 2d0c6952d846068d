//! A worker that writes any number wherever it can write one: each answer of this end is the one that
//! is due, and it never panics. All is tried of what can make a difference: the values around each bound.

use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::channel::exchange::ends;
use crate::channel::{FRAME_HEADER, FRAME_UNIT, Notice, Sent};
use crate::sys::Buffer;

const RING: u64 = RING_SIZE as u64;

/// The values around each of these, and around those that are special to any number.
fn around(bounds: &[u64]) -> Vec<u64> {
    let unit = FRAME_UNIT as u64;
    let special = [0, 1 << 31, 1 << 32, 1 << 63, u64::MAX];
    let mut values: Vec<_> = bounds
        .iter()
        .chain(&special)
        .flat_map(|bound| {
            let near = [0, 1, 7, 8, unit - 1, unit, unit + 1];
            near.map(|near| [bound.wrapping_add(near), bound.wrapping_sub(near)])
        })
        .flatten()
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// The same as they fit in a word.
#[expect(
    clippy::cast_possible_truncation,
    reason = "equal words are tried once"
)]
fn words_around(bounds: &[u64]) -> Vec<u32> {
    let mut words: Vec<_> = around(bounds)
        .into_iter()
        .map(|value| value as u32)
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// A frame of an answer, and up to where there are frames.
#[derive(Clone, Copy, Debug)]
struct Said {
    head: u64,
    status: u32,
    len: u32,
    total: u64,
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Violation,
    Nothing,
    Answer(usize),
}

impl Said {
    /// What is due to an end that has taken all below `tail`. A stream would begin with a table, of which
    /// nobody has written any.
    fn due(self, tail: u64) -> Due {
        let there = self.head.wrapping_sub(tail);
        let len = self.len as usize;
        if there == 0 {
            return Due::Nothing;
        }
        if there > RING || !there.is_multiple_of(FRAME_UNIT as u64) || len > MAX_BODY {
            return Due::Violation;
        }
        let size = (FRAME_HEADER + len).next_multiple_of(FRAME_UNIT) as u64;
        if size > there
            || Status::from_raw(self.status).is_none()
            || self.total != u64::from(self.len)
        {
            return Due::Violation;
        }
        Due::Answer(len)
    }

    fn write(self, theirs: &Segment, at: u64) {
        let answers = theirs.answers();
        answers.word(at, 0).store(self.status, Relaxed);
        answers.word(at, 1).store(self.len, Relaxed);
        answers.total(at).store(self.total, Relaxed);
        theirs.header().answers_head.0.store(self.head, Relaxed);
    }
}

#[test]
fn every_frame_of_an_answer_gets_what_is_due() {
    let (mut end, theirs) = ends();
    let body = MAX_BODY as u64;
    let mut tried = 0;
    for tail in [0, 32, RING / 2, RING - 64, RING - 32, RING, 7 * RING + 96] {
        let heads = around(&[
            tail,
            tail + body + FRAME_HEADER as u64,
            tail + RING / 2,
            tail + RING,
        ]);
        for head in heads {
            for len in words_around(&[8, body, RING]) {
                let totals = [0, 1, u64::from(len), u64::from(len) + 1, u64::MAX];
                for (status, total) in [0, 5, 6, u32::MAX]
                    .into_iter()
                    .flat_map(|status| totals.map(|total| (status, total)))
                {
                    let said = Said {
                        head,
                        status,
                        len,
                        total,
                    };
                    said.write(&theirs, tail);
                    (end.tail, end.seen, end.given_back, end.partial) = (tail, tail, tail, None);
                    let got = match end.receive(|_, _| Vec::new()) {
                        Err(Violation(_)) => Due::Violation,
                        Ok(None) => Due::Nothing,
                        Ok(Some(answer)) => Due::Answer(answer.body.len()),
                    };
                    assert_eq!(got, said.due(tail), "{said:?} at {tail}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 100_000, "{tried} were tried");
}

#[test]
fn whatever_is_said_of_calls_hurts_nobody_else() {
    let notice = Notice {
        limit: Some(Duration::MAX),
        attempt: u32::MAX,
    };
    let calls = [
        Payload::default(),
        Payload::of_first(&[1; MAX_BODY], MAX_BODY),
        Payload::Large([Buffer::from_vec(vec![2_u8; 2 * RING_SIZE])].into()),
    ];
    for head in [0, 32, RING - 32, RING, 7 * RING + 96] {
        for released in around(&[head, head.wrapping_sub(RING), head + RING / 2]) {
            for first_word in [0, 1, 2, 3, 4, 5, 6, u32::MAX] {
                let (mut end, theirs) = ends();
                (end.head, end.published) = (head, head);
                theirs.header().calls_tail.0.store(released, Relaxed);
                let ring = theirs.calls();
                for call in &calls {
                    let before = end.head;
                    let offer = end.offer_with(notice, 1, 2, call);
                    assert!(end.head - before <= RING, "more than the ring holds");
                    let Offer::Placed(ticket) = offer else {
                        continue;
                    };
                    ring.word(ticket.0, 0).store(first_word, Relaxed);
                    let mut sent = Sent::default();
                    end.send_more(2, call, &mut sent);
                    let revoked = end.revoke(ticket);
                    let is_queued = first_word == state::QUEUED && ticket.0 >= released;
                    assert_eq!(revoked, is_queued);
                    let begun = end.has_begun(ticket);
                    assert_eq!(
                        begun,
                        ticket.0 < released || (!revoked && first_word == state::CLAIMED)
                    );
                }
                let left = end.calls_left();
                assert!(left <= end.head);
                let is_low = end.arm_socket(events::LOW);
                assert_eq!(is_low, left == 0, "a quarter of what is left is not all");
                end.disarm();
                end.wake();
                let news = end.doorbell(true).has_news();
                assert!(news || end.head + frame_size(MAX_BODY) > RING);
            }
        }
    }
}

#[test]
fn whatever_is_said_beside_the_rings_is_bounded() {
    let (mut end, theirs) = ends();
    let header = theirs.header();
    for value in around(&[MAX_LAST_WORDS as u64, RING]) {
        let word = u32::try_from(value & u64::from(u32::MAX)).unwrap();
        let words = theirs.last_words();
        words.len.store(word, Relaxed);
        words.seq.store(word, Relaxed);
        words.kind.store(word, Relaxed);
        let found = end.last_words();
        assert_eq!(found.is_some(), word != 0);
        assert!(found.is_none_or(|words| words.bytes.len() <= MAX_LAST_WORDS));
        header.pace.0.store(value, Relaxed);
        assert_eq!(
            end.pace(),
            (value != 0).then(|| Duration::from_nanos(value))
        );
        header.excess.0.store(value, Relaxed);
        assert_eq!(end.excess(), (value != 0).then_some(value));
        header.doze.0.store(word, Relaxed);
        assert_eq!(end.is_awake(), word == 0);
        end.wake();
        assert!(end.is_awake());
        header.doorbell.0.store(word, Relaxed);
        let doorbell = end.doorbell(false);
        assert_eq!(doorbell.count(), word);
        doorbell.ring();
        assert_eq!(doorbell.count(), word.wrapping_add(1));
    }
}
