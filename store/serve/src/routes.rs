//! What can be asked for, by whom.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{RawPathParams, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use lab_objects::{Key, PackId, Room, inventory};
use lab_schema::Name;

use crate::asker::{Asker, From, Server, Shared, allowed, bearer, session, space, word};
use crate::intake::{self, announced, condition, taken, work};
use crate::limits::network;
use crate::metrics::{Served, UnderWay};
use crate::ranges;
use crate::reply::{self, Answer, Held, Noted, Trouble, absent, no_store};
use crate::spaces::Space;
use crate::tokens::Access;

/// Bytes that are read for an answer at a time.
const PIECE: u64 = 4 << 20;
/// Says that a program of ours answers, and which version of the interface it has.
pub(crate) const SERVES: &str = "lab-serve";
/// The header of a format of whose store nothing was left out.
pub(crate) const COMPLETE: &str = "lab-complete";
/// Says which question is asked; the answer says which one it answers.
const QUESTION: &str = "lab-question";

/// All routes. With `many`, each store has its name before its files; otherwise there is one.
pub(crate) fn router(shared: Arc<Shared>, many: bool) -> Router {
    let store = Router::new()
        .route("/format", get(read_format).put(make_store))
        .route("/inventory", get(read_inventory))
        .route("/ranges", post(read_ranges))
        .route("/packs/{file}", get(read_pack).put(take_pack))
        .route("/names/{file}", get(read_name).put(move_name))
        .route("/leases", post(lease).delete(leave));
    let stores = if many { Router::new().nest("/{space}", store) } else { store };
    Router::new()
        .merge(stores)
        .route("/-/health", get(async || "ok\n"))
        .route("/-/metrics", get(metrics))
        .fallback(async || absent())
        .method_not_allowed_fallback(async || {
            Trouble::new(StatusCode::METHOD_NOT_ALLOWED, "that cannot be done with this")
        })
        .layer(from_fn_with_state(Arc::clone(&shared), watched))
        .with_state(shared)
}

/// Lets a request pass, and notes it.
async fn watched(State(shared): Server, mut request: Request, next: Next) -> Response {
    let (at, start) = (SystemTime::now(), Instant::now());
    let from = request.extensions().get::<From>().map(|From(address)| *address);
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "PUT" | "POST" | "DELETE") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let path = request.uri().path().escape_debug().take(300).collect();
    let bytes_in = request.body().size_hint().exact().unwrap_or(0);
    let _under_way = UnderWay::new(&shared.metrics);
    let question = request.headers().get(QUESTION).cloned();
    let bearer = bearer(&shared.tokens, request.headers());
    let token = bearer.as_ref().ok().and_then(|b| b.as_ref().map(|b| b.id.clone()));
    let asker = token.clone().or(from.map(network)).unwrap_or_default();
    let mut response = match (shared.rate.ask(&asker, start), bearer) {
        (Err(wait), _) => {
            let detail = "more requests in a second than are allowed";
            let seconds = wait.as_secs_f64().ceil() as u64;
            Trouble::new(StatusCode::TOO_MANY_REQUESTS, detail).retry(seconds).into_response()
        }
        (_, Err(trouble)) => trouble.into_response(),
        (Ok(()), Ok(bearer)) => {
            request.extensions_mut().insert(Asker(bearer));
            next.run(request).await
        }
    };
    response.headers_mut().insert(SERVES, HeaderValue::from_static("1"));
    if let Some(question) = question {
        response.headers_mut().insert(QUESTION, question);
    }
    let served = Served {
        at,
        from,
        token,
        method,
        path,
        status: response.status().as_u16(),
        bytes_in,
        bytes_out: response.body().size_hint().exact().unwrap_or(0),
        took: start.elapsed(),
        trouble: response.extensions().get::<Noted>().map(|Noted(text)| text.clone()),
    };
    shared.metrics.note(&served);
    (shared.log)(&served);
    response
}

fn pack_of(params: &RawPathParams) -> Answer<PackId> {
    match Room::Packs.file(word(params, "file")) {
        Some(Key::Pack(id)) => Ok(id),
        _ => Err(absent()),
    }
}

fn name_of(params: &RawPathParams) -> Answer<Name> {
    Name::new(word(params, "file")).map_err(|_| absent())
}

type Extension = axum::Extension<Asker>;

async fn read_format(
    State(shared): Server,
    params: RawPathParams,
    axum::Extension(asker): Extension,
    headers: HeaderMap,
) -> Answer {
    let space = space(&shared, &params, &asker, &headers, Access::Read).await?;
    let read = work(move || {
        let backend = &space.opened.backend;
        Ok((backend.read(&Key::Format)?, backend.is_complete()))
    });
    let (format, is_complete) = read.await?;
    let mut answer = reply::whole(held(&shared, format.ok_or_else(no_store)?).await?);
    if is_complete {
        answer.headers_mut().insert(COMPLETE, HeaderValue::from_static("1"));
    }
    Ok(answer)
}

async fn make_store(
    State(shared): Server,
    params: RawPathParams,
    axum::Extension(asker): Extension,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let name = allowed(&shared, &params, &asker, Access::Write)?;
    let bytes = announced(&headers, Key::Format.max_bytes())?;
    let wanted = taken(body, bytes, shared.settings.limits.silence()).await?;
    let made = work(move || {
        let (space, made) = shared.spaces.space(&name, true)?;
        let format = space.opened.backend.read(&Key::Format)?.unwrap_or_default();
        intake::is_format(&wanted, &format)?;
        Ok(made)
    });
    let made = made.await?;
    Ok(if made { StatusCode::CREATED } else { StatusCode::OK }.into_response())
}

async fn read_inventory(
    State(shared): Server,
    params: RawPathParams,
    axum::Extension(asker): Extension,
    headers: HeaderMap,
) -> Answer {
    let space = space(&shared, &params, &asker, &headers, Access::Read).await?;
    let text = work(move || Ok(inventory(&*space.opened.backend)?)).await?;
    let mut answer = reply::whole(held(&shared, text.into_bytes()).await?);
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(answer)
}

async fn read_name(
    State(shared): Server,
    params: RawPathParams,
    axum::Extension(asker): Extension,
    headers: HeaderMap,
) -> Answer {
    let name = name_of(&params)?;
    let space = space(&shared, &params, &asker, &headers, Access::Read).await?;
    let read = work(move || Ok(space.opened.backend.read(&Key::Name(name))?));
    let journal = read.await?.ok_or_else(absent)?;
    let tag = intake::journal_tag(&journal);
    Ok(([(header::ETAG, tag)], reply::whole(held(&shared, journal).await?)).into_response())
}

async fn read_pack(
    State(shared): Server,
    params: RawPathParams,
    axum::Extension(asker): Extension,
    headers: HeaderMap,
) -> Answer {
    let key = Key::Pack(pack_of(&params)?);
    let space = space(&shared, &params, &asker, &headers, Access::Read).await?;
    if let Some((from, len)) = reply::range(headers.get(header::RANGE)) {
        // No more than a piece of it, and says so: how long the file is, is not known here.
        let part = piece(&shared, &space, &key, from, len).await?.ok_or_else(absent)?;
        return Ok(reply::part(from, part));
    }
    let first = piece(&shared, &space, &key, 0, PIECE).await?.ok_or_else(absent)?;
    if first.len() < PIECE {
        return Ok(reply::whole(first));
    }
    // How long the file is shows when it ends; a body that is cut off is known by its coding.
    let rest = futures_util::stream::unfold(Some((0, Some(first))), move |at| {
        let (shared, space, key) = (Arc::clone(&shared), Arc::clone(&space), key.clone());
        async move {
            let (at, first) = at?;
            let part = match first {
                Some(first) => first,
                None => match piece(&shared, &space, &key, at, PIECE).await {
                    Ok(part) => part?,
                    Err(trouble) => {
                        return Some((Err(std::io::Error::other(trouble.detail)), None));
                    }
                },
            };
            let len = part.len();
            let next = (len == PIECE).then_some((at + len, None));
            (len > 0).then_some((Ok(Bytes::from(part)), next))
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, Body::from_stream(rest)).into_response())
}

async fn read_ranges(
    State(shared): Server,
    params: RawPathParams,
    axum::Extension(asker): Extension,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let space = space(&shared, &params, &asker, &headers, Access::Read).await?;
    let bytes = announced(&headers, 64 << 10)?;
    let list = ranges::parse(&taken(body, bytes, shared.settings.limits.silence()).await?)?;
    let room = intake::room(&shared.answers, list.iter().map(|(_, _, len)| len + 8).sum()).await?;
    let bytes = work(move || ranges::read(&*space.opened.backend, &list)).await?;
    Ok(reply::whole(Held::new(bytes, room)))
}

/// A part of a file of at most so many bytes, and of a piece; none if it is absent.
async fn piece(
    shared: &Shared,
    space: &Arc<Space>,
    key: &Key,
    from: u64,
    len: u64,
) -> Answer<Option<Held>> {
    let (space, key, len) = (Arc::clone(space), key.clone(), len.min(PIECE));
    let room = intake::room(&shared.answers, len).await?;
    let read = work(move || Ok(space.opened.backend.read_range(&key, from, len)?));
    Ok(read.await?.map(|bytes| Held::new(bytes, room)))
}

/// Bytes that are to go, with room for them.
async fn held(shared: &Shared, bytes: Vec<u8>) -> Answer<Held> {
    let room = intake::room(&shared.answers, bytes.len() as u64).await?;
    Ok(Held::new(bytes, room))
}

async fn take_pack(
    State(shared): Server,
    params: RawPathParams,
    axum::Extension(asker): Extension,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = pack_of(&params)?;
    let space = space(&shared, &params, &asker, &headers, Access::Write).await?;
    let bytes = announced(&headers, Key::Pack(id).max_bytes())?;
    let quota = shared.settings.space(word(&params, "space")).quota_bytes;
    let mend = match query.as_deref() {
        None => false,
        Some("mend") => true,
        Some(_) => {
            return Err(Trouble::new(StatusCode::BAD_REQUEST, "a pack has no question but 'mend'"));
        }
    };
    let after = match headers.get("lab-after").map(HeaderValue::to_str) {
        None => None,
        Some(after) => match Room::Packs.file(&format!("{}.pack", after.unwrap_or_default())) {
            Some(Key::Pack(before)) => Some(before),
            _ => return Err(Trouble::new(StatusCode::BAD_REQUEST, "Lab-After names a pack")),
        },
    };
    if after == Some(id) {
        return Err(Trouble::new(StatusCode::BAD_REQUEST, "a pack does not come after itself"));
    }
    let silence = shared.settings.limits.silence();
    let how = intake::How { mend, after, quota, silence };
    let answer = intake::pack(space, id, (body, bytes), &shared.memory, how).await;
    intake::count(&shared.metrics, &answer);
    answer
}

async fn move_name(
    State(shared): Server,
    params: RawPathParams,
    axum::Extension(asker): Extension,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let name = name_of(&params)?;
    let space = space(&shared, &params, &asker, &headers, Access::Write).await?;
    let bytes = announced(&headers, Key::Name(name.clone()).max_bytes())?;
    let expected = condition(&headers)?;
    let room = intake::room(&shared.memory, bytes).await?;
    let journal = taken(body, bytes, shared.settings.limits.silence()).await?;
    intake::name(space, name, expected, (journal, room)).await
}

async fn lease(
    State(shared): Server,
    params: RawPathParams,
    axum::Extension(asker): Extension,
    headers: HeaderMap,
) -> Answer {
    let space = space(&shared, &params, &asker, &headers, Access::Write).await?;
    let Some(session) = session(&headers).map(str::to_owned) else {
        return Err(Trouble::new(StatusCode::BAD_REQUEST, "Lab-Session says whose lease it is"));
    };
    if work(move || Ok(space.lease(&session)?)).await? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let detail = "as many are at work here as can be";
    Err(Trouble::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry(30))
}

async fn leave(
    State(shared): Server,
    params: RawPathParams,
    axum::Extension(asker): Extension,
    headers: HeaderMap,
) -> Answer {
    let space = space(&shared, &params, &asker, &headers, Access::Write).await?;
    if let Some(session) = session(&headers) {
        space.leave(session);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn metrics(State(shared): Server, axum::Extension(Asker(asker)): Extension) -> Answer {
    // They tell what others do: for who may read everything.
    match asker.map(|asker| asker.access(crate::tokens::EVERYWHERE)) {
        Some(Some(_)) => {}
        Some(None) => {
            return Err(Trouble::new(StatusCode::FORBIDDEN, "this token is for one store"));
        }
        None => return Err(Trouble::new(StatusCode::UNAUTHORIZED, "this takes a token")),
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, shared.metrics.text()).into_response())
}
