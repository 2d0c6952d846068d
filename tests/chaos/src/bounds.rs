//! How large arguments and results of a round may be, and what becomes of larger ones.

use pool_core::{ExecutorBuilder, TaskError, TaskErrorKind};
use pool_tests::Random;

/// The most that is encoded beside the bytes that a call is given, or gives back.
const BESIDES: usize = 256;

/// What they are limited to. All that a round needs beside its calls' bytes is less.
const LIMITS: [usize; 4] = [1000, 20_000, 100_000, 500_000];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    args: Option<usize>,
    result: Option<usize>,
}

impl Bounds {
    /// Either of them in a part of all rounds.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mut draw = || random.one_in(5).then(|| random.pick(&LIMITS));
        Self {
            args: draw(),
            result: draw(),
        }
    }

    pub(crate) fn set(self, mut builder: ExecutorBuilder) -> ExecutorBuilder {
        if let Some(bytes) = self.args {
            builder = builder.max_args(bytes);
        }
        if let Some(bytes) = self.result {
            builder = builder.max_result(bytes as u64);
        }
        builder
    }

    /// Whether a call with so many bytes of arguments has to be refused before it runs.
    pub(crate) fn refuse_args(self, bytes: usize) -> bool {
        self.args.is_some_and(|most| bytes > most)
    }

    /// Whether a call has to be refused that gives back so many bytes.
    pub(crate) fn refuse_result(self, bytes: usize) -> bool {
        self.result.is_some_and(|most| bytes > most)
    }

    /// Whether a call with so many bytes, at the most, may have this error for their number.
    pub(crate) fn explain(self, error: &TaskError, args: usize, result: usize) -> bool {
        let is_told = |most: Option<usize>, bytes| {
            most.is_some_and(|most| {
                bytes + BESIDES > most && error.size_limit() == Some(most as u64)
            })
        };
        error.kind() == TaskErrorKind::TooLarge
            && error.size() > error.size_limit()
            && (is_told(self.args, args) || is_told(self.result, result))
    }
}
