//! Parts of files, many at a time.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use lab_objects::Key;
use reqwest::{Method, StatusCode};

use crate::ask::{Answer, Asker, Failure, Question};

/// Ranges of one file with no more than so many bytes between them are asked for as one.
const GAP: u64 = 32 << 10;
/// Most bytes that are asked for in one question; a longer range is asked for in pieces.
const PIECE: u64 = 4 << 20;
/// Most bytes of a list of ranges.
const LISTED: u64 = 8 << 20;
/// Most ranges in a list.
const TOGETHER: usize = 256;
/// In the place of the length of what lies in a range: the file is absent.
const ABSENT: u64 = u64::MAX;

/// Why a range could not be read.
pub(crate) enum Unread {
    Failed(Failure),
    /// The server answers something else.
    Refused(Box<Answer>),
}

/// A file, where to begin, and how many bytes.
type Range = (Key, u64, u64);
/// What lies in a range; none if the file is absent.
type Found = Option<Vec<u8>>;

/// Reads these ranges, each of so many bytes or as many as there are. A `lab serve` is asked for many at
/// once.
pub(crate) async fn read_ranges(
    asker: &Asker,
    ranges: &[Range],
    serves: bool,
) -> Result<Vec<Found>, Unread> {
    let (long, short): (Vec<usize>, Vec<usize>) =
        (0..ranges.len()).partition(|number| ranges[*number].2 > PIECE);
    if long.is_empty() {
        return read_short(asker, ranges, serves).await;
    }
    let mut found: Vec<Found> = vec![None; ranges.len()];
    let these: Vec<Range> = short.iter().map(|number| ranges[*number].clone()).collect();
    for (number, bytes) in short.into_iter().zip(read_short(asker, &these, serves).await?) {
        found[number] = bytes;
    }
    for number in long {
        found[number] = in_pieces(asker, &ranges[number]).await?;
    }
    Ok(found)
}

/// A long range. A piece that is shorter than was asked for is the last.
async fn in_pieces(asker: &Asker, (key, from, len): &Range) -> Result<Found, Unread> {
    let mut all = Vec::new();
    loop {
        let (at, left) = (from.saturating_add(all.len() as u64), len - all.len() as u64);
        let piece = (key.clone(), at, left.min(PIECE));
        let Some(bytes) = one_by_one(asker, &[piece]).await?.pop().flatten() else {
            return Ok(None);
        };
        all.extend_from_slice(&bytes);
        if (bytes.len() as u64) < left.min(PIECE) || all.len() as u64 == *len {
            return Ok(Some(all));
        }
    }
}

async fn read_short(asker: &Asker, ranges: &[Range], serves: bool) -> Result<Vec<Found>, Unread> {
    if !serves || ranges.len() < 2 {
        return one_by_one(asker, ranges).await;
    }
    let asked = stream::iter(lists(ranges)).map(async |list| match list {
        [_] => one_by_one(asker, list).await,
        list => together(asker, list).await,
    });
    let answers: Vec<Vec<Found>> = asked.buffered(asker.width()).try_collect().await?;
    Ok(answers.into_iter().flatten().collect())
}

/// Ranges that are asked for together, in lists.
fn lists(ranges: &[Range]) -> Vec<&[Range]> {
    let (mut all, mut rest) = (Vec::new(), ranges);
    while !rest.is_empty() {
        let mut bytes = 0u64;
        let fits = |(_, _, len): &&Range| {
            bytes = bytes.saturating_add(*len);
            bytes <= LISTED
        };
        let many = rest.iter().take(TOGETHER).take_while(fits).count().max(1);
        let (list, left) = rest.split_at(many);
        all.push(list);
        rest = left;
    }
    all
}

/// Asks for a list: a line for each range goes there; its length and its bytes come back.
async fn together(asker: &Asker, list: &[Range]) -> Result<Vec<Found>, Unread> {
    let lines = list.iter().map(|(key, from, len)| format!("{} {from} {len}\n", key.path()));
    let most: u64 = list.iter().map(|(_, _, len)| len + 8).sum();
    let question = Question::send(Method::POST, "ranges", Bytes::from(lines.collect::<String>()));
    let answer = asker.ask(&Question { limit: most, ..question }, false).await;
    let answer = answer.map_err(Unread::Failed)?;
    if !answer.status.is_success() {
        return Err(Unread::Refused(Box::new(answer)));
    }
    let mut rest = answer.body.as_slice();
    let taken = list.iter().map(|(_, _, most)| {
        let (len, after) = rest.split_first_chunk::<8>()?;
        rest = after;
        let len = u64::from_le_bytes(*len);
        if len == ABSENT {
            return Some(None);
        }
        let (bytes, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
        rest = after;
        (len <= *most).then(|| Some(bytes.to_vec()))
    });
    let taken: Option<Vec<Found>> = taken.collect();
    taken.filter(|_| rest.is_empty()).ok_or_else(|| {
        let why = "it hands out other ranges than were asked for".to_owned();
        Unread::Failed(Failure::Final { kind: io::ErrorKind::InvalidData, why })
    })
}

async fn one_by_one(asker: &Asker, ranges: &[Range]) -> Result<Vec<Found>, Unread> {
    let all = joined(ranges);
    let asked = stream::iter(&all).map(async |one| {
        let answer = asker.ask(&one.question(), false).await.map_err(Unread::Failed)?;
        one.bytes(answer).map(|bytes| (one, bytes))
    });
    let answers: Vec<_> = asked.buffer_unordered(asker.width()).try_collect().await?;
    let mut found: Vec<Found> = vec![None; ranges.len()];
    for (one, bytes) in answers {
        let Some(mut bytes) = bytes else { continue };
        if let [member] = one.members[..] {
            bytes.truncate(usize::try_from(ranges[member].2).unwrap_or(usize::MAX));
            found[member] = Some(bytes);
            continue;
        }
        for member in &one.members {
            let (_, from, len) = &ranges[*member];
            let start = (from - one.from).min(bytes.len() as u64) as usize;
            let rest = &bytes[start..];
            let most = usize::try_from(*len).unwrap_or(usize::MAX).min(rest.len());
            found[*member] = Some(rest[..most].to_vec());
        }
    }
    Ok(found)
}

/// Ranges of one file that are asked for as one: where it begins and ends, and which ones it holds.
struct Joined {
    key: Key,
    from: u64,
    to: u64,
    members: Vec<usize>,
}

fn joined(ranges: &[(Key, u64, u64)]) -> Vec<Joined> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by(|a, b| ranges[*a].cmp(&ranges[*b]));
    let mut all: Vec<Joined> = Vec::new();
    for member in order {
        let (key, from, len) = &ranges[member];
        let to = from.saturating_add(*len);
        match all.last_mut() {
            Some(last)
                if last.key == *key
                    && *from <= last.to.saturating_add(GAP)
                    && to.max(last.to) - last.from <= PIECE =>
            {
                last.to = last.to.max(to);
                last.members.push(member);
            }
            _ => all.push(Joined { key: key.clone(), from: *from, to, members: vec![member] }),
        }
    }
    all
}

impl Joined {
    fn question(&self) -> Question {
        // There is no range of no bytes.
        let len = (self.to - self.from).max(1);
        let range = format!("bytes={}-{}", self.from, self.from.saturating_add(len - 1));
        let question = Question::get(self.key.path(), len).with("range", &range);
        Question { range: Some(self.from), ..question }
    }

    /// The bytes from where it begins on; none if the file is absent.
    fn bytes(&self, answer: Answer) -> Result<Option<Vec<u8>>, Unread> {
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Some(Vec::new())),
            StatusCode::PARTIAL_CONTENT if start(&answer) != Some(self.from) => {
                let why = "it hands out another range than was asked for".to_owned();
                Err(Unread::Failed(Failure::Final { kind: io::ErrorKind::InvalidData, why }))
            }
            status if status.is_success() => Ok(Some(answer.body)),
            _ => Err(Unread::Refused(Box::new(answer))),
        }
    }
}

/// Where the range begins that an answer holds.
fn start(answer: &Answer) -> Option<u64> {
    let range = answer.headers.get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_schema::Name;

    #[test]
    fn neighbours_are_asked_for_as_one() {
        let key = |name: &str| Key::Name(Name::new(name).unwrap());
        let ranges = [
            (key("a"), 100, 10),
            (key("b"), 0, 5),
            (key("a"), 0, 50),
            (key("a"), 10, 10),
            (key("a"), 200_000, 7),
            (key("a"), 200_000 + PIECE, 1),
            (key("a"), u64::MAX - 1, u64::MAX),
        ];
        let all = joined(&ranges);
        let spans: Vec<(u64, u64, &[usize])> =
            all.iter().map(|one| (one.from, one.to, &one.members[..])).collect();
        assert_eq!(
            spans,
            [
                (0, 110, &[2, 3, 0][..]),
                (200_000, 200_007, &[4]),
                (200_000 + PIECE, 200_001 + PIECE, &[5]),
                (u64::MAX - 1, u64::MAX, &[6]),
                (0, 5, &[1]),
            ]
        );
    }
}
