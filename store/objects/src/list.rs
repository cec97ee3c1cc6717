//! How a large blob is made of chunks, in levels so that no frame grows without bound.
//!
//! ```text
//! list frame = checksum [32] | size of the blob u64 | body
//! node frame = body
//! body       = level u8 | entry, 1 to 4096 times
//! entry      = digest [32], length in bytes u64      level 0: of a chunk; above: of a node
//! ```
//!
//! Levels fall by one from node to node, so that a hostile list ends; lengths must add up.

use lab_schema::Digest;

use crate::chunk;
use crate::frame::{Parsed, list_checksum, node_digest};

/// Most entries of a list or node.
const FAN_OUT: usize = 4096;
/// The last chunk of a node is one whose digest starts with seven zero bits, and so is the last node
/// of a node of chunks' nodes: an insertion then changes the nodes around it, and not all that follow. Fewer
/// entries than these are no node of their own. Whoever reads a list need not know.
const CLOSING: u8 = 0xfe;
const FEWEST: usize = 16;
/// Levels up to this one are cut so; those above hold as much as they may.
const CUT_BY_CONTENT: usize = 1;
/// Highest level: 4096^4 chunks are more than any disk holds.
const MAX_LEVEL: u8 = 3;
const ENTRY_BYTES: usize = 40;

/// A part of a blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    /// Of its chunk or node.
    pub(crate) digest: Digest,
    /// Bytes of the blob that it covers.
    pub(crate) bytes: u64,
}

/// The parts of a blob, or of a part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Parts {
    /// 0: they are chunks; n: nodes of level n - 1.
    pub(crate) level: u8,
    /// In the order of the blob.
    pub(crate) parts: Vec<Part>,
}

impl Parts {
    fn bytes(&self) -> u64 {
        self.parts.iter().map(|p| p.bytes).sum()
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(1 + self.parts.len() * ENTRY_BYTES);
        body.push(self.level);
        for part in &self.parts {
            body.extend_from_slice(part.digest.as_bytes());
            body.extend_from_slice(&part.bytes.to_le_bytes());
        }
        body
    }

    fn parse(body: &[u8], bytes: u64) -> Parsed<Parts> {
        let (&level, entries) = body.split_first().ok_or("a chunk list is empty")?;
        let count = entries.len() / ENTRY_BYTES;
        if entries.len() % ENTRY_BYTES != 0 || !(1..=FAN_OUT).contains(&count) || level > MAX_LEVEL
        {
            return Err("a chunk list has an impossible shape");
        }
        let mut sum = 0u64;
        let mut parts = Vec::with_capacity(count);
        for entry in entries.chunks_exact(ENTRY_BYTES) {
            let mut digest = [0; 32];
            digest.copy_from_slice(&entry[..32]);
            let mut len = [0; 8];
            len.copy_from_slice(&entry[32..]);
            let part = Part { digest: Digest::from_bytes(digest), bytes: u64::from_le_bytes(len) };
            if part.bytes == 0 || level == 0 && part.bytes > chunk::MAX as u64 {
                return Err("a chunk list holds an impossible length");
            }
            sum = sum.checked_add(part.bytes).ok_or("the lengths in a chunk list overflow")?;
            parts.push(part);
        }
        if sum == bytes { Ok(Parts { level, parts }) } else { Err("a chunk list does not add up") }
    }

    /// Reads the frame of a list; the caller has checked its checksum.
    pub(crate) fn parse_list(frame: &[u8]) -> Parsed<(u64, Parts)> {
        let (head, body) = frame.split_first_chunk::<40>().ok_or("a chunk list is cut off")?;
        let mut size = [0; 8];
        size.copy_from_slice(&head[32..]);
        let size = u64::from_le_bytes(size);
        Ok((size, Parts::parse(body, size)?))
    }

    /// Reads the frame of a node that is `part` of a list or node of `level`.
    pub(crate) fn parse_node(frame: &[u8], part: Part, level: u8) -> Parsed<Parts> {
        let parts = Parts::parse(frame, part.bytes)?;
        if level.checked_sub(1) == Some(parts.level) {
            Ok(parts)
        } else {
            Err("a chunk list has a part of a wrong level")
        }
    }
}

/// Makes a list out of chunks that arrive one by one.
#[derive(Debug, Default)]
pub(crate) struct ListBuilder {
    levels: Vec<Vec<Part>>,
    /// Nodes that are complete: (key, bytes), children first.
    ready: Vec<(Digest, Vec<u8>)>,
}

impl ListBuilder {
    /// Appends a chunk.
    pub(crate) fn push(&mut self, chunk: Part) {
        self.push_at(0, chunk);
    }

    /// Nodes that have been completed since the last call.
    pub(crate) fn take_nodes(&mut self) -> Vec<(Digest, Vec<u8>)> {
        std::mem::take(&mut self.ready)
    }

    fn push_at(&mut self, level: usize, part: Part) {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        if self.levels[level].len() == FAN_OUT {
            self.close(level);
        }
        self.levels[level].push(part);
        let closing = part.digest.as_bytes()[0] & CLOSING == 0;
        if closing && level <= CUT_BY_CONTENT && self.levels[level].len() >= FEWEST {
            self.close(level);
        }
    }

    /// Makes a node of what stands at `level`.
    fn close(&mut self, level: usize) {
        let parts = Parts { level: level as u8, parts: std::mem::take(&mut self.levels[level]) };
        let frame = parts.encode();
        let part = Part { digest: node_digest(&frame), bytes: parts.bytes() };
        self.ready.push((part.digest, frame));
        self.push_at(level + 1, part);
    }

    /// The remaining nodes, and the frame of the list of the blob `digest`.
    pub(crate) fn finish(mut self, digest: Digest) -> (Vec<(Digest, Vec<u8>)>, Vec<u8>) {
        let mut level = 0;
        // What stands alone above all others is the list itself.
        while level + 1 < self.levels.len() {
            if !self.levels[level].is_empty() {
                self.close(level);
            }
            level += 1;
        }
        let parts = Parts { level: level as u8, parts: self.levels.pop().unwrap_or_default() };
        let rest = [&parts.bytes().to_le_bytes()[..], &parts.encode()].concat();
        let frame = [&list_checksum(digest, &rest).as_bytes()[..], &rest].concat();
        (self.ready, frame)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use lab_schema::BlobId;

    use super::*;

    fn built(chunks: u64) -> (HashMap<Digest, Vec<u8>>, Vec<u8>) {
        let mut builder = ListBuilder::default();
        for n in 0..chunks {
            let digest = BlobId::of(&n.to_le_bytes()).digest();
            builder.push(Part { digest, bytes: 1 + n % 1000 });
        }
        let (nodes, list) = builder.finish(BlobId::of(b"whole").digest());
        (nodes.into_iter().collect(), list)
    }

    fn leaves(nodes: &HashMap<Digest, Vec<u8>>, parts: Parts) -> Vec<Part> {
        let level = parts.level;
        let below = |part| {
            leaves(nodes, Parts::parse_node(&nodes[&part_digest(part)], part, level).unwrap())
        };
        if level == 0 { parts.parts } else { parts.parts.into_iter().flat_map(below).collect() }
    }

    fn part_digest(part: Part) -> Digest {
        part.digest
    }

    // proves L-12
    #[test]
    fn lists_of_any_length_give_their_chunks_back() {
        for chunks in [1, 2, 15, 16, 17, 300, 4096, 4097, 8192, 100_000] {
            let (nodes, list) = built(chunks);
            let (size, parts) = Parts::parse_list(&list).unwrap();
            let expected: u64 = (0..chunks).map(|n| 1 + n % 1000).sum();
            assert_eq!(size, expected);
            assert!(list.len() <= crate::frame::MAX_LIST_BYTES);
            assert!(nodes.values().all(|n| n.len() <= crate::frame::MAX_LIST_BYTES));
            let leaves = leaves(&nodes, parts);
            assert_eq!(leaves.len() as u64, chunks);
            let found = leaves.iter().enumerate();
            assert!(
                found
                    .into_iter()
                    .all(|(n, p)| p.digest == BlobId::of(&(n as u64).to_le_bytes()).digest())
            );
        }
    }

    // proves L-34
    #[test]
    fn an_insertion_changes_few_nodes() {
        let build = |with: Option<u64>| {
            let mut builder = ListBuilder::default();
            for n in 0..100_000u64 {
                let digest = BlobId::of(&n.to_le_bytes()).digest();
                builder.push(Part { digest, bytes: 70_000 });
                if with == Some(n) {
                    builder.push(Part { digest: BlobId::of(b"new").digest(), bytes: 7 });
                }
            }
            builder.finish(BlobId::of(b"whole").digest())
        };
        let (before, list) = build(None);
        let known: std::collections::HashSet<Digest> = before.iter().map(|(d, _)| *d).collect();
        assert!((500..1300).contains(&known.len()), "{}", known.len());
        for at in [0, 777, 50_000, 99_999] {
            let (after, changed) = build(Some(at));
            let fresh = after.iter().filter(|(digest, _)| !known.contains(digest));
            let bytes: usize = fresh.map(|(_, frame)| frame.len()).sum();
            assert!(bytes < 60_000 && list != changed && changed.len() < 10_000, "{bytes}");
        }
    }

    #[test]
    fn impossible_lists_are_refused() {
        let (_, list) = built(3);
        assert!(Parts::parse_list(&list).is_ok());
        for cut in 0..list.len() {
            assert!(Parts::parse_list(&list[..cut]).is_err());
        }
        let part = Part { digest: BlobId::of(b"").digest(), bytes: 5 };
        let body = |level, bytes| Parts { level, parts: vec![Part { bytes, ..part }] }.encode();
        assert!(Parts::parse(&body(0, 5), 5).is_ok());
        assert!(Parts::parse(&body(0, 5), 6).is_err());
        assert!(Parts::parse(&body(0, 0), 0).is_err());
        assert!(Parts::parse(&body(0, 2 << 20), 2 << 20).is_err());
        assert!(Parts::parse(&body(4, 5), 5).is_err());
        assert!(Parts::parse_node(&body(1, 5), part, 1).is_err());
        let two = Parts { level: 1, parts: vec![Part { bytes: u64::MAX, ..part }; 2] }.encode();
        assert!(Parts::parse(&two, u64::MAX - 1).is_err());
    }
}
