//! What comes in: packs, journals of names, new stores.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use lab_objects::{Key, ObjectsError, PackBytes, PackId, journal_digest};
use lab_remote::Replaced;
use lab_schema::{Digest, Name};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::limits::Room;
use crate::reply::{Answer, Trouble};
use crate::spaces::{Space, Stage};

/// How long to wait for memory that others have.
const WAIT: Duration = Duration::from_secs(60);

/// How many bytes a request announces, if it may bring so many.
pub(crate) fn announced(headers: &HeaderMap, most: u64) -> Answer<u64> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let Some(bytes) = length.and_then(|length| length.parse().ok()) else {
        let detail = "how many bytes come has to be said before they do";
        return Err(Trouble::new(StatusCode::LENGTH_REQUIRED, detail));
    };
    if bytes > most {
        let detail = format!("{bytes} bytes; such a file has at most {most}");
        return Err(Trouble::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(bytes)
}

/// Who brings less than so many bytes a second, beyond what one may be silent, is given up.
const LEAST: u64 = 16 << 10;

/// Takes so many bytes in, for which there is room; `silence` is how long nothing may come.
pub(crate) async fn taken(body: Body, bytes: u64, silence: Duration) -> Answer<PackBytes> {
    let slow = |_| Trouble::new(StatusCode::REQUEST_TIMEOUT, "the rest did not come in time");
    let end = Instant::now() + silence + Duration::from_secs(bytes / LEAST);
    let mut all = PackBytes::of(bytes);
    let mut stream = body.into_data_stream();
    loop {
        let next = timeout_at(end.min(Instant::now() + silence), stream.next());
        let Some(part) = next.await.map_err(slow)? else { break };
        let part = part.map_err(|error| {
            let detail = "the rest did not come";
            Trouble {
                more: Some(format!("{detail}: {error}")),
                ..Trouble::new(StatusCode::BAD_REQUEST, detail)
            }
        })?;
        all.extend(&part);
        if all.len() as u64 > bytes {
            break;
        }
    }
    if all.len() as u64 != bytes {
        let detail = format!("{} bytes came, {bytes} were announced", all.len());
        return Err(Trouble::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(all)
}

/// Works where waiting for a disk is no harm.
pub(crate) async fn work<T: Send + 'static>(
    what: impl FnOnce() -> Answer<T> + Send + 'static,
) -> Answer<T> {
    let broke = |error| Trouble {
        more: Some(format!("it panicked: {error}")),
        ..Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed")
    };
    spawn_blocking(what).await.map_err(broke)?
}

/// How a pack is to be taken.
pub(crate) struct How {
    /// Instead of a damaged one under its name.
    pub(crate) mend: bool,
    /// Only after this one, which may be on its way: what it holds may be made of that.
    pub(crate) after: Option<PackId>,
    /// Most bytes that the store may have.
    pub(crate) quota: Option<u64>,
    /// How long nothing may come.
    pub(crate) silence: Duration,
}

/// Waits for memory, for a while.
pub(crate) async fn room(memory: &Room, bytes: u64) -> Answer<OwnedSemaphorePermit> {
    let room = tokio::time::timeout(WAIT, memory.take(bytes)).await.ok().flatten();
    room.ok_or_else(|| {
        let detail = "others bring as much as can be taken at a time";
        Trouble::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry(5)
    })
}

/// Takes a pack in and, once each of its bytes has been looked at, into the store.
pub(crate) async fn pack(
    space: Arc<Space>,
    id: PackId,
    (body, stored): (Body, u64),
    memory: &Room,
    how: How,
) -> Answer {
    let coming = space.comes(id);
    if let Some(before) = how.after {
        // Who holds memory must not wait for one who waits for memory.
        space.passed(before, Stage::Arriving).await;
    }
    let room = room(memory, stored).await?;
    let bytes = taken(body, stored, how.silence).await?;
    coming.arrived();
    // The memory counts as long as anybody works with it, also if the client has left.
    let held = Arc::new((bytes, room));
    // While the one before it is written. What it stands on may be in that one, and so it may have to be
    // looked through again.
    let looked = work({
        let (space, held) = (Arc::clone(&space), Arc::clone(&held));
        move || Ok(space.opened.store.look_through(id, &held.0))
    });
    let looked = looked.await?;
    if let Some(before) = how.after {
        space.passed(before, Stage::Arrived).await;
    }
    let made = work({
        let space = Arc::clone(&space);
        move || {
            let bytes: &[u8] = &held.0;
            let there = |id| space.opened.backend.read_range(&Key::Pack(id), 0, 1);
            if let Some(before) = how.after
                && there(before)?.is_none()
            {
                let detail = format!("pack {before}, on which this one may stand, is not here");
                return Err(Trouble::new(StatusCode::FAILED_DEPENDENCY, detail));
            }
            let store = &space.opened.store;
            let fit = match looked {
                Err(_) if how.after.is_some() => store.look_through(id, bytes)?,
                looked => looked?,
            };
            // Equal bytes again are fine; others are found to be so. What is mended has its room.
            if there(id)?.is_some() {
                store.take(fit, bytes, how.mend)?;
                return Ok(false);
            }
            let Some(aside) = space.set_aside(how.quota, stored)? else {
                let detail = "the quota of this store is used up";
                return Err(Trouble::new(StatusCode::INSUFFICIENT_STORAGE, detail));
            };
            store.take(fit, bytes, how.mend)?;
            aside.stored();
            Ok(true)
        }
    });
    let made = made.await?;
    Ok(if made { StatusCode::CREATED } else { StatusCode::OK }.into_response())
}

/// What the journal of a name has to be for it to move.
pub(crate) fn condition(headers: &HeaderMap) -> Answer<Option<Digest>> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let wrong = |detail: &str| Err(Trouble::new(StatusCode::BAD_REQUEST, detail));
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None, Some("*")) => Ok(None),
        (Some(tag), None) => {
            let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            match digits.and_then(|digits| digits.parse().ok()) {
                Some(digest) => Ok(Some(digest)),
                None => wrong("If-Match has the tag of a journal, in quotation marks"),
            }
        }
        (None, None) => {
            let detail = "a name moves only from where it is: If-Match or If-None-Match: * says so";
            Err(Trouble::new(StatusCode::PRECONDITION_REQUIRED, detail))
        }
        _ => wrong("either If-Match with a tag or If-None-Match: *"),
    }
}

/// Moves a name, if its journal is what the client saw.
pub(crate) async fn name(
    space: Arc<Space>,
    name: Name,
    expected: Option<Digest>,
    (journal, room): (PackBytes, OwnedSemaphorePermit),
) -> Answer {
    let tag = journal_tag(&journal);
    let moved = work(move || {
        let _room = room;
        let now = space.opened.backend.read(&Key::Name(name.clone()))?;
        if now.as_deref().map(journal_digest) != expected {
            return Ok(Replaced::Moved);
        }
        // What was here when it was looked at last may have been collected since.
        space.opened.store.packs()?;
        Ok(space.opened.replace(&name, now.as_deref(), &journal)?)
    });
    match moved.await? {
        Replaced::Yes => Ok((StatusCode::OK, [(header::ETAG, tag)]).into_response()),
        Replaced::Refused(why) => Err(Trouble::new(StatusCode::FORBIDDEN, why)),
        Replaced::Moved => {
            let detail = "the name was moved meanwhile";
            Err(Trouble::new(StatusCode::PRECONDITION_FAILED, detail))
        }
    }
}

/// The tag of a journal, as headers have it.
pub(crate) fn journal_tag(journal: &[u8]) -> String {
    format!("\"{}\"", journal_digest(journal))
}

/// Counts what became of a pack.
pub(crate) fn count(metrics: &crate::metrics::Metrics, answer: &Answer<Response>) {
    let sum = match answer {
        Ok(_) => &metrics.packs_taken,
        Err(_) => &metrics.packs_refused,
    };
    sum.fetch_add(1, Ordering::Relaxed);
}

/// Whether a store can be made of this.
pub(crate) fn is_format(bytes: &[u8], store: &[u8]) -> Result<(), ObjectsError> {
    if bytes == store {
        return Ok(());
    }
    let what = String::from_utf8_lossy(bytes).trim().escape_debug().to_string();
    Err(ObjectsError::Damaged { what: format!("'{what}'"), why: "this server has another format" })
}
