//! What panics of tasks leave behind.
//!
//! A panic in a call is seen twice. The panic hook sees it first, with its place and backtrace:
//! it keeps a report for the loop, and leaves the same as last words, for not every panic comes
//! back: the program may be built to abort, or the panic may come up while another unwinds, or in
//! a function that must not unwind. If it does come back, the loop takes the report, takes the
//! last words back, and answers the call.

use crate::channel::{MAX_FAILURE, MAX_LAST_WORDS, Segment};
use crate::fault::{self, Site};
use crate::protocol::{LastWordsKind, PanicReport};
use crate::sys;
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::mem;
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Once};

/// The most bytes of any text about a call that failed.
pub(super) const MAX_TEXT: usize = 64 * 1024;

const _: () = assert!((MAX_TEXT as u64) < MAX_FAILURE / 3, "a report has three");

/// The most bytes of the place in last words.
const MAX_LAST_PLACE: usize = 512;
/// The most bytes of the message in last words: what the place and the marks of the encoding leave.
const MAX_LAST_MESSAGE: usize = MAX_LAST_WORDS - MAX_LAST_PLACE - 16;

/// The message of a panic whose payload is no text.
const NO_TEXT: &str = "a panic with a payload that is not a string";

/// What the standard library says when it aborts because a panic cannot unwind. The panic that
/// could not is the one to tell of.
const CANNOT_UNWIND: [&str; 2] = [
    "panic in a function that cannot unwind",
    "panic in a destructor during cleanup",
];

thread_local! {
    static WITNESS: Cell<Option<&'static Witness>> = const { Cell::new(None) };
    /// The last panic of the call that runs on this thread.
    static SEEN: Cell<Option<PanicReport>> = const { Cell::new(None) };
}

/// Tells of the call that a thread runs. Only that thread writes here, or a handler of signals
/// that interrupts it.
pub(super) struct Witness {
    segment: Arc<Segment>,
    /// The number of the call that runs, or ran last.
    seq: AtomicU32,
    /// Of the call: one of the constants below.
    state: AtomicU32,
}

/// No call runs.
const NONE: u32 = 0;
/// A call runs.
const RUNS: u32 = 1;
/// A call runs, and something in it has panicked.
const PANICKED: u32 = 2;

impl Witness {
    /// The calling thread's, from now on and for good.
    pub(super) fn of_this_thread(segment: Arc<Segment>) -> &'static Self {
        let witness = Box::leak(Box::new(Self {
            segment,
            seq: AtomicU32::new(0),
            state: AtomicU32::new(NONE),
        }));
        WITNESS.set(Some(witness));
        witness
    }

    /// Runs `body` as the call of number `seq`; its panic comes as a report.
    pub(super) fn watch<T>(&self, seq: u32, body: impl FnOnce() -> T) -> Result<T, PanicReport> {
        self.seq.store(seq, Relaxed);
        self.state.store(RUNS, Relaxed);
        sys::clear_failures();
        let result = panic::catch_unwind(panic::AssertUnwindSafe(body));
        let panicked = self.state.load(Relaxed) == PANICKED;
        self.state.store(NONE, Relaxed);
        let seen = if panicked {
            self.segment.withdraw_last_words();
            SEEN.take()
        } else {
            None
        };
        result.map_err(|payload| report_of(payload, seen))
    }

    /// Leaves word that the stack has overflowed. Async-signal-safe.
    pub(super) fn stack_overflowed(&self) {
        if self.runs_call() {
            self.leave_words(LastWordsKind::STACK_OVERFLOW, &[]);
        }
    }

    /// Leaves word that memory could not be had, unless a panic has left its own. Async-signal-safe.
    pub(super) fn ran_out_of_memory(&self) {
        if self.state.load(Relaxed) == RUNS {
            self.leave_words(LastWordsKind::OUT_OF_MEMORY, &[]);
        }
    }

    fn runs_call(&self) -> bool {
        self.state.load(Relaxed) != NONE
    }

    fn leave_words(&self, kind: u32, words: &[u8]) {
        let seq = self.seq.load(Relaxed);
        self.segment.leave_last_words(kind, seq, words);
    }

    /// Keeps the report of a panic, and leaves it as last words.
    fn panicked(&self, info: &PanicHookInfo<'_>) {
        self.state.store(PANICKED, Relaxed);
        let message = text_of(info.payload_as_str());
        let mut report = match SEEN.take() {
            Some(unwinding) if CANNOT_UNWIND.contains(&message.as_str()) => unwinding,
            _ => PanicReport {
                message,
                location: info.location().map(ToString::to_string),
                backtrace: None,
            },
        };
        let kind = if cfg!(panic = "abort") {
            LastWordsKind::PANICKED_AND_ABORTED
        } else {
            LastWordsKind::PANICKING
        };
        self.leave_words(kind, &last_words(&report));
        fault::at(Site::Panics);
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            report.backtrace = Some(clip(backtrace.to_string(), MAX_TEXT));
        }
        SEEN.set(Some(report));
    }
}

/// Has panics of calls reported instead of printed. All others go where they went before.
pub(super) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            match WITNESS.get().filter(|witness| witness.runs_call()) {
                Some(witness) => witness.panicked(info),
                None => before(info),
            }
        }));
    });
}

/// The report of the panic that ended a call, for which the hook may have `seen` one.
fn report_of(payload: Box<dyn Any + Send>, seen: Option<PanicReport>) -> PanicReport {
    let message = match payload.downcast::<String>() {
        Ok(text) => text_of(Some(&text)),
        Err(other) => {
            let message = text_of(other.downcast_ref::<&'static str>().copied());
            // The payload's destructor is the task's code too, and may panic in its turn.
            mem::forget(other);
            message
        }
    };
    // A task may catch one panic and resume with the payload of another.
    seen.filter(|seen| seen.message == message)
        .unwrap_or_else(|| PanicReport {
            message,
            ..PanicReport::default()
        })
}

fn text_of(payload: Option<&str>) -> String {
    clipped(payload.unwrap_or(NO_TEXT), MAX_TEXT).to_owned()
}

/// The report as bytes short enough for last words.
fn last_words(report: &PanicReport) -> Vec<u8> {
    let location = report.location.as_deref();
    encode(&PanicReport {
        message: clipped(&report.message, MAX_LAST_MESSAGE).to_owned(),
        location: location.map(|place| clipped(place, MAX_LAST_PLACE).to_owned()),
        backtrace: None,
    })
}

/// The report as the application reads it.
pub(super) fn encode(report: &PanicReport) -> Vec<u8> {
    rmp_serde::to_vec(report).expect("texts can be encoded into memory")
}

/// At most `limit` bytes from the front of `text`.
pub(super) fn clip(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

fn clipped(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
