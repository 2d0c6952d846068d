//! What may be handed to an executor: functions marked `#[task]`, and references to them.
//!
//! A function item has a type of its own and no size. So an executor finds the registered entry
//! by the type of what it is handed, and nothing about the function itself has to cross.

use std::{
    any::{TypeId, type_name},
    fmt,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec::{self, DecodeError, EncodeError, Encoded, Source},
    registry::{TaskId, registry},
};

/// A function that workers can run: one marked `#[task]`, named by its path, or a [`TaskRef`].
///
/// The trait is sealed. It holds for every function and every closure without captures whose
/// arguments and result serde knows; one that is not marked `#[task]` yields the error
/// `UnknownTask` when it is submitted. `S` is the function's signature: it is always inferred, and
/// only has to be handed on where a function is generic over its task.
///
/// ```
/// use pool_core::{Task, task};
///
/// /// What a task makes of `args`, as far as its types tell.
/// fn run<F: Task<S>, S>(task: F, args: F::Args) -> Option<F::Output> {
///     # let _ = (task, args);
///     None
/// }
///
/// #[task]
/// fn cube(x: i64) -> i64 {
///     x * x * x
/// }
///
/// let result: Option<i64> = run(cube, 3);
/// assert!(result.is_none());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a task",
    label = "not a task",
    note = "a task is a function marked `#[task]`, handed over by its name: `submit(cube, 3)`",
    note = "it takes 0 to 16 arguments and returns a value, all of them owned and known to serde \
            (`Serialize + DeserializeOwned + 'static`): `String` for `&str`, `Vec<T>` for `&[T]`",
    note = "to choose between tasks at run time, use `task_ref(cube)`"
)]
pub trait Task<S>: sealed::Task<S> + Copy + 'static {
    /// What the task is called with: the argument itself where there is one parameter, `()` where
    /// there is none, else a tuple.
    type Args: 'static;

    /// What the task returns.
    type Output: 'static;

    /// The registered task, else the name of the type that is not registered.
    #[doc(hidden)]
    fn entry(&self) -> Result<TaskId, &'static str>;

    /// What encodes the arguments, as [`TaskEntry::call`](crate::TaskEntry::call) reads them.
    #[doc(hidden)]
    fn encoder(&self) -> Encoder<Self::Args>;

    /// What decodes the output.
    #[doc(hidden)]
    fn decoder(&self) -> Decoder<Self::Output>;
}

/// What encodes arguments.
#[doc(hidden)]
pub struct Encoder<Args> {
    /// Encodes arguments that the caller keeps.
    pub borrowed: fn(&Args, &mut Encoded) -> Result<(), EncodeError>,
    /// Encodes arguments that the caller gives away: large ones are not copied.
    pub owned: fn(Args, &mut Encoded) -> Result<(), EncodeError>,
    /// They are a [number](codec::is_number), or none.
    pub is_number: bool,
}

impl<Args> Clone for Encoder<Args> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Args> Copy for Encoder<Args> {}

/// What decodes a task's output.
#[doc(hidden)]
pub struct Decoder<Output> {
    /// Reads it, and refuses bytes behind it.
    pub decode: fn(Source<'_>) -> Result<Output, DecodeError>,
    /// It is a [number](codec::is_number).
    pub is_number: bool,
}

impl<Output> Clone for Decoder<Output> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Output> Copy for Decoder<Output> {}

mod sealed {
    /// Nobody else implements [`Task`](super::Task).
    pub trait Task<S> {}
}

/// Makes functions of the parameter types `$ty` tasks.
macro_rules! function {
    ($($ty:ident)*; $args:ty; $encoder:expr) => {
        impl<F, R, $($ty),*> sealed::Task<fn($($ty),*) -> R> for F where F: Fn($($ty),*) -> R {}

        impl<F, R, $($ty),*> Task<fn($($ty),*) -> R> for F
        where
            F: Fn($($ty),*) -> R + Copy + 'static,
            R: Serialize + DeserializeOwned + 'static,
            $($ty: Serialize + DeserializeOwned + 'static,)*
        {
            type Args = $args;
            type Output = R;

            fn entry(&self) -> Result<TaskId, &'static str> {
                entry_of::<F>()
            }

            fn encoder(&self) -> Encoder<$args> {
                $encoder
            }

            fn decoder(&self) -> Decoder<R> {
                Decoder {
                    decode: decode_output::<R>,
                    is_number: codec::is_number::<R>(),
                }
            }
        }
    };
}

/// Makes functions of two parameters and more tasks, up to as many as are named.
macro_rules! functions {
    ($($name:ident $ty:ident)+;) => {
        function!($($ty)+; ($($ty),+); Encoder {
            borrowed: |($($name),+), out| {
                $(codec::encode_borrowed($name, out)?;)+
                Ok(())
            },
            owned: |($($name),+), out| {
                $(codec::encode_owned($name, out)?;)+
                Ok(())
            },
            is_number: false,
        });
    };
    ($($name:ident $ty:ident)+; $next:ident $next_ty:ident $($rest:ident)*) => {
        functions!($($name $ty)+;);
        functions!($($name $ty)+ $next $next_ty; $($rest)*);
    };
}

function!(; (); Encoder {
    borrowed: |(), _| Ok(()),
    owned: |(), _| Ok(()),
    is_number: true,
});
function!(A; A; Encoder {
    borrowed: codec::encode_borrowed::<A>,
    owned: codec::encode_owned::<A>,
    is_number: codec::is_number::<A>(),
});
functions!(a A b B; c C d D e E f G g H h I i J j K k L l M m N n O o P p Q);

/// The entry of the function whose type is `F`.
fn entry_of<F: 'static>() -> Result<TaskId, &'static str> {
    const {
        assert!(
            size_of::<F>() == 0,
            "a task is named by its type, so a closure that captures, or a function pointer, \
             cannot be one: hand over the function's own name, pass what it needs as arguments, \
             and choose between tasks at run time with `task_ref(cube)`"
        );
    }
    registry()
        .lookup(TypeId::of::<F>())
        .ok_or_else(type_name::<F>)
}

/// Reads the one value that makes up `source`.
fn decode_output<R: DeserializeOwned + 'static>(mut source: Source<'_>) -> Result<R, DecodeError> {
    let output = codec::decode_from(&mut source)?;
    source.finish()?;
    Ok(output)
}

/// A task as a value, to choose between tasks at run time: made by [`task_ref`], itself a task.
///
/// ```
/// use pool_core::{TaskRef, task, task_ref};
///
/// #[task]
/// fn double(x: i64) -> i64 {
///     x * 2
/// }
///
/// #[task]
/// fn square(x: i64) -> i64 {
///     x * x
/// }
///
/// let table: [TaskRef<i64, i64>; 2] = [task_ref(double), task_ref(square)];
/// assert!(format!("{:?}", table[1]).ends_with("square)"));
/// ```
pub struct TaskRef<Args, R> {
    entry: Result<TaskId, &'static str>,
    encoder: Encoder<Args>,
    decoder: Decoder<R>,
}

/// The reference to `task`, whose type tells no more than arguments and result.
///
/// A function that is not marked `#[task]` is found out when the reference is submitted.
///
/// ```
/// use pool_core::{TaskRef, task, task_ref};
///
/// #[task]
/// fn add(a: i64, b: i64) -> i64 {
///     a + b
/// }
///
/// let sum: TaskRef<(i64, i64), i64> = task_ref(add);
/// assert!(format!("{sum:?}").ends_with("add)"));
/// ```
pub fn task_ref<F: Task<S>, S>(task: F) -> TaskRef<F::Args, F::Output> {
    TaskRef {
        entry: task.entry(),
        encoder: task.encoder(),
        decoder: task.decoder(),
    }
}

/// The "signature" that makes a [`TaskRef`] a task.
#[doc(hidden)]
#[derive(Debug)]
pub enum ByReference {}

impl<Args, R> sealed::Task<ByReference> for TaskRef<Args, R> {}

impl<Args: 'static, R: 'static> Task<ByReference> for TaskRef<Args, R> {
    type Args = Args;
    type Output = R;

    fn entry(&self) -> Result<TaskId, &'static str> {
        self.entry
    }

    fn encoder(&self) -> Encoder<Args> {
        self.encoder
    }

    fn decoder(&self) -> Decoder<R> {
        self.decoder
    }
}

impl<Args, R> Clone for TaskRef<Args, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Args, R> Copy for TaskRef<Args, R> {}

impl<Args, R> fmt::Debug for TaskRef<Args, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.entry {
            Ok(id) => registry().name(id),
            Err(type_name) => type_name,
        };
        write!(f, "TaskRef({name})")
    }
}
