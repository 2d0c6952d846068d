//! Signals, endings and texts from elsewhere, in words.

use std::fmt::{self, Display, Write};

/// How a process ended, from the status that `waitpid(2)` gave, in words.
pub(crate) struct Ending(pub(crate) i32);

impl Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !libc::WIFSIGNALED(self.0) {
            return write!(f, "exited with status {}", libc::WEXITSTATUS(self.0));
        }
        let signal = libc::WTERMSIG(self.0);
        write!(f, "was killed by signal {signal}")?;
        signal_name(signal).map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}

/// Text from elsewhere, with nothing in it that could rewrite a terminal or forge a line of a log.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| {
            if char.is_control() {
                write!(f, "{}", char.escape_default())
            } else {
                f.write_char(char)
            }
        })
    }
}

macro_rules! names {
    ($number:ident: $($name:ident)*) => {
        match $number {
            $(libc::$name => Some(stringify!($name)),)*
            _ => None,
        }
    };
}

fn signal_name(signal: i32) -> Option<&'static str> {
    names!(signal:
        SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2
        SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG
        SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS)
}
