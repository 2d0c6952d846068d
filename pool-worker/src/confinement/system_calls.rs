//! The system calls that an untrusted task may make.
//!
//! There are three filters, of which the strictest answer counts:
//!
//! - One lists what computing takes: memory, clocks, waiting, descriptors that one has, files that are
//!   opened to be read (which of them, Landlock says). All else fails with `EPERM`, and libraries go on
//!   without it: sockets, processes, threads, writing, `ioctl`.
//! - One lists what no honest program tries, and kills: to look into other processes, to load programs
//!   into the kernel, to change what is mounted, whose namespaces these are, what time it is.
//! - One says `ENOSYS` to what is asked for first and has a substitute: arguments of `clone3` and of
//!   `io_uring` lie in memory, where no filter can look.
//!
//! Each of them kills what calls by another architecture's numbers; those of x32 are in no list. A fourth
//! filter is made by each worker: it may send signals to itself alone.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};
use std::collections::BTreeMap;
use std::io;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Result<T> = std::result::Result<T, seccompiler::BackendError>;

/// Allowed with any arguments.
const PLAIN: &[i64] = &[
    // Descriptors that it has.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_eventfd2,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Threads that there are.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time, chance, and who one is.
    libc::SYS_nanosleep,
    // Made where the kernel maps no code of its own that would tell the time.
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getcwd,
    libc::SYS_getrusage,
    libc::SYS_times,
    libc::SYS_uname,
    libc::SYS_sysinfo,
];

/// The same, of those that only x86-64 has.
#[cfg(target_arch = "x86_64")]
const PLAIN_HERE: &[i64] = &[
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_wait,
    libc::SYS_dup2,
    libc::SYS_getrlimit,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const PLAIN_HERE: &[i64] = &[];

/// What names a clock first.
const CLOCKS: [i64; 3] = [
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
];

/// What files are looked at by, where Landlock says which may be read.
///
/// It does not say which may be asked about, and no filter can: the path lies in memory. To refuse the
/// calls would refuse them for files that are granted, and `AT_EMPTY_PATH`, by which C libraries ask about
/// descriptors, looks up a path all the same where there is one.
const LOOKS: &[i64] = &[
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_faccessat,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
];

/// What no honest task tries.
const ATTACKS: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_personality,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// What has a substitute that is tried next.
const ABSENT: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// What a descriptor may be asked for: nothing of signals, leases, pipes' sizes.
const DESCRIPTOR_COMMANDS: [libc::c_int; 7] = [
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GET_SEALS,
];

/// How a file is opened that is not just read.
const WRITING: libc::c_int = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;

/// The filters that are the same in every worker, compiled.
#[derive(Debug)]
pub(super) struct Filters {
    /// In the order in which they are applied: once the last holds, no other can be.
    programs: Vec<BpfProgram>,
}

impl Filters {
    /// Compiles them; `files` are left to Landlock, else they are refused here.
    pub(super) fn new(files: bool) -> Result<Self> {
        let lists = [
            (
                listed(ATTACKS),
                SeccompAction::Allow,
                SeccompAction::KillProcess,
            ),
            (listed(ABSENT), SeccompAction::Allow, errno(libc::ENOSYS)),
            (allowed(files)?, errno(libc::EPERM), SeccompAction::Allow),
        ];
        let programs = lists
            .into_iter()
            .map(|(rules, others, these)| compiled(rules, others, these))
            .collect::<Result<_>>()?;
        Ok(Self { programs })
    }

    /// Binds all threads of this process, for good. Where no domain keeps signals in, none can be sent
    /// to single threads without a name of the process.
    pub(super) fn apply(&self, is_scoped: bool) -> io::Result<()> {
        let own = compiled(
            signals(std::process::id(), is_scoped).map_err(io::Error::other)?,
            SeccompAction::Allow,
            errno(libc::EPERM),
        );
        let own = own.map_err(io::Error::other)?;
        for program in [&own].into_iter().chain(&self.programs) {
            apply_filter_all_threads(program).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

fn compiled(rules: Rules, others: SeccompAction, these: SeccompAction) -> Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, others, these, arch)?.try_into()
}

#[expect(clippy::cast_sign_loss, reason = "numbers of errors are positive")]
fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number as u32)
}

fn listed(calls: &[i64]) -> Rules {
    calls.iter().map(|&call| (call, Vec::new())).collect()
}

/// What is allowed, whatever other filters say.
fn allowed(files: bool) -> Result<Rules> {
    let mut rules = listed(PLAIN);
    rules.extend(listed(PLAIN_HERE));
    // The other filters say more of these.
    rules.extend(listed(ABSENT));
    rules.extend(listed(&[libc::SYS_kill, libc::SYS_tgkill, libc::SYS_tkill]));
    let commands = DESCRIPTOR_COMMANDS
        .into_iter()
        .map(|command| rule([is(1, command)?]));
    rules.insert(libc::SYS_fcntl, commands.collect::<Result<_>>()?);
    // Memory that is shared counts for nobody, and outlives limits.
    let private = rule([lacks(3, libc::MAP_SHARED | libc::MAP_HUGETLB)?])?;
    rules.insert(libc::SYS_mmap, vec![private]);
    // Numbers below zero are those of clocks of processes, its own and others, and of devices.
    let of_all = rule([is_natural(0)?])?;
    rules.extend(CLOCKS.map(|call| (call, vec![of_all.clone()])));
    // To those it is connected to, and without descriptors.
    rules.insert(libc::SYS_sendto, vec![rule([is_null(4)?])?]);
    // A thread names itself as it begins, which may be after this.
    let name = rule([is(0, libc::PR_SET_NAME)?])?;
    rules.insert(libc::SYS_prctl, vec![name]);
    // What its own limits are.
    rules.insert(libc::SYS_prlimit64, vec![rule([is(0, 0)?, is_null(2)?])?]);
    if files {
        rules.extend(listed(LOOKS));
        rules.insert(libc::SYS_openat, vec![rule([lacks(2, WRITING)?])?]);
        #[cfg(target_arch = "x86_64")]
        rules.insert(libc::SYS_open, vec![rule([lacks(1, WRITING)?])?]);
    } else {
        // How the C library asks about a descriptor.
        let of_descriptor = SeccompCmpOp::MaskedEq(EMPTY_PATH);
        let of_descriptor = condition(3, SeccompCmpArgLen::Dword, of_descriptor, EMPTY_PATH)?;
        rules.insert(libc::SYS_newfstatat, vec![rule([of_descriptor])?]);
    }
    Ok(rules)
}

/// `AT_EMPTY_PATH`.
const EMPTY_PATH: u64 = 0x1000;

/// Signals that this process may not send.
fn signals(own: u32, is_scoped: bool) -> Result<Rules> {
    let other = || {
        let other = condition(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, own.into())?;
        rule([other])
    };
    let mut rules = Rules::from([
        (libc::SYS_kill, vec![other()?]),
        (libc::SYS_tgkill, vec![other()?]),
    ]);
    if !is_scoped {
        rules.insert(libc::SYS_tkill, Vec::new());
    }
    Ok(rules)
}

fn rule<const N: usize>(conditions: [SeccompCondition; N]) -> Result<SeccompRule> {
    SeccompRule::new(conditions.into())
}

fn condition(
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition> {
    SeccompCondition::new(argument, length, operator, value)
}

/// Whether an argument is this number.
#[expect(clippy::cast_sign_loss, reason = "the constants are positive")]
fn is(argument: u8, value: libc::c_int) -> Result<SeccompCondition> {
    condition(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        value as u64,
    )
}

/// Whether an argument is no number below zero.
fn is_natural(argument: u8) -> Result<SeccompCondition> {
    let most = libc::c_int::MAX.unsigned_abs().into();
    condition(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Le, most)
}

/// Whether an argument is no pointer.
fn is_null(argument: u8) -> Result<SeccompCondition> {
    condition(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

/// Whether an argument has none of these bits.
#[expect(clippy::cast_sign_loss, reason = "the constants are positive")]
fn lacks(argument: u8, bits: libc::c_int) -> Result<SeccompCondition> {
    let masked = SeccompCmpOp::MaskedEq(bits as u64);
    condition(argument, SeccompCmpArgLen::Dword, masked, 0)
}
