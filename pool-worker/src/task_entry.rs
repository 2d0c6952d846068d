//! What `#[task]` registers beside a function, and the code that a worker calls it by.

use std::{
    any::{TypeId, type_name},
    fmt,
    panic::Location,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::codec::{self, DecodeError, EncodeError, Encoded, Source};
use crate::fault::{self, Site};
use crate::shared;

/// Decodes the arguments, calls the function and encodes its output.
type Call = fn(Source<'_>, &mut Encoded) -> Result<(), CallError>;

/// One registered task.
pub struct TaskEntry {
    name: Option<&'static str>,
    place: &'static Location<'static>,
    type_id: TypeId,
    type_name: fn() -> &'static str,
    call: Call,
}

inventory::collect!(TaskEntry);

impl TaskEntry {
    /// The entry of the function `F`, whose place is the caller's.
    ///
    /// The function is handed over only because its type cannot be written down.
    #[track_caller]
    pub const fn new<F: Copy + 'static>(_function: F, call: Call) -> Self {
        Self {
            name: None,
            place: Location::caller(),
            type_id: TypeId::of::<F>(),
            type_name: type_name::<F>,
            call,
        }
    }

    /// The same entry with a name of its own.
    #[must_use]
    pub const fn named(self, name: &'static str) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }

    /// The name given with `#[task(name = "...")]`.
    pub fn explicit_name(&self) -> Option<&'static str> {
        self.name
    }

    /// The name given, else that of the function. Need not be unique, unlike the registry's names.
    pub fn name(&self) -> &'static str {
        self.name.unwrap_or_else(self.type_name)
    }

    /// Where the function was marked.
    pub fn place(&self) -> &'static Location<'static> {
        self.place
    }

    /// The type of the function item.
    pub fn type_id(&self) -> TypeId {
        self.type_id
    }

    /// Calls the function with the encoded `args` and appends the encoding of what it returns to
    /// `output`.
    ///
    /// # Panics
    /// If the function does: its panic unwinds through here.
    pub fn call(&self, args: Source<'_>, output: &mut Encoded) -> Result<(), CallError> {
        (self.call)(args, output)
    }
}

impl fmt::Debug for TaskEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskEntry({} at {})", self.name(), self.place)
    }
}

/// Why a call came to no output, short of a panic.
#[derive(Debug)]
pub enum CallError {
    /// The arguments could not be decoded; the function was not called.
    Decode(DecodeError),
    /// The function's output could not be encoded.
    Encode(EncodeError),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(_) => f.write_str("the arguments could not be decoded"),
            Self::Encode(_) => f.write_str("the output could not be encoded"),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Decode(error) => Some(error),
            Self::Encode(error) => Some(error),
        }
    }
}

impl From<DecodeError> for CallError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<EncodeError> for CallError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// The encoded arguments of one call, taken one after another.
///
/// Its methods ask of a type what a task asks of it, so that the compiler's complaint sits on that
/// type in the function's own signature.
pub struct Arguments<'a>(Source<'a>);

impl<'a> Arguments<'a> {
    /// All of a call's arguments.
    pub fn new(source: Source<'a>) -> Self {
        shared::begin_call();
        fault::at(Site::Decodes);
        Self(source)
    }

    /// The next argument.
    pub fn take<T: Serialize + DeserializeOwned + 'static>(&mut self) -> Result<T, CallError> {
        let mut decode = || codec::decode_from(&mut self.0);
        Ok(if codec::is_number::<T>() {
            decode()
        } else {
            shared::taking(decode)
        }?)
    }

    /// Refuses what is left behind the last argument.
    pub fn finish(&mut self) -> Result<(), CallError> {
        self.0.finish()?;
        fault::at(Site::Calls);
        Ok(())
    }
}

/// Appends the encoding of what a task returned to `output`.
pub fn returned<T: Serialize + DeserializeOwned + 'static>(
    value: T,
    output: &mut Encoded,
) -> Result<(), CallError> {
    fault::at(Site::Encodes);
    let encode = || codec::encode_owned(value, output);
    Ok(if codec::is_number::<T>() {
        encode()
    } else {
        shared::giving(encode)
    }?)
}
