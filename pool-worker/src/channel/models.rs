//! The protocol under loom, the model checker: the code of both ends, with rings of [`RING_SIZE`] bytes,
//! in every order in which the accesses of two threads can be seen, as far as so many preemptions reach
//! as [`explore`] is told. Whoever sleeps for ever is a deadlock, which loom tells of, and bodies that
//! one side writes while the other one reads are as well.
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test -p pool-core -p pool-worker --features loom --lib models
//! ```
//!
//! `LOOM_MAX_PREEMPTIONS` has all models go further.

use std::os::fd::AsFd;

use loom::thread::{self, JoinHandle};

use super::exchange::*;
use super::*;
use crate::protocol::Status;

/// Both ends, as threads of a model.
fn pair() -> (ApplicationEnd, WorkerEnd) {
    let (segment, memfd) = Segment::create().unwrap();
    let theirs = Segment::open(memfd.as_fd()).unwrap();
    let worker = WorkerEnd::new(std::sync::Arc::new(theirs), memfd);
    (ApplicationEnd::new(segment), worker)
}

/// Offers a call.
fn offer(end: &mut ApplicationEnd, seq: u32, arguments: &[u8]) -> Ticket {
    match end.offer(7, seq, &payload(arguments)) {
        Offer::Placed(ticket) => ticket,
        Offer::Full => panic!("no room"),
    }
}

/// A worker that gives back the arguments of so many calls, and the calls' numbers at its end.
fn echo(worker: WorkerEnd, calls: usize) -> JoinHandle<Vec<u32>> {
    thread::spawn(move || echo_here(worker, calls))
}

fn echo_here(mut worker: WorkerEnd, calls: usize) -> Vec<u32> {
    (0..calls).map(|_| echo_one(&mut worker)).collect()
}

/// Two calls, one after the other, of a worker that may be asleep.
fn round_trips(end: &mut ApplicationEnd) {
    for seq in 0..2 {
        offer(end, seq, &[5]);
        end.wake();
        let answer = await_answer(end, &Payload::default(), seq);
        assert_eq!((answer.seq, answer.body.bytes()), (seq, &[5][..]));
    }
}

#[test]
fn a_call_is_either_claimed_or_revoked() {
    explore(4, || {
        let (mut end, worker) = pair();
        let first = offer(&mut end, 0, &[1]);
        offer(&mut end, 1, &[2]);
        end.wake();
        let worker = echo(worker, 1);
        let revoked = end.revoke(first);
        assert!(revoked || end.has_begun(first));
        assert!(!end.revoke(first), "a call was revoked twice");
        assert_eq!(worker.join().unwrap(), [u32::from(revoked)]);
        let answer = receive(&mut end).unwrap().unwrap();
        let [seq, number] = if revoked { [1, 2] } else { [0, 1] };
        assert_eq!(
            (answer.seq, answer.body.bytes()),
            (u32::from(seq), &[number][..])
        );
    });
}

/// What `stop` relies on: once all was taken back that had not begun, at most one call runs, and what
/// begins is what is offered anew.
#[test]
fn a_frozen_worker_begins_nothing_more() {
    explore(3, || {
        let (mut end, worker) = pair();
        let calls = [offer(&mut end, 0, &[]), offer(&mut end, 1, &[])];
        end.wake();
        let worker = echo(worker, 2);
        let revoked = calls.map(|call| end.revoke(call));
        let answered = std::iter::from_fn(|| receive(&mut end).unwrap()).count();
        let begun: Vec<u32> = (0..2)
            .zip(revoked)
            .filter(|(_, revoked)| !revoked)
            .map(|(seq, _)| seq)
            .collect();
        assert!(begun.len() - answered <= 1, "two calls run");
        let anew = (begun.len()..2).map(|_| 2);
        anew.clone().for_each(|seq| {
            offer(&mut end, seq, &[]);
        });
        end.wake();
        let expected: Vec<_> = begun.into_iter().chain(anew).collect();
        assert_eq!(worker.join().unwrap(), expected);
    });
}

#[test]
fn who_sleeps_is_woken() {
    explore(3, || {
        let (mut end, worker) = pair();
        let worker = echo(worker, 2);
        round_trips(&mut end);
        worker.join().unwrap();
    });
}

/// Waits for the first of two calls, whose answer the worker looks at the bell for as it claims the other
/// one.
fn await_first_of_two(without: fn()) {
    let (mut end, mut worker) = pair();
    for seq in 0..2 {
        offer(&mut end, seq, &[5]);
    }
    end.wake();
    let worker = thread::spawn(move || {
        without();
        echo_one(&mut worker);
        // It runs for ever.
        next_call(&mut worker);
    });
    let answer = await_answer(&mut end, &Payload::default(), 0);
    assert_eq!(answer.seq, 0);
    worker.join().unwrap();
}

#[test]
fn who_sleeps_is_woken_before_the_next_call_runs() {
    explore(3, || await_first_of_two(|| ()));
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_fence_of_the_claim_one_sleeps_until_the_next_call_is_over() {
    explore(3, || await_first_of_two(machine::without_fences));
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_fences_of_the_worker_one_sleeps_for_ever() {
    explore(3, || {
        let (mut end, worker) = pair();
        let worker = thread::spawn(move || {
            machine::without_fences();
            echo_here(worker, 2)
        });
        round_trips(&mut end);
        worker.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn without_the_fences_of_the_application_one_sleeps_for_ever() {
    explore(3, || {
        machine::without_fences();
        let (mut end, worker) = pair();
        let worker = echo(worker, 2);
        round_trips(&mut end);
        worker.join().unwrap();
    });
}

#[test]
fn the_event_loop_hears() {
    explore(3, || {
        let (mut end, worker) = pair();
        let worker = echo(worker, 2);
        let mut rings = 0;
        for seq in 0..2 {
            offer(&mut end, seq, &[]);
            end.wake();
            let answer = loop {
                if let Some(answer) = receive(&mut end).unwrap() {
                    break answer;
                }
                if !end.arm_socket(events::ANSWER) {
                    rings = await_event(rings);
                }
            };
            assert_eq!(answer.seq, seq);
        }
        worker.join().unwrap();
    });
}

/// A worker rings for what it does before it sleeps, too: that it is idle.
#[test]
fn an_idle_worker_is_heard_of() {
    explore(3, || {
        let (mut end, worker) = pair();
        let worker = echo(worker, 2);
        offer(&mut end, 0, &[]);
        end.wake();
        if !end.arm_socket(events::IDLE) {
            await_event(0);
        }
        offer(&mut end, 1, &[]);
        end.wake();
        worker.join().unwrap();
    });
}

/// One call more than the ring holds takes the room of the first one only once that was read.
#[test]
fn what_is_read_is_not_overwritten() {
    explore(3, || {
        let (mut end, mut worker) = pair();
        let body = |seq: u8| [seq; MAX_BODY];
        (0..4).for_each(|seq| {
            offer(&mut end, u32::from(seq), &body(seq));
        });
        end.wake();
        let worker = thread::spawn(move || {
            for seq in 0..4 {
                let (_, arguments) = next_call(&mut worker);
                assert_eq!(arguments.bytes, body(seq));
            }
        });
        let _ = end.offer(7, 4, &payload(&body(4)));
        worker.join().unwrap();
    });
}

/// One answer more than the ring holds: the worker waits for room, and the application for answers.
#[test]
fn who_waits_for_room_is_woken() {
    explore(1, || {
        let (mut end, mut worker) = pair();
        let body = [7; MAX_BODY];
        (0..5).for_each(|seq| {
            offer(&mut end, seq, &[]);
        });
        end.wake();
        let worker = thread::spawn(move || {
            for _ in 0..5 {
                let (call, _) = next_call(&mut worker);
                worker.answer(call.seq, Status::Returned, &body);
            }
        });
        for seq in 0..5 {
            let answer = await_answer(&mut end, &Payload::default(), 0);
            assert_eq!((answer.seq, answer.body.bytes()), (seq, &body[..]));
        }
        worker.join().unwrap();
    });
}

/// A value that is larger than a ring: each side waits for the other in the middle of it.
#[test]
fn a_stream_crosses() {
    explore(0, || {
        let (mut end, mut worker) = pair();
        let worker = thread::spawn(move || {
            let (call, arguments) = next_call(&mut worker);
            worker.answer(call.seq, Status::Returned, &arguments.bytes[..8]);
            arguments.bytes
        });
        let value: Vec<u8> = (0..=u8::MAX).take(4 * MAX_BODY).collect();
        let call = payload(&value);
        assert!(matches!(end.offer(7, 3, &call), Offer::Placed(_)));
        let answer = await_answer(&mut end, &call, 3);
        assert_eq!((answer.seq, answer.body.bytes()), (3, &value[..8]));
        assert_eq!(worker.join().unwrap(), value);
    });
}

/// A worker with too much memory claims nothing before all that it had was taken back.
#[test]
fn who_has_too_much_memory_is_relieved() {
    explore(3, || {
        let (mut end, mut worker) = pair();
        let first = offer(&mut end, 0, &[]);
        end.wake();
        let worker = thread::spawn(move || {
            worker.await_relief(5, || ());
            echo_here(worker, 1)
        });
        await_event(0);
        assert_eq!(end.excess(), Some(5));
        assert!(end.revoke(first));
        end.relieve();
        assert_eq!(end.excess(), None);
        offer(&mut end, 1, &[]);
        end.wake();
        assert_eq!(worker.join().unwrap(), [1]);
    });
}
