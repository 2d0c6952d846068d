//! What a process has from the one that started it, and that `execve` leaves as it is: its umask and
//! its limits.

use super::check;
use std::array;
use std::fs;
use std::io;
use std::ptr;

/// How many resources have a limit, of which this is the last; see setrlimit(2).
const RESOURCES: usize = libc::RLIMIT_RTTIME as usize + 1;

/// The umask and the limits that a process had at some time, for others to have later.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    /// Which modes of files are not granted, if the kernel tells.
    umask: Option<libc::mode_t>,
    /// Of each resource by its number, where the kernel knows it.
    limits: [Option<libc::rlimit>; RESOURCES],
}

impl Conditions {
    /// Those that the calling thread has now, and so whatever it starts.
    pub(crate) fn now() -> Self {
        // A thread may have an umask of its own, see unshare(2). To ask umask(2) is to change it, and
        // other threads make files meanwhile.
        let status = fs::read("/proc/thread-self/status").unwrap_or_default();
        Self {
            umask: umask_in(&status),
            limits: array::from_fn(|resource| limit(resource, None).ok()),
        }
    }

    /// Makes them this process's, as far as that may be: a hard limit that has been lowered takes a
    /// right to be raised again, and without it holds for the soft one. Async-signal-safe.
    pub(super) fn take_up(&self) {
        if let Some(umask) = self.umask {
            // SAFETY: the call takes no memory of ours, and cannot fail.
            unsafe { libc::umask(umask) };
        }
        for (resource, wanted) in self.limits.iter().enumerate() {
            if let Some(wanted) = wanted {
                // It fails where there is no right to it, and then workers have what there is.
                let _ = restore(resource, wanted);
            }
        }
    }
}

/// Sets a limit of this process to what it was, or as near to it as may be.
fn restore(resource: usize, wanted: &libc::rlimit) -> io::Result<()> {
    let found = limit(resource, None)?;
    if (found.rlim_cur, found.rlim_max) == (wanted.rlim_cur, wanted.rlim_max) {
        return Ok(());
    }
    if limit(resource, Some(wanted)).is_ok() {
        return Ok(());
    }
    let hard = wanted.rlim_max.min(found.rlim_max);
    let nearest = libc::rlimit {
        rlim_cur: wanted.rlim_cur.min(hard),
        rlim_max: hard,
    };
    limit(resource, Some(&nearest)).map(drop)
}

/// The limit that this process has to the resource of this number, and from now on `new`, if there is
/// one. Async-signal-safe.
fn limit(resource: usize, new: Option<&libc::rlimit>) -> io::Result<libc::rlimit> {
    const THIS: libc::pid_t = 0;
    let number = resource
        .try_into()
        .map_err(|_| io::ErrorKind::InvalidInput)?;
    let new = new.map_or(ptr::null(), ptr::from_ref);
    let mut found = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `new` is null or outlives the call, which only reads it; `found` is ours to write for
    // the whole call.
    check(unsafe { libc::prlimit(THIS, number, new, &raw mut found) })?;
    Ok(found)
}

/// The umask that a thread's `status` tells of. In names, which may be anything, ends of lines are
/// escaped.
fn umask_in(status: &[u8]) -> Option<libc::mode_t> {
    let mut lines = status.split(|&byte| byte == b'\n');
    let octal = lines.find_map(|line| line.strip_prefix(b"Umask:"))?;
    let octal = str::from_utf8(octal).ok()?.trim();
    libc::mode_t::from_str_radix(octal, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_umask_is_octal_and_may_be_missing() {
        let status = b"Name:\t\xff Umask:\t0777\nUmask:\t0027\nState:\tR (running)\n";
        assert_eq!(umask_in(status), Some(0o27));
        for status in ["", "Name:\tx\n", "Umask:\n", "Umask:\t08\n"] {
            assert_eq!(umask_in(status.as_bytes()), None, "{status}");
        }
        assert!(Conditions::now().umask.is_some());
    }

    #[test]
    fn all_limits_are_known_and_can_be_left_as_they_are() {
        let now = Conditions::now();
        assert!(now.limits.iter().all(Option::is_some));
        now.take_up();
        assert_eq!(format!("{:?}", Conditions::now()), format!("{now:?}"));
    }

    #[test]
    fn resources_that_are_none_have_no_limit() {
        // Fails where a kernel has learned of another one.
        for resource in [RESOURCES, usize::MAX] {
            assert!(limit(resource, None).is_err());
        }
    }
}
