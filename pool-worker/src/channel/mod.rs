//! The channel between the application and one worker: two rings in shared memory, and bells.
//!
//! # Memory
//!
//! The application makes a memfd, seals it against resizing and hands it to one worker. It holds a
//! header, a few words that a dying worker may leave, and two byte rings: calls go out in one,
//! answers come back in the other. Nobody else maps it.
//!
//! Positions in a ring only grow; the byte of position `p` lies at `p % size`. The producer alone
//! writes `head` (everything below it is complete), the consumer alone writes `tail` (everything
//! below it may be overwritten). A frame is a header of [`FRAME_HEADER`] bytes and its body, padded
//! to [`FRAME_UNIT`], so that a header never wraps around the end of the ring. What is larger than
//! [`MAX_BODY`] is streamed: a first frame that tells what comes, then frames that continue it.
//!
//! # Whose word counts
//!
//! The worker is not trusted. The application uses every number that the worker writes as it was checked
//! (what is read again is checked again), and copies bodies into private memory before anything looks at
//! them. No Rust reference to the bodies exists on the application's side. The worker trusts the
//! application.
//!
//! # The state of a call
//!
//! The first word of a call's frame says whether the call has begun:
//!
//! ```text
//! QUEUED -> CLAIMED   by the worker, before it runs the call
//! QUEUED -> REVOKED   by the application, to cancel the call or to run it elsewhere
//! ```
//!
//! Both are one compare-and-swap, so exactly one of them happens. The worker lets go of a frame
//! (moves `tail` over it) only after claiming it or finding it revoked; so for the application a
//! frame below `tail` has begun, and one at or above it is still there to be looked at. The worker
//! commits a call's answer before it claims the next call: at any death at most one call has begun
//! and is unanswered. Revoking all queued calls of a worker freezes it: it can begin nothing more.
//! The module `notice` says what may go before a call, and what a claim of such a one tells.
//!
//! # Sleeping and bells
//!
//! Whoever would sleep says so first, passes a full fence, looks at the ring again, and only then
//! sleeps. Whoever publishes passes a full fence and then looks whether the other sleeps. In any
//! order of these four steps one side sees the other's, so no wake-up is lost. A worker that commits an
//! answer and knows of another call takes the claim of that for its fence, and looks then.
//!
//! - The worker sleeps on `doze`, a futex: for calls, or for room in the ring of answers.
//! - The application sleeps in one of two ways, and the *bell* word, which it alone writes, tells
//!   the worker which: on the futex `doorbell` (a thread that waits for this very worker), or in its
//!   event loop, where a datagram on the control socket wakes it. The bell holds the set of events
//!   that the application wants to hear of. The worker rings once for each value of the bell; to be
//!   rung again, the application writes a new value (they are numbered, so no two are alike).
//!
//! The worker's end of a bell is a `send` on a socket and never a `write` to a descriptor: a task
//! that closes all descriptors and opens a file would otherwise get our bytes into it.

mod allowance;
mod application;
mod doorbell;
#[cfg(not(all(loom, feature = "loom")))]
mod machine;
#[cfg(all(loom, feature = "loom"))]
#[path = "model/mod.rs"]
mod machine;
mod notice;
mod outputs;
mod patience;
mod payload;
mod ring;
mod segment;
mod stream;
mod worker;

pub use application::{Answer, ApplicationEnd, LastWords, Offer, Ticket, Violation};
pub use doorbell::Doorbell;
#[cfg(all(loom, feature = "loom"))]
pub use machine::{await_event, explore, wake_event_loop};
pub use notice::{Claim, Notice};
pub use outputs::MAX_FAILURE;
pub use patience::{Outlook, Patience};
pub use payload::{Inline, Payload, take_large};
pub use segment::Segment;
pub use stream::Sent;
pub use worker::{Call, WorkerEnd};

/// Bytes of one ring, a power of two.
pub const RING_SIZE: usize = if cfg!(all(loom, feature = "loom")) {
    256
} else {
    64 * 1024
};
/// Bytes that a frame's size is a multiple of.
pub const FRAME_UNIT: usize = 32;
/// Bytes of a frame before its body.
pub const FRAME_HEADER: usize = 24;
/// The largest body of one frame, in bytes; a quarter of a ring, so that both sides can work on a
/// streamed value at the same time.
pub const MAX_BODY: usize = RING_SIZE / 4 - FRAME_HEADER;
/// The most bytes that a dying worker can leave as its last words.
pub const MAX_LAST_WORDS: usize = 2048 - 16;

/// What the application wants to hear of, for the bell.
pub mod events {
    /// An answer was committed.
    pub const ANSWER: u32 = 1;
    /// Of the bytes of calls that lay in the ring when the bell was armed, a quarter is left or less.
    pub const LOW: u32 = 2;
    /// Half of the ring of answers is taken.
    pub const HALF_FULL: u32 = 4;
    /// The worker has nothing to do and goes to sleep.
    pub const IDLE: u32 = 8;
}

/// Bits of the bell word beside the events: where to ring.
const BELL_FUTEX: u32 = 16;
/// The lowest bit of the bell's number.
const BELL_NUMBER: u32 = 32;

/// The states of a call's frame.
mod state {
    pub(super) const QUEUED: u32 = 1;
    pub(super) const CLAIMED: u32 = 2;
    pub(super) const REVOKED: u32 = 3;
    /// The frame continues the streamed call before it.
    pub(super) const CONTINUED: u32 = 4;
    /// The frame is a notice of the call behind it.
    pub(super) const NOTICE: u32 = 5;
}

/// Bytes that a frame with a body of `len` bytes takes in a ring.
const fn frame_size(len: usize) -> u64 {
    ((FRAME_HEADER + len).next_multiple_of(FRAME_UNIT)) as u64
}

/// The length of a body, as a frame's header tells it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a body has at most MAX_BODY bytes, and last words have fewer"
)]
const fn body_len(len: usize) -> u32 {
    len as u32
}

#[cfg(test)]
mod exchange;
#[cfg(all(test, loom, feature = "loom"))]
mod models;
#[cfg(all(test, not(all(loom, feature = "loom"))))]
mod tests;
