//! What the tests of the channel and its models do alike: calls there, and answers back.

#[cfg(not(all(loom, feature = "loom")))]
use std::os::fd::AsFd;
#[cfg(not(all(loom, feature = "loom")))]
use std::sync::Arc;

use super::*;
use crate::codec::Encoded;
use crate::protocol::Status;

/// The application's end, and the worker's view of the memory; for Miri, which maps no descriptors, the
/// very view that the application has.
#[cfg(not(all(loom, feature = "loom")))]
pub(super) fn ends() -> (ApplicationEnd, Arc<Segment>) {
    if cfg!(miri) {
        let end = ApplicationEnd::new(Segment::anonymous().unwrap());
        let theirs = Arc::clone(&end.segment);
        return (end, theirs);
    }
    let (segment, memfd) = Segment::create().unwrap();
    let theirs = Segment::open(memfd.as_fd()).unwrap();
    (ApplicationEnd::new(segment), Arc::new(theirs))
}

/// What a value of these bytes is sent as.
pub(super) fn payload(bytes: &[u8]) -> Payload {
    let bytes = bytes.to_vec();
    let parts = Vec::new();
    Payload::take(&mut Encoded { bytes, parts }, 0)
}

pub(super) fn receive(end: &mut ApplicationEnd) -> Result<Option<Answer>, Violation> {
    end.receive(|_, _| Vec::new())
}

pub(super) fn next_call(worker: &mut WorkerEnd) -> (Call, Encoded) {
    let mut arguments = Encoded::default();
    let call = worker.next_call(&mut arguments, &mut Vec::new(), || ());
    (call, arguments)
}

/// Waits for a call, and gives back its arguments; its number.
pub(super) fn echo_one(worker: &mut WorkerEnd) -> u32 {
    let (call, mut arguments) = next_call(worker);
    match take_large(&mut arguments, 0) {
        Some(buffers) => worker.answer_large(call.seq, Status::Returned, &buffers),
        None => worker.answer(call.seq, Status::Returned, &arguments.bytes),
    }
    call.seq
}

/// Waits for the next answer, asleep on the doorbell, and sends on its call meanwhile.
pub(super) fn await_answer(end: &mut ApplicationEnd, call: &Payload, seq: u32) -> Answer {
    let mut sent = Sent::default();
    loop {
        let received = receive(end).unwrap();
        let before = sent;
        let more = end.send_more(seq, call, &mut sent);
        let doorbell = end.doorbell(more);
        let count = doorbell.count();
        // As seldom as is allowed.
        if sent != before || end.may_have_made_room() {
            end.wake();
        }
        if let Some(answer) = received {
            return answer;
        }
        let low = if more { events::LOW } else { 0 };
        if !end.arm_doorbell(events::ANSWER | events::HALF_FULL | low) {
            doorbell.sleep(count, None);
        }
    }
}
