//! How large arguments and results may be.

use pool_worker::codec::MAX_DEPTH;

use super::ExecutorBuilder;
use crate::bounds::Bounds;
use crate::error::Error;

/// The least that results may be limited to: what an initializer returns that has nothing to tell has
/// less.
const MIN_RESULT: u64 = 64;

impl ExecutorBuilder {
    /// How many bytes the encoded arguments of a call may have. One with more is not called and yields
    /// [`TooLarge`](crate::TaskErrorKind::TooLarge). By default there is no limit. A
    /// [`Shared`](crate::Shared) counts as the handle that it is.
    ///
    /// ```
    /// use pool_core::{Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn length(text: String) -> usize {
    ///     text.len()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).max_args(1 << 20).build()?;
    /// assert_eq!(executor.submit(length, "a".repeat(1_000_000)).result()?, 1_000_000);
    /// let error = executor.submit(length, "a".repeat(2_000_000)).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::TooLarge);
    /// assert!(error.size() > Some(2_000_000));
    /// assert_eq!(error.size_limit(), Some(1 << 20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_args(mut self, bytes: usize) -> Self {
        self.bounds.arguments = bytes;
        self
    }

    /// How many bytes an encoded result may have. A task that returns more has run in vain: its call
    /// yields [`TooLarge`](crate::TaskErrorKind::TooLarge), and its worker goes on. A worker that sends
    /// more all the same is killed. By default there is no limit; fewer than 64 are an error, as what an
    /// [`initializer`](Self::initializer) returns is a result as well.
    ///
    /// This bounds what a worker can have the application take for a call: so many bytes until the
    /// result is taken, and for the values in it 64 times as many and
    /// [`max_result_memory`](Self::max_result_memory) at the most, and for each byte no more than their type
    /// can be made of one. What collections keep in reserve as they grow
    /// comes on top, up to twice as much again. What a task says when it fails has 256 KiB at the most.
    ///
    /// ```
    /// use pool_core::{Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn repeat(letter: char, times: usize) -> String {
    ///     letter.to_string().repeat(times)
    /// }
    ///
    /// let executor = Executor::builder().workers(1).max_result(1 << 20).build()?;
    /// assert_eq!(executor.submit(repeat, ('a', 5)).result()?, "aaaaa");
    /// let error = executor.submit(repeat, ('a', 2_000_000)).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::TooLarge);
    /// assert_eq!(executor.submit(repeat, ('b', 2)).result()?, "bb");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_result(mut self, bytes: u64) -> Self {
        self.bounds.result = bytes;
        self
    }

    /// How many elements of sequences, entries of maps and fields of structs a result may have, at all
    /// levels together; one with more yields [`Decode`](crate::TaskErrorKind::Decode). By default there
    /// is no limit. Texts and vectors of plain numbers that are a result by themselves have no elements
    /// in this sense, as they are bounded by their bytes.
    ///
    /// ```
    /// use pool_core::{Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn words(text: String) -> Vec<String> {
    ///     text.split(' ').map(str::to_owned).collect()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).max_result_elements(3).build()?;
    /// assert_eq!(executor.submit(words, "to be or".into()).result()?.len(), 3);
    /// let error = executor.submit(words, "to be or not".into()).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::Decode);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_result_elements(mut self, elements: usize) -> Self {
        self.bounds.values.elements = elements;
        self
    }

    /// How many sequences, maps, structs, enum variants with data, newtypes and `Some`s may lie inside
    /// one another in a result; one that is deeper yields [`Decode`](crate::TaskErrorKind::Decode). By
    /// default 128, which is the most that there can be, as each takes some of the stack of the thread
    /// that takes the result.
    ///
    /// ```
    /// use pool_core::{Executor, TaskErrorKind, task};
    ///
    /// #[task]
    /// fn pairs(count: usize) -> Vec<(usize, usize)> {
    ///     (0..count).map(|x| (x, x)).collect()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).max_result_depth(1).build()?;
    /// assert_eq!(executor.submit(pairs, 0).result()?, []);
    /// let error = executor.submit(pairs, 1).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::Decode);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_result_depth(mut self, levels: u32) -> Self {
        self.bounds.values.depth = levels;
        self
    }

    /// How many bytes of memory the values of a result may take beyond 64 for each byte that came (32 of them
    /// for values of more than 16 bytes); one whose values take more yields
    /// [`Decode`](crate::TaskErrorKind::Decode). By default 1 GiB. It is the
    /// bound where few bytes become large values, as an empty map does that is a `struct` whose fields all
    /// have defaults. A value counts wherever it is made, a `struct` in a vector as the element and for its
    /// fields, so a result may be refused that takes half of this. What collections keep in reserve does not
    /// count. Texts and vectors of plain numbers that are a result by themselves take as much as their bytes.
    ///
    /// ```
    /// use pool_core::{Executor, TaskErrorKind, task};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Debug, Default, Serialize, Deserialize)]
    /// struct Row {
    ///     #[serde(skip)]
    ///     cache: [u64; 32],
    /// }
    ///
    /// #[task]
    /// fn rows(count: usize) -> Vec<Row> {
    ///     (0..count).map(|_| Row::default()).collect()
    /// }
    ///
    /// let executor = Executor::builder().workers(1).max_result_memory(1 << 20).build()?;
    /// assert_eq!(executor.submit(rows, 1000).result()?.len(), 1000);
    /// let error = executor.submit(rows, 10_000).result().unwrap_err();
    /// assert_eq!(error.kind(), TaskErrorKind::Decode);
    /// assert!(error.to_string().contains("max_result_memory"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_result_memory(mut self, bytes: usize) -> Self {
        self.bounds.values.memory = bytes;
        self
    }

    pub(super) fn checked_bounds(&self) -> Result<Bounds, Error> {
        if self.bounds.result < MIN_RESULT {
            return Err(Error::invalid_option(
                "max_result",
                format!("even an empty result has some bytes; allow {MIN_RESULT} or more"),
            ));
        }
        if self.bounds.values.depth > MAX_DEPTH {
            return Err(Error::invalid_option(
                "max_result_depth",
                format!("values cross only up to {MAX_DEPTH} levels; allow as many or fewer"),
            ));
        }
        Ok(self.bounds)
    }
}
