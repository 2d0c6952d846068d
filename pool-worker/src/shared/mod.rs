//! Values that many calls refer to, for the price of a handle.
//!
//! # What crosses
//!
//! The application writes the value into a memfd of its own, once, and seals that against any
//! change: plain numbers as the memory that they are, anything else encoded. A worker gets the memfd
//! on its control socket, with the value's number, before the first call that refers to it is placed
//! in its ring. In the arguments stands the number alone. The worker maps the memory, to be read
//! only, and reads numbers where they lie; anything else it decodes once. It keeps either until the
//! application says that the value is gone.
//!
//! No descriptor goes the other way. A worker that returns what its call came with returns the
//! number, which means something among that call's arguments only. Anything else that it returns
//! as a [`Shared`] is encoded whole, and becomes private memory of the application.
//!
//! # How long a value lives
//!
//! The memory lives as long as a [`Shared`] in the application, or a pending call that refers to
//! it, or a result not looked at yet. In a worker, besides, as long as the task holds on to it.
//!
//! # Contexts
//!
//! What a [`Shared`] becomes when serde encodes it hangs on why: hence [`sending`], [`receiving`]
//! and their like, which say so for the calling thread. Outside of them it is an error, as a number
//! means nothing elsewhere, and a copy is not what anybody asked for.

mod context;
mod kind;
mod postbox;
mod segment;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use std::any::Any;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use serde::Serialize;
use serde::de::{DeserializeOwned, Error};

use crate::codec::DecodeError;
use crate::sys::{self, Sealed};
use kind::{Numbers, Text};

pub(crate) use context::{begin_call, giving, serve_from, taking};
pub use context::{receiving, sending};
pub use kind::{Plain, Shareable};
pub use postbox::Postbox;
pub use segment::{Attachments, Segment};
pub(crate) use table::Table;

/// A value that is passed to many calls for the price of a handle, and read as if it were here.
///
/// `Executor::share` makes one of any value that serde knows: it is encoded once, and decoded once
/// in each worker that gets it, and dropped there, as a rule by a thread other than the task's.
/// `Executor::share_slice` makes one of plain numbers and `Executor::share_str` of text, which workers
/// read in place, without any copy. `Shared::from_slice` and `Shared::<str>::from` make one in a task,
/// for its result.
///
/// It may stand anywhere in arguments and results. A task that returns one of its arguments gives
/// the application a handle to the very same memory. Clones refer to one value; its memory, which
/// takes one descriptor in the application, is freed when the last is gone and no pending call
/// refers to it. Serde knows it inside of calls only: elsewhere, and inside of another value that is
/// to be shared, it is refused.
///
/// ```
/// use pool_core::{Executor, Shared, task};
///
/// #[task]
/// fn sum_of(numbers: Shared<[f64]>, from: usize, to: usize) -> f64 {
///     numbers[from..to].iter().sum()
/// }
///
/// let executor = Executor::builder().workers(2).build()?;
/// let numbers = executor.share_slice(&[0.5; 1000])?;
/// let parts = (0..10).map(|part| (numbers.clone(), part * 100, (part + 1) * 100));
/// let sums: Vec<f64> = executor.map(sum_of, parts).collect::<Result<_, _>>()?;
/// assert_eq!(sums, [50.0; 10]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Shared<T: ?Sized + Shareable>(Arc<Inner<T>>);

/// What a [`Shared`] is refused with where it would be a number that means nothing.
const OUTSIDE: &str = "a Shared can be encoded and decoded only as part of a call's arguments or \
                       result; send what it holds instead";

/// What the clones of a [`Shared`] have in common.
struct Inner<T: ?Sized + Shareable> {
    held: T::Held,
    /// Where it came from, if that is the application that this process works for.
    origin: Option<Origin>,
    /// The memory in which this process shares it with workers of its own, once it does.
    segment: OnceLock<Arc<Segment>>,
}

impl<T: ?Sized + Shareable> Inner<T> {
    fn new(held: T::Held, origin: Option<Origin>) -> Self {
        Self {
            held,
            origin,
            segment: OnceLock::new(),
        }
    }
}

/// What the application calls a value.
struct Origin {
    id: u64,
    /// The last call of this worker whose arguments referred to it.
    call: AtomicU64,
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Shared<T> {
    /// Writes the encoding of `value` to memory that workers can get.
    ///
    /// # Errors
    ///
    /// In words, if the value cannot be encoded, or memory or descriptors are short.
    #[doc(hidden)]
    pub fn share(value: T) -> Result<Self, String> {
        let shared = Self::private(value);
        shared.segment()?;
        Ok(shared)
    }
}

impl<T: Plain> Shared<[T]> {
    /// Copies the numbers to memory that workers can get.
    ///
    /// # Errors
    ///
    /// In words, if memory or descriptors are short.
    #[doc(hidden)]
    pub fn share_slice(numbers: &[T]) -> Result<Self, String> {
        Self::written(bytemuck::cast_slice(numbers))
    }

    /// A copy of these numbers, to be a task's result: the application reads it in place after it
    /// was copied there, once, as it is.
    ///
    /// ```
    /// use pool_core::{Executor, Shared, task};
    ///
    /// #[task]
    /// fn squares(count: u32) -> Shared<[u32]> {
    ///     let squares: Vec<u32> = (0..count).map(|number| number * number).collect();
    ///     Shared::from_slice(&squares)
    /// }
    ///
    /// let executor = Executor::builder().workers(1).build()?;
    /// assert_eq!(executor.submit(squares, 4).result()?[..], [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_slice(numbers: &[T]) -> Self {
        Self::private(Numbers::Private(numbers.to_vec()))
    }
}

impl Shared<str> {
    /// Copies the text to memory that workers can get.
    ///
    /// # Errors
    ///
    /// In words, if memory or descriptors are short.
    #[doc(hidden)]
    pub fn share_str(text: &str) -> Result<Self, String> {
        Self::written(text.as_bytes())
    }
}

/// A copy of the text, to be a task's result; see [`Shared::from_slice`].
impl From<&str> for Shared<str> {
    fn from(text: &str) -> Self {
        Self::private(Text::Private(text.into()))
    }
}

fn unwritten(error: &io::Error) -> String {
    format!(
        "memory for it cannot be had: {error}; a shared value takes a descriptor (RLIMIT_NOFILE), and \
         is no larger than RLIMIT_FSIZE allows"
    )
}

fn unmapped(error: &io::Error) -> String {
    format!("the memory of a Shared cannot be mapped: {error}")
}

impl<T: ?Sized + Shareable> Shared<T> {
    /// One that this process alone knows of.
    fn private(held: T::Held) -> Self {
        Self(Arc::new(Inner::new(held, None)))
    }

    /// The value that these bytes are, in memory that this process reads as workers do.
    fn written(bytes: &[u8]) -> Result<Self, String> {
        let memory = sys::write_sealed(c"pool-shared", bytes).map_err(|error| unwritten(&error))?;
        let mapped = Sealed::map(memory.as_fd()).map_err(|error| unmapped(&error))?;
        let held = T::open(&Arc::new(mapped)).map_err(|error| error.to_string())?;
        let shared = Self::private(held);
        let segment = Segment::of(memory, shared.erased());
        shared.0.segment.get_or_init(|| Arc::new(segment));
        Ok(shared)
    }

    fn erased(&self) -> Weak<dyn Any + Send + Sync> {
        Arc::downgrade(&self.0) as _
    }

    /// The memory in which workers get it, written at the first need.
    fn segment(&self) -> Result<&Arc<Segment>, String> {
        if let Some(segment) = self.0.segment.get() {
            return Ok(segment);
        }
        let segment = T::bytes(&self.0.held, |bytes| Segment::new(bytes, self.erased()))
            .map_err(|error| error.to_string())?
            .map_err(|error| unwritten(&error))?;
        Ok(self.0.segment.get_or_init(|| segment))
    }

    /// Its number, if it came with the arguments of the call that this thread serves.
    fn came_with_call(&self) -> Option<u64> {
        let origin = self.0.origin.as_ref()?;
        (origin.call.load(Ordering::Relaxed) == context::call()).then_some(origin.id)
    }

    /// The value that a worker's call refers to by this number.
    fn taken(id: u64) -> Result<Self, DecodeError> {
        let table = context::table().ok_or_else(|| DecodeError::custom(OUTSIDE))?;
        let inner = table.value(id, |memory| {
            let call = AtomicU64::new(0);
            let origin = Some(Origin { id, call });
            Ok(Inner::<T>::new(T::open(memory)?, origin))
        })?;
        if let Some(origin) = &inner.origin {
            origin.call.store(context::call(), Ordering::Relaxed);
        }
        Ok(Self(inner))
    }

    /// The value that a worker gives back by this number.
    fn given_back(id: u64) -> Result<Self, DecodeError> {
        let segment = context::attached(id).ok_or_else(|| {
            DecodeError::custom("a Shared that did not come with the call's arguments")
        })?;
        if let Some(value) = segment.value() {
            return table::typed(value).map(Self);
        }
        let memory =
            Sealed::map(segment.memory()).map_err(|error| DecodeError::custom(unmapped(&error)))?;
        let inner = Inner::<T>::new(T::open(&Arc::new(memory))?, None);
        inner.segment.get_or_init(|| segment);
        Ok(Self(Arc::new(inner)))
    }
}

impl<T: ?Sized + Shareable> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized + Shareable> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        T::value(&self.0.held)
    }
}

impl<T: ?Sized + Shareable + fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&&**self).finish()
    }
}
