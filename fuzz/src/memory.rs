//! The memory of a channel, as a process sees it that keeps to no rule: where its words lie.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

/// Bytes before the ring of calls, which is followed by that of answers.
const PREFIX: u64 = 4096;
/// Bytes of a ring.
pub const RING: u64 = 64 << 10;
/// All bytes.
pub const SIZE: u64 = PREFIX + 2 * RING;
/// Bytes of the header that have a meaning.
pub const HEADER: u64 = 16 * 128;

/// Words of the header.
pub const CALLS_HEAD: u64 = 0;
pub const CALLS_TAIL: u64 = 128;
pub const ANSWERS_HEAD: u64 = 2 * 128;
pub const ANSWERS_TAIL: u64 = 3 * 128;

/// One of the two rings.
#[derive(Clone, Copy)]
pub enum Ring {
    Calls,
    Answers,
}

/// A frame, whose numbers may be any.
pub struct Frame<'a> {
    pub words: [u32; 4],
    pub total: u64,
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// How many bytes it takes.
    pub fn size(&self) -> u64 {
        (24 + self.body.len()).next_multiple_of(32) as u64
    }
}

/// The memory, written without being mapped.
pub struct Memory(File);

impl Memory {
    pub fn new(memfd: OwnedFd) -> Self {
        Self(File::from(memfd))
    }

    /// Writes what of `bytes` lies before the end.
    pub fn write(&self, offset: u64, bytes: &[u8]) {
        let room = usize::try_from(SIZE.saturating_sub(offset)).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        self.0.write_all_at(bytes, offset).expect("it is memory");
    }

    pub fn set(&self, word: u64, value: u64) {
        self.write(word, &value.to_le_bytes());
    }

    pub fn get(&self, word: u64) -> u64 {
        let mut value = [0; 8];
        self.0
            .read_exact_at(&mut value, word)
            .expect("it is memory");
        u64::from_le_bytes(value)
    }

    /// Writes a frame to a position of a ring.
    pub fn put(&self, ring: Ring, position: u64, frame: &Frame<'_>) {
        let mut bytes: Vec<u8> = frame
            .words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        bytes.extend(frame.total.to_le_bytes());
        bytes.extend(frame.body);
        let base = match ring {
            Ring::Calls => PREFIX,
            Ring::Answers => PREFIX + RING,
        };
        for (position, chunk) in (position..).step_by(8).zip(bytes.chunks(8)) {
            let room = usize::try_from(RING - position % RING).expect("a ring is small");
            let (first, second) = chunk.split_at(chunk.len().min(room));
            self.write(base + position % RING, first);
            self.write(base, second);
        }
    }
}
