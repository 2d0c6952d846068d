//! Every shape that serde knows, nested at random.

use crate::{comes_back, encoded};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A float that is equal if its bits are.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Bits<T>(T);

impl PartialEq for Bits<f32> {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl PartialEq for Bits<f64> {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype(Box<Shape>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pair(Box<Shape>, Box<Shape>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fields {
    first: Box<Shape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    second: Option<Box<Shape>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    F32(Bits<f32>),
    F64(Bits<f64>),
    Char(char),
    Str(String),
    Bytes(ByteBuf),
    Option(Option<Box<Shape>>),
    Options(Option<Option<Option<Box<Shape>>>>),
    Unit(()),
    UnitStruct(Unit),
    UnitVariant,
    UnitOptions(Option<Option<Unit>>),
    NewtypeStruct(Newtype),
    NewtypeVariant(Box<Shape>),
    Seq(Vec<Shape>),
    Tuple((Box<Shape>, Box<Shape>, Option<()>)),
    TupleStruct(Pair),
    TupleVariant(Box<Shape>, Box<Shape>),
    Map(BTreeMap<Key, Shape>),
    Struct(Fields),
    StructVariant { one: Box<Shape>, two: Box<Shape> },
}

/// A shape that is ordered by its encoding, so that any can be a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Key(Shape);

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        encoded(self).cmp(&encoded(other))
    }
}

fn leaf() -> impl Strategy<Value = Shape> {
    prop_oneof![
        any::<bool>().prop_map(Shape::Bool),
        any::<i8>().prop_map(Shape::I8),
        any::<i16>().prop_map(Shape::I16),
        any::<i32>().prop_map(Shape::I32),
        any::<i64>().prop_map(Shape::I64),
        any::<i128>().prop_map(Shape::I128),
        any::<u8>().prop_map(Shape::U8),
        any::<u16>().prop_map(Shape::U16),
        any::<u32>().prop_map(Shape::U32),
        any::<u64>().prop_map(Shape::U64),
        any::<u128>().prop_map(Shape::U128),
        any::<u32>().prop_map(|bits| Shape::F32(Bits(f32::from_bits(bits)))),
        any::<u64>().prop_map(|bits| Shape::F64(Bits(f64::from_bits(bits)))),
        any::<char>().prop_map(Shape::Char),
        any::<String>().prop_map(Shape::Str),
        any::<Vec<u8>>().prop_map(|bytes| Shape::Bytes(ByteBuf::from(bytes))),
        Just(Shape::Unit(())),
        Just(Shape::UnitStruct(Unit)),
        Just(Shape::UnitVariant),
        any::<Option<Option<()>>>()
            .prop_map(|option| Shape::UnitOptions(option.map(|option| option.map(|()| Unit)))),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    leaf().prop_recursive(5, 48, 6, |inner| {
        let one = inner.clone().prop_map(Box::new);
        let two = || (one.clone(), one.clone());
        prop_oneof![
            prop::option::of(one.clone()).prop_map(Shape::Option),
            prop::option::of(prop::option::of(prop::option::of(one.clone())))
                .prop_map(Shape::Options),
            one.clone()
                .prop_map(|one| Shape::NewtypeStruct(Newtype(one))),
            one.clone().prop_map(Shape::NewtypeVariant),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Shape::Seq),
            (one.clone(), one.clone(), any::<Option<()>>()).prop_map(Shape::Tuple),
            two().prop_map(|(one, two)| Shape::TupleStruct(Pair(one, two))),
            two().prop_map(|(one, two)| Shape::TupleVariant(one, two)),
            prop::collection::btree_map(inner.clone().prop_map(Key), inner, 0..6)
                .prop_map(Shape::Map),
            (one.clone(), prop::option::of(one.clone()))
                .prop_map(|(first, second)| Shape::Struct(Fields { first, second })),
            two().prop_map(|(one, two)| Shape::StructVariant { one, two }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_shape_comes_back(shape in shape()) {
        comes_back(shape);
    }

    #[test]
    fn cut_or_changed_encodings_are_errors_or_values(
        shape in shape(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut bytes = encoded(&shape);
        let at = at.index(bytes.len());
        let cut: Result<Shape, _> = pool_worker::codec::decode(&mut &bytes[..at]);
        prop_assert!(cut.is_err());
        bytes[at] = byte;
        // Neither of the two is wrong; a panic would be.
        let _: Result<Shape, _> = pool_worker::codec::decode(&mut &bytes[..]);
    }
}
