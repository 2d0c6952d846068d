//! Memory that changes hands: out of a vector of numbers, through a channel, into another vector.

use std::alloc::{self, Layout};
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::slice;

use bytemuck::Pod;

use super::memory::prefer_huge_pages;

/// There is no memory of the size asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// The memory of a vector, without its type: bytes, aligned for the numbers that they are.
pub struct Buffer {
    start: NonNull<u8>,
    /// What was allocated at `start` with the global allocator; nothing if its size is 0.
    layout: Layout,
    /// How many bytes are filled, from `start` on.
    len: usize,
}

// SAFETY: the memory belongs to this value alone.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer can only be read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// An empty one, with room for `capacity` bytes that are aligned to `align`, a power of two.
    ///
    /// # Errors
    ///
    /// If there is no such memory.
    pub fn with_capacity(capacity: usize, align: usize) -> Result<Self, OutOfMemory> {
        let layout = Layout::from_size_align(capacity, align).map_err(|_| OutOfMemory)?;
        let start = if capacity == 0 {
            layout.dangling_ptr()
        } else {
            // SAFETY: the layout is not of size 0.
            NonNull::new(unsafe { alloc::alloc(layout) }).ok_or(OutOfMemory)?
        };
        let buffer = Self {
            start,
            layout,
            len: 0,
        };
        buffer.prefer_huge_pages();
        Ok(buffer)
    }

    /// Makes room for `capacity` bytes in all, if there is less.
    ///
    /// # Errors
    ///
    /// If there is no such memory; the buffer is as it was.
    pub fn grow(&mut self, capacity: usize) -> Result<(), OutOfMemory> {
        if capacity <= self.capacity() {
            return Ok(());
        }
        if self.capacity() == 0 {
            *self = Self::with_capacity(capacity, self.align())?;
            return Ok(());
        }
        let layout = Layout::from_size_align(capacity, self.align()).map_err(|_| OutOfMemory)?;
        // SAFETY: `start` was allocated with `self.layout`, and `layout` is a valid, larger one.
        let start = unsafe { alloc::realloc(self.start.as_ptr(), self.layout, layout.size()) };
        self.start = NonNull::new(start).ok_or(OutOfMemory)?;
        self.layout = layout;
        self.prefer_huge_pages();
        Ok(())
    }

    /// The memory of a vector.
    ///
    /// # Panics
    ///
    /// Never: what a vector has allocated has a layout.
    pub fn from_vec<T: Pod>(vec: Vec<T>) -> Self {
        let mut vec = ManuallyDrop::new(vec);
        Self {
            start: NonNull::new(vec.as_mut_ptr()).map_or(NonNull::dangling(), NonNull::cast),
            layout: Layout::array::<T>(vec.capacity()).expect("a vector has a layout"),
            len: size_of_val(vec.as_slice()),
        }
    }

    /// The numbers in this memory, without a copy.
    ///
    /// # Errors
    ///
    /// The buffer, if it is not aligned or divided as a vector of `T` is.
    pub fn into_vec<T: Pod>(self) -> Result<Vec<T>, Self> {
        let divides = |bytes: usize| size_of::<T>() != 0 && bytes.is_multiple_of(size_of::<T>());
        if self.align() != align_of::<T>() || !divides(self.len) || !divides(self.capacity()) {
            return Err(self);
        }
        let buffer = ManuallyDrop::new(self);
        let (len, capacity) = (
            buffer.len / size_of::<T>(),
            buffer.capacity() / size_of::<T>(),
        );
        // SAFETY: allocated by the global allocator with the alignment of `T` and `capacity` of
        // them; the first `len` are filled, and are a `T` each whatever bytes they consist of.
        Ok(unsafe { Vec::from_raw_parts(buffer.start.as_ptr().cast(), len, capacity) })
    }

    /// A copy of `bytes`, aligned to `align`, a power of two.
    ///
    /// # Errors
    ///
    /// If there is no memory for them.
    pub fn copy_of(bytes: &[u8], align: usize) -> Result<Self, OutOfMemory> {
        let mut copy = Self::with_capacity(bytes.len(), align)?;
        let (filled, _) = copy.spare().split_at_mut(bytes.len());
        filled.write_copy_of_slice(bytes);
        // SAFETY: just filled.
        unsafe { copy.filled(bytes.len()) };
        Ok(copy)
    }

    /// The bytes that are filled.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` bytes are filled and borrowed with `self`; nobody else has this memory.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// How many bytes are filled.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no byte is filled.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// For how many bytes there is memory.
    pub fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// What the address is a multiple of.
    pub fn align(&self) -> usize {
        self.layout.align()
    }

    /// Whether this memory is right for `len` bytes aligned to `align`: large enough, and not so
    /// large that more than half of it would lie idle.
    pub fn suits(&self, len: usize, align: usize) -> bool {
        self.align() == align && len <= self.capacity() && self.capacity() / 2 <= len
    }

    /// Forgets the bytes, and keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// The memory behind the bytes that are filled.
    pub fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: `len` is never beyond the capacity.
        let start = unsafe { self.start.add(self.len) };
        // SAFETY: up to the capacity it is this buffer's memory, which need not be initialized.
        unsafe { slice::from_raw_parts_mut(start.as_ptr().cast(), self.capacity() - self.len) }
    }

    /// Counts `count` more bytes as filled.
    ///
    /// # Safety
    ///
    /// The first `count` bytes of [`spare`](Self::spare) were written.
    pub unsafe fn filled(&mut self, count: usize) {
        self.len += count;
    }

    fn prefer_huge_pages(&self) {
        // SAFETY: the range is this buffer's memory.
        unsafe { prefer_huge_pages(self.start, self.capacity()) };
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.capacity() > 0 {
            // SAFETY: allocated with this layout, and nobody else has it.
            unsafe { alloc::dealloc(self.start.as_ptr(), self.layout) };
        }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::from_vec(Vec::<u8>::new())
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::copy_of(self.as_slice(), self.align())
            .unwrap_or_else(|OutOfMemory| alloc::handle_alloc_error(self.layout))
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len)
    }
}
