//! The allocator.

use std::ffi::c_int;

/// The largest block that the allocator keeps for reuse, in bytes; glibc takes no larger value.
const LARGEST_KEPT: c_int = 32 << 20;

/// How many bytes the allocator may keep in a row, freed, before it gives them back.
const MOST_KEPT: c_int = 2 * LARGEST_KEPT;

/// Has freed memory kept for reuse, blocks of up to 32 MiB too.
///
/// glibc maps larger blocks afresh each time, and unmaps them when they are freed. A task whose
/// arguments and outputs are large would then wait for the kernel to clear pages at every call,
/// which takes far longer than filling them. Setting one of the two limits ends glibc's own
/// adjustment of both, so both are set.
pub fn keep_freed_memory() {
    // SAFETY: the call takes no memory of ours; refused, the allocator stays as it was.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT) };
    // SAFETY: as above.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, MOST_KEPT) };
}
