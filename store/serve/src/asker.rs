//! Who asks, and whether they may.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{RawPathParams, State};
use axum::http::{HeaderMap, StatusCode, header};
use lab_schema::Name;

use crate::intake::work;
use crate::limits::{Rate, Room};
use crate::metrics::{Metrics, Served};
use crate::reply::{Answer, Trouble, no_store};
use crate::settings::Settings;
use crate::spaces::{Space, Spaces};
use crate::tokens::{Access, Bearer, Tokens};

/// Hears of every request.
pub type Log = dyn Fn(&Served) + Send + Sync;

/// All that requests share.
pub(crate) struct Shared {
    pub(crate) spaces: Spaces,
    pub(crate) tokens: Tokens,
    pub(crate) settings: Settings,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rate: Rate,
    pub(crate) memory: Room,
    /// For answers that are on their way.
    pub(crate) answers: Room,
    pub(crate) log: Box<Log>,
}

pub(crate) type Server = State<Arc<Shared>>;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From(pub(crate) IpAddr);

/// Who asks, if it was said.
#[derive(Clone, Debug)]
pub(crate) struct Asker(pub(crate) Option<Bearer>);

/// Whose token a request bears; a token that is nobody's is an error even where none is needed.
pub(crate) fn bearer(tokens: &Tokens, headers: &HeaderMap) -> Answer<Option<Bearer>> {
    let Some(said) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let refused = |detail: &str| Trouble::new(StatusCode::UNAUTHORIZED, detail);
    let text = said.to_str().ok().and_then(|said| {
        let (scheme, token) = said.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let text = text.ok_or_else(|| refused("the token comes as 'Authorization: Bearer TOKEN'"))?;
    let found = tokens.bearer(text).map_err(|error| Trouble {
        more: Some(error.to_string()),
        ..Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, "the server cannot read its tokens")
    })?;
    found.map(Some).ok_or_else(|| refused("this token does not hold, or no more"))
}

/// The part of a path that has this name.
pub(crate) fn word<'a>(params: &'a RawPathParams, name: &str) -> &'a str {
    params.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// The store that a path names, if who asks may do this with it.
pub(crate) async fn space(
    shared: &Arc<Shared>,
    params: &RawPathParams,
    asker: &Asker,
    headers: &HeaderMap,
    wanted: Access,
) -> Answer<Arc<Space>> {
    let name = allowed(shared, params, asker, wanted)?;
    let opened = Arc::clone(shared);
    let session = session(headers).map(str::to_owned);
    work(move || {
        let (space, _) = opened.spaces.space(&name, false)?;
        match session {
            // Whose lease has run out, or is of a server before this one, gets another.
            Some(session) if wanted == Access::Write => drop(space.lease(&session)?),
            Some(session) => drop(space.heard(&session)),
            None => {}
        }
        Ok(space)
    })
    .await
}

/// The name of the store, if who asks may do this with it. Whether there is one is not said to others.
pub(crate) fn allowed(
    shared: &Shared,
    params: &RawPathParams,
    Asker(asker): &Asker,
    wanted: Access,
) -> Answer<String> {
    let name = word(params, "space");
    // Files of the server's own lie beside the stores.
    let is_ours = name.ends_with(".toml") || name.ends_with(".lock");
    if !name.is_empty() && (is_ours || Name::new(name).is_err()) {
        return Err(no_store());
    }
    let open = shared.settings.space(name).anonymous_read && wanted == Access::Read;
    match asker.as_ref().map(|asker| asker.access(name)) {
        Some(Some(access)) if access >= wanted => Ok(name.to_owned()),
        _ if open => Ok(name.to_owned()),
        None => Err(Trouble::new(StatusCode::UNAUTHORIZED, "this takes a token")),
        Some(Some(_)) => Err(Trouble::new(StatusCode::FORBIDDEN, "this token may only read")),
        Some(None) => Err(no_store()),
    }
}

/// What a client calls itself, so that its lease is known.
pub(crate) fn session(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("lab-session")?.to_str().ok()?;
    (text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(text)
}
