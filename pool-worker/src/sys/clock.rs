//! A clock that application and workers read alike.

use super::check;
use std::io;
use std::time::Duration;

/// The time of `CLOCK_MONOTONIC`: the same for all processes of a machine, and never set. It has no
/// beginning that means anything.
pub fn monotonic() -> Duration {
    // It cannot fail for this clock.
    read(libc::CLOCK_MONOTONIC).unwrap_or_default()
}

/// How much processor time all threads of a process have taken, those that have ended too.
pub fn processor_time(pid: u32) -> io::Result<Duration> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let mut clock = 0;
    // SAFETY: `clock` is ours to write for the whole call.
    let errno = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if errno != 0 {
        return Err(io::Error::from_raw_os_error(errno));
    }
    read(clock)
}

fn read(clock: libc::clockid_t) -> io::Result<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is ours to write for the whole call.
    check(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    Ok(Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    ))
}
