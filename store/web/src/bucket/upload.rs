//! Packs on their way up. A small one goes in one piece; a large one in parts, which become one file when
//! all are there, and of which few are in memory at a time.

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};

use super::asking::Asking;
use super::pending::Before;
use super::trouble::Trouble;
use crate::runtime::keep_pace;

/// Up to so many bytes go in one piece, if nothing else is on its way; else only a few do, since a piece cannot be
/// sent and then wait.
const WHOLE: usize = 64 << 20;
const LITTLE: usize = 8 << 20;
/// Bytes of a part, and how many go at a time: 64 MiB in all.
const PART: usize = 16 << 20;
const AT_ONCE: usize = 4;

/// Puts a file in the place of whatever is there, once whatever goes before it is there; it is there as a whole
/// or not at all.
pub(crate) async fn upload(
    asking: &Asking,
    path: &Path,
    bytes: &Bytes,
    before: &mut Before,
) -> Result<(), Trouble> {
    if bytes.len() <= if before.is_nothing() { WHOLE } else { LITTLE } {
        before.is_there().await?;
        keep_pace(bytes.len() as u64).await;
        return asking.put(path, bytes.clone()).await;
    }
    for attempt in 0.. {
        match in_parts(asking, path, bytes, PART, before).await {
            Err(trouble) if asking.again(attempt, &trouble).await => {}
            answer => return answer,
        }
    }
    unreachable!("it returns with the last attempt")
}

async fn in_parts(
    asking: &Asking,
    path: &Path,
    bytes: &Bytes,
    part: usize,
    before: &mut Before,
) -> Result<(), Trouble> {
    let mut upload = asking.once(0, async { Ok(asking.store.put_multipart(path).await?) }).await?;
    let sent = parts(asking, &mut *upload, bytes, part, before).await;
    if sent.is_err() {
        // What was sent is paid for until it is thrown away. Where that fails as well, the bucket's own
        // rules for what is left half done have to see to it.
        let _ = asking.once(0, async { Ok(upload.abort().await?) }).await;
    }
    sent
}

async fn parts(
    asking: &Asking,
    upload: &mut dyn MultipartUpload,
    bytes: &Bytes,
    part: usize,
    before: &mut Before,
) -> Result<(), Trouble> {
    let mut under_way = FuturesUnordered::new();
    for start in (0..bytes.len()).step_by(part) {
        let piece = bytes.slice(start..bytes.len().min(start + part));
        if under_way.len() == AT_ONCE
            && let Some(done) = under_way.next().await
        {
            done?;
        }
        keep_pace(piece.len() as u64).await;
        // They share one way.
        let len = piece.len() * AT_ONCE;
        let put = upload.put_part(PutPayload::from(piece));
        under_way.push(asking.once(len as u64, async { Ok(put.await?) }));
    }
    while let Some(done) = under_way.next().await {
        let () = done?;
    }
    before.is_there().await?;
    asking.once(0, async { Ok(upload.complete().await?) }).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::runtime::wait;
    use crate::web::Patience;

    #[test]
    fn parts_become_the_file() {
        let store = Arc::new(InMemory::new());
        let place = ("memory".to_owned(), String::new(), String::new());
        let asking = Asking::new(store, place, Patience::default(), Box::new(|_| {}));
        let bytes: Bytes = (0..10_000u32).flat_map(u32::to_le_bytes).collect();
        let path = Path::from("packs/x");
        for part in [1_000, 40_000, 39_999, 7_777, 50_000] {
            let mut before = Before::default();
            let sent = in_parts(&asking, &path, &bytes, part, &mut before);
            wait(sent).unwrap().unwrap();
            let there = wait(asking.get(&path, 1 << 20)).unwrap().unwrap().unwrap().0;
            assert!(there == bytes, "{part}");
        }
    }
}
