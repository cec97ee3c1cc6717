//! As much of protocol buffers as it takes to read a few fields of a known message.

/// One field's value.
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// The bytes are no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The fields of a message, each with its number, as they come.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Fields(message)
    }

    fn field(&mut self) -> Result<(u64, Field<'a>), Malformed> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(*self.array()?),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            5 => Field::Fixed32(*self.array()?),
            // Groups are long deprecated; the others were never given a meaning.
            _ => return Err(Malformed),
        };
        Ok((tag >> 3, field))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = *self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Malformed> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(array)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order() {
        let message = [
            0x08, 0xac, 0x02, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, b'h', b'i', 0xa5, 0x01, 7, 0,
            0, 0,
        ];
        let fields: Vec<_> = Fields::of(&message).map(|f| f.unwrap()).collect();
        let numbers: Vec<u64> = fields.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 3, 20]);
        assert!(matches!(fields[0].1, Field::Varint(300)));
        assert!(matches!(fields[1].1, Field::Fixed64([1, ..])));
        assert!(matches!(fields[2].1, Field::Bytes(b"hi")));
        assert!(matches!(fields[3].1, Field::Fixed32([7, 0, 0, 0])));
        let negative = [0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let step = Fields::of(&negative).next().unwrap().unwrap().1;
        assert!(matches!(step, Field::Varint(u64::MAX)));
    }

    #[test]
    fn what_is_no_message_ends_with_one_error() {
        let endless = [0xff; 20];
        let huge = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0];
        let bad: [&[u8]; 6] = [&[0x08], &[0x0b], &[0x0f], &[0x09, 1], &endless, &huge];
        for bytes in bad {
            let read: Vec<_> = Fields::of(bytes).collect();
            assert!(matches!(&read[..], [Err(Malformed)]), "{bytes:?}");
        }
    }
}
