use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::thread;

use super::*;
use crate::protocol::Status;

fn pair() -> (ApplicationEnd, WorkerEnd, UnixDatagram) {
    let (segment, memfd) = Segment::create().unwrap();
    let theirs = Segment::open(memfd.as_fd()).unwrap();
    let (socket, control) = UnixDatagram::pair().unwrap();
    (
        ApplicationEnd::new(segment),
        WorkerEnd::new(Arc::new(theirs), OwnedFd::from(control)),
        socket,
    )
}

/// Waits for the next answer, asleep on the doorbell.
fn await_answer(end: &mut ApplicationEnd, rest: &mut &[u8], seq: u32) -> Answer {
    loop {
        if let Some(answer) = end.receive().unwrap() {
            end.wake();
            return answer;
        }
        let sent = end.send_more(seq, rest);
        *rest = &rest[sent..];
        let doorbell = end.doorbell();
        let count = doorbell.count();
        end.wake();
        let low = if rest.is_empty() { 0 } else { events::LOW };
        if !end.arm_doorbell(events::ANSWER | events::HALF_FULL | low) {
            doorbell.sleep(count, None);
        }
    }
}

fn echo(mut worker: WorkerEnd, calls: usize) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut arguments = Vec::new();
        for _ in 0..calls {
            let call = worker.next_call(&mut arguments, || ());
            worker.answer(call.seq, Status::Returned, &arguments);
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
        3_000_001,
    ];
    let worker = echo(worker, sizes.len());
    for (seq, size) in (0u32..).zip(sizes) {
        let value: Vec<u8> = (0..=250).cycle().take(size).collect();
        let mut rest = match end.offer(7, seq, &value) {
            Offer::Placed(_) => &[][..],
            Offer::Begun(_, sent) => &value[sent..],
            Offer::Full => panic!("an empty ring is full"),
        };
        let answer = await_answer(&mut end, &mut rest, seq);
        assert_eq!(answer.seq, seq);
        assert_eq!(answer.status, Status::Returned);
        assert_eq!(&answer.body[..], &value[..], "of {size} bytes");
    }
    worker.join().unwrap();
}

#[test]
fn answers_come_in_the_order_of_calls_and_a_full_ring_says_so() {
    const CALLS: u32 = 100_000;
    let (mut end, worker, _socket) = pair();
    let worker = echo(worker, CALLS as usize);
    let (mut sent, mut received) = (0, 0);
    while received < CALLS {
        while sent < CALLS && matches!(end.offer(0, sent, &sent.to_le_bytes()), Offer::Placed(_)) {
            sent += 1;
        }
        end.wake();
        let answer = await_answer(&mut end, &mut &[][..], 0);
        assert_eq!(answer.seq, received);
        assert_eq!(&answer.body[..], received.to_le_bytes());
        received += 1;
    }
    worker.join().unwrap();
}

#[test]
fn a_call_is_either_claimed_or_revoked() {
    for round in 0..2000u32 {
        let (mut end, mut worker, _socket) = pair();
        let Offer::Placed(first) = end.offer(0, 0, &[1]) else {
            panic!("no room")
        };
        assert!(matches!(end.offer(0, 1, &[2]), Offer::Placed(_)));
        let claimer = thread::spawn(move || {
            let mut arguments = Vec::new();
            let call = worker.next_call(&mut arguments, || ());
            worker.answer(call.seq, Status::Returned, &arguments);
            call.seq
        });
        if round % 2 == 0 {
            thread::yield_now();
        }
        let revoked = end.revoke(first);
        assert_ne!(revoked, end.has_begun(first));
        assert_eq!(claimer.join().unwrap(), u32::from(revoked));
        assert!(!end.revoke(first), "a call was revoked twice");
    }
}

#[test]
fn a_revoked_streamed_call_is_skipped_whole() {
    let (mut end, mut worker, _socket) = pair();
    let large = vec![3; 40_000];
    let Offer::Begun(ticket, sent) = end.offer(0, 0, &large) else {
        panic!("not streamed")
    };
    assert!(end.send_more(0, &large[sent..]) > 0);
    assert!(end.revoke(ticket));
    assert!(matches!(end.offer(5, 1, &[9]), Offer::Placed(_)));
    let mut arguments = Vec::new();
    assert_eq!(
        worker.next_call(&mut arguments, || ()),
        Call { task: 5, seq: 1 }
    );
    assert_eq!(arguments, [9]);
}

#[test]
fn the_socket_is_rung_once_for_each_bell() {
    let (mut end, mut worker, socket) = pair();
    socket.set_nonblocking(true).unwrap();
    for seq in 0..3 {
        assert!(matches!(end.offer(0, seq, &[]), Offer::Placed(_)));
    }
    assert!(!end.arm_socket(events::ANSWER));
    let mut arguments = Vec::new();
    let mut buffer = [0; 8];
    for expected in [true, false] {
        let call = worker.next_call(&mut arguments, || ());
        worker.answer(call.seq, Status::Returned, &[]);
        assert_eq!(socket.recv(&mut buffer).is_ok(), expected);
    }
    assert!(
        end.arm_socket(events::ANSWER),
        "answers that wait are told of at arming"
    );
    worker.next_call(&mut arguments, || ());
    worker.answer(2, Status::Returned, &[]);
    assert!(socket.recv(&mut buffer).is_ok());
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
        let (segment, memfd) = Segment::create().unwrap();
        let theirs = Segment::open(memfd.as_fd()).unwrap();
        let mut end = ApplicationEnd::new(segment);
        lie(&theirs);
        assert!(end.receive().is_err(), "{what} was believed");
    }
}

#[test]
fn last_words_are_kept_and_bounded() {
    let (segment, memfd) = Segment::create().unwrap();
    let theirs = Segment::open(memfd.as_fd()).unwrap();
    let end = ApplicationEnd::new(segment);
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
