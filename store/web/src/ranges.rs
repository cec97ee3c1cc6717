//! Parts of files, many at a time.

use std::io;

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_objects::Key;
use reqwest::StatusCode;

use crate::ask::{Answer, Asker, Failure, Question};

/// Ranges of one file with no more than so many bytes between them are asked for as one.
const GAP: u64 = 32 << 10;
/// Most bytes of such a one.
const JOINED: u64 = 8 << 20;

/// Why a range could not be read.
pub(crate) enum Unread {
    Failed(Failure),
    /// The server answers something else.
    Refused(Answer),
}

/// Reads these ranges, each of so many bytes or as many as there are; none where the file is absent.
pub(crate) async fn read_ranges(
    asker: &Asker,
    ranges: &[(Key, u64, u64)],
) -> Result<Vec<Option<Vec<u8>>>, Unread> {
    let all = joined(ranges);
    let asked = stream::iter(&all).map(async |one| {
        let answer = asker.ask(&one.question(), false).await.map_err(Unread::Failed)?;
        one.bytes(answer).map(|bytes| (one, bytes))
    });
    let answers: Vec<_> = asked.buffer_unordered(asker.width()).try_collect().await?;
    let mut found: Vec<Option<Vec<u8>>> = vec![None; ranges.len()];
    for (one, bytes) in answers {
        let Some(bytes) = bytes else { continue };
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
                    && to.max(last.to) - last.from <= JOINED =>
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
            _ => Err(Unread::Refused(answer)),
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
            (key("a"), 200_000 + JOINED, 1),
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
                (200_000 + JOINED, 200_001 + JOINED, &[5]),
                (u64::MAX - 1, u64::MAX, &[6]),
                (0, 5, &[1]),
            ]
        );
    }
}
