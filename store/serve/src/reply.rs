//! Answers: files and parts of files, and troubles in words.

use std::io;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use lab_objects::ObjectsError;
use lab_remote::RemoteError;
use tokio::sync::OwnedSemaphorePermit;

/// Something that is not as it was asked for.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) status: StatusCode,
    /// What the client is told.
    pub(crate) detail: String,
    /// What the log says beyond that.
    pub(crate) more: Option<String>,
    /// After how many seconds it may be asked again.
    pub(crate) retry: Option<u64>,
}

/// What a request comes to.
pub(crate) type Answer<T = Response> = Result<T, Trouble>;

/// What the log is to say of a response.
#[derive(Clone, Debug)]
pub(crate) struct Noted(pub(crate) String);

impl Trouble {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Trouble {
        Trouble { status, detail: detail.into(), more: None, retry: None }
    }

    pub(crate) fn retry(self, seconds: u64) -> Trouble {
        Trouble { retry: Some(seconds), ..self }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let problem = serde_json::json!({
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = (self.status, problem.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"lab\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(seconds) = self.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Noted(self.more.unwrap_or(self.detail)));
        response
    }
}

/// A store failed. Where it lies on the server is nobody's business, and stands in the log alone.
impl From<ObjectsError> for Trouble {
    fn from(error: ObjectsError) -> Trouble {
        let (status, detail) = match &error {
            ObjectsError::Io { source, .. } | ObjectsError::Stream { source, .. } => {
                match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        (StatusCode::INSUFFICIENT_STORAGE, "the server has no room left".to_owned())
                    }
                    kind => {
                        let detail = format!("the server's store failed: {kind}");
                        (StatusCode::INTERNAL_SERVER_ERROR, detail)
                    }
                }
            }
            ObjectsError::Locked { .. } => {
                let detail = "somebody else holds a lock on it".to_owned();
                return Trouble {
                    more: Some(error.to_string()),
                    ..Trouble::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry(1)
                };
            }
            ObjectsError::Damaged { .. }
            | ObjectsError::Corrupt { .. }
            | ObjectsError::Schema(_) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            ObjectsError::Missing { .. } | ObjectsError::RefusedKey { .. } => {
                (StatusCode::CONFLICT, error.to_string())
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "the server's store failed".to_owned()),
        };
        Trouble { more: Some(error.to_string()), ..Trouble::new(status, detail) }
    }
}

impl From<RemoteError> for Trouble {
    fn from(error: RemoteError) -> Trouble {
        match error {
            RemoteError::NotAStore { .. } => no_store(),
            RemoteError::InTheWay { .. } => Trouble {
                more: Some(error.to_string()),
                ..Trouble::new(StatusCode::CONFLICT, "other things than a store are in the way")
            },
            RemoteError::Store { source, .. } => Trouble::from(*source),
            error => Trouble {
                more: Some(error.to_string()),
                ..Trouble::new(
                    StatusCode::BAD_GATEWAY,
                    "the store behind the server is not reached",
                )
            },
        }
    }
}

/// The same for what is not there and for what is not for this token.
pub(crate) fn no_store() -> Trouble {
    Trouble::new(StatusCode::NOT_FOUND, "there is no store of this name, or it is not for you")
}

pub(crate) fn absent() -> Trouble {
    Trouble::new(StatusCode::NOT_FOUND, "there is no such file")
}

/// Bytes of an answer, and the room that they take until they have gone.
pub(crate) struct Held {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl Held {
    pub(crate) fn new(bytes: Vec<u8>, room: OwnedSemaphorePermit) -> Held {
        Held { bytes, _room: room }
    }

    /// How many bytes.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Held> for Bytes {
    fn from(held: Held) -> Bytes {
        Bytes::from_owner(held)
    }
}

/// A whole file.
pub(crate) fn whole(held: Held) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    (kind, Body::from(Bytes::from(held))).into_response()
}

/// Bytes `from..` of a file whose length is not known here.
pub(crate) fn part(from: u64, held: Held) -> Response {
    if held.len() == 0 {
        return (StatusCode::RANGE_NOT_SATISFIABLE, "").into_response();
    }
    let range = format!("bytes {from}-{}/*", from + held.len() - 1);
    let mut response = whole(held);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    if let Ok(range) = HeaderValue::from_str(&range) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    response
}

/// The range that a header asks for: where it begins, and how many bytes. Other forms than `bytes=a-b` and
/// `bytes=a-` are passed over, as a server may.
pub(crate) fn range(header: Option<&HeaderValue>) -> Option<(u64, u64)> {
    let (from, to) = header?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if from.is_empty() || !digits(from) || !digits(to) {
        return None;
    }
    let from: u64 = from.parse().ok()?;
    let last = if to.is_empty() { u64::MAX } else { to.parse().ok()? };
    Some((from, last.checked_sub(from)?.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_strictly() {
        let read = |text: &str| range(Some(&HeaderValue::from_str(text).unwrap()));
        assert_eq!(read("bytes=0-0"), Some((0, 1)));
        assert_eq!(read("bytes=5-"), Some((5, u64::MAX - 4)));
        assert_eq!(read("bytes=0-18446744073709551615"), Some((0, u64::MAX)));
        for other in [
            "bytes=-5",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=1-2,3-4",
            "items=1-2",
            "bytes=",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
        assert_eq!(range(None), None);
    }

    proptest::proptest! {
        #[test]
        fn no_range_is_too_strange(text in "bytes=[0-9]{0,21}-[0-9]{0,21}|\\PC{0,20}") {
            if let Some((from, len)) = HeaderValue::from_str(&text).ok().as_ref().and_then(|v| range(Some(v))) {
                proptest::prop_assert!(len > 0 && from.checked_add(len - 1).is_some());
            }
        }
    }
}
