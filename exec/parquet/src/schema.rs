//! What a file's columns are: a tree of fields, whose leaves have values.

use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

use crate::error::{Fault, Parsed, damaged};
use crate::thrift::{BINARY, FALSE, I32, STRUCT, TRUE, Thrift};

/// Most fields of a file.
const MAX_FIELDS: usize = 1 << 16;
/// Fields in fields that are followed.
const MAX_DEPTH: usize = 48;

/// How values lie in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Physical {
    Boolean,
    Int32,
    Int64,
    Int96,
    Float,
    Double,
    Bytes,
    /// Bytes of this length, which is not 0.
    Fixed(u32),
}

/// What values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// What they are physically.
    Plain,
    Text,
    /// An integer without a sign, of as many bits.
    Unsigned,
    Half,
    /// A decimal number with so many digits behind the point.
    Decimal(u32),
    /// Days since 1970.
    Date,
    /// Fractions of a second since midnight: how many of them make one.
    Time(Fraction),
    /// The same since 1970; true: in UTC.
    Timestamp(Fraction, bool),
    Uuid,
}

/// What a second is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fraction {
    Millis,
    Micros,
    Nanos,
}

/// How often a field stands in what holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Often {
    Once,
    AtMostOnce,
    Any,
}

/// A column: the values of one leaf.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// The names of the fields from the outermost to this; shared, since there may be many below one.
    pub(crate) path: Vec<Rc<str>>,
    pub(crate) physical: Physical,
    pub(crate) meaning: Meaning,
    /// The definition level of a value that is there.
    pub(crate) defined: u16,
    /// Most repetitions.
    pub(crate) repeated: u16,
}

/// A field.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) often: Often,
    /// The definition level if it is there.
    pub(crate) defined: u16,
    /// The repetition level of one more of it.
    pub(crate) repeated: u16,
    /// The leaves in it.
    pub(crate) leaves: Range<usize>,
    pub(crate) shape: Shape,
}

/// What a field holds.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Leaf,
    Struct(Vec<Field>),
    /// A field that is there for the sake of the one in it: a list, or an element of one.
    Around(Box<Field>),
    /// A repeated pair of a key and a value.
    Pairs(Box<(Field, Field)>),
}

/// The fields of the rows, and all their leaves.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) fields: Vec<Field>,
    pub(crate) leaves: Vec<Leaf>,
}

/// One element of the schema as the footer has it.
#[derive(Debug, Default)]
pub(crate) struct Element {
    physical: Option<i32>,
    length: Option<i32>,
    repetition: Option<i32>,
    name: String,
    children: Option<i32>,
    converted: Option<i32>,
    scale: Option<i32>,
    logical: Option<Logical>,
}

#[derive(Clone, Copy, Debug)]
enum Logical {
    Text,
    Map,
    List,
    Decimal(i32),
    Date,
    Time(Fraction),
    Timestamp(Fraction, bool),
    Unsigned,
    Half,
    Uuid,
    Other,
}

impl Element {
    pub(crate) fn read(thrift: &mut Thrift<'_>) -> Parsed<Element> {
        let mut element = Element::default();
        let mut last = 0;
        while let Some(field) = thrift.field(&mut last)? {
            match field {
                (1, I32) => element.physical = Some(thrift.int32()?),
                (2, I32) => element.length = Some(thrift.int32()?),
                (3, I32) => element.repetition = Some(thrift.int32()?),
                (4, BINARY) => match std::str::from_utf8(thrift.binary()?) {
                    Ok(name) => element.name = name.to_owned(),
                    Err(_) => return damaged("a column has a name that is not UTF-8"),
                },
                (5, I32) => element.children = Some(thrift.int32()?),
                (6, I32) => element.converted = Some(thrift.int32()?),
                (7, I32) => element.scale = Some(thrift.int32()?),
                (10, STRUCT) => element.logical = logical(thrift)?,
                (_, kind) => thrift.skip(kind)?,
            }
        }
        Ok(element)
    }

    fn often(&self) -> Parsed<Often> {
        match self.repetition {
            Some(0) => Ok(Often::Once),
            Some(1) => Ok(Often::AtMostOnce),
            Some(2) => Ok(Often::Any),
            _ => damaged("a column does not say how often it has values"),
        }
    }

    fn physical(&self) -> Parsed<Physical> {
        Ok(match self.physical {
            Some(0) => Physical::Boolean,
            Some(1) => Physical::Int32,
            Some(2) => Physical::Int64,
            Some(3) => Physical::Int96,
            Some(4) => Physical::Float,
            Some(5) => Physical::Double,
            Some(6) => Physical::Bytes,
            Some(7) => match self.length.map(u32::try_from) {
                Some(Ok(length @ 1..)) => Physical::Fixed(length),
                _ => return damaged("a column of bytes of one length has none"),
            },
            _ => return damaged("a column is of an unknown type"),
        })
    }

    /// What the values mean; an annotation that does not fit them is passed over.
    fn meaning(&self, physical: Physical) -> Meaning {
        use Physical::{Bytes, Fixed, Int32, Int64};
        let scale = |scale: i32| u32::try_from(scale).ok().filter(|scale| *scale <= 1000);
        match (self.logical, self.converted, physical) {
            (Some(Logical::Text), _, Bytes) | (None, Some(0 | 4 | 19), Bytes) => Meaning::Text,
            (Some(Logical::Unsigned), _, Int32 | Int64) | (None, Some(11..=14), Int32 | Int64) => {
                Meaning::Unsigned
            }
            (Some(Logical::Half), _, Fixed(2)) => Meaning::Half,
            (Some(Logical::Decimal(digits)), _, Int32 | Int64 | Bytes | Fixed(_)) => {
                scale(digits).map_or(Meaning::Plain, Meaning::Decimal)
            }
            (None, Some(5), Int32 | Int64 | Bytes | Fixed(_)) => {
                scale(self.scale.unwrap_or(0)).map_or(Meaning::Plain, Meaning::Decimal)
            }
            (Some(Logical::Date), _, Int32) | (None, Some(6), Int32) => Meaning::Date,
            (Some(Logical::Time(fraction)), _, Int32 | Int64) => Meaning::Time(fraction),
            (None, Some(7), Int32) => Meaning::Time(Fraction::Millis),
            (None, Some(8), Int64) => Meaning::Time(Fraction::Micros),
            (Some(Logical::Timestamp(fraction, utc)), _, Int64) => {
                Meaning::Timestamp(fraction, utc)
            }
            (None, Some(9), Int64) => Meaning::Timestamp(Fraction::Millis, true),
            (None, Some(10), Int64) => Meaning::Timestamp(Fraction::Micros, true),
            (Some(Logical::Uuid), _, Fixed(16)) => Meaning::Uuid,
            _ => Meaning::Plain,
        }
    }

    fn is_list(&self) -> bool {
        matches!((self.logical, self.converted), (Some(Logical::List), _) | (None, Some(3)))
    }

    fn is_map(&self) -> bool {
        matches!((self.logical, self.converted), (Some(Logical::Map), _) | (None, Some(1 | 2)))
    }
}

/// The union `LogicalType`, whose field says which it is.
fn logical(thrift: &mut Thrift<'_>) -> Parsed<Option<Logical>> {
    let (mut last, mut found) = (0, None);
    while let Some((number, kind)) = thrift.field(&mut last)? {
        if kind != STRUCT {
            thrift.skip(kind)?;
            continue;
        }
        let inner = Inner::read(thrift, number)?;
        found = Some(match number {
            // STRING, ENUM and JSON.
            1 | 4 | 12 => Logical::Text,
            2 => Logical::Map,
            3 => Logical::List,
            5 => Logical::Decimal(inner.scale),
            6 => Logical::Date,
            7 => inner.fraction.map_or(Logical::Other, Logical::Time),
            8 => inner.fraction.map_or(Logical::Other, |f| Logical::Timestamp(f, inner.utc)),
            10 if !inner.signed => Logical::Unsigned,
            14 => Logical::Uuid,
            15 => Logical::Half,
            _ => Logical::Other,
        });
    }
    Ok(found)
}

/// What stands in the structures of `LogicalType`.
#[derive(Default)]
struct Inner {
    scale: i32,
    utc: bool,
    signed: bool,
    fraction: Option<Fraction>,
}

impl Inner {
    fn read(thrift: &mut Thrift<'_>, of: i16) -> Parsed<Inner> {
        let mut inner = Inner::default();
        let mut last = 0;
        while let Some((number, kind)) = thrift.field(&mut last)? {
            match (of, number, kind) {
                (5, 1, I32) => inner.scale = thrift.int32()?,
                (7 | 8, 1, TRUE | FALSE) => inner.utc = kind == TRUE,
                (10, 2, TRUE | FALSE) => inner.signed = kind == TRUE,
                (7 | 8, 2, STRUCT) => {
                    let mut last = 0;
                    while let Some((unit, kind)) = thrift.field(&mut last)? {
                        inner.fraction = match unit {
                            1 => Some(Fraction::Millis),
                            2 => Some(Fraction::Micros),
                            3 => Some(Fraction::Nanos),
                            _ => None,
                        };
                        thrift.skip(kind)?;
                    }
                }
                (.., kind) => thrift.skip(kind)?,
            }
        }
        Ok(inner)
    }
}

impl Schema {
    /// The tree of a list of elements, each followed by its children.
    pub(crate) fn new(elements: &[Element]) -> Parsed<Schema> {
        if elements.len() > MAX_FIELDS {
            return Err(Fault::TooLarge("columns", MAX_FIELDS as u64));
        }
        let Some((root, rest)) = elements.split_first() else {
            return damaged("it names no columns");
        };
        let mut builder = Builder { rest, leaves: Vec::new(), path: Vec::new() };
        let fields = builder.children(root, 0, 0)?;
        if !builder.rest.is_empty() {
            return damaged("it has columns that belong to nothing");
        }
        Ok(Schema { fields, leaves: builder.leaves })
    }
}

struct Builder<'a> {
    rest: &'a [Element],
    leaves: Vec<Leaf>,
    path: Vec<Rc<str>>,
}

impl Builder<'_> {
    /// The fields of a group at these levels.
    fn children(&mut self, group: &Element, defined: u16, repeated: u16) -> Parsed<Vec<Field>> {
        let count = group.children.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        if count > self.rest.len() {
            return damaged("it has fewer columns than it says");
        }
        let mut fields: Vec<Field> = Vec::with_capacity(count);
        for _ in 0..count {
            fields.push(self.field(defined, repeated)?);
        }
        let names: BTreeSet<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        if names.len() < fields.len() {
            return damaged("two columns have one name");
        }
        Ok(fields)
    }

    fn field(&mut self, defined: u16, repeated: u16) -> Parsed<Field> {
        let Some((element, rest)) = self.rest.split_first() else {
            return damaged("it has fewer columns than it says");
        };
        self.rest = rest;
        if self.path.len() == MAX_DEPTH {
            return Err(Fault::TooLarge("fields inside each other", MAX_DEPTH as u64));
        }
        let often = element.often()?;
        let defined = defined + u16::from(often != Often::Once);
        let repeated = repeated + u16::from(often == Often::Any);
        self.path.push(element.name.as_str().into());
        let first = self.leaves.len();
        let shape = match element.children {
            None | Some(0) if element.physical.is_some() => {
                let physical = element.physical()?;
                let meaning = element.meaning(physical);
                let path = self.path.clone();
                self.leaves.push(Leaf { path, physical, meaning, defined, repeated });
                Shape::Leaf
            }
            _ => shaped(element, self.children(element, defined, repeated)?),
        };
        self.path.pop();
        let (name, leaves) = (element.name.clone(), first..self.leaves.len());
        if leaves.is_empty() {
            return Err(Fault::Unread(format!("the structure '{name}', which holds nothing,")));
        }
        Ok(Field { name, often, defined, repeated, leaves, shape })
    }
}

/// What a group of fields is. Lists and maps hold a repeated field; in that of a list the element lies
/// alone, except in files of old writers (`LogicalTypes.md`, "Backward-compatibility rules").
fn shaped(element: &Element, mut fields: Vec<Field>) -> Shape {
    let one = fields.len() == 1 && fields[0].often == Often::Any;
    if !one || !(element.is_list() || element.is_map()) {
        return Shape::Struct(fields);
    }
    let mut inner = fields.remove(0);
    let old = inner.name == "array" || inner.name == format!("{}_tuple", element.name);
    inner.shape = match inner.shape {
        Shape::Struct(mut parts) if element.is_map() && parts.len() == 2 => {
            let (value, key) = (parts.pop(), parts.pop());
            match (key, value) {
                (Some(key), Some(value)) => Shape::Pairs(Box::new((key, value))),
                _ => Shape::Struct(parts),
            }
        }
        Shape::Struct(mut parts) if element.is_list() && parts.len() == 1 && !old => {
            Shape::Around(Box::new(parts.remove(0)))
        }
        other => other,
    };
    Shape::Around(Box::new(inner))
}
