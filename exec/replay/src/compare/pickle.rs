//! What a pickle of Python says, without doing anything of it: a pickle is a program, and this reads
//! only what it would put together.
//!
//! The opcodes are those of protocols 2 to 4 as Python's `pickletools` documents them. Calls are kept
//! as calls, with what they are called with; an opcode that is not known ends the reading. Time and
//! memory grow with the bytes, which the caller bounds.

use std::collections::HashMap;

/// A value, in which others are named by their numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Bytes, or an integer of more than 64 bits.
    Bytes(Vec<u8>),
    Tuple(Vec<usize>),
    List(Vec<usize>),
    Dict(Vec<(usize, usize)>),
    /// A class or function: module and name.
    Global(String, String),
    /// What a call gives: of what, with which arguments, with which items and state afterwards.
    Call {
        callee: usize,
        arguments: usize,
        items: Vec<(usize, usize)>,
        state: Option<usize>,
    },
    /// Something that is kept elsewhere, by its name.
    Persistent(usize),
}

/// A pickle that was read.
#[derive(Debug)]
pub(crate) struct Pickle {
    values: Vec<Value>,
    root: usize,
}

impl Pickle {
    /// Reads a pickle; none if it holds something that is not known here.
    pub(crate) fn read(bytes: &[u8]) -> Option<Pickle> {
        let mut machine = Machine { bytes, ..Machine::default() };
        let root = machine.run()?;
        Some(Pickle { values: machine.values, root })
    }

    /// What the whole pickle is.
    pub(crate) fn root(&self) -> usize {
        self.root
    }

    /// A value by its number.
    pub(crate) fn value(&self, number: usize) -> &Value {
        &self.values[number]
    }

    /// The parts of a tuple.
    pub(crate) fn tuple(&self, number: usize) -> Option<&[usize]> {
        match self.value(number) {
            Value::Tuple(parts) => Some(parts),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn natural(&self, number: usize) -> Option<u64> {
        match self.value(number) {
            Value::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// A tuple of such numbers.
    pub(crate) fn naturals(&self, number: usize) -> Option<Vec<u64>> {
        self.tuple(number)?.iter().map(|part| self.natural(*part)).collect()
    }

    /// A text.
    pub(crate) fn text(&self, number: usize) -> Option<&str> {
        match self.value(number) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The name of a class or function.
    pub(crate) fn global(&self, number: usize) -> Option<(&str, &str)> {
        match self.value(number) {
            Value::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    stack: Vec<usize>,
    /// How long the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, usize>,
}

impl Machine<'_> {
    fn run(&mut self) -> Option<usize> {
        loop {
            let opcode = self.take(1)?[0];
            match opcode {
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'.' => return self.stack.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'2' => {
                    let top = *self.stack.last()?;
                    self.stack.push(top);
                }
                b'N' => self.push(Value::None),
                0x88 => self.push(Value::Bool(true)),
                0x89 => self.push(Value::Bool(false)),
                b'K' => {
                    let n = self.take(1)?[0];
                    self.push(Value::Int(n.into()));
                }
                b'M' => {
                    let n = u16::from_le_bytes(self.array()?);
                    self.push(Value::Int(n.into()));
                }
                b'J' => {
                    let n = i32::from_le_bytes(self.array()?);
                    self.push(Value::Int(n.into()));
                }
                0x8a => self.long()?,
                b'G' => {
                    let n = f64::from_be_bytes(self.array()?);
                    self.push(Value::Float(n));
                }
                b'X' | b'T' => {
                    let len = u32::from_le_bytes(self.array()?);
                    self.text(len.into())?;
                }
                0x8c | b'U' => {
                    let len = self.take(1)?[0];
                    self.text(len.into())?;
                }
                0x8d => {
                    let len = u64::from_le_bytes(self.array()?);
                    self.text(len)?;
                }
                b'B' => {
                    let len = u32::from_le_bytes(self.array()?);
                    let bytes = self.take(len.into())?.to_vec();
                    self.push(Value::Bytes(bytes));
                }
                b'C' => {
                    let len = self.take(1)?[0];
                    let bytes = self.take(len.into())?.to_vec();
                    self.push(Value::Bytes(bytes));
                }
                b')' => self.push(Value::Tuple(Vec::new())),
                b']' | 0x8f => self.push(Value::List(Vec::new())),
                b'}' => self.push(Value::Dict(Vec::new())),
                b't' => {
                    let parts = self.marked()?;
                    self.push(Value::Tuple(parts));
                }
                0x85..=0x87 => {
                    let from = self.stack.len().checked_sub(usize::from(opcode - 0x84))?;
                    let parts = self.stack.split_off(from);
                    self.push(Value::Tuple(parts));
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' | 0x90 => {
                    let items = self.marked()?;
                    self.append(items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(vec![key, value])?;
                }
                b'u' => {
                    let items = self.marked()?;
                    self.set(items)?;
                }
                b'q' => {
                    let at = self.take(1)?[0];
                    self.memo.insert(at.into(), *self.stack.last()?);
                }
                b'r' => {
                    let at = u32::from_le_bytes(self.array()?);
                    self.memo.insert(at, *self.stack.last()?);
                }
                0x94 => {
                    let at = u32::try_from(self.memo.len()).ok()?;
                    self.memo.insert(at, *self.stack.last()?);
                }
                b'h' => {
                    let at = self.take(1)?[0];
                    self.stack.push(*self.memo.get(&at.into())?);
                }
                b'j' => {
                    let at = u32::from_le_bytes(self.array()?);
                    self.stack.push(*self.memo.get(&at)?);
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Value::Global(module, name));
                }
                0x93 => {
                    let (name, module) = (self.popped_text()?, self.popped_text()?);
                    self.push(Value::Global(module, name));
                }
                b'R' | 0x81 => {
                    let (arguments, callee) = (self.pop()?, self.pop()?);
                    self.push(Value::Call { callee, arguments, items: Vec::new(), state: None });
                }
                b'b' => {
                    let given = self.pop()?;
                    match self.values.get_mut(*self.stack.last()?)? {
                        Value::Call { state, .. } => *state = Some(given),
                        _ => return None,
                    }
                }
                b'Q' => {
                    let name = self.pop()?;
                    self.push(Value::Persistent(name));
                }
                _ => return None,
            }
        }
    }

    fn take(&mut self, len: u64) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(usize::try_from(len).ok()?)?;
        self.bytes = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N as u64)?.try_into().ok()
    }

    fn line(&mut self) -> Option<String> {
        let len = self.bytes.iter().position(|b| *b == b'\n')?;
        let text = String::from_utf8_lossy(self.take(len as u64)?).into_owned();
        self.take(1)?;
        Some(text)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Option<usize> {
        // What lies below a mark belongs to who set it.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() > floor { self.stack.pop() } else { None }
    }

    fn popped_text(&mut self) -> Option<String> {
        let number = self.pop()?;
        match &self.values[number] {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// What was pushed since the last mark.
    fn marked(&mut self) -> Option<Vec<usize>> {
        let from = self.marks.pop()?;
        (from <= self.stack.len()).then(|| self.stack.split_off(from))
    }

    fn text(&mut self, len: u64) -> Option<()> {
        let text = String::from_utf8_lossy(self.take(len)?).into_owned();
        self.push(Value::Text(text));
        Some(())
    }

    /// An integer in two's complement, least byte first.
    fn long(&mut self) -> Option<()> {
        let len = self.take(1)?[0];
        let bytes = self.take(len.into())?.to_vec();
        let value = match bytes.len() {
            0 => Value::Int(0),
            1..=8 => {
                let fill = if bytes[bytes.len() - 1] & 0x80 == 0 { 0 } else { 0xff };
                let mut whole = [fill; 8];
                whole[..bytes.len()].copy_from_slice(&bytes);
                Value::Int(i64::from_le_bytes(whole))
            }
            _ => Value::Bytes(bytes),
        };
        self.push(value);
        Some(())
    }

    fn append(&mut self, items: Vec<usize>) -> Option<()> {
        match self.values.get_mut(*self.stack.last()?)? {
            Value::List(list) => list.extend(items),
            // A class of list, or a set.
            Value::Call { items: of, .. } => of.extend(items.into_iter().map(|item| (item, item))),
            _ => return None,
        }
        Some(())
    }

    fn set(&mut self, items: Vec<usize>) -> Option<()> {
        if !items.len().is_multiple_of(2) {
            return None;
        }
        let pairs = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        match self.values.get_mut(*self.stack.last()?)? {
            Value::Dict(dict) => dict.extend(pairs),
            Value::Call { items, .. } => items.extend(pairs),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pickle_of_plain_values_is_read() {
        // pickle.dumps({"a": [1, -2, 300, 70000, 2**40, 1.5, None, True], "b": ("x", b"y")}, 2)
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\
                      \x8a\x06\x00\x00\x00\x00\x00\x01G?\xf8\x00\x00\x00\x00\x00\x00N\x88eX\x01\x00\x00\x00bq\x03\
                      X\x01\x00\x00\x00xq\x04c_codecs\nencode\nq\x05X\x01\x00\x00\x00yq\x06X\x06\x00\x00\x00\
                      latin1q\x07\x86q\x08Rq\t\x86q\nu.";
        let pickle = Pickle::read(bytes).unwrap();
        let Value::Dict(items) = pickle.value(pickle.root()) else { panic!("{pickle:?}") };
        assert_eq!(pickle.text(items[0].0), Some("a"));
        let Value::List(list) = pickle.value(items[0].1) else { panic!("{pickle:?}") };
        let list: Vec<&Value> = list.iter().map(|n| pickle.value(*n)).collect();
        let numbers = [1, -2, 300, 70000, 1 << 40].map(Value::Int);
        assert_eq!(list[..5], numbers.each_ref());
        assert_eq!(list[5..], [&Value::Float(1.5), &Value::None, &Value::Bool(true)]);
        let tuple = pickle.tuple(items[1].1).unwrap();
        let Value::Call { callee, .. } = pickle.value(tuple[1]) else { panic!("{pickle:?}") };
        assert_eq!(pickle.global(*callee), Some(("_codecs", "encode")));
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        let cases: [&[u8]; 10] = [
            b"",
            b".",
            b"a.",
            b"(.",
            b"t.",
            b"(0.",
            b"h\x00.",
            b"K",
            b"X\xff\xff\xff\xffx.",
            b"\xff.",
        ];
        for bytes in cases {
            assert!(Pickle::read(bytes).is_none(), "{bytes:?}");
        }
        // A list that holds itself.
        assert!(Pickle::read(b"]q\x00h\x00a.").is_some());
    }
}
