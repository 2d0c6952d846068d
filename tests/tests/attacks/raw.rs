//! What only hostile code does: each attack as it would be made by somebody who has taken a worker over.
//! All give 0 where they succeeded, else the error's number.

use std::{
    ffi::{CStr, CString, c_long, c_void},
    fs::File,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    ptr,
};

use serde::{Deserialize, Serialize};

/// 0 for what succeeded, else the number of the error.
pub(crate) fn errno(result: c_long) -> i32 {
    if result == -1 {
        io::Error::last_os_error().raw_os_error().unwrap_or(-1)
    } else {
        0
    }
}

/// The same, of what the standard library did.
pub(crate) fn code<T>(result: io::Result<T>) -> i32 {
    result.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |_| 0)
}

/// Makes a system call by its number.
pub(crate) fn call(number: c_long, [first, second, third, fourth]: [usize; 4]) -> c_long {
    // SAFETY: none in general: the callers pass what the call takes, or want its refusal.
    unsafe { libc::syscall(number, first, second, third, fourth) }
}

/// Has the parent trace this thread: 0 if it does.
pub(crate) fn have_parent_trace() -> i32 {
    let none = ptr::null_mut::<c_void>();
    // SAFETY: the request takes no memory.
    errno(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, none, none) })
}

/// Traces a process, and lets go of it.
pub(crate) fn trace(pid: i32) -> i32 {
    let none = ptr::null_mut::<c_void>();
    // SAFETY: the request takes no memory of ours.
    let traced = errno(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, none, none) });
    if traced == 0 {
        // SAFETY: as above; only what stands still can be let go.
        unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, pid, none, none) };
        // SAFETY: a null status is allowed.
        unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) };
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, none, none) };
    }
    traced
}

fn pidfd(pid: u32) -> Result<OwnedFd, i32> {
    let fd = call(libc::SYS_pidfd_open, [pid as usize, 0, 0, 0]);
    match errno(fd) {
        // SAFETY: the descriptor was just made, and is nobody else's.
        0 => Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor")) }),
        error => Err(error),
    }
}

/// Takes the standard output of another process.
pub(crate) fn take_descriptor(pid: u32) -> i32 {
    let taken = pidfd(pid).map(|pidfd| {
        let fd = call(libc::SYS_pidfd_getfd, [number(&pidfd), 1, 0, 0]);
        // SAFETY: it was just made, or is none.
        unsafe { libc::close(i32::try_from(fd).unwrap_or(-1)) };
        i32::from(fd == -1)
    });
    taken.unwrap_or_else(|error| error)
}

/// What can be done with the clock that counts another process's time on processors.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum ClockUse {
    Read,
    Resolution,
    Sleep,
}

/// Uses the clock of another process, by its number as `clock_getcpuclockid(3)` makes it.
pub(crate) fn use_clock_of(pid: u32, how: ClockUse) -> i32 {
    let clock = ((!pid << 3) | 2) as usize;
    // For how long to sleep, too: not at all.
    let mut time = [0_u64; 2];
    let time = time.as_mut_ptr().addr();
    errno(match how {
        ClockUse::Read => call(libc::SYS_clock_gettime, [clock, time, 0, 0]),
        ClockUse::Resolution => call(libc::SYS_clock_getres, [clock, time, 0, 0]),
        ClockUse::Sleep => call(libc::SYS_clock_nanosleep, [clock, 0, time, 0]),
    })
}

/// Reads the clocks that are everybody's, by calls of the kernel as where it maps no code that would tell
/// the time: 0 if all can be read.
pub(crate) fn read_clocks() -> i32 {
    let mut time = [0_u64; 2];
    let time = time.as_mut_ptr().addr();
    let clocks = [
        libc::CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC,
        libc::CLOCK_PROCESS_CPUTIME_ID,
        libc::CLOCK_THREAD_CPUTIME_ID,
        libc::CLOCK_BOOTTIME,
    ];
    let read = |clock: i32| {
        let clock = clock.unsigned_abs() as usize;
        call(libc::SYS_clock_gettime, [clock, time, 0, 0])
    };
    let mut told = clocks.map(read).to_vec();
    told.push(call(libc::SYS_gettimeofday, [time, 0, 0, 0]));
    #[cfg(target_arch = "x86_64")]
    told.push(call(libc::SYS_time, [0; 4]));
    told.into_iter().map(errno).max().unwrap_or_default()
}

/// Signals a process by a descriptor of it.
pub(crate) fn signal_by_descriptor(pid: u32, signal: i32) -> i32 {
    let signal = signal.unsigned_abs() as usize;
    let sent = pidfd(pid).map(|pidfd| {
        errno(call(
            libc::SYS_pidfd_send_signal,
            [number(&pidfd), signal, 0, 0],
        ))
    });
    sent.unwrap_or_else(|error| error)
}

/// Signals a process by its queue.
pub(crate) fn queue_signal(pid: u32, signal: i32) -> i32 {
    let pid = libc::pid_t::try_from(pid).expect("a process");
    let value = libc::sigval {
        sival_ptr: ptr::null_mut(),
    };
    // SAFETY: the value is handed on as it is.
    errno(unsafe { libc::sigqueue(pid, signal, value) }.into())
}

/// Signals the first thread of a process by that thread's queue.
pub(crate) fn queue_signal_of_thread(pid: u32, signal: i32) -> i32 {
    // SAFETY: numbers alone, of which 0 is one.
    let mut info: libc::siginfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
    info.si_signo = signal;
    info.si_code = libc::SI_QUEUE;
    let (pid, signal) = (pid as usize, signal.unsigned_abs() as usize);
    let info = (&raw const info).addr();
    errno(call(libc::SYS_rt_tgsigqueueinfo, [pid, pid, signal, info]))
}

fn number(fd: &OwnedFd) -> usize {
    usize::try_from(fd.as_raw_fd()).expect("a descriptor")
}

/// A file of memory that has no name.
fn memory_file(bytes: usize) -> io::Result<File> {
    // SAFETY: the name is a text that lives for ever.
    let fd = unsafe { libc::memfd_create(c"hoard".as_ptr(), libc::MFD_CLOEXEC) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and is nobody else's.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(bytes as u64)?;
    Ok(file)
}

/// Takes memory that is a file without a name.
pub(crate) fn fill_memory_file(bytes: usize) -> i32 {
    code(memory_file(bytes))
}

/// Maps shared memory, that of a file or of nobody.
fn map(bytes: usize, file: Option<&File>) -> Result<*mut c_void, i32> {
    let (flags, fd) = match file {
        Some(file) => (libc::MAP_SHARED, file.as_raw_fd()),
        None => (libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1),
    };
    // SAFETY: the kernel chooses the place.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_WRITE, flags, fd, 0) };
    if mapped == libc::MAP_FAILED {
        Err(errno(-1))
    } else {
        Ok(mapped)
    }
}

/// Takes memory that is shared with nobody, yet counts as shared.
pub(crate) fn map_shared(bytes: usize) -> i32 {
    map(bytes, None).map_or_else(|error| error, |_| 0)
}

/// Opens the file behind a mapping, of which there is no descriptor, and shrinks it.
pub(crate) fn shrink_behind(start: usize, bytes: usize) -> i32 {
    let range = format!("/proc/self/map_files/{start:x}-{:x}", start + bytes);
    let file = File::options().write(true).open(range);
    code(file.and_then(|file| file.set_len(0)))
}

/// Shrinks the file behind memory that has no seals, and reads that if it could.
pub(crate) fn shrink_unsealed_and_read() -> i32 {
    const PAGE: usize = 4096;
    let mapped = memory_file(PAGE).map_err(|error| code::<()>(Err(error)));
    let mapped = match mapped.and_then(|file| map(PAGE, Some(&file))) {
        Ok(mapped) => mapped,
        Err(error) => return error,
    };
    let shrunk = shrink_behind(mapped.addr(), PAGE);
    if shrunk == 0 {
        // SAFETY: none: it is mapped, and the fault is what the caller wants.
        unsafe { mapped.cast::<u8>().read_volatile() };
    }
    shrunk
}

/// Whether this number is one of an open descriptor.
pub(crate) fn is_open(number: i32) -> bool {
    // SAFETY: the call takes no memory.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// So many copies of a descriptor, which programs that are executed would inherit.
pub(crate) fn copies_without_close_on_exec(file: &File, count: usize) -> Vec<OwnedFd> {
    let copy = |_| {
        // SAFETY: the call takes no memory.
        let copy = unsafe { libc::dup(file.as_raw_fd()) };
        assert_ne!(copy, -1);
        // SAFETY: the descriptor was just made, and is nobody else's.
        unsafe { OwnedFd::from_raw_fd(copy) }
    };
    (0..count).map(copy).collect()
}

/// How large a core file may be.
pub(crate) fn core_limit() -> u64 {
    let mut limit = MaybeUninit::<libc::rlimit>::zeroed();
    // SAFETY: the pointer is to a local of the type that is asked for.
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, limit.as_mut_ptr()) };
    // SAFETY: two numbers, of which the kernel has filled both, or that are 0.
    unsafe { limit.assume_init() }.rlim_cur
}

/// 0 if programs that are executed here may gain privileges.
pub(crate) fn no_new_privileges() -> i32 {
    // SAFETY: the option takes no memory.
    unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) }
}

/// Gives the calling thread a name.
pub(crate) fn name_thread(name: &CStr) -> i32 {
    let name = name.as_ptr().addr();
    let option = libc::PR_SET_NAME.unsigned_abs() as usize;
    errno(call(libc::SYS_prctl, [option, name, 0, 0]))
}

/// Keeps others of the same user from looking into this process.
pub(crate) fn be_undumpable() -> i32 {
    let option = libc::PR_SET_DUMPABLE.unsigned_abs() as usize;
    errno(call(libc::SYS_prctl, [option, 0, 0, 0]))
}

/// Makes a ring of system calls.
pub(crate) fn make_io_uring() -> i32 {
    let mut parameters = [0_u64; 32];
    errno(call(
        libc::SYS_io_uring_setup,
        [1, parameters.as_mut_ptr().addr(), 0, 0],
    ))
}

/// Forks by a call whose arguments lie in memory.
pub(crate) fn clone_by_structure() -> i32 {
    let arguments = [0_u64; 8];
    let size = size_of_val(&arguments);
    // Without a signal at its end, so that nobody waits for it; the worker adopts and drops it.
    let pid = call(libc::SYS_clone3, [arguments.as_ptr().addr(), size, 0, 0]);
    if pid == 0 {
        // SAFETY: ends the copy.
        unsafe { libc::_exit(0) };
    }
    errno(pid)
}

/// The address of something as a number.
pub(crate) fn address<T>(of: &T) -> usize {
    ptr::from_ref(of).addr()
}

fn remote(local: &mut [u8; 8], address: usize) -> [libc::iovec; 2] {
    let part = |base: *mut u8| libc::iovec {
        iov_base: base.cast::<c_void>(),
        iov_len: 8,
    };
    [
        part(local.as_mut_ptr()),
        part(ptr::without_provenance_mut(address)),
    ]
}

/// Reads 8 bytes of another process into `into`.
pub(crate) fn read_process(pid: i32, address: usize, into: &mut [u8; 8]) -> i32 {
    let [local, remote] = remote(into, address);
    // SAFETY: `local` is ours to write; the kernel checks what is not.
    errno(
        unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) }
            as c_long,
    )
}

/// Writes 8 bytes into another process.
pub(crate) fn write_process(pid: i32, address: usize, mut bytes: [u8; 8]) -> i32 {
    let [local, remote] = remote(&mut bytes, address);
    // SAFETY: `local` is only read; the kernel checks what is not ours.
    errno(
        unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) }
            as c_long,
    )
}

/// Sends a descriptor over a socket, with one byte.
pub(crate) fn send_descriptor(socket: i32, descriptor: i32) -> i32 {
    let byte = [0_u8];
    let mut part = libc::iovec {
        iov_base: byte.as_ptr().cast_mut().cast(),
        iov_len: 1,
    };
    let mut control = [0_u64; 4];
    // SAFETY: a message of all zeros is an empty one.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: a sum of sizes.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as _;
    // SAFETY: `control` has room for one header and one number.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    let rights = libc::cmsghdr {
        // SAFETY: a sum of sizes.
        cmsg_len: unsafe { libc::CMSG_LEN(4) } as _,
        cmsg_level: libc::SOL_SOCKET,
        cmsg_type: libc::SCM_RIGHTS,
    };
    // SAFETY: it points into `control`, which is aligned as it asks.
    unsafe { header.write(rights) };
    // SAFETY: as above.
    let number = unsafe { libc::CMSG_DATA(header) };
    let bytes = descriptor.to_ne_bytes();
    // SAFETY: there is room for a number behind the header, which nothing else overlaps.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), number, bytes.len()) };
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: all that `message` points at outlives the call.
    errno(unsafe { libc::sendmsg(socket, &raw const message, flags) } as c_long)
}

/// Sends a byte over a socket.
pub(crate) fn send_byte(socket: i32) -> i32 {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the byte outlives the call.
    errno(unsafe { libc::send(socket, [0_u8].as_ptr().cast(), 1, flags) } as c_long)
}

/// The sockets among the low descriptors, found without a look into `/proc`. A full one is one, too.
pub(crate) fn sockets() -> Vec<i32> {
    let is_one = |number: &i32| matches!(send_byte(*number), 0 | libc::EAGAIN);
    (3..64).filter(is_one).collect()
}

/// Forks, and runs `child` in the copy, which then ends.
pub(crate) fn fork(child: impl FnOnce()) -> i32 {
    // SAFETY: the child makes system calls alone.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        child();
        // SAFETY: ends the copy.
        unsafe { libc::_exit(0) };
    }
    errno(pid.into())
}

/// Runs `child` in a copy of this process; what it gives, or that there is no copy, or -1 if it died.
pub(crate) fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the copy has this thread alone, which holds no lock, and what others may hold it does not
    // take: it makes system calls, and the C library has its allocator ready for copies.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => return errno(-1),
        0 => {
            let code = child();
            // SAFETY: ends the copy.
            unsafe { libc::_exit(code) }
        }
        _ => {}
    }
    let mut status = 0;
    // SAFETY: `status` is ours to write.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if waited == pid && libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        -1
    }
}

/// Leads a session of its own from now on.
pub(crate) fn leave_session() {
    // SAFETY: the call takes no memory.
    unsafe { libc::setsid() };
}

/// Whether this process is the superuser's.
pub(crate) fn is_superuser() -> bool {
    // SAFETY: the call takes no memory.
    unsafe { libc::geteuid() == 0 }
}

/// Becomes nobody, so that no right of the superuser helps.
pub(crate) fn become_nobody() -> i32 {
    const NOBODY: u32 = 65534;
    // SAFETY: the call takes no memory.
    errno(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) }.into())
}

/// Puts a character into the input of a terminal.
pub(crate) fn inject(terminal: &impl AsRawFd) -> i32 {
    let character = b'!';
    // SAFETY: the character outlives the call.
    errno(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, &raw const character) }.into())
}

/// A new pair of pseudo-terminals: the master, and the path of the other.
pub(crate) fn terminal() -> io::Result<(OwnedFd, String)> {
    // SAFETY: the call takes no memory.
    let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    if master == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and is nobody else's.
    let master = unsafe { OwnedFd::from_raw_fd(master) };
    // SAFETY: the call takes no memory.
    unsafe { libc::grantpt(master.as_raw_fd()) };
    // SAFETY: the call takes no memory.
    unsafe { libc::unlockpt(master.as_raw_fd()) };
    let mut name = [0; 64];
    // SAFETY: `name` is ours to write, and its length is named.
    unsafe { libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()) };
    let name = name.map(i8::cast_unsigned);
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(0);
    Ok((master, String::from_utf8_lossy(&name[..end]).into_owned()))
}

/// Has this process lead a session at a terminal, which is given back.
pub(crate) fn lead_terminal(path: &str) -> io::Result<File> {
    leave_session();
    File::options().read(true).write(true).open(path)
}

/// Parts with the terminal, and not with life, though that is what the kernel then asks for.
pub(crate) fn leave_terminal(terminal: &File) {
    // SAFETY: nothing that runs on a signal is touched.
    let before = unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
    // SAFETY: the request takes no memory.
    let left = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) };
    // SAFETY: it is what there was.
    unsafe { libc::signal(libc::SIGHUP, before) };
    assert_eq!(left, 0);
}

/// Executes a program in a child as nobody; what it exits with.
pub(crate) fn execute_as_nobody(program: &Path) -> i32 {
    let path = CString::new(program.as_os_str().as_bytes()).expect("a path without NUL");
    let arguments = [path.as_ptr(), ptr::null()];
    in_child(|| {
        if become_nobody() != 0 {
            return 98;
        }
        // SAFETY: the path and the list, which ends with a null, outlive the call.
        unsafe { libc::execv(path.as_ptr(), arguments.as_ptr()) };
        99
    })
}

/// The random bytes that canaries are made of, and where the stack is.
pub(crate) fn layout() -> (u64, usize) {
    let local = 0_u8;
    // SAFETY: takes no memory.
    let random = unsafe { libc::getauxval(libc::AT_RANDOM) };
    let random = usize::try_from(random).expect("an address");
    // SAFETY: the kernel has put 16 bytes there for every process.
    let random = unsafe { ptr::with_exposed_provenance::<u64>(random).read_unaligned() };
    (random, address(&local) >> 24)
}

/// Asks for the process's number by the 32-bit numbers of system calls.
#[cfg(target_arch = "x86_64")]
pub(crate) fn getpid_of_32_bits() -> i64 {
    let mut result: i64 = 20;
    // SAFETY: the call takes no memory; the kernel keeps all registers but these.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inout("rax") result,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    result
}

/// There is nothing of the kind here.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn getpid_of_32_bits() -> i64 {
    -1
}
