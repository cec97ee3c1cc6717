//! What can go wrong when a store is to be reached.

use reqwest::StatusCode;

/// The result of reaching a store.
pub type Result<T, E = WebError> = std::result::Result<T, E>;

/// What can go wrong when a store is to be reached. No secret stands in any of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// It is not the location of a store.
    #[error("{0}")]
    BadLocation(&'static str),
    /// It does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// It answers, and there is no store.
    #[error("there is no store")]
    NotAStore,
    /// It answers that this is not for who asks.
    #[error("{0}")]
    Refused(String),
    /// A store is there, and it failed.
    #[error(transparent)]
    Store(#[from] lab_objects::ObjectsError),
}

impl WebError {
    /// Why a store that answers so was not opened; `places` says where what is shown to it is looked for.
    pub(crate) fn of_answer(status: StatusCode, why: String, places: &str) -> WebError {
        match status {
            StatusCode::UNAUTHORIZED => WebError::Refused(format!("{why}; {places}")),
            StatusCode::FORBIDDEN => WebError::Refused(why),
            _ => WebError::Unreachable(why),
        }
    }
}
