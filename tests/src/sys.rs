//! The system calls that tests need, and the crimes that only unsafe code can commit.

use std::{
    fs, io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
    sync::{Mutex, MutexGuard},
    thread,
};

/// Turns the -1 of a system call into the error.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Writes where nothing is mapped.
pub fn write_to_null() {
    let nowhere = std::hint::black_box(ptr::null_mut::<u8>());
    // SAFETY: none: the address is never mapped, and the fault is what the caller wants.
    unsafe { nowhere.write_volatile(1) };
}

/// Ends this process at once, without handlers.
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: ends the process; no memory is involved.
    unsafe { libc::_exit(code) }
}

/// Has `handler` run when this process exits, before those that were registered earlier.
///
/// # Panics
///
/// Where there is no memory for it.
pub fn at_exit(handler: extern "C" fn()) {
    // SAFETY: a function of the program's own lives as long as the program.
    assert_eq!(unsafe { libc::atexit(handler) }, 0);
}

/// Sends `signal` to this very thread.
pub fn raise(signal: i32) {
    // SAFETY: takes and keeps no memory.
    unsafe { libc::raise(signal) };
}

/// Sends `signal` to the process `pid`.
pub fn kill(pid: u32, signal: i32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: takes and keeps no memory.
    checked(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Has new files of this process lack these permissions.
pub fn umask(mask: libc::mode_t) {
    // SAFETY: takes and keeps no memory.
    unsafe { libc::umask(mask) };
}

/// Whether there is a process `pid`, be it a zombie.
pub fn exists(pid: u32) -> bool {
    kill(pid, 0).is_ok()
}

/// The end of a process, whoever is to reap it.
#[derive(Debug)]
pub struct End(OwnedFd);

/// What tells of the end of the process `pid`.
pub fn watched(pid: u32) -> io::Result<End> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: takes and keeps no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = checked(i32::try_from(fd).map_err(io::Error::other)?)?;
    // SAFETY: it is new, and nobody else's.
    Ok(End(unsafe { OwnedFd::from_raw_fd(fd) }))
}

impl End {
    /// Waits for it.
    pub fn await_end(&self) -> io::Result<()> {
        let (fd, events) = (self.0.as_raw_fd(), libc::POLLIN);
        let mut watched = libc::pollfd {
            fd,
            events,
            revents: 0,
        };
        // SAFETY: it is one entry, which outlives the call.
        checked(unsafe { libc::poll(&raw mut watched, 1, -1) }).map(drop)
    }
}

/// What `waitpid(-1)` says: the child that ended, 0 for none yet, `ECHILD` where there is none.
pub fn wait_for_any_child() -> io::Result<i32> {
    // SAFETY: a null status is allowed, and nothing else is passed by reference.
    checked(unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) })
}

/// Allows this process `soft` of the resource, as `setrlimit(2)` numbers them.
pub fn limit(resource: u32, soft: u64) -> io::Result<()> {
    let mut limits = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the pointer is to a local of the type that is asked for.
    checked(unsafe { libc::getrlimit(resource, limits.as_mut_ptr()) })?;
    // SAFETY: the call above succeeded, so the kernel has filled it.
    let mut limits = unsafe { limits.assume_init() };
    limits.rlim_cur = soft.min(limits.rlim_max);
    // SAFETY: the pointer is to a local that outlives the call.
    checked(unsafe { libc::setrlimit(resource, &raw const limits) }).map(drop)
}

/// Allows this process `hard` of the resource, and no more ever again but by a right.
pub fn limit_for_good(resource: u32, hard: u64) -> io::Result<()> {
    let limits = libc::rlimit {
        rlim_cur: hard,
        rlim_max: hard,
    };
    // SAFETY: the pointer is to a local that outlives the call.
    checked(unsafe { libc::setrlimit(resource, &raw const limits) }).map(drop)
}

/// Has no thread be had, until what is given back is dropped: there is no room for its stack, and those
/// that are left of others are in use.
///
/// # Panics
///
/// Where there can be no such limit.
pub fn refuse_threads() -> impl Drop {
    static IN_USE: Mutex<()> = Mutex::new(());
    struct Refusal(Option<MutexGuard<'static, ()>>);
    impl Drop for Refusal {
        fn drop(&mut self) {
            let lifted = limit(libc::RLIMIT_AS, libc::RLIM_INFINITY);
            self.0 = None;
            lifted.expect("the limit is lifted");
        }
    }
    let refusal = Refusal(IN_USE.lock().ok());
    let status = fs::read_to_string("/proc/self/status").expect("what this process has");
    let mut words = status.split_ascii_whitespace();
    words.find(|word| *word == "VmSize:");
    let size = words.next().and_then(|kib| kib.parse::<u64>().ok());
    let size = size.expect("the size of this process");
    limit(libc::RLIMIT_AS, (size + 1024) * 1024).expect("a limit");
    let start = || thread::Builder::new().spawn(|| drop(IN_USE.lock()));
    while start().is_ok() {}
    refusal
}

/// Ends the calling thread, and nothing of it is dropped.
pub fn end_thread() {
    // SAFETY: what the thread has borrowed lives on, as it never returns from here.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// No core files, which would make every crash slow.
pub fn forbid_cores() -> io::Result<()> {
    limit(libc::RLIMIT_CORE, 0)
}

/// At most `count` open descriptors.
pub fn limit_descriptors(count: u64) -> io::Result<()> {
    limit(libc::RLIMIT_NOFILE, count)
}

/// Binds this thread, and what it starts, to the first processor that it may use.
pub fn use_one_processor() -> io::Result<()> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: the pointer is to a local of the size that is passed.
    checked(unsafe { libc::sched_getaffinity(0, size, set.as_mut_ptr()) })?;
    // SAFETY: a set of processors is valid for all bits, and it was zeroed.
    let allowed = unsafe { set.assume_init() };
    // SAFETY: reads a bit within the set, whose size bounds the range.
    let is_allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &allowed) };
    let first = (0..8 * size).find(is_allowed).unwrap_or(0);
    // SAFETY: a set of processors without any is all zeros.
    let mut one: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: `first` was within the set above.
    unsafe { libc::CPU_SET(first, &mut one) };
    // SAFETY: the pointer is to a local of the size that is passed.
    checked(unsafe { libc::sched_setaffinity(0, size, &raw const one) }).map(drop)
}

/// Lets any process of the same user trace this one, where a security module would let but its parent.
pub fn allow_tracing() {
    // SAFETY: the option takes numbers only. It fails where there is no such module, and no need of it.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
}

/// Makes this process the one to which orphans among its descendants go.
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: the option takes numbers only.
    checked(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Has this process ignore `signal`. Where that is `SIGCHLD`, the kernel reaps its children by itself.
pub fn ignore(signal: i32) {
    // SAFETY: to ignore a signal installs no code.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Gives `signal` its default effect. What a shell runs in the background is made to ignore interrupts,
/// and so are its children.
pub fn heed(signal: i32) {
    // SAFETY: the default effect is no function of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

extern "C" fn nothing(_: libc::c_int) {}

/// Has `signal` interrupt whatever system call it comes upon, and do nothing else.
pub fn catch(signal: i32) -> io::Result<()> {
    // SAFETY: a disposition of all zeros has no flags, so that no call is begun anew.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the pointer is to a local that outlives the call, and the handler does nothing.
    checked(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) }).map(drop)
}

/// The exit code by which a process tells that it was left by [`leave_at`].
pub const LEFT: i32 = 42;

extern "C" fn leave(_: libc::c_int) {
    exit_at_once(LEFT)
}

/// Has `signal` end this process with [`LEFT`], as a crash reporter does.
pub fn leave_at(signal: i32) {
    let leave = leave as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler makes one call, which is async-signal-safe.
    unsafe { libc::signal(signal, leave) };
}

/// Blocks `signal` for this thread and those that it starts.
pub fn block(signal: i32) -> io::Result<()> {
    mask(libc::SIG_BLOCK, signal)
}

/// Takes back [`block`].
pub fn unblock(signal: i32) -> io::Result<()> {
    mask(libc::SIG_UNBLOCK, signal)
}

/// Changes this thread's mask by `signal`.
fn mask(how: libc::c_int, signal: i32) -> io::Result<()> {
    // SAFETY: a set of signals without any is all zeros.
    let mut set: libc::sigset_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: the pointer is to a local that outlives the call.
    checked(unsafe { libc::sigaddset(&raw mut set, signal) })?;
    // SAFETY: the set is a local, and a null old set is allowed.
    let error = unsafe { libc::pthread_sigmask(how, &raw const set, ptr::null_mut()) };
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(error))
    }
}

/// Forks a child that does nothing but hold what it inherited until it is killed.
pub fn fork_idle_copy() -> io::Result<u32> {
    // SAFETY: the child below calls nothing but `pause`, which is async-signal-safe.
    let pid = checked(unsafe { libc::fork() })?;
    if pid == 0 {
        loop {
            // SAFETY: waits for a signal; no memory is involved.
            unsafe { libc::pause() };
        }
    }
    u32::try_from(pid).map_err(io::Error::other)
}

/// Forks a child that does `what` with its copy of `value`, in moments and without a fault. Gives
/// the value back.
pub fn in_forked_copy<T>(value: T, what: impl FnOnce(T)) -> io::Result<T> {
    // SAFETY: `what` is for the caller to judge, whose process has no other thread in a lock of the
    // standard library.
    let pid = checked(unsafe { libc::fork() })?;
    if pid == 0 {
        // SAFETY: takes no memory; a child that hangs dies of it.
        unsafe { libc::alarm(10) };
        what(value);
        // SAFETY: ends this copy without what the original registered for its exit.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `status` is ours to write for the whole call.
    checked(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    if status == 0 {
        Ok(value)
    } else {
        Err(io::Error::other(format!("the copy ended with {status:#x}")))
    }
}

/// Closes every descriptor above standard error.
pub fn close_all() {
    // SAFETY: none for the owners of these descriptors, which is what the caller wants to try.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// Allows another process `soft` of the resource, up to what it may allow itself.
pub fn limit_of(pid: u32, resource: u32, soft: u64) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let mut limits = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: there are no new limits, and the pointer for the old ones is to a local of their type.
    checked(unsafe { libc::prlimit(pid, resource, ptr::null(), limits.as_mut_ptr()) })?;
    // SAFETY: the call above succeeded, so the kernel has filled it.
    let mut limits = unsafe { limits.assume_init() };
    limits.rlim_cur = soft.min(limits.rlim_max);
    // SAFETY: the pointer is to a local that outlives the call; the old limits are not asked for.
    checked(unsafe { libc::prlimit(pid, resource, &raw const limits, ptr::null_mut()) }).map(drop)
}

/// Makes this process one of a user to whom limits to the number of processes apply, if it is not.
pub fn renounce_privileges() -> io::Result<()> {
    const NOBODY: u32 = 65_534;
    // SAFETY: the call has no condition.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(());
    }
    // SAFETY: takes numbers only.
    checked(unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) })?;
    // SAFETY: takes numbers only.
    checked(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) })?;
    // Else what `/proc` has of this process is root's.
    // SAFETY: the option takes a number only.
    checked(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) }).map(drop)
}

/// Writes to a descriptor what nobody expects there. Whose it is does not matter, nor whether it is one.
pub fn write_garbage(fd: i32) {
    let garbage = [0xa5_u8; 4096];
    let (bytes, len) = (garbage.as_ptr().cast(), garbage.len());
    // SAFETY: the bytes outlive the call.
    unsafe { libc::send(fd, bytes, len, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
    // SAFETY: as above.
    unsafe { libc::write(fd, bytes, len.min(64)) };
}

/// Sends `signal` to all processes of a group, as a terminal does.
pub fn signal_group(group: u32, signal: i32) -> io::Result<()> {
    let group = libc::pid_t::try_from(group).map_err(io::Error::other)?;
    // SAFETY: takes and keeps no memory.
    checked(unsafe { libc::killpg(group, signal) }).map(drop)
}

/// Has each of these system calls fail with its error in this thread, and in all that it starts.
pub fn refuse(calls: &[(libc::c_long, i32)]) -> io::Result<()> {
    let failing =
        |&(call, errno): &(_, i32)| (call, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs());
    answer(&calls.iter().map(failing).collect::<Vec<_>>())
}

/// Has this system call kill who makes it, of this thread and all that it starts.
pub fn kill_for(call: libc::c_long) -> io::Result<()> {
    answer(&[(call, libc::SECCOMP_RET_KILL_PROCESS)])
}

/// Has the kernel answer each of these system calls so.
fn answer(calls: &[(libc::c_long, u32)]) -> io::Result<()> {
    const LOAD_NUMBER: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const IS_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, k, jt, jf| libc::sock_filter {
        code: code.try_into().unwrap_or(u16::MAX),
        jt,
        jf,
        k,
    };
    let mut filter = vec![step(LOAD_NUMBER, 0, 0, 0)];
    for &(number, answer) in calls {
        let number = u32::try_from(number).map_err(io::Error::other)?;
        filter.extend([step(IS_EQUAL, number, 0, 1), step(RETURN, answer, 0, 0)]);
    }
    filter.push(step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the option takes numbers only.
    checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program and what it points to outlive the call.
    checked(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) }).map(drop)
}

/// Sets which modes of files this process does not grant.
pub fn change_umask(mask: u32) {
    // SAFETY: the call has no condition.
    unsafe { libc::umask(mask) };
}

/// Sets a variable of this process's environment, of which no other thread may read any meanwhile.
pub fn set_variable(name: &str, value: &str) {
    // SAFETY: callers run one task at a time in a process of their own.
    unsafe { std::env::set_var(name, value) };
}
