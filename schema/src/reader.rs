//! Deterministic CBOR, read straight into typed values: each byte once, nothing in between.
//!
//! A value is refused at the first byte that RFC 8949, section 4.2.1, would not have there: a
//! long head, an indefinite length, a tag, a map key out of order, a float that has a shorter
//! form. So the bytes that are read are the only ones of their value, and what decodes need not
//! be encoded again to know it. A head may not announce more than there are bytes left; what an
//! object costs in memory is bounded by its bytes and by the number of its items.

use serde::de::{
    self, DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};

use crate::failure::Failure;
use crate::float;

/// Deepest nesting of arrays and maps, the outermost included.
const MAX_DEPTH: u32 = 127;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;

/// What an item begins with: its major type, and its value or length.
#[derive(Clone, Copy)]
struct Head {
    major: u8,
    info: u8,
    number: u64,
}

/// Reads items from bytes.
pub(crate) struct Reader<'de> {
    bytes: &'de [u8],
    at: usize,
    depth: u32,
    /// Items that may still come.
    items: u64,
}

impl<'de> Reader<'de> {
    /// Reads `bytes`, which may be made of so many items.
    pub(crate) fn new(bytes: &'de [u8], max_items: u64) -> Reader<'de> {
        Reader { bytes, at: 0, depth: 0, items: max_items }
    }

    /// Refuses what comes behind the object.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.failure("trailing data")) }
    }

    /// The head of an array, which the caller reads element by element.
    pub(crate) fn array(&mut self) -> Result<Option<u64>, Failure> {
        let head = self.head()?;
        self.depth += 1;
        Ok((head.major == ARRAY).then_some(head.number))
    }

    fn failure(&self, why: &str) -> Failure {
        Failure::Malformed(format!("{why} at offset {}", self.at))
    }

    fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    fn take(&mut self, len: u64) -> Result<&'de [u8], Failure> {
        if len > self.left() {
            return Err(self.failure("the object ends early,"));
        }
        let start = self.at;
        self.at += len as usize;
        Ok(&self.bytes[start..self.at])
    }

    fn head(&mut self) -> Result<Head, Failure> {
        self.items = self.items.checked_sub(1).ok_or_else(|| self.failure("too many items"))?;
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 31);
        let len = match info {
            0..=23 => 0,
            24..=27 => 1 << (info - 24),
            31 if (BYTES..=MAP).contains(&major) => return Err(Failure::NotCanonical),
            _ => return Err(self.failure("unassigned type")),
        };
        let number = self.take(len)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let number = if len == 0 { u64::from(info) } else { number };
        let least = [0, 24, 1 << 8, 0, 1 << 16, 0, 0, 0, 1 << 32][len as usize];
        match major {
            SIMPLE => {}
            6 => return Err(Failure::NotCanonical),
            _ if number < least => return Err(Failure::NotCanonical),
            // Every element takes a byte, and is an item.
            ARRAY if number > self.left() => return Err(self.failure("the object ends early,")),
            MAP if number > self.left() / 2 => return Err(self.failure("the object ends early,")),
            ARRAY | MAP if number > self.items => return Err(self.failure("too many items")),
            _ => {}
        }
        Ok(Head { major, info, number })
    }

    fn float(&self, head: Head) -> Result<f64, Failure> {
        let read = match head.info {
            25 => float::from_16_bits(head.number),
            26 => float::from_32_bits(head.number),
            _ => float::from_64_bits(head.number),
        };
        read.ok_or(Failure::NotCanonical)
    }

    fn text(&mut self, len: u64) -> Result<&'de str, Failure> {
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| self.failure("invalid UTF-8 before the byte"))
    }

    /// The head of an item that must be of this type.
    fn expect(&mut self, major: u8, visitor: &dyn de::Expected) -> Result<Head, Failure> {
        let head = self.head()?;
        if head.major == major {
            return Ok(head);
        }
        Err(Failure::invalid_type(Unexpected::Other(what(head)), visitor))
    }

    /// Goes into an array or map.
    fn within<T>(
        &mut self,
        len: u64,
        read: impl FnOnce(Elements<'_, 'de>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.depth == MAX_DEPTH {
            return Err(self.failure("recursion limit exceeded"));
        }
        self.depth += 1;
        let mut left = len;
        let value = read(Elements { reader: self, left: &mut left, before: &[] })?;
        self.depth -= 1;
        if left == 0 { Ok(value) } else { Err(self.failure("an element too many")) }
    }

    fn number<V: Visitor<'de>>(&self, head: Head, visitor: V) -> Result<V::Value, Failure> {
        if head.major == UNSIGNED {
            return visitor.visit_u64(head.number);
        }
        let number =
            i64::try_from(head.number).map_err(|_| self.failure("an integer below 64 bits"))?;
        visitor.visit_i64(-1 - number)
    }
}

/// A type in words.
fn what(head: Head) -> &'static str {
    match (head.major, head.info) {
        (UNSIGNED | NEGATIVE, _) => "an integer",
        (BYTES, _) => "a byte string",
        (TEXT, _) => "text",
        (ARRAY, _) => "an array",
        (MAP, _) => "a map",
        (_, 20 | 21) => "a boolean",
        (_, 22 | 23) => "null",
        (_, 25..=27) => "a float",
        _ => "an unassigned type",
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let head = self.head()?;
            if head.major > NEGATIVE {
                return Err(Failure::invalid_type(Unexpected::Other(what(head)), &visitor));
            }
            self.number(head, visitor)
        }
    )*};
}

macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let head = self.expect(TEXT, &visitor)?;
            visitor.visit_borrowed_str(self.text(head.number)?)
        }
    )*};
}

macro_rules! byte_strings {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let head = self.expect(BYTES, &visitor)?;
            visitor.visit_borrowed_bytes(self.take(head.number)?)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let head = self.head()?;
        match (head.major, head.info) {
            (UNSIGNED | NEGATIVE, _) => self.number(head, visitor),
            (BYTES, _) => visitor.visit_borrowed_bytes(self.take(head.number)?),
            (TEXT, _) => visitor.visit_borrowed_str(self.text(head.number)?),
            (ARRAY, _) => self.within(head.number, |elements| visitor.visit_seq(elements)),
            (MAP, _) => self.within(head.number, |elements| visitor.visit_map(elements)),
            (_, 20) => visitor.visit_bool(false),
            (_, 21) => visitor.visit_bool(true),
            (_, 25..=27) => visitor.visit_f64(self.float(head)?),
            _ => Err(Failure::invalid_type(Unexpected::Other(what(head)), &visitor)),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }
    texts! { deserialize_str deserialize_string deserialize_char deserialize_identifier }
    byte_strings! { deserialize_bytes deserialize_byte_buf }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let head = self.expect(SIMPLE, &visitor)?;
        match head.info {
            20 => visitor.visit_bool(false),
            21 => visitor.visit_bool(true),
            _ => Err(Failure::invalid_type(Unexpected::Other(what(head)), &visitor)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let head = self.expect(SIMPLE, &visitor)?;
        if !(25..=27).contains(&head.info) {
            return Err(Failure::invalid_type(Unexpected::Other(what(head)), &visitor));
        }
        let float = self.float(head)?;
        visitor.visit_f64(float)
    }

    /// What is optional is absent, never null.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let head = self.expect(ARRAY, &visitor)?;
        self.within(head.number, |elements| visitor.visit_seq(elements))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let head = self.expect(MAP, &visitor)?;
        self.within(head.number, |elements| visitor.visit_map(elements))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_map(visitor)
    }

    /// A variant without contents is its name; another is a map of its name to what it holds.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if self.bytes.get(self.at).is_some_and(|first| first >> 5 == TEXT) {
            return visitor.visit_enum(de::value::BorrowedStrDeserializer::new({
                let head = self.head()?;
                self.text(head.number)?
            }));
        }
        let head = self.expect(MAP, &visitor)?;
        self.within(head.number, |elements| visitor.visit_enum(elements))
    }

    serde::forward_to_deserialize_any! { unit unit_struct tuple_struct ignored_any }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of an array or map.
struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: &'a mut u64,
    /// The encoded key before; empty at the beginning.
    before: &'de [u8],
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Failure> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        *self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(*self.left).ok()
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Failure> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        *self.left = left;
        let start = self.reader.at;
        let key = seed.deserialize(&mut *self.reader)?;
        let encoded = &self.reader.bytes[start..self.reader.at];
        if encoded <= self.before {
            return Err(Failure::NotCanonical);
        }
        self.before = encoded;
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Failure> {
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> EnumAccess<'de> for Elements<'_, 'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        mut self,
        seed: V,
    ) -> Result<(V::Value, Self), Failure> {
        match self.next_key_seed(seed)? {
            Some(variant) => Ok((variant, self)),
            None => Err(self.reader.failure("a variant without a name")),
        }
    }
}

impl<'de> VariantAccess<'de> for Elements<'_, 'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        Err(self.reader.failure("a variant that holds nothing is written as its name,"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Failure> {
        de::Deserializer::deserialize_seq(self.reader, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        de::Deserializer::deserialize_map(self.reader, visitor)
    }
}
