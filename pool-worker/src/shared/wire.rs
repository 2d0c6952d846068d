//! What a [`Shared`] is in arguments and results: a number, or the value itself.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{EnumAccess, Error as _, VariantAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::context::{self, Mode};
use super::{OUTSIDE, Shareable, Shared};

const NAME: &str = "Shared";
const HANDLE: &str = "handle";
const COPY: &str = "copy";

/// How a [`Shared`] is written.
#[derive(Deserialize)]
#[serde(variant_identifier, rename_all = "snake_case")]
enum Form {
    /// A number that both sides know it by.
    Handle,
    /// The value itself.
    Copy,
}

impl<T: ?Sized + Shareable> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let id = match context::mode() {
            Mode::Sending => {
                let segment = self.segment().map_err(S::Error::custom)?;
                context::attach(segment);
                Some(segment.id())
            }
            Mode::Giving => self.came_with_call(),
            _ => return Err(S::Error::custom(OUTSIDE)),
        };
        match id {
            Some(id) => to.serialize_newtype_variant(NAME, 0, HANDLE, &id),
            None => to.serialize_newtype_variant(NAME, 1, COPY, &Value(self)),
        }
    }
}

/// What a [`Shared`] holds, to be encoded.
struct Value<'a, T: ?Sized + Shareable>(&'a Shared<T>);

impl<T: ?Sized + Shareable> Serialize for Value<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        T::encode(&self.0.0.held, to)
    }
}

impl<'de, T: ?Sized + Shareable> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match context::mode() {
            Mode::Taking | Mode::Receiving => {
                from.deserialize_enum(NAME, &[HANDLE, COPY], Shape(PhantomData))
            }
            _ => Err(D::Error::custom(OUTSIDE)),
        }
    }
}

/// Reads a [`Shared`] from whichever form it has.
struct Shape<T: ?Sized>(PhantomData<fn() -> Box<T>>);

impl<'de, T: ?Sized + Shareable> Visitor<'de> for Shape<T> {
    type Value = Shared<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Shared")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Shared<T>, A::Error> {
        let (form, variant) = data.variant()?;
        match form {
            Form::Handle => {
                let id = variant.newtype_variant()?;
                let shared = if context::mode() == Mode::Taking {
                    Shared::taken(id)
                } else {
                    Shared::given_back(id)
                };
                shared.map_err(A::Error::custom)
            }
            Form::Copy => variant
                .newtype_variant()
                .map(|Held::<T>(held)| Shared::private(held)),
        }
    }
}

/// What a [`Shared`] holds, decoded.
struct Held<T: ?Sized + Shareable>(T::Held);

impl<'de, T: ?Sized + Shareable> Deserialize<'de> for Held<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::decode(from).map(Self)
    }
}
