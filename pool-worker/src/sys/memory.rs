//! The allocator, and the pages behind what it gives.

#[cfg(target_env = "gnu")]
use std::ffi::c_int;
use std::ptr::NonNull;

/// Blocks of at least this many bytes are backed by huge pages, where the system has them: to have
/// 64 MiB of ordinary pages cleared and mapped one by one takes far longer than to fill them.
const HUGE_FROM: usize = 4 << 20;
/// Bytes of a huge page.
const HUGE_PAGE: usize = 2 << 20;

/// The largest block that the allocator keeps for reuse, in bytes; glibc takes no larger value.
#[cfg(target_env = "gnu")]
const LARGEST_KEPT: c_int = 32 << 20;

/// How many bytes the allocator may keep in a row, freed, before it gives them back.
#[cfg(target_env = "gnu")]
const MOST_KEPT: c_int = 2 * LARGEST_KEPT;

/// Has freed memory kept for reuse, blocks of up to 32 MiB too.
///
/// glibc maps larger blocks afresh each time, and unmaps them when they are freed. A task whose
/// arguments and outputs are large would then wait for the kernel to clear pages at every call,
/// which takes far longer than filling them. Setting one of the two limits ends glibc's own
/// adjustment of both, so both are set.
#[cfg(target_env = "gnu")]
pub fn keep_freed_memory() {
    // SAFETY: the call takes no memory of ours; refused, the allocator stays as it was.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT) };
    // SAFETY: as above.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, MOST_KEPT) };
}

/// Has the memory of a vector that is to grow large backed by huge pages.
pub fn have_huge_pages<T>(vec: &Vec<T>) {
    if let Some(start) = NonNull::new(vec.as_ptr().cast_mut()) {
        // SAFETY: it is the vector's memory.
        unsafe { prefer_huge_pages(start.cast(), vec.capacity() * size_of::<T>()) };
    }
}

/// Has this memory backed by huge pages, as far as it is large enough for any and there are such.
///
/// # Safety
///
/// The range was allocated, by an allocator that does not mind advice on its pages.
pub(super) unsafe fn prefer_huge_pages(start: NonNull<u8>, len: usize) {
    if len < HUGE_FROM {
        return;
    }
    let inset = start.align_offset(HUGE_PAGE);
    let whole = (len - inset) / HUGE_PAGE * HUGE_PAGE;
    // SAFETY: `inset` is less than a huge page, and there is more memory.
    let first = unsafe { start.add(inset) };
    // It is advice: refused, the pages are ordinary ones.
    // SAFETY: the range is inside the memory told; the advice changes no contents.
    unsafe { libc::madvise(first.as_ptr().cast(), whole, libc::MADV_HUGEPAGE) };
}
