//! A hostile worker against the application's end of a channel.
//!
//! What it answers in earnest must arrive as it was; once it has lied anywhere, nothing has to but
//! that the application goes on, and takes no answer that is larger than what was sent.

use std::collections::VecDeque;
use std::time::Duration;

use pool_worker::channel::{
    ApplicationEnd, MAX_BODY, Notice, Offer, Payload, Segment, Sent, Ticket, events,
};
use pool_worker::protocol::Status;
use pool_worker::sys::Buffer;

use crate::input::Input;
use crate::memory::{
    ANSWERS_HEAD, ANSWERS_TAIL, CALLS_TAIL, Frame, HEADER, Memory, RING, Ring, SIZE,
};

/// An application and its worker.
struct Pair {
    end: ApplicationEnd,
    memory: Memory,
    /// Up to where the worker has written answers.
    head: u64,
    /// What was answered in earnest and has not arrived.
    expected: VecDeque<Vec<u8>>,
    /// Bytes that were written to the ring of answers in all.
    sent: u64,
    has_lied: bool,
    tickets: Vec<Ticket>,
    /// A large call, of which so much was sent.
    large: Option<(Payload, Sent)>,
}

pub fn target(bytes: &[u8]) {
    let (segment, memfd) = Segment::create().expect("there is memory");
    let mut pair = Pair {
        end: ApplicationEnd::new(segment),
        memory: Memory::new(memfd),
        head: 0,
        expected: VecDeque::new(),
        sent: 0,
        has_lied: false,
        tickets: Vec::new(),
        large: None,
    };
    let mut input = Input::new(bytes);
    while let Some(step) = input.byte() {
        match step % 12 {
            0 => pair.lie_in_the_header(&mut input),
            1 => pair.lie_anywhere(&mut input),
            2 => pair.answer(&mut input),
            3 => pair.answer_wrongly(&mut input),
            4 => pair.stream(&mut input),
            5 => pair.let_go(&mut input),
            6..=8 => {
                if !pair.receive() {
                    return;
                }
            }
            9 => pair.offer(&mut input),
            10 => pair.look_at_calls(&mut input),
            _ => pair.look_beside(),
        }
    }
    while !pair.has_lied && !pair.expected.is_empty() {
        pair.receive();
    }
}

impl Pair {
    fn lie_in_the_header(&mut self, input: &mut Input<'_>) {
        self.has_lied = true;
        let offset = input.number::<1>() * 8 % HEADER;
        self.memory.set(offset, input.special());
    }

    fn lie_anywhere(&mut self, input: &mut Input<'_>) {
        self.has_lied = true;
        let offset = input.number::<3>() % SIZE;
        let len = input.byte().unwrap_or(0).into();
        self.memory.write(offset, input.bytes(len));
    }

    fn room(&self) -> u64 {
        RING.saturating_sub(self.head.wrapping_sub(self.memory.get(ANSWERS_TAIL)))
    }

    fn push(&mut self, frame: &Frame<'_>) {
        self.memory.put(Ring::Answers, self.head, frame);
        self.head = self.head.wrapping_add(frame.size());
        self.sent += frame.size();
        self.memory.set(ANSWERS_HEAD, self.head);
    }

    fn answer(&mut self, input: &mut Input<'_>) {
        let len = usize::from(input.byte().unwrap_or(0)).pow(2).min(MAX_BODY);
        let mut body = input.bytes(len).to_vec();
        body.resize(len, 7);
        let frame = Frame {
            words: [
                Status::Returned as u32,
                u32::try_from(len).unwrap_or(0),
                3,
                0,
            ],
            total: len as u64,
            body: &body,
        };
        if self.room() >= frame.size() {
            self.push(&frame);
            self.expected.push_back(body);
        }
    }

    fn answer_wrongly(&mut self, input: &mut Input<'_>) {
        self.has_lied = true;
        let mut word = || input.special() & u64::from(u32::MAX);
        let words = [word(), word(), word(), word()].map(|word| u32::try_from(word).unwrap_or(0));
        let total = input.special();
        let len = input.byte().unwrap_or(0).into();
        let body = input.bytes(len);
        self.push(&Frame { words, total, body });
    }

    /// Begins a stream of buffers whose lengths add up, or do not.
    fn stream(&mut self, input: &mut Input<'_>) {
        self.has_lied = true;
        let mut table = Vec::new();
        let mut total = 0_u64;
        for _ in 0..input.byte().unwrap_or(0) % 4 {
            let (len, align) = (input.special(), 1 << (input.byte().unwrap_or(0) % 6));
            table.extend(len.to_le_bytes());
            table.extend(u64::to_le_bytes(align));
            total = total.wrapping_add(len);
        }
        total = total.wrapping_add(table.len() as u64);
        let len = u32::try_from(table.len()).unwrap_or(0);
        self.push(&Frame {
            words: [0, len, 3, 0],
            total,
            body: &table,
        });
        for _ in 0..input.byte().unwrap_or(0) % 4 {
            let body = vec![9; usize::from(input.byte().unwrap_or(0))];
            let len = u32::try_from(body.len()).unwrap_or(0);
            self.push(&Frame {
                words: [0, len, 3, 0],
                total: 0,
                body: &body,
            });
        }
    }

    /// The worker lets go of calls, of which it may have had none.
    fn let_go(&mut self, input: &mut Input<'_>) {
        let tail = self.memory.get(CALLS_TAIL).wrapping_add(input.special());
        self.memory.set(CALLS_TAIL, tail);
    }

    /// Whether the worker may live on.
    fn receive(&mut self) -> bool {
        match self.end.receive(|_, _| Vec::new()) {
            Ok(None) => {
                assert!(
                    self.has_lied || self.expected.is_empty(),
                    "an answer is lost"
                );
                true
            }
            Ok(Some(answer)) => {
                assert!(
                    answer.body.len() as u64 <= self.sent,
                    "more came than was sent"
                );
                if !self.has_lied {
                    let expected = self.expected.pop_front().expect("an answer nobody gave");
                    assert_eq!(answer.body.bytes(), expected);
                }
                true
            }
            Err(_) => {
                assert!(self.has_lied, "an honest worker is taken for a liar");
                false
            }
        }
    }

    fn offer(&mut self, input: &mut Input<'_>) {
        if self.large.is_some() {
            return;
        }
        let payload = match input.byte().unwrap_or(0) {
            200.. => Payload::Large([Buffer::from_vec(vec![1_u8; 100_000])].into()),
            len => Payload::of_first(&[2; 200], len.into()),
        };
        let notice = Notice {
            limit: Some(Duration::from_nanos(input.special())),
            attempt: 1,
        };
        let offer = match input.byte().unwrap_or(0) % 2 {
            0 => self.end.offer(1, 3, &payload),
            _ => self.end.offer_with(notice, 1, 3, &payload),
        };
        if let Offer::Placed(ticket) = offer {
            self.tickets.push(ticket);
            if let Payload::Large(_) = payload {
                self.large = Some((payload, Sent::default()));
            }
        }
    }

    fn look_at_calls(&mut self, input: &mut Input<'_>) {
        if let Some((payload, sent)) = &mut self.large
            && !self.end.send_more(3, payload, sent)
        {
            self.large = None;
        }
        let index = usize::from(input.byte().unwrap_or(0));
        let Some(&ticket) = self.tickets.get(index) else {
            return;
        };
        self.end.has_begun(ticket);
        self.end.ask_to_end(ticket);
        let _ = self.end.stamp(ticket);
        if self.end.revoke(ticket) {
            let again = self.end.revoke(ticket);
            assert!(!again, "a call was taken back twice");
        }
    }

    fn look_beside(&mut self) {
        let all = events::ANSWER | events::LOW | events::HALF_FULL | events::IDLE;
        let _ = self.end.arm_socket(all);
        let _ = self.end.arm_doorbell(all);
        self.end.disarm();
        self.end.wake();
        let _ = self.end.doorbell(self.large.is_some()).has_news();
        let _ = (self.end.may_have_made_room(), self.end.calls_left());
        let _ = (self.end.pace(), self.end.excess(), self.end.claimed_pid());
        let words = self.end.last_words();
        assert!(words.is_none_or(|words| words.bytes.len() <= 2048));
    }
}
