//! The scalars in TensorBoard's event files.
//!
//! A file is a row of records: length, checksum of the length, data, checksum of the data. The
//! data is an `Event` in protocol buffers; of these, only steps and scalars are looked at. The
//! value of the greatest step counts; of the same step, the later one.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::crc32c::masked;
use super::numbers::{MAX_KEY_BYTES, MAX_METRICS, Numbers, only_so_many};
use super::protobuf::{Field, Fields, Malformed};

/// A longer record is passed over: it holds images or the like.
const MAX_RECORD_BYTES: u64 = 1 << 20;

/// What passing over a record counts against the limit of what is read.
const PASSED_OVER: u64 = 8 << 10;

/// The values of the greatest steps, by tag. Files of one folder tell of one run, and so are
/// read into one.
#[derive(Default)]
pub(super) struct Scalars {
    last: BTreeMap<String, Last>,
    full: bool,
}

/// The last values of a tag.
struct Last {
    step: i64,
    value: f64,
    /// That of the greatest step with a finite one.
    finite: Option<(i64, f64)>,
}

impl Scalars {
    fn set(&mut self, tag: &str, step: i64, value: f64) {
        if !self.last.contains_key(tag) {
            if tag.len() > MAX_KEY_BYTES {
                return;
            }
            if self.last.len() >= MAX_METRICS {
                self.full = true;
                return;
            }
            self.last.insert(tag.to_owned(), Last { step, value, finite: None });
        }
        let Some(last) = self.last.get_mut(tag) else { return };
        if step >= last.step {
            (last.step, last.value) = (step, value);
        }
        if value.is_finite() && last.finite.is_none_or(|(before, _)| step >= before) {
            last.finite = Some((step, value));
        }
    }

    /// The values as numbers.
    pub(super) fn finish(self) -> Numbers {
        let mut numbers = Numbers::default();
        for (tag, last) in self.last {
            if let Some((_, value)) = last.finite {
                numbers.set(&tag, value);
                // The same one, unless it is not finite.
                numbers.set(&tag, last.value);
            }
        }
        if self.full {
            numbers.complain(only_so_many);
        }
        numbers
    }
}

/// Reads one file, at most `limit` bytes of it. What was read before an error counts.
pub(super) fn read(
    input: impl Read + Seek,
    limit: u64,
    scalars: &mut Scalars,
) -> Result<(), String> {
    let failed = |e: io::Error| match e.kind() {
        // The writer was still at it, or was stopped.
        io::ErrorKind::UnexpectedEof => "its last record is cut off".to_owned(),
        _ => e.to_string(),
    };
    let mut records = Records::new(input, limit).map_err(failed)?;
    let mut unknown = 0_u64;
    let ended = loop {
        match records.next() {
            Err(e) => break Err(failed(e)),
            Ok(Next::End) => break Ok(()),
            Ok(Next::PassedOver) => {}
            Ok(Next::Data) => {
                unknown += u64::from(event(&records.data, scalars) == Err(Malformed));
            }
            Ok(Next::Damaged) => {
                break Err(format!(
                    "the checksum of record {} is wrong: \
                    what follows was not read",
                    records.number
                ));
            }
            Ok(Next::Limit) => break Err(format!("only its first {} MiB were read", limit >> 20)),
        }
    };
    if unknown > 0 && ended.is_ok() {
        return Err(format!("{unknown} of its records are no events"));
    }
    ended
}

/// The records of a file.
struct Records<R> {
    input: BufReader<R>,
    /// Bytes up to the end of the file.
    left: u64,
    /// How many may still be read.
    budget: u64,
    /// Counted from 1.
    number: u64,
    data: Vec<u8>,
}

enum Next {
    Data,
    PassedOver,
    Damaged,
    Limit,
    End,
}

impl<R: Read + Seek> Records<R> {
    fn new(mut input: R, budget: u64) -> io::Result<Self> {
        let left = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        let input = BufReader::new(input);
        Ok(Records { input, left, budget, number: 0, data: Vec::new() })
    }

    fn next(&mut self) -> io::Result<Next> {
        if self.left == 0 {
            return Ok(Next::End);
        }
        self.number += 1;
        let length = self.array()?;
        if u32::from_le_bytes(self.array()?) != masked(&length) {
            return Ok(Next::Damaged);
        }
        let length = u64::from_le_bytes(length);
        if length.saturating_add(4) > self.left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let cost = if length > MAX_RECORD_BYTES { PASSED_OVER } else { length + 16 };
        if cost > self.budget {
            return Ok(Next::Limit);
        }
        self.budget -= cost;
        if length > MAX_RECORD_BYTES {
            self.left -= length + 4;
            // It lies inside the file, whose size is an i64.
            self.input.seek_relative(length as i64 + 4)?;
            return Ok(Next::PassedOver);
        }
        self.data.resize(length as usize, 0);
        self.input.read_exact(&mut self.data)?;
        self.left -= length;
        let whole = u32::from_le_bytes(self.array()?) == masked(&self.data);
        Ok(if whole { Next::Data } else { Next::Damaged })
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        self.left = self.left.checked_sub(N as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.input.read_exact(&mut array)?;
        Ok(array)
    }
}

/// Event: step 2, summary 5.
fn event(message: &[u8], scalars: &mut Scalars) -> Result<(), Malformed> {
    let (mut step, mut summaries) = (0, Vec::new());
    for field in Fields::of(message) {
        match field? {
            (2, Field::Varint(at)) => step = at.cast_signed(),
            (5, Field::Bytes(summary)) => summaries.push(summary),
            _ => {}
        }
    }
    for summary in summaries {
        for field in Fields::of(summary) {
            if let (1, Field::Bytes(value)) = field?
                && let Some((tag, number)) = value_of(value)?
            {
                scalars.set(tag, step, number);
            }
        }
    }
    Ok(())
}

/// Summary.Value: tag 1, simple_value 2, tensor 8.
fn value_of(message: &[u8]) -> Result<Option<(&str, f64)>, Malformed> {
    let (mut tag, mut number) = (None, None);
    for field in Fields::of(message) {
        match field? {
            (1, Field::Bytes(text)) => tag = std::str::from_utf8(text).ok(),
            (2, Field::Fixed32(bytes)) => number = Some(f32::from_le_bytes(bytes).into()),
            (8, Field::Bytes(tensor)) => number = scalar(tensor)?,
            _ => {}
        }
    }
    Ok(tag.zip(number))
}

/// TensorProto: dtype 1, tensor_content 4, float_val 5, double_val 6. None if it is not a single
/// float.
fn scalar(message: &[u8]) -> Result<Option<f64>, Malformed> {
    const FLOAT: u64 = 1;
    const DOUBLE: u64 = 2;
    let (mut dtype, mut values) = (0, Vec::new());
    for field in Fields::of(message) {
        match field? {
            (1, Field::Varint(number)) => dtype = number,
            (4..=6, Field::Bytes(packed)) => values.extend_from_slice(packed),
            (5, Field::Fixed32(float)) => values.extend_from_slice(&float),
            (6, Field::Fixed64(double)) => values.extend_from_slice(&double),
            _ => {}
        }
    }
    Ok(match dtype {
        FLOAT => values.try_into().ok().map(|bytes| f32::from_le_bytes(bytes).into()),
        DOUBLE => values.try_into().ok().map(f64::from_le_bytes),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    // All were written in Python, and are named for what they hold. `tensors` is TensorFlow's way:
    // tensorboard.summary.writer's EventFileWriter with make_tensor_proto of numpy.float32 0.5,
    // 0.25, 9 at the steps 10, 20, 15 (tag `epoch_loss`, metadata of the scalar plugin), and of
    // numpy.float64 0.1 (tag `double`). `hyperparameters` is the same writer with
    // tensorboard.plugins.hparams.summary_v2.hparams_pb({'lr': 0.1}). `simple` is PyTorch's way:
    // tensorboardX's SummaryWriter, add_scalar('loss/train', 1 / (i + 1), i) and
    // add_scalar('acc', 0.25 * i, i) for 0 to 2, add_text('note', 'hello', 0), and
    // add_histogram('weights', [0, 1, 2], 1, bins=2).
    const TENSORS: &[u8] = include_bytes!("../../tests/events/tensors");
    const SIMPLE: &[u8] = include_bytes!("../../tests/events/simple");
    const HYPERPARAMETERS: &[u8] = include_bytes!("../../tests/events/hyperparameters");

    type Metrics = Vec<(String, f64)>;

    fn parse(bytes: &[u8], limit: u64) -> (Metrics, Result<(), String>) {
        let mut scalars = Scalars::default();
        let ended = read(Cursor::new(bytes), limit, &mut scalars);
        (values(scalars), ended)
    }

    fn values(scalars: Scalars) -> Metrics {
        scalars.finish().finish().0.into_iter().map(|(k, n)| (k, n.get())).collect()
    }

    fn owned(pairs: &[(&str, f64)]) -> Metrics {
        pairs.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect()
    }

    fn record(data: &[u8]) -> Vec<u8> {
        let length = (data.len() as u64).to_le_bytes();
        let (head, tail) = (masked(&length).to_le_bytes(), masked(data).to_le_bytes());
        [&length[..], &head, data, &tail].concat()
    }

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = bytes.len();
        assert!(length < 1 << 14);
        let head = [number << 3 | 2, length as u8 & 0x7f | 0x80, (length >> 7) as u8];
        [&head[..], bytes].concat()
    }

    /// A record with one value of a tag.
    fn scalar_record(tag: &str, step: u8, value: f32) -> Vec<u8> {
        let value = [field(1, tag.as_bytes()), vec![0x15], value.to_le_bytes().to_vec()].concat();
        record(&[vec![0x10, step], field(5, &field(1, &value))].concat())
    }

    #[test]
    fn what_tensorflow_writes() {
        let expected = owned(&[("double", 0.1), ("epoch_loss", 0.25)]);
        assert_eq!(parse(TENSORS, 1 << 20), (expected, Ok(())));
    }

    #[test]
    fn what_pytorch_writes() {
        let third = f64::from(1.0_f32 / 3.0);
        let expected = owned(&[("acc", 0.5), ("loss/train", third)]);
        assert_eq!(parse(SIMPLE, 1 << 20), (expected, Ok(())));
    }

    #[test]
    fn hyperparameters_are_no_metrics() {
        assert_eq!(parse(HYPERPARAMETERS, 1 << 20), (Vec::new(), Ok(())));
    }

    #[test]
    fn a_file_cut_anywhere_gives_what_is_whole() {
        let mut found = 0;
        for cut in 0..TENSORS.len() {
            let (metrics, ended) = parse(&TENSORS[..cut], 1 << 20);
            assert!(metrics.len() >= found, "{cut}");
            found = metrics.len();
            // The file ends well only between records.
            if ended.is_err() {
                assert_eq!(ended, Err("its last record is cut off".to_owned()), "{cut}");
            }
        }
        assert_eq!(found, 1);
        let whole = (0..=TENSORS.len()).filter(|cut| parse(&TENSORS[..*cut], 1 << 20).1.is_ok());
        assert_eq!(whole.count(), 6);
    }

    #[test]
    fn a_changed_byte_is_found_by_its_checksum() {
        for at in 0..TENSORS.len() {
            let mut bytes = TENSORS.to_vec();
            bytes[at] ^= 0x10;
            let (_, ended) = parse(&bytes, 1 << 20);
            let ended = ended.unwrap_err();
            assert!(ended.contains("the checksum of record"), "{at}: {ended}");
        }
    }

    #[test]
    fn several_files_are_one_run_and_the_greatest_step_counts() {
        let mut scalars = Scalars::default();
        for (tag, step, value) in [("a", 5, 1.0), ("a", 9, 2.0), ("b", 1, 1.0), ("a", 7, 3.0)] {
            read(Cursor::new(scalar_record(tag, step, value)), 1 << 20, &mut scalars).unwrap();
        }
        read(Cursor::new(scalar_record("b", 1, 4.0)), 1 << 20, &mut scalars).unwrap();
        assert_eq!(values(scalars), owned(&[("a", 2.0), ("b", 4.0)]));
    }

    #[test]
    fn a_last_value_that_is_not_finite_is_named() {
        let said = |values: &[(u8, f32)]| {
            let mut scalars = Scalars::default();
            for (step, value) in values {
                read(Cursor::new(scalar_record("a", *step, *value)), 1 << 20, &mut scalars)
                    .unwrap();
            }
            let (metrics, said) = scalars.finish().finish();
            (metrics.into_values().map(|n| n.get()).collect::<Vec<_>>(), said.len())
        };
        assert_eq!(said(&[(1, 0.5), (2, f32::NAN)]), (vec![0.5], 1));
        assert_eq!(said(&[(2, 0.5), (1, f32::NAN)]), (vec![0.5], 0));
        assert_eq!(said(&[(1, f32::NAN), (2, 0.5)]), (vec![0.5], 0));
        assert_eq!(said(&[(1, 0.5), (1, 0.75), (2, f32::NAN)]), (vec![0.75], 1));
        assert_eq!(said(&[(1, f32::INFINITY)]), (vec![], 0));
    }

    #[test]
    fn hostile_files_are_errors_not_panics() {
        assert_eq!(parse(b"", 1 << 20), (Vec::new(), Ok(())));
        assert!(parse(&[0; 4096], 1 << 20).1.is_err());
        // A length that no memory holds, with its right checksum.
        for length in [u64::MAX, u64::MAX - 4, 1 << 40] {
            let length = length.to_le_bytes();
            let bytes = [&length[..], &masked(&length).to_le_bytes(), &[0; 64]].concat();
            assert_eq!(parse(&bytes, 1 << 20).1.unwrap_err(), "its last record is cut off");
        }
        // Whole records that are no events, before one that is.
        let bad = [record(&[0xff; 20]), record(&field(5, &field(1, &[0xff]))), record(&[])];
        let (metrics, ended) = parse(&[bad.concat(), scalar_record("a", 1, 2.0)].concat(), 1 << 20);
        assert_eq!(metrics, owned(&[("a", 2.0)]));
        assert_eq!(ended.unwrap_err(), "2 of its records are no events");
        let odd = [scalar_record("\0", 1, 1.0), scalar_record(&"t".repeat(500), 1, 2.0)].concat();
        assert_eq!(parse(&odd, 1 << 20).0, owned(&[("\0", 1.0)]));
    }

    #[test]
    fn damaged_events_with_right_checksums_are_no_panics() {
        let length = TENSORS[..8].try_into().map(usize::from_le_bytes).unwrap();
        let event = &TENSORS[length + 16 + 12..][..64];
        for at in 0..event.len() {
            for byte in 0..=255 {
                let mut event = event.to_vec();
                event[at] = byte;
                let (metrics, _) = parse(&record(&event), 1 << 20);
                assert!(metrics.len() <= 1);
            }
        }
    }

    #[test]
    fn what_is_read_is_bounded() {
        let tags: Vec<u8> =
            (0..500).flat_map(|i| scalar_record(&format!("t{i}"), 1, 1.0)).collect();
        let mut scalars = Scalars::default();
        read(Cursor::new(&tags), 1 << 20, &mut scalars).unwrap();
        let (metrics, said) = scalars.finish().finish();
        assert_eq!((metrics.len(), said), (300, vec!["only 300 numbers are kept".to_owned()]));
        let (metrics, ended) = parse(&tags, 1000);
        assert!((10..40).contains(&metrics.len()), "{}", metrics.len());
        assert!(ended.unwrap_err().starts_with("only its first"));
        // An image is passed over, unread: that its checksum is wrong is not seen.
        let mut image = record(&vec![1; 2 << 20]);
        image[1 << 20] = 0;
        let bytes = [image, scalar_record("a", 1, 2.0)].concat();
        assert_eq!(parse(&bytes, 1 << 20), (owned(&[("a", 2.0)]), Ok(())));
    }
}
