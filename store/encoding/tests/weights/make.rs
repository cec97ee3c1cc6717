//! Makes weights files by hand, well-formed and otherwise.

use std::fmt::Write as _;

/// A safetensors file of this header, with `data` bytes after it.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// An .npy of this version and dictionary.
pub(crate) fn npy(version: u8, dictionary: &str, data: &[u8]) -> Vec<u8> {
    let len = dictionary.len() as u32;
    let len = len.to_le_bytes();
    let len = if version == 1 { &len[..2] } else { &len[..] };
    [&b"\x93NUMPY"[..], &[version, 0], len, dictionary.as_bytes(), data].concat()
}

/// An .npy of one dimension.
pub(crate) fn vector(descr: &str, elements: usize, data: &[u8]) -> Vec<u8> {
    let dictionary =
        format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({elements},), }}\n");
    npy(1, &dictionary, data)
}

/// How a zip archive is written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Zip {
    /// Sizes, places and the end record in their 64-bit form.
    pub(crate) wide: bool,
    /// Bytes of a comment at the end.
    pub(crate) comment: u16,
    /// The method of the members: 0 is stored.
    pub(crate) method: u16,
    /// Contents begin at multiples of this, as PyTorch does it.
    pub(crate) align: usize,
}

impl Zip {
    /// An archive of these members.
    pub(crate) fn of(self, members: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for (name, data) in members {
            let header = file.len() as u64;
            let start = file.len() + 30 + name.len() + 4;
            let padding =
                (self.align - start % self.align.max(1)).checked_rem(self.align).unwrap_or(0);
            file.extend(b"PK\x03\x04\x2d\0\x08\0");
            file.extend(self.method.to_le_bytes());
            // Time, date, sum and sizes: the sizes follow the contents, so they are 0 here.
            file.extend([0; 16]);
            file.extend((name.len() as u16).to_le_bytes());
            file.extend((padding as u16 + 4).to_le_bytes());
            file.extend(name.as_bytes());
            file.extend(b"FB");
            file.extend((padding as u16).to_le_bytes());
            file.extend(vec![b'Z'; padding]);
            file.extend(*data);
            self.enter(&mut directory, name, header, data.len() as u64);
        }
        self.finish(file, directory, members.len() as u64)
    }

    fn enter(self, directory: &mut Vec<u8>, name: &str, header: u64, len: u64) {
        let mut extra = b"\x99\x99\x02\0xx".to_vec();
        if self.wide {
            extra.extend(b"\x01\0\x18\0");
            extra.extend([len, len, header].map(u64::to_le_bytes).concat());
        }
        let narrow = |value: u64| if self.wide { u32::MAX } else { value as u32 }.to_le_bytes();
        directory.extend(b"PK\x01\x02\x2d\0\x2d\0\x08\0");
        directory.extend(self.method.to_le_bytes());
        directory.extend([0; 8]);
        directory.extend(narrow(len));
        directory.extend(narrow(len));
        directory.extend((name.len() as u16).to_le_bytes());
        directory.extend((extra.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        directory.extend(narrow(header));
        directory.extend(name.as_bytes());
        directory.extend(extra);
    }

    fn finish(self, mut file: Vec<u8>, directory: Vec<u8>, entries: u64) -> Vec<u8> {
        let start = file.len() as u64;
        let len = directory.len() as u64;
        file.extend(directory);
        if self.wide {
            let record = file.len() as u64;
            file.extend(b"PK\x06\x06");
            file.extend(44u64.to_le_bytes());
            file.extend([0; 12]);
            file.extend([entries, entries, len, start].map(u64::to_le_bytes).concat());
            file.extend(b"PK\x06\x07\0\0\0\0");
            file.extend(record.to_le_bytes());
            file.extend(1u32.to_le_bytes());
        }
        let (few, narrow) = if self.wide { (u16::MAX, u32::MAX) } else { (entries as u16, 0) };
        file.extend(b"PK\x05\x06\0\0\0\0");
        file.extend([few, few].map(u16::to_le_bytes).concat());
        file.extend([len as u32 | narrow, start as u32 | narrow].map(u32::to_le_bytes).concat());
        file.extend(self.comment.to_le_bytes());
        file.extend(vec![b'c'; self.comment.into()]);
        file
    }
}

/// A line of a GGUF table: name, shape, type, offset.
pub(crate) type Line<'a> = (&'a str, &'a [u64], u32, u64);

/// A GGUF string: its length and its bytes.
pub(crate) fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// A GGUF entry of metadata.
pub(crate) fn entry(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&string(key), &kind.to_le_bytes()[..], value].concat()
}

/// A GGUF array of what `kind` says.
pub(crate) fn array(kind: u32, count: u64, values: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &count.to_le_bytes(), values].concat()
}

/// The header of a GGUF file, not yet padded.
pub(crate) fn gguf(version: u32, metadata: &[Vec<u8>], table: &[Line<'_>]) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(version.to_le_bytes());
    file.extend((table.len() as u64).to_le_bytes());
    file.extend((metadata.len() as u64).to_le_bytes());
    file.extend(metadata.concat());
    for (name, shape, kind, offset) in table {
        file.extend(string(name));
        file.extend((shape.len() as u32).to_le_bytes());
        file.extend(shape.iter().flat_map(|n| n.to_le_bytes()));
        file.extend(kind.to_le_bytes());
        file.extend(offset.to_le_bytes());
    }
    file
}

/// A GGUF file: the header padded to `alignment`, then the data.
pub(crate) fn gguf_with(header: Vec<u8>, alignment: usize, data: &[u8]) -> Vec<u8> {
    let mut file = header;
    file.resize(file.len().next_multiple_of(alignment), 0);
    file.extend(data);
    file
}

/// A pickle as PyTorch writes it in protocol 2: a dictionary of tensors, each with the class of
/// its storage and its key; what was written once is taken from the memo.
pub(crate) fn pickle(storages: &[(&str, &str)]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}q\x00(".to_vec();
    let mut known: Vec<String> = Vec::new();
    let mut memo = |pickle: &mut Vec<u8>, text: &str, code: Vec<u8>| match known
        .iter()
        .position(|k| k == text)
    {
        Some(place) => pickle.extend([b'h', place as u8 + 1]),
        None => {
            known.push(text.to_owned());
            pickle.extend(code);
            pickle.extend([b'q', known.len() as u8]);
        }
    };
    let unicode =
        |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    for (place, (class, key)) in storages.iter().enumerate() {
        let name = format!("layer.{place}");
        memo(&mut pickle, &name, unicode(&name));
        let rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec();
        memo(&mut pickle, "rebuild", rebuild);
        pickle.extend(b"((");
        memo(&mut pickle, "storage", unicode("storage"));
        memo(&mut pickle, class, format!("ctorch\n{class}\n").into_bytes());
        memo(&mut pickle, key, unicode(key));
        memo(&mut pickle, "cpu", unicode("cpu"));
        // Persistent tuple, offset, shape and stride, no gradient, no hooks, the call.
        pickle.extend(b"K\x04tQK\x00K\x04\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    pickle
}

/// The same in the opcodes of protocol 4.
pub(crate) fn pickle4(storages: &[(&str, &str)]) -> Vec<u8> {
    let short = |text: &str| [&[0x8c, text.len() as u8], text.as_bytes(), b"\x94"].concat();
    let mut pickle = b"\x80\x04\x95\0\0\0\0\0\0\0\0]\x94(".to_vec();
    for (class, key) in storages {
        pickle.push(b'(');
        for text in ["storage", "torch", class] {
            pickle.extend(short(text));
        }
        pickle.extend(b"\x93\x94");
        pickle.extend(short(key));
        pickle.extend(short("cpu"));
        pickle.extend(b"K\x04t\x94Q");
    }
    pickle.extend(b"e.");
    pickle
}

/// A PyTorch checkpoint: this pickle, and a member for each storage.
pub(crate) fn checkpoint(
    pickle: &[u8],
    order: Option<&str>,
    storages: &[(&str, &[u8])],
) -> Vec<u8> {
    let mut members = vec![("model/data.pkl".to_owned(), pickle)];
    members.extend(order.map(|order| ("model/byteorder".to_owned(), order.as_bytes())));
    members.extend(storages.iter().map(|(key, data)| (format!("model/data/{key}"), *data)));
    members.push(("model/version".to_owned(), b"3\n"));
    let members: Vec<(&str, &[u8])> = members.iter().map(|(n, d)| (n.as_str(), *d)).collect();
    Zip { align: 64, ..Zip::default() }.of(&members)
}

/// A safetensors header of many tensors of 16 bytes each.
pub(crate) fn many(tensors: usize) -> Vec<u8> {
    let mut header = String::from("{");
    for n in 0..tensors {
        let (comma, start, end) = (if n == 0 { "" } else { "," }, 16 * n, 16 * n + 16);
        write!(
            header,
            r#"{comma}"layers.{n}.w":{{"dtype":"F32","shape":[4],"data_offsets":[{start},{end}]}}"#
        )
        .unwrap();
    }
    header.push('}');
    safetensors(&header, &vec![0; 16 * tensors])
}
