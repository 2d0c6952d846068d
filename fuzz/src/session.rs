//! A hostile application against the worker's end of a channel.
//!
//! A worker trusts its application, and may panic where that breaks the rules: so it ends. It must do
//! nothing worse. Where frames begin and end is told as it is: told otherwise, a worker looks for calls for
//! ever, until it is killed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::Arc;

use pool_worker::channel::{MAX_BODY, Segment, WorkerEnd, take_large};
use pool_worker::codec::Encoded;
use pool_worker::protocol::Status;
use pool_worker::sys;

use crate::input::Input;
use crate::memory::{
    ANSWERS_HEAD, ANSWERS_TAIL, CALLS_HEAD, Frame, HEADER, Memory, RING, Ring, SIZE,
};

pub fn target(bytes: &[u8]) {
    let hook = take_hook();
    set_hook(Box::new(|_| ()));
    // To end by a panic is its right.
    let _ = catch_unwind(AssertUnwindSafe(|| serve(bytes)));
    set_hook(hook);
}

/// The worker sleeps, and can be asked for its next call again.
struct Asleep;

fn instead_of_sleep() {
    resume_unwind(Box::new(Asleep));
}

fn serve(bytes: &[u8]) {
    let (segment, memfd) = Segment::create().expect("there is memory");
    let (control, _theirs) = sys::socket_pair().expect("there are descriptors");
    let worker = WorkerEnd::new(Arc::new(segment), control);
    let mut worker = worker.by_hand(instead_of_sleep);
    let memory = Memory::new(memfd);
    let mut input = Input::new(bytes);
    let mut head = 0;
    while let Some(step) = input.byte() {
        match step % 8 {
            0 => {
                let offset = input.number::<1>() * 8 % HEADER;
                if offset != CALLS_HEAD {
                    memory.set(offset, input.special());
                }
            }
            1 => {
                let offset = SIZE - RING + input.number::<2>();
                let len = input.byte().unwrap_or(0).into();
                memory.write(offset, input.bytes(len));
            }
            2..=4 => head = place(&memory, head, &mut input),
            _ => {
                let work = catch_unwind(AssertUnwindSafe(|| work(&mut worker, &mut input)));
                if work.is_err_and(|panic| !panic.is::<Asleep>()) {
                    return;
                }
                memory.set(ANSWERS_TAIL, memory.get(ANSWERS_HEAD));
            }
        }
    }
}

/// Places what may be a call; how far the calls reach then.
fn place(memory: &Memory, head: u64, input: &mut Input<'_>) -> u64 {
    let mut word = || u32::try_from(input.special() & u64::from(u32::MAX)).unwrap_or(0);
    let (state, task, seq) = (word() % 7, word(), word());
    let total = input.special();
    let len = input.byte().unwrap_or(0).into();
    let body = input.bytes(len);
    let words = [state, u32::try_from(body.len()).unwrap_or(0), task, seq];
    let frame = Frame { words, total, body };
    memory.put(Ring::Calls, head, &frame);
    let head = head + frame.size();
    memory.set(CALLS_HEAD, head);
    head
}

fn work(worker: &mut WorkerEnd, input: &mut Input<'_>) {
    let mut arguments = Encoded::default();
    let call = worker.next_call(&mut arguments, &mut Vec::new(), || ());
    if let Some(buffers) = take_large(&mut arguments, 0) {
        worker.answer_large(call.seq, Status::Returned, &buffers);
    } else {
        let len = usize::from(input.byte().unwrap_or(0)).pow(2).min(MAX_BODY);
        worker.answer(call.seq, Status::Returned, &vec![1; len]);
    }
}
