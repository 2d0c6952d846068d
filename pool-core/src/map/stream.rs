//! The results of a map for async tasks.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pool_worker::task::Decoder;

use super::{Flight, Map, Source, debug, size_hint};
use crate::task_error::TaskError;

/// The results of a task for each of many inputs, in the order of the inputs, as a [`Stream`].
///
/// Made by [`Map::into_stream`], with the feature `futures`. It is lazy and bounded as [`Map`] is:
/// no input is drawn before it is first polled, unless the map was started, and a failed item is an
/// item. To poll it never waits for a call; inputs are drawn, arguments encoded and results decoded
/// by whoever polls. Nothing is lost if what awaits an item is dropped before the item comes, as in a
/// `select!`. Dropping the stream cancels what has not begun.
///
/// Results as they finish are had of futures: those of [`submit`](crate::Executor::submit), in a
/// `FuturesUnordered`.
#[must_use = "a stream is lazy: nothing is called before it is polled"]
pub struct MapStream<R, I: Iterator> {
    source: Source<I>,
    flight: Flight,
    decoder: Decoder<R>,
}

impl<R, I: Iterator> Map<R, I> {
    /// Gives results to async tasks, in any runtime: a [`Stream`] of what `next` would give. Needs
    /// the feature `futures`.
    ///
    /// `StreamExt` of the crates `futures` or `futures-lite` adds `next` to it, and much more.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on};
    /// use pool_core::{Executor, TaskError, task};
    ///
    /// #[task]
    /// fn double(x: u32) -> u32 {
    ///     x * 2
    /// }
    ///
    /// let executor = Executor::builder().workers(2).build()?;
    /// let mut stream = executor.map(double, 1..=3).into_stream();
    /// let sum = block_on(async {
    ///     let mut sum = 0;
    ///     while let Some(doubled) = stream.next().await {
    ///         sum += doubled?;
    ///     }
    ///     Ok::<u32, TaskError>(sum)
    /// });
    /// assert_eq!(sum?, 12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> MapStream<R, I> {
        MapStream {
            source: self.source,
            flight: self.flight,
            decoder: self.decoder,
        }
    }
}

impl<R, I: Iterator> MapStream<R, I> {
    /// Draws no more inputs, and cancels the calls that have not begun, as [`Map::cancel`] does.
    pub fn cancel(&mut self) {
        self.source.cancel(&self.flight);
    }
}

/// The inputs lie in it, and are never pinned.
impl<R, I: Iterator> Unpin for MapStream<R, I> {}

impl<R, I: Iterator> Stream for MapStream<R, I> {
    type Item = Result<R, TaskError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            this.source.draw(&mut this.flight, None);
            if let Some(given) = this.flight.next() {
                let result = given.decode(this.source.task(), this.decoder);
                return Poll::Ready(Some(result));
            }
            let Some((pool, id)) = this.flight.front() else {
                return Poll::Ready(None);
            };
            if !pool.poll_or_wake(id, context.waker()) {
                return Poll::Pending;
            }
            this.flight.take_front(&mut pool.lock());
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        size_hint(&self.source, &self.flight)
    }
}

impl<R, I: Iterator> FusedStream for MapStream<R, I> {
    fn is_terminated(&self) -> bool {
        self.source.is_exhausted() && self.flight.count() == 0
    }
}

impl<R, I: Iterator> fmt::Debug for MapStream<R, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("MapStream", &self.source, &self.flight, f)
    }
}
