//! System calls: a word shared by two processes, futexes, forks, fresh pages, cores.

use std::io;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

/// A mapping of memory that is given back when dropped.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    /// Memory that nobody has touched, in huge pages where the kernel has some to give.
    pub(crate) fn fresh(length: usize) -> io::Result<Self> {
        let mapping = Self::new(length, libc::MAP_PRIVATE)?;
        // SAFETY: the range is a mapping of our own; the advice changes no contents.
        let advised =
            unsafe { libc::madvise(mapping.start.as_ptr().cast(), length, libc::MADV_HUGEPAGE) };
        // A kernel without huge pages refuses; then the pages are small.
        let _ = advised;
        Ok(mapping)
    }

    fn new(length: usize, sharing: libc::c_int) -> io::Result<Self> {
        // SAFETY: a new anonymous mapping, at an address that the kernel chooses.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                sharing | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// Writes one byte into each page of 4 KiB.
    pub(crate) fn touch(&mut self) {
        for offset in (0..self.length).step_by(4096) {
            // SAFETY: `offset` is below the length of the mapping.
            let byte = unsafe { self.start.add(offset) };
            // SAFETY: the byte is in the mapping, which is writable and nobody else's.
            unsafe { byte.write_volatile(1) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is our own, and whoever borrows from it borrows `self`.
        let unmapped = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert_eq!(unmapped, 0, "the range is as it was mapped");
    }
}

/// A word that this process and those forked from it share.
pub(crate) struct SharedWord(Mapping);

impl SharedWord {
    pub(crate) fn new() -> io::Result<Self> {
        Mapping::new(4096, libc::MAP_SHARED).map(Self)
    }

    pub(crate) fn get(&self) -> &AtomicU32 {
        // SAFETY: the mapping is aligned to pages, zeroed, lives as long as `self`, and is only ever
        // used as this atomic.
        unsafe { self.0.start.cast::<AtomicU32>().as_ref() }
    }

    /// Sleeps until the word is no longer `value`.
    pub(crate) fn wait_while(&self, value: u32) {
        while self.get().load(Ordering::Acquire) == value {
            // SAFETY: the word lives through the call. It fails if interrupted, and is called again.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.get().as_ptr(),
                    libc::FUTEX_WAIT,
                    value,
                    ptr::null::<libc::timespec>(),
                );
            }
        }
    }

    /// Sets the word, and wakes one who waits.
    pub(crate) fn set_and_wake(&self, value: u32) {
        self.get().store(value, Ordering::Release);
        // SAFETY: the call only uses the word's address.
        unsafe { libc::syscall(libc::SYS_futex, self.get().as_ptr(), libc::FUTEX_WAKE, 1) };
    }
}

/// A forked child. It is killed when dropped.
pub(crate) struct Forked(libc::pid_t);

impl Forked {
    /// Forks a child that runs `work`, which may only use atomics and system calls: other threads'
    /// locks may be held for ever in the child.
    pub(crate) fn new(work: impl FnOnce()) -> io::Result<Self> {
        // SAFETY: the child does nothing but `work`, as said above, and then `_exit`.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // SAFETY: an option with one argument; it fails for no reason that matters here.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                work();
                // SAFETY: nothing of the parent's is to be flushed or destroyed.
                unsafe { libc::_exit(0) }
            }
            pid => Ok(Self(pid)),
        }
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) {
        // SAFETY: the child has not been reaped, as its number is still there. No status is asked.
        unsafe { libc::waitpid(self.0, ptr::null_mut(), 0) };
        self.0 = 0;
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        if self.0 > 0 {
            // SAFETY: the child has not been reaped, so its number is its own.
            unsafe { libc::kill(self.0, libc::SIGKILL) };
            self.wait();
        }
    }
}

/// Keeps this thread, and all threads and processes that it starts, on one core until dropped.
pub(crate) struct OneCore {
    before: libc::cpu_set_t,
}

impl OneCore {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: a set of cores is plain numbers, and zeros are the empty one.
        let mut before: libc::cpu_set_t = unsafe { mem::zeroed() };
        let size = mem::size_of_val(&before);
        // SAFETY: `before` is as large as the call is told.
        if unsafe { libc::sched_getaffinity(0, size, &raw mut before) } == -1 {
            return Err(io::Error::last_os_error());
        }
        let cores = 0..libc::CPU_SETSIZE.unsigned_abs() as usize;
        let first = cores
            .into_iter()
            // SAFETY: the number is below the size of the set.
            .find(|core| unsafe { libc::CPU_ISSET(*core, &before) })
            .ok_or(io::ErrorKind::NotFound)?;
        // SAFETY: as above.
        let mut one: libc::cpu_set_t = unsafe { mem::zeroed() };
        // SAFETY: the number is below the size of the set.
        unsafe { libc::CPU_SET(first, &mut one) };
        set_cores(&one)?;
        Ok(Self { before })
    }
}

impl Drop for OneCore {
    fn drop(&mut self) {
        // Cores can be taken away meanwhile; then this thread keeps its one.
        let _ = set_cores(&self.before);
    }
}

fn set_cores(cores: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: `cores` is as large as the call is told.
    match unsafe { libc::sched_setaffinity(0, mem::size_of_val(cores), cores) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
