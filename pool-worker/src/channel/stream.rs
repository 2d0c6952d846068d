//! Payloads that are larger than a frame, on their way through a ring.
//!
//! The first frame of a stream holds a table: of each buffer the bytes and the alignment. Its
//! `total` counts what follows too, so that it is more than the frame holds. Then come the buffers,
//! each in frames of its own, and are received into memory of their own: at either end they are
//! copied once.

use super::ring::Ring;
use super::{FRAME_HEADER, MAX_BODY, Violation};
use crate::sys::{Buffer, OutOfMemory};

/// The most memory that is set aside for a buffer before its bytes have arrived.
const MAX_RESERVE: usize = 1 << 30;
/// The strictest alignment that a buffer may ask for, in bytes: that of 128-bit numbers.
const MAX_ALIGN: usize = 16;
/// Bytes of the table for each buffer: its length and its alignment, as `u64`.
const ENTRY: usize = 16;

/// How much of a payload was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The buffer that is next.
    index: usize,
    /// How many bytes of it were sent.
    bytes: usize,
}

impl Sent {
    /// The next piece to send; `None` if there is none left.
    pub(super) fn next_piece<'a>(&mut self, buffers: &'a [Buffer]) -> Option<&'a [u8]> {
        loop {
            let rest = &buffers.get(self.index)?.as_slice()[self.bytes..];
            if !rest.is_empty() {
                return Some(&rest[..rest.len().min(MAX_BODY)]);
            }
            self.index += 1;
            self.bytes = 0;
        }
    }

    /// Counts a piece as sent.
    pub(super) fn advance(&mut self, piece: &[u8]) {
        self.bytes += piece.len();
    }
}

/// The body of a stream's first frame, and its total.
pub(super) fn table(buffers: &[Buffer]) -> (Vec<u8>, u64) {
    let mut table = Vec::with_capacity(buffers.len() * ENTRY);
    let mut total = 0;
    for buffer in buffers {
        table.extend_from_slice(&(buffer.len() as u64).to_le_bytes());
        table.extend_from_slice(&(buffer.align() as u64).to_le_bytes());
        total += buffer.len() as u64;
    }
    total += table.len() as u64;
    (table, total)
}

/// What the table says of a buffer.
#[derive(Clone, Copy)]
struct Announced {
    len: usize,
    align: usize,
}

impl Announced {
    fn read(entry: &[u8; ENTRY]) -> Result<Self, Violation> {
        let (halves, _) = entry.as_chunks();
        let [len, align] = [halves[0], halves[1]].map(|half| u64::from_le_bytes(half).try_into());
        let (Ok(len), Ok(align)) = (len, align) else {
            return Err(OutOfMemory.into());
        };
        if len > isize::MAX.unsigned_abs() {
            return Err(OutOfMemory.into());
        }
        if align > MAX_ALIGN || !usize::is_power_of_two(align) {
            return Err(Violation("a streamed value has an impossible alignment"));
        }
        Ok(Self { len, align })
    }
}

/// A payload of which a part has arrived.
pub(super) struct Partial {
    announced: Vec<Announced>,
    /// Those that have arrived, and the one that is arriving.
    buffers: Vec<Buffer>,
    /// Memory that may be used for those to come.
    spare: Vec<Buffer>,
}

impl Partial {
    /// The beginning of a stream, by the body of its first frame and its total.
    pub(super) fn new(table: &[u8], total: u64, spare: Vec<Buffer>) -> Result<Self, Violation> {
        let (entries, []) = table.as_chunks() else {
            return Err(Violation("a streamed value has a crooked table"));
        };
        let announced: Vec<_> = entries
            .iter()
            .map(Announced::read)
            .collect::<Result<_, _>>()?;
        let sum = announced
            .iter()
            .try_fold(table.len() as u64, |sum, buffer| {
                sum.checked_add(buffer.len as u64)
            });
        if sum != Some(total) {
            return Err(Violation("a streamed value does not add up"));
        }
        let mut partial = Self {
            buffers: Vec::with_capacity(announced.len()),
            announced,
            spare,
        };
        partial.begin_buffers()?;
        Ok(partial)
    }

    /// Begins the next buffer if the last one is complete; an empty one is complete at once.
    fn begin_buffers(&mut self) -> Result<(), Violation> {
        while self.missing() == 0
            && let Some(&Announced { len, align }) = self.announced.get(self.buffers.len())
        {
            let buffer = self.memory(len, align)?;
            self.buffers.push(buffer);
        }
        Ok(())
    }

    /// Memory for a buffer, or for the beginning of one.
    fn memory(&mut self, len: usize, align: usize) -> Result<Buffer, Violation> {
        let mut spare = self.spare.iter();
        if let Some(index) = spare.position(|spare| spare.suits(len, align)) {
            let mut buffer = self.spare.swap_remove(index);
            buffer.clear();
            return Ok(buffer);
        }
        Ok(Buffer::with_capacity(len.min(MAX_RESERVE), align)?)
    }

    /// How many bytes of the buffer that is arriving are still to come.
    fn missing(&self) -> usize {
        let arriving = self.buffers.last().zip(self.buffers.len().checked_sub(1));
        arriving.map_or(0, |(buffer, index)| {
            self.announced[index].len - buffer.len()
        })
    }

    /// Takes in the body of `len` bytes of the frame at `position`, which lies whole in the ring.
    pub(super) fn take(&mut self, ring: Ring, position: u64, len: usize) -> Result<(), Violation> {
        let missing = self.missing();
        if len == 0 || len > missing {
            return Err(Violation("a streamed value continues wrongly"));
        }
        let Some(buffer) = self.buffers.last_mut() else {
            return Err(Violation("a streamed value continues wrongly"));
        };
        if buffer.len() + len > buffer.capacity() {
            let whole = buffer.len() + missing;
            buffer.grow(whole.min((buffer.len() + len).next_power_of_two()))?;
        }
        ring.append_to(position + FRAME_HEADER as u64, buffer, len);
        self.begin_buffers()
    }

    /// Whether nothing is still to come.
    pub(super) fn is_complete(&self) -> bool {
        self.missing() == 0
    }

    /// What has arrived.
    pub(super) fn into_buffers(self) -> Vec<Buffer> {
        self.buffers
    }
}

impl From<OutOfMemory> for Violation {
    fn from(OutOfMemory: OutOfMemory) -> Self {
        Self("a streamed value is larger than memory")
    }
}
