//! The memory that a worker shares with the application, as somebody finds it who has taken the worker over
//! and knows the protocol. `pool_worker::channel` has it.

use std::{process, ptr, sync::OnceLock};

use pool_tests::Random;

use crate::raw::{call, errno, shrink_behind};

/// Where the words lie.
const CALLS_HEAD: usize = 0;
const CALLS_TAIL: usize = 128;
const ANSWERS_HEAD: usize = 256;
const PID: usize = 1024;
const HEADER_END: usize = 2048;
const PREFIX: usize = 4096;
const RING: usize = 64 * 1024;
const SIZE: usize = PREFIX + 2 * RING;
const PAGE: usize = 4096;
/// Bytes of a frame before its body, and what its size is a multiple of.
const FRAME_HEADER: usize = 24;
const UNIT: usize = 32;
/// The state of a call's frame that a worker has begun.
const CLAIMED: u32 = 2;

/// The bytes of the text that [`Rings::change_last`] changes: with two of `MessagePack` before it, and the
/// frame's header, they take seven units.
pub(crate) const TEXT: u8 = 190;

/// Where they are.
pub(crate) struct Rings(*mut u8);

/// A frame as an attacker makes it.
pub(crate) struct Frame {
    pub(crate) status: u32,
    pub(crate) len: u32,
    pub(crate) seq: u32,
    pub(crate) total: u64,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    /// A result of this call, told as it should be.
    pub(crate) fn result(seq: u32, body: Vec<u8>) -> Self {
        let len = u32::try_from(body.len()).expect("short");
        Self {
            status: 0,
            len,
            seq,
            total: len.into(),
            body,
        }
    }
}

/// Two halves of a word of 64 bits, the lower one first.
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, rest @ ..] = word.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(rest)]
}

fn whole([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

impl Rings {
    /// Looks for them without a look into `/proc`: near other mappings, by the number of this process in its
    /// place.
    pub(crate) fn find() -> Self {
        static FOUND: OnceLock<usize> = OnceLock::new();
        Self(ptr::with_exposed_provenance_mut(*FOUND.get_or_init(look)))
    }

    fn word<T>(&self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset).cast()
    }

    fn read(&self, offset: usize) -> u64 {
        // SAFETY: inside the mapping, and aligned.
        unsafe { self.word::<u64>(offset).read_volatile() }
    }

    fn write(&self, offset: usize, value: u64) {
        // SAFETY: as in `read`.
        unsafe { self.word::<u64>(offset).write_volatile(value) };
    }

    fn write_byte(&self, offset: usize, byte: u8) {
        // SAFETY: inside the mapping.
        unsafe { self.word::<u8>(offset).write_volatile(byte) };
    }

    /// A position that a word tells.
    fn position(&self, offset: usize) -> usize {
        usize::try_from(self.read(offset)).expect("no ring is as far as that")
    }

    /// The number of the call that runs, whose frame is the last one before the tail.
    pub(crate) fn own_seq(&self) -> u32 {
        let tail = self.position(CALLS_TAIL);
        let is_claimed = |size: &usize| {
            let [state, len] = halves(self.read(PREFIX + (tail - size) % RING));
            state == CLAIMED && (FRAME_HEADER + len as usize).next_multiple_of(UNIT) == *size
        };
        let sizes = (UNIT..=tail.min(PAGE)).step_by(UNIT);
        let size = sizes.into_iter().find(is_claimed).expect("a call runs");
        let [_task, seq] = halves(self.read(PREFIX + (tail - size) % RING + 8));
        seq
    }

    /// How many bytes of calls lie there that have not been begun.
    pub(crate) fn calls_ahead(&self) -> u64 {
        self.read(CALLS_HEAD) - self.read(CALLS_TAIL)
    }

    /// Puts a frame into the ring of answers, and says that it is there.
    pub(crate) fn forge(&self, frame: &Frame) {
        let head = self.position(ANSWERS_HEAD);
        let at = |offset: usize| PREFIX + RING + (head + offset) % RING;
        self.write(at(0), whole([frame.status, frame.len]));
        self.write(at(8), frame.seq.into());
        self.write(at(16), frame.total);
        for (index, &byte) in frame.body.iter().enumerate() {
            self.write_byte(at(FRAME_HEADER + index), byte);
        }
        let size = (FRAME_HEADER + frame.body.len()).next_multiple_of(UNIT);
        self.write(ANSWERS_HEAD, (head + size) as u64);
    }

    /// Fills the text in the last frame, which has seven units, with this byte.
    pub(crate) fn change_last(&self, byte: u8) {
        let start = self.position(ANSWERS_HEAD) - 7 * UNIT + FRAME_HEADER + 2;
        for position in start..start + usize::from(TEXT) {
            self.write_byte(PREFIX + RING + position % RING, byte);
        }
    }

    /// Says that so many bytes more were answered.
    pub(crate) fn push_head(&self, bytes: u64) {
        self.write(ANSWERS_HEAD, self.read(ANSWERS_HEAD).wrapping_add(bytes));
    }

    /// Writes what chance says into all words of the header, and into the ring of answers.
    pub(crate) fn scribble(&self, seed: u64) {
        let mut random = Random::new(seed);
        let header = (0..HEADER_END).step_by(8);
        let words = (HEADER_END..PREFIX).step_by(8);
        let answers = (PREFIX + RING..SIZE).step_by(8);
        for offset in answers.chain(words).chain(header) {
            self.write(offset, random.number());
        }
    }

    /// Punches a hole where the rings are: the kernel may be asked for that by whoever may write there.
    pub(crate) fn punch(&self) -> i32 {
        // SAFETY: the range is the mapping; what is there is nobody's but the attacker's.
        errno(unsafe { libc::madvise(self.0.cast(), SIZE, libc::MADV_REMOVE) }.into())
    }

    /// Opens the file behind the rings and shrinks it.
    pub(crate) fn shrink(&self) -> i32 {
        shrink_behind(self.0.addr(), SIZE)
    }

    /// Has processes that are forked from here on have them as well.
    pub(crate) fn leave_to_children(&self) {
        // SAFETY: the range is the mapping.
        let left = errno(unsafe { libc::madvise(self.0.cast(), SIZE, libc::MADV_DOFORK) }.into());
        assert_eq!(left, 0);
    }
}

/// Looks for the address.
fn look() -> usize {
    // SAFETY: the kernel chooses the place.
    let near = unsafe {
        libc::mmap(
            ptr::null_mut(),
            PAGE,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    let near = near.addr();
    let mut candidates = (1..1 << 17).flat_map(|page| [near + page * PAGE, near - page * PAGE]);
    let found = candidates.find(|&start| is_rings(start));
    found.expect("the rings are mapped somewhere near")
}

/// Whether the rings of this process begin there.
fn is_rings(start: usize) -> bool {
    let readable = |at: usize| {
        // A set of signals is read before it is seen that nobody can do this with it.
        let result = call(libc::SYS_rt_sigprocmask, [99, at, 0, 8]);
        errno(result) != libc::EFAULT
    };
    if !readable(start) || !readable(start + SIZE - 8) {
        return false;
    }
    let word = |offset: usize| {
        let word = ptr::with_exposed_provenance::<u64>(start + offset);
        // SAFETY: the page can be read, as was just tried.
        unsafe { word.read_volatile() }
    };
    // Each word of the header has a line of its own, the rest of which is left alone. Stacks have this
    // process's number in them, too.
    let is_line = |offset: usize| (1..16).all(|index| word(offset + 8 * index) == 0);
    let is_own = word(PID) == process::id().into();
    is_own
        && word(CALLS_TAIL) > 0
        && [CALLS_HEAD, CALLS_TAIL, ANSWERS_HEAD]
            .into_iter()
            .all(is_line)
}
