//! Kinds of numbers in weights.

/// What the elements of a tensor are, as far as an encoding cares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Element {
    /// IEEE half precision, 2 bytes.
    F16,
    /// The upper half of an F32, 2 bytes.
    BF16,
    /// IEEE single precision, 4 bytes.
    F32,
    /// IEEE double precision, 8 bytes.
    F64,
    /// Anything else (integers, quantised blocks, 8-bit floats): not split.
    Other,
}

impl Element {
    /// Bytes of one element; 1 for [`Element::Other`].
    pub const fn width(self) -> usize {
        match self {
            Element::F16 | Element::BF16 => 2,
            Element::F32 => 4,
            Element::F64 => 8,
            Element::Other => 1,
        }
    }
}
