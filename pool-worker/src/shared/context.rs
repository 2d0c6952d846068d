//! What a thread is about while it encodes or decodes a value, so that a
//! [`Shared`](super::Shared) inside knows what it is to become.

use std::cell::{Cell, OnceCell, RefCell};
use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::segment::{Attachments, Segment, Segments};
use super::table::Table;

/// What is done with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Nothing that has to do with calls.
    Outside,
    /// The application encodes a call's arguments.
    Sending,
    /// A worker decodes a call's arguments.
    Taking,
    /// A worker encodes a call's result.
    Giving,
    /// The application decodes a call's result.
    Receiving,
}

/// What is known without a look at the segments: a call without shared values, as most are, pays for
/// no more than this.
#[derive(Clone, Copy)]
struct Context {
    mode: Mode,
    /// There are segments.
    attached: bool,
}

thread_local! {
    static CONTEXT: Cell<Context> = const {
        Cell::new(Context { mode: Mode::Outside, attached: false })
    };
    /// What the arguments refer to: those being encoded, or those of the call whose result is being
    /// decoded. Each scope leaves it empty; it is not dropped, since destructors of a thread's variables
    /// may make calls.
    static ATTACHED: ManuallyDrop<RefCell<Segments>> = ManuallyDrop::default();
    /// What was shared with this thread, if it is a worker's task thread.
    static TABLE: OnceCell<Arc<Table>> = const { OnceCell::new() };
    /// Counts the calls that this thread serves.
    static CALL: Cell<u64> = const { Cell::new(0) };
}

/// Has the arguments refer to these; gives what they referred to before.
fn exchange(segments: Segments) -> Segments {
    ATTACHED.with(|attached| attached.replace(segments))
}

/// A context, for as long as this lives.
struct Scope {
    /// The context before: a `Serialize` implementation may itself submit calls.
    outer: Context,
    /// Its segments, if it had any.
    attached: Option<Segments>,
}

impl Scope {
    #[inline]
    fn enter(mode: Mode) -> Self {
        let attached = false;
        let outer = CONTEXT.replace(Context { mode, attached });
        Self {
            outer,
            attached: outer.attached.then(|| exchange(Segments::new())),
        }
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        let inner = CONTEXT.replace(self.outer);
        if inner.attached || self.outer.attached {
            exchange(self.attached.take().unwrap_or_default());
        }
    }
}

/// Has the application encode a call's arguments; gives what they refer to as well.
#[inline]
pub fn sending<R>(encode: impl FnOnce() -> R) -> (R, Attachments) {
    let _scope = Scope::enter(Mode::Sending);
    let result = encode();
    let attachments = if CONTEXT.get().attached {
        Attachments::new(exchange(Segments::new()))
    } else {
        Attachments::default()
    };
    (result, attachments)
}

/// Has the application decode the result of a call whose arguments referred to `attachments`.
#[inline]
pub fn receiving<R>(attachments: &Attachments, decode: impl FnOnce() -> R) -> R {
    let _scope = Scope::enter(Mode::Receiving);
    attachments.segments().iter().for_each(attach);
    decode()
}

/// Has a worker decode an argument.
#[inline]
pub(crate) fn taking<R>(decode: impl FnOnce() -> R) -> R {
    let _scope = Scope::enter(Mode::Taking);
    decode()
}

/// Has a worker encode a result.
#[inline]
pub(crate) fn giving<R>(encode: impl FnOnce() -> R) -> R {
    let _scope = Scope::enter(Mode::Giving);
    encode()
}

/// A call begins on this thread, a worker's task thread.
#[inline]
pub(crate) fn begin_call() {
    CALL.set(CALL.get() + 1);
}

/// The call that this thread serves.
pub(super) fn call() -> u64 {
    CALL.get()
}

/// Makes the calling thread the one that runs tasks with what is in `table`, for good.
pub(crate) fn serve_from(table: Arc<Table>) {
    TABLE.with(|served| {
        let _ = served.set(table);
    });
}

/// What was shared with this thread, if it is a worker's task thread.
pub(super) fn table() -> Option<Arc<Table>> {
    TABLE.with(|table| table.get().cloned())
}

/// What is done with values on this thread.
pub(super) fn mode() -> Mode {
    CONTEXT.get().mode
}

/// Notes that the arguments refer to `segment`.
pub(super) fn attach(segment: &Arc<Segment>) {
    CONTEXT.set(Context {
        attached: true,
        ..CONTEXT.get()
    });
    ATTACHED.with(|attached| attached.borrow_mut().push(Arc::clone(segment)));
}

/// What the arguments refer to by this number.
pub(super) fn attached(id: u64) -> Option<Arc<Segment>> {
    ATTACHED.with(|attached| {
        let attached = attached.borrow();
        attached.iter().find(|segment| segment.id() == id).cloned()
    })
}
