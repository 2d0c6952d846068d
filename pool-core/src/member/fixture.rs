//! Workers without processes, for tests: their end of the channel is in the test's hands.

use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use pool_worker::channel::{ApplicationEnd, Payload, Segment, WorkerEnd};
use pool_worker::codec::Encoded;
use pool_worker::protocol::Status;
use pool_worker::registry::TaskId;
use pool_worker::shared::Postbox;

use super::{Member, Tenure};
use crate::Task;
use crate::call::Parcel;
use crate::calls::CallId;
use crate::driver::{CallRef, Pool};
use crate::future::{TaskFuture, TaskHandle};
use crate::hook::Hook;
use crate::sys;

#[pool_macros::task(crate = crate)]
fn nothing() {}

/// The arguments of a call that `number` names.
pub(crate) fn arguments(number: u64) -> Parcel {
    sized_arguments(number, size_of::<u64>())
}

/// So many bytes of arguments of a call that `number` names.
pub(crate) fn sized_arguments(number: u64, size: usize) -> Parcel {
    let mut arguments = Encoded::default();
    arguments.bytes.extend(number.to_le_bytes());
    arguments.bytes.resize(size, 0);
    Payload::take(&mut arguments, 0).into()
}

pub(crate) fn task() -> TaskId {
    Task::entry(&nothing).unwrap()
}

/// A task that an executor runs for itself, as the setter `option` sets it.
pub(crate) fn hook(option: &'static str) -> Hook {
    Hook::new(option, nothing, &())
}

/// The future of a call of a pool.
pub(crate) fn future(pool: &Arc<Pool>, id: CallId) -> TaskFuture<()> {
    let handle = TaskHandle::new(CallRef::new(Arc::clone(pool), id));
    TaskFuture::new(handle, Task::decoder(&nothing))
}

/// The worker's end of a member's channel.
pub(crate) struct Worker {
    end: WorkerEnd,
    /// The call that was claimed and is not answered.
    pub(crate) claimed: Option<u32>,
}

/// A member and its worker.
pub(crate) fn worker(number: u64, ready: bool) -> (Member, Worker) {
    worker_of(number, ready, Tenure::of(u64::MAX))
}

/// The same, of such a tenure.
pub(crate) fn worker_of(number: u64, ready: bool, tenure: Tenure) -> (Member, Worker) {
    let (member, end) = ends(number, ready, tenure);
    let worker = Worker {
        end: end.by_hand(instead_of_sleep),
        claimed: None,
    };
    (member, worker)
}

/// A member and its worker's end, which really sleeps.
pub(crate) fn ends(number: u64, ready: bool, tenure: Tenure) -> (Member, WorkerEnd) {
    let (segment, memfd) = Segment::create().unwrap();
    let theirs = Arc::new(Segment::open(memfd.as_fd()).unwrap());
    let (control, bells): (OwnedFd, OwnedFd) = sys::socket_pair().unwrap();
    let postbox = Arc::new(Postbox::new(control, || {}));
    (
        Member::new(number, ApplicationEnd::new(segment), postbox, ready, tenure),
        WorkerEnd::new(theirs, bells).with_clock(sys::monotonic),
    )
}

/// What a worker does where it would sleep.
fn instead_of_sleep() {
    resume_unwind(Box::new(()));
}

impl Worker {
    /// Claims the next call, if there is one, and gives what names it; else the worker is as good as
    /// asleep.
    pub(crate) fn claim(&mut self) -> Option<u64> {
        let mut arguments = Encoded::default();
        let call = catch_unwind(AssertUnwindSafe(|| {
            self.end.next_call(&mut arguments, &mut Vec::new(), || ())
        }));
        self.claimed = Some(call.ok()?.seq);
        let id = arguments.bytes.first_chunk().unwrap();
        Some(u64::from_le_bytes(*id))
    }

    /// Answers the call that was claimed.
    pub(crate) fn answer(&mut self) {
        let seq = self.claimed.take().expect("a call was claimed");
        self.say(seq);
    }

    /// Rings for what it has answered, on its way to the next call.
    pub(crate) fn ring(&mut self) {
        self.end.ring_unrung();
    }

    /// Answers the call of number `seq`, claimed or not.
    pub(crate) fn say(&mut self, seq: u32) {
        self.end.answer(seq, Status::Returned, &[]);
    }
}
