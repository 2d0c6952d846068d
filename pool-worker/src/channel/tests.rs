use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::Duration;

use super::exchange::*;
use super::*;
use crate::protocol::Status;
use crate::sys::{self, Buffer};

/// Both ends, and the other end of the worker's socket.
fn pair() -> (ApplicationEnd, WorkerEnd, OwnedFd) {
    let (end, theirs) = ends();
    // Miri knows no datagrams; what it looks at rings no socket.
    let (heard, control): (OwnedFd, OwnedFd) = if cfg!(miri) {
        let (heard, control) = io::pipe().unwrap();
        (heard.into(), control.into())
    } else {
        let (heard, control) = UnixDatagram::pair().unwrap();
        (heard.into(), control.into())
    };
    (end, WorkerEnd::new(theirs, control), heard)
}

fn offer(end: &mut ApplicationEnd, seq: u32, arguments: &[u8]) -> Option<Ticket> {
    let offer = end.offer(7, seq, &payload(arguments));
    end.wake();
    match offer {
        Offer::Placed(ticket) => Some(ticket),
        Offer::Full => None,
    }
}

fn echo(mut worker: WorkerEnd, calls: usize) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for _ in 0..calls {
            echo_one(&mut worker);
        }
    })
}

#[test]
fn values_of_all_sizes_come_back_as_they_went() {
    let (mut end, worker, _socket) = pair();
    let sizes = [
        0,
        1,
        7,
        8,
        9,
        31,
        32,
        33,
        MAX_BODY - 1,
        MAX_BODY,
        MAX_BODY + 1,
        RING_SIZE,
        if cfg!(miri) { RING_SIZE + 1 } else { 3_000_001 },
    ];
    let worker = echo(worker, sizes.len());
    for (seq, size) in (0u32..).zip(sizes) {
        let value: Vec<u8> = (0..=250).cycle().take(size).collect();
        let call = payload(&value);
        assert!(matches!(end.offer(7, seq, &call), Offer::Placed(_)));
        end.wake();
        let answer = await_answer(&mut end, &call, seq);
        assert_eq!(answer.seq, seq);
        assert_eq!(answer.status, Status::Returned);
        assert_eq!(answer.body.bytes(), value, "of {size} bytes");
    }
    worker.join().unwrap();
}

#[test]
fn answers_come_in_the_order_of_calls_and_a_full_ring_says_so() {
    const CALLS: u32 = if cfg!(miri) { 3000 } else { 100_000 };
    let (mut end, worker, _socket) = pair();
    let worker = echo(worker, CALLS as usize);
    let (mut sent, mut received) = (0, 0);
    while received < CALLS {
        while sent < CALLS && offer(&mut end, sent, &sent.to_le_bytes()).is_some() {
            sent += 1;
        }
        end.wake();
        let answer = await_answer(&mut end, &Payload::default(), 0);
        assert_eq!(answer.seq, received);
        assert_eq!(answer.body.bytes(), received.to_le_bytes());
        received += 1;
    }
    worker.join().unwrap();
}

#[test]
fn a_call_is_either_claimed_or_revoked() {
    for round in 0..if cfg!(miri) { 30 } else { 2000u32 } {
        let (mut end, mut worker, _socket) = pair();
        let first = offer(&mut end, 0, &[1]).unwrap();
        offer(&mut end, 1, &[2]).unwrap();
        let claimer = thread::spawn(move || {
            let (call, arguments) = next_call(&mut worker);
            worker.answer(call.seq, Status::Returned, &arguments.bytes);
            call.seq
        });
        if round % 2 == 0 {
            thread::yield_now();
        }
        let revoked = end.revoke(first);
        assert!(revoked || end.has_begun(first));
        assert_eq!(claimer.join().unwrap(), u32::from(revoked));
        assert!(!end.revoke(first), "a call was revoked twice");
    }
}

#[test]
fn a_revoked_streamed_call_is_skipped_whole() {
    let (mut end, mut worker, _socket) = pair();
    let large = payload(&vec![3; 40_000]);
    let Offer::Placed(ticket) = end.offer(0, 0, &large) else {
        panic!("no room")
    };
    assert!(!end.send_more(0, &large, &mut Sent::default()));
    assert!(end.revoke(ticket));
    offer(&mut end, 1, &[9]).unwrap();
    let (call, arguments) = next_call(&mut worker);
    assert_eq!((call.task, call.seq), (7, 1));
    assert_eq!(arguments.bytes, [9]);
}

#[test]
fn a_notice_goes_with_its_call_and_with_no_other() {
    let (mut end, mut worker, _socket) = pair();
    let notice = Notice {
        limit: Some(Duration::from_millis(70)),
        attempt: 3,
    };
    let arguments = payload(&[1]);
    let place = |end: &mut ApplicationEnd, seq| {
        let Offer::Placed(ticket) = end.offer_with(notice, 7, seq, &arguments) else {
            panic!("no room")
        };
        ticket
    };
    let before = sys::monotonic();
    let revoked = place(&mut end, 0);
    assert!(end.revoke(revoked));
    let plain = offer(&mut end, 1, &[2]).unwrap();
    let told = place(&mut end, 2);
    end.wake();
    let (call, _) = next_call(&mut worker);
    assert_eq!((call.seq, call.claim.attempt), (1, 1));
    assert_eq!(call.claim.deadline(), None);
    let (call, arguments) = next_call(&mut worker);
    assert_eq!((call.task, call.seq, call.claim.attempt), (7, 2, 3));
    assert_eq!(arguments.bytes, [1]);
    assert_eq!(end.stamp(revoked), None);
    assert_eq!(end.stamp(plain), None);
    let begun = end.stamp(told).unwrap();
    assert!((before..=sys::monotonic()).contains(&begun));
    assert_eq!(call.claim.deadline(), Some(begun + notice.limit.unwrap()));
}

#[test]
fn a_notice_takes_no_room_that_its_call_needs() {
    let (mut end, mut worker, _socket) = pair();
    let notice = Notice {
        limit: None,
        attempt: 2,
    };
    let large = payload(&[5; MAX_BODY]);
    let mut seq = 0;
    while let Offer::Placed(_) = end.offer_with(notice, 7, seq, &large) {
        seq += 1;
    }
    assert!(offer(&mut end, seq, &[6]).is_some());
    for _ in 0..seq {
        assert_eq!(next_call(&mut worker).0.claim.attempt, 2);
    }
    assert_eq!(next_call(&mut worker).0.claim.attempt, 1);
}

#[test]
fn one_call_is_asked_to_end_and_no_other() {
    let (mut end, mut worker, _socket) = pair();
    let first = offer(&mut end, 0, &[]).unwrap();
    offer(&mut end, 0, &[]).unwrap();
    let calls = [next_call(&mut worker).0, next_call(&mut worker).0];
    let asked = |end: &ApplicationEnd| calls.map(|call| end.segment.is_asked_to_end(call.claim));
    assert_eq!(asked(&end), [false, false]);
    end.ask_to_end(first);
    assert_eq!(asked(&end), [true, false]);
    assert_eq!(end.segment.place(), None);
    end.set_place(0);
    assert_eq!(end.segment.place(), Some(0));
}

#[test]
#[cfg_attr(miri, ignore = "it knows no datagrams")]
fn the_socket_is_rung_once_for_each_bell() {
    let (mut end, mut worker, socket) = pair();
    let socket = UnixDatagram::from(socket);
    socket.set_nonblocking(true).unwrap();
    for seq in 0..3 {
        offer(&mut end, seq, &[]).unwrap();
    }
    assert!(!end.arm_socket(events::ANSWER));
    let mut buffer = [0; 8];
    let mut is_rung = || socket.recv(&mut buffer).is_ok();
    let (mut call, _) = next_call(&mut worker);
    for expected in [true, false] {
        worker.answer(call.seq, Status::Returned, &[]);
        assert!(!is_rung(), "the claim of the next call comes first");
        (call, _) = next_call(&mut worker);
        assert_eq!(is_rung(), expected);
    }
    assert!(
        end.arm_socket(events::ANSWER),
        "answers that wait are told of at arming"
    );
    worker.answer(call.seq, Status::Returned, &[]);
    assert!(is_rung(), "no call is known that could be claimed");
}

#[test]
fn a_lying_worker_is_found_out() {
    type Lie = fn(&Segment);
    let lies: [(&str, Lie); 5] = [
        ("a position beyond the ring", |s| {
            s.header()
                .answers_head
                .0
                .store(RING_SIZE as u64 + 32, std::sync::atomic::Ordering::SeqCst);
        }),
        ("a crooked position", |s| {
            s.header()
                .answers_head
                .0
                .store(5, std::sync::atomic::Ordering::SeqCst);
        }),
        ("a body longer than what was sent", |s| {
            s.answers()
                .word(0, 1)
                .store(4000, std::sync::atomic::Ordering::SeqCst);
            s.header()
                .answers_head
                .0
                .store(32, std::sync::atomic::Ordering::SeqCst);
        }),
        ("an unknown status", |s| {
            s.answers()
                .word(0, 0)
                .store(99, std::sync::atomic::Ordering::SeqCst);
            s.header()
                .answers_head
                .0
                .store(32, std::sync::atomic::Ordering::SeqCst);
        }),
        ("more than memory holds", |s| {
            s.answers()
                .total(0)
                .store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
            s.header()
                .answers_head
                .0
                .store(32, std::sync::atomic::Ordering::SeqCst);
        }),
    ];
    for (what, lie) in lies {
        let (mut end, theirs) = ends();
        lie(&theirs);
        assert!(receive(&mut end).is_err(), "{what} was believed");
    }
}

#[test]
fn last_words_are_kept_and_bounded() {
    let (end, theirs) = ends();
    assert_eq!(end.last_words(), None);
    theirs.leave_last_words(3, 17, b"farewell");
    assert_eq!(
        end.last_words(),
        Some(LastWords {
            seq: 17,
            kind: 3,
            bytes: b"farewell".to_vec()
        })
    );
    theirs.leave_last_words(4, 18, &[b'x'; 10_000]);
    assert_eq!(end.last_words().unwrap().bytes.len(), MAX_LAST_WORDS);
}

/// Puts an answer's frame into the ring, as a worker that may lie.
fn say(segment: &Segment, at: u64, total: u64, body: &[u8]) {
    let (ring, order) = (segment.answers(), std::sync::atomic::Ordering::SeqCst);
    ring.word(at, 0).store(Status::Returned as u32, order);
    ring.word(at, 1).store(body_len(body.len()), order);
    ring.total(at).store(total, order);
    ring.write_body(at, body);
    let head = at + frame_size(body.len());
    segment.header().answers_head.0.store(head, order);
}

#[test]
fn lies_in_a_stream_are_found_out() {
    let table = |entries: &[[u64; 2]]| -> Vec<u8> {
        let words = entries.iter().flatten();
        words.flat_map(|word| word.to_le_bytes()).collect()
    };
    let lies: [(&str, Vec<u8>, u64); 8] = [
        ("no buffer", Vec::new(), 7),
        ("a crooked table", vec![0; 15], 100),
        ("a sum that is too large", table(&[[8, 1]]), 25),
        ("a sum that overflows", table(&[[u64::MAX, 1], [9, 1]]), 40),
        (
            "more than memory holds",
            table(&[[u64::MAX - 16, 1]]),
            u64::MAX,
        ),
        ("no alignment", table(&[[8, 0]]), 24),
        ("an odd alignment", table(&[[8, 3]]), 24),
        ("a page's alignment", table(&[[8, 4096]]), 24),
    ];
    for (what, table, total) in lies {
        let (mut end, theirs) = ends();
        say(&theirs, 0, total, &table);
        assert!(receive(&mut end).is_err(), "{what} was believed");
    }
    for (what, body) in [
        ("no progress", &[][..]),
        ("more than was announced", &[1; 9]),
    ] {
        let (mut end, theirs) = ends();
        say(&theirs, 0, 24, &table(&[[8, 1]]));
        assert!(receive(&mut end).unwrap().is_none());
        say(&theirs, frame_size(16), 0, body);
        assert!(receive(&mut end).is_err(), "{what} was believed");
    }
}

#[test]
#[cfg_attr(
    miri,
    ignore = "it knows no advice on pages, which much memory is given"
)]
fn what_is_larger_than_it_may_be_is_found_out_at_its_beginning() {
    let table = |len: u64| [len.to_le_bytes(), 1_u64.to_le_bytes()].concat();
    let says = |status: Status, limit: u64, total: u64, body: &[u8]| {
        let (mut end, theirs) = ends();
        end.limit_outputs(limit);
        say(&theirs, 0, total, body);
        let ring = theirs.answers();
        ring.word(0, 0)
            .store(status as u32, std::sync::atomic::Ordering::SeqCst);
        receive(&mut end)
    };
    let returned = |limit, total, body: &[u8]| says(Status::Returned, limit, total, body);
    assert!(returned(100, 100, &[7; 100]).unwrap().is_some());
    assert!(returned(100, 101, &[7; 101]).is_err());
    assert!(returned(1 << 20, (1 << 20) + 16, &table(1 << 20)).is_ok());
    assert!(returned(1 << 20, (1 << 20) + 17, &table((1 << 20) + 1)).is_err());
    assert!(returned(u64::MAX, (1 << 40) + 16, &table(1 << 40)).is_ok());
    let panicked = |total, body: &[u8]| says(Status::Panicked, 1, total, body);
    assert!(panicked(100, &[7; 100]).unwrap().is_some());
    assert!(panicked(MAX_FAILURE + 16, &table(MAX_FAILURE)).is_ok());
    assert!(panicked(MAX_FAILURE + 17, &table(MAX_FAILURE + 1)).is_err());
}

#[test]
fn a_worker_knows_how_much_it_may_return() {
    for (limit, known) in [(1, 1), (1 << 40, 1 << 40), (u64::MAX, u64::MAX)] {
        let (mut end, worker, _socket) = pair();
        assert_eq!(worker.max_output(), u64::MAX, "nothing was said");
        end.limit_outputs(limit);
        assert_eq!((end.max_output(), worker.max_output()), (limit, known));
    }
}

#[test]
fn buffers_arrive_in_memory_that_suits_them() {
    let (mut end, mut worker, _socket) = pair();
    let serving = thread::spawn(move || {
        let (call, mut arguments) = next_call(&mut worker);
        assert_eq!(arguments.parts[1].align(), 8);
        arguments.parts.truncate(1);
        let buffers = take_large(&mut arguments, 0).unwrap();
        worker.answer_large(call.seq, Status::Returned, &buffers);
    });
    let numbers = Buffer::from_vec(vec![5_u64; 10_000]);
    let call = Payload::Large(
        [
            Buffer::default(),
            Buffer::from_vec(vec![6_u8; 50_000]),
            numbers,
        ]
        .into(),
    );
    assert!(matches!(end.offer(7, 3, &call), Offer::Placed(_)));
    let spare = Buffer::from_vec(vec![0_u8; 60_000]);
    let address = spare.as_slice().as_ptr();
    let mut spare = Some(vec![Buffer::from_vec(vec![0_u8; 200_000]), spare]);
    let mut sent = Sent::default();
    let answer = loop {
        end.send_more(3, &call, &mut sent);
        end.wake();
        let memory = |_: &mut ApplicationEnd, seq| {
            assert_eq!(seq, 3);
            spare.take().unwrap()
        };
        if let Some(answer) = end.receive(memory).unwrap() {
            break answer;
        }
        thread::yield_now();
    };
    let Payload::Large(buffers) = answer.body else {
        panic!("it is small")
    };
    assert_eq!(buffers[1].as_slice(), vec![6; 50_000]);
    assert_eq!(buffers[1].as_slice().as_ptr(), address);
    serving.join().unwrap();
}

#[test]
fn calls_that_it_was_not_given_are_none_to_let_go_of() {
    let (mut end, theirs) = ends();
    let ticket = offer(&mut end, 0, b"").unwrap();
    let mut said = |position| {
        let tail = &theirs.header().calls_tail.0;
        tail.store(position, std::sync::atomic::Ordering::SeqCst);
        (end.has_begun(ticket), end.check().is_ok())
    };
    assert_eq!(said(0), (false, true));
    assert_eq!(said(64), (true, false));
}
