//! A name moves if it is what the mover thinks: by a condition that the store looks at, where it does.
//!
//! Some stores know no conditions and take a put with one for a put without, so a store that is not known
//! to look at them is tried once, before the first name is moved.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{PutMode, UpdateVersion};

use super::asking::Asking;
use super::trouble::Trouble;

/// Whether the store looks at conditions. `file` is put and removed to find out.
pub(crate) async fn are_kept(asking: &Asking, file: &Path) -> Result<bool, Trouble> {
    let kept = try_out(asking, file).await;
    // What is left behind is in nobody's way.
    let _ = asking.delete(file).await;
    kept
}

async fn try_out(asking: &Asking, file: &Path) -> Result<bool, Trouble> {
    // If the first answer was lost, the file is there already.
    if let Tried::Unknown = attempt(asking, file, PutMode::Create).await? {
        return Ok(false);
    }
    // Looks as a version of something does, and is one of nothing.
    let e_tag = Some("\"7b5e0a94c1d2f3860918273645afbecd\"".to_owned());
    let other = UpdateVersion { e_tag, version: None };
    for mode in [PutMode::Create, PutMode::Update(other)] {
        if !matches!(attempt(asking, file, mode).await?, Tried::Refused) {
            return Ok(false);
        }
    }
    Ok(true)
}

enum Tried {
    Done,
    Refused,
    Unknown,
}

async fn attempt(asking: &Asking, file: &Path, mode: PutMode) -> Result<Tried, Trouble> {
    for attempt in 0.. {
        let put = asking.put_once(file, Bytes::from_static(b"does it look?\n"), mode.clone()).await;
        return match put {
            Ok(()) => Ok(Tried::Done),
            Err(Trouble::Condition) => Ok(Tried::Refused),
            Err(Trouble::Unknown) => Ok(Tried::Unknown),
            Err(trouble) if asking.again(attempt, &trouble).await => continue,
            Err(trouble) => Err(trouble),
        };
    }
    unreachable!("it returns with the last attempt")
}

/// Replaces a file if it holds `expected`; says whether it did.
pub(crate) async fn swap(
    asking: &Asking,
    file: &Path,
    most_bytes: u64,
    expected: Option<&[u8]>,
    new: &[u8],
) -> Result<bool, Trouble> {
    let new = Bytes::copy_from_slice(new);
    // A request of ours that broke may have got there.
    let mut sent = false;
    for attempt in 0.. {
        let there = asking.get(file, most_bytes).await?;
        let now = there.as_ref().map(|(bytes, _)| bytes.as_slice());
        if now != expected {
            // Journals only grow, so that ours is still to be seen when somebody has gone on from it.
            return Ok(sent && now.is_some_and(|bytes| bytes.starts_with(&new)));
        }
        let mode = there.map_or(PutMode::Create, |(_, version)| PutMode::Update(version));
        match asking.put_once(file, new.clone(), mode).await {
            Ok(()) => return Ok(true),
            // Somebody was faster, or is about to be: the next look says which.
            Err(Trouble::Condition) if attempt < asking.patience.tries => {
                asking.rest(attempt).await
            }
            Err(trouble) => {
                sent |= matches!(trouble, Trouble::Broken { .. });
                if !asking.again(attempt, &trouble).await {
                    return Err(trouble);
                }
            }
        }
    }
    unreachable!("it returns with the last attempt")
}
