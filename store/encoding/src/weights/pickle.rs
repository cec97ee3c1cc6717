//! What a pickled PyTorch checkpoint says of its storages: the key of each and its element.
//!
//! A pickle is a program. This executes nothing: it follows the opcodes just far enough to see
//! the tuples `('storage', FloatStorage, key, ...)` by which PyTorch points at its storages, on a
//! stack that knows texts and the names of storage classes and takes all else for opaque. Stack
//! and memory are bounded. Where it loses the thread it stops; what was found until then holds,
//! and a storage that was not found is merely stored less well.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::float::Element;

/// Python's pickler never comes near it: it writes long lists in pieces of 1,000.
const MAX_STACK: usize = 1 << 16;
/// Texts to remember; past it, only repetitions go unrecognised.
const MAX_MEMO: usize = 1 << 18;

/// A value on the stack, as far as it matters.
#[derive(Clone, Copy)]
enum Value<'a> {
    Mark,
    Text(&'a [u8]),
    Class(Element),
    Opaque,
}

struct Reader<'a> {
    bytes: &'a [u8],
    stack: Vec<Value<'a>>,
    memo: HashMap<u64, Value<'a>>,
    /// How many values were ever remembered: the number of the next one that does not say.
    puts: u64,
    found: HashMap<&'a [u8], Element>,
}

/// The element of each storage, by key. One named with two elements is opaque.
pub(super) fn storages(bytes: &[u8]) -> HashMap<&[u8], Element> {
    let (stack, memo, found) = (Vec::new(), HashMap::new(), HashMap::new());
    let mut reader = Reader { bytes, stack, memo, puts: 0, found };
    while reader.step().is_some() {}
    reader.found
}

impl<'a> Reader<'a> {
    /// One opcode; none at the end, and where it cannot be followed.
    fn step(&mut self) -> Option<()> {
        let [code] = *self.take(1)? else { return None };
        match code {
            b'(' => self.push(Value::Mark),
            b'0' => self.pop().map(drop),
            b'1' | b'e' | b'u' | 0x90 => self.pop_mark().map(drop),
            b'2' => self.stack.last().copied().and_then(|top| self.push(top)),
            // Numbers and truths, by the length of what follows.
            b'N' | 0x88 | 0x89 | b')' | b']' | b'}' | 0x8f | 0x97 => self.opaque(0),
            b'K' | 0x82 => self.opaque(1),
            b'M' | 0x83 => self.opaque(2),
            b'J' | 0x84 => self.opaque(4),
            b'G' => self.opaque(8),
            b'F' | b'I' | b'L' | b'S' | b'V' | b'P' => self.line().and_then(|_| self.opaque(0)),
            b'C' | 0x8a => self.counted(1).and_then(|_| self.opaque(0)),
            b'B' | 0x8b => self.counted(4).and_then(|_| self.opaque(0)),
            0x8e | 0x96 => self.counted(8).and_then(|_| self.opaque(0)),
            b'U' | 0x8c => self.counted(1).and_then(|text| self.push(Value::Text(text))),
            b'T' | b'X' => self.counted(4).and_then(|text| self.push(Value::Text(text))),
            0x8d => self.counted(8).and_then(|text| self.push(Value::Text(text))),
            b'c' => self.global(),
            0x93 => self.stack_global(),
            b't' => self.tuple(),
            b'l' | b'd' | b'o' | 0x91 => self.pop_mark().and_then(|_| self.opaque(0)),
            b'i' => {
                self.line()?;
                self.line()?;
                self.pop_mark()?;
                self.opaque(0)
            }
            b'Q' | 0x85 | 0x98 => self.fold(1),
            b'R' | 0x81 | 0x86 => self.fold(2),
            0x87 | 0x92 => self.fold(3),
            // The list, dictionary or object below keeps its place.
            b'a' | b'b' => self.pop().map(drop),
            b's' => self.pop().and_then(|_| self.pop()).map(drop),
            b'q' => self.count(1).and_then(|place| self.put(place)),
            b'r' => self.count(4).and_then(|place| self.put(place)),
            b'p' => self.place().and_then(|place| self.put(place)),
            0x94 => self.put(self.puts),
            b'h' => self.count(1).and_then(|place| self.get(place)),
            b'j' => self.count(4).and_then(|place| self.get(place)),
            b'g' => self.place().and_then(|place| self.get(place)),
            0x80 => self.take(1).map(drop),
            0x95 => self.take(8).map(drop),
            // The end, or nothing that any version writes.
            _ => None,
        }
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    /// A little-endian number of `width` bytes, at most 8.
    fn count(&mut self, width: usize) -> Option<u64> {
        let bytes = self.take(width)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// As many bytes as the number before them says.
    fn counted(&mut self, width: usize) -> Option<&'a [u8]> {
        let len = self.count(width)?;
        self.take(usize::try_from(len).ok()?)
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let len = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let line = self.take(len)?;
        self.take(1)?;
        Some(line)
    }

    /// A place in the memo, in digits on a line.
    fn place(&mut self) -> Option<u64> {
        std::str::from_utf8(self.line()?).ok()?.parse().ok()
    }

    fn push(&mut self, value: Value<'a>) -> Option<()> {
        if self.stack.len() == MAX_STACK {
            return None;
        }
        self.stack.push(value);
        Some(())
    }

    fn pop(&mut self) -> Option<Value<'a>> {
        self.stack.pop()
    }

    /// Passes over `len` bytes, the value of something opaque.
    fn opaque(&mut self, len: usize) -> Option<()> {
        self.take(len)?;
        self.push(Value::Opaque)
    }

    /// Makes one opaque value of some.
    fn fold(&mut self, values: usize) -> Option<()> {
        let below = self.stack.len().checked_sub(values)?;
        self.stack.truncate(below);
        self.opaque(0)
    }

    /// Takes all down to the last mark off the stack.
    fn pop_mark(&mut self) -> Option<Vec<Value<'a>>> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark))?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Some(values)
    }

    fn global(&mut self) -> Option<()> {
        let (module, name) = (self.line()?, self.line()?);
        self.push(class(module, name))
    }

    fn stack_global(&mut self) -> Option<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (module, name) {
            (Value::Text(module), Value::Text(name)) => self.push(class(module, name)),
            _ => self.opaque(0),
        }
    }

    fn tuple(&mut self) -> Option<()> {
        let values = self.pop_mark()?;
        if let [Value::Text(b"storage"), Value::Class(element), Value::Text(key), ..] = values[..] {
            match self.found.entry(key) {
                Entry::Vacant(entry) => drop(entry.insert(element)),
                Entry::Occupied(mut entry) if *entry.get() != element => {
                    entry.insert(Element::Other);
                }
                Entry::Occupied(_) => {}
            }
        }
        self.opaque(0)
    }

    fn put(&mut self, place: u64) -> Option<()> {
        self.puts += 1;
        match *self.stack.last()? {
            value @ (Value::Text(_) | Value::Class(_)) if self.memo.len() < MAX_MEMO => {
                self.memo.insert(place, value);
            }
            _ => drop(self.memo.remove(&place)),
        }
        Some(())
    }

    fn get(&mut self, place: u64) -> Option<()> {
        let value = self.memo.get(&place).copied().unwrap_or(Value::Opaque);
        self.push(value)
    }
}

/// What a name imported from a module is.
fn class<'a>(module: &[u8], name: &[u8]) -> Value<'a> {
    if module != b"torch" && !module.starts_with(b"torch.") {
        return Value::Opaque;
    }
    match name {
        // A complex number is two floats side by side.
        b"FloatStorage" | b"ComplexFloatStorage" => Value::Class(Element::F32),
        b"DoubleStorage" | b"ComplexDoubleStorage" => Value::Class(Element::F64),
        b"HalfStorage" => Value::Class(Element::F16),
        b"BFloat16Storage" => Value::Class(Element::BF16),
        _ if name.ends_with(b"Storage") => Value::Class(Element::Other),
        _ => Value::Opaque,
    }
}
