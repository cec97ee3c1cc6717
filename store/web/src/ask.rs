//! Questions by HTTP: with limits, and asked again where that may help.

use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use lab_objects::{Room, paced_piece};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Method, Response, StatusCode, Url};
use tokio::time::{Instant, sleep, timeout};

use crate::credentials::Credentials;
use crate::runtime::keep_pace;

/// Hears in words what happens to a connection.
pub type Told = Box<dyn Fn(&str) + Send>;

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long nothing may move.
    pub silence: Duration,
    /// How long a server may look through what it was given.
    pub thought: Duration,
    /// How often a question is asked again.
    pub tries: u32,
    /// The first pause before it is; each is twice the last.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            silence: Duration::from_secs(60),
            thought: Duration::from_secs(300),
            tries: 5,
            pause: Duration::from_millis(250),
        }
    }
}

/// Says that a `lab serve` answers.
pub(crate) const SERVES: &str = "lab-serve";
/// The header of a format of whose store nothing was left out.
pub(crate) const COMPLETE: &str = "lab-complete";
/// Which question is asked, and is answered: an answer that comes twice or to somebody else must not be taken
/// for another one.
const QUESTION: &str = "lab-question";

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(20);
/// No server may ask for a longer pause.
const LONGEST: Duration = Duration::from_secs(60);
/// Bytes of a body that are handed over at a time.
const PIECE: usize = 64 << 10;
/// Questions under way at a time: at first, and at most.
const WIDTH: (usize, usize) = (8, 32);
/// Room for the first bytes of what comes; more is made when they are there.
const AT_FIRST: u64 = 4 << 20;
/// Most bytes that are read of an answer that says what is wrong.
const WORDS: u64 = 4 << 10;

/// A question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    /// From the store's root on.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    /// Most bytes of the answer; a longer one is none.
    pub(crate) limit: u64,
    /// Where the range begins that is asked for. A server that does not know of ranges hands out the whole
    /// file: then so many bytes are passed over, and what follows the range is left.
    pub(crate) range: Option<u64>,
}

impl Question {
    pub(crate) fn get(path: impl Into<String>, limit: u64) -> Question {
        let (method, path, headers) = (Method::GET, path.into(), HeaderMap::new());
        Question { method, path, headers, body: None, limit, range: None }
    }

    pub(crate) fn send(method: Method, path: impl Into<String>, body: Bytes) -> Question {
        let (path, headers) = (path.into(), HeaderMap::new());
        Question { method, path, headers, body: Some(body), limit: 64 << 10, range: None }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Question {
        // What is put here is hexadecimal digits and the like.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// What came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Why nothing came that answers a question.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It may help to ask again, after a pause.
    Broken { why: String, pause: Option<Duration>, never_connected: bool },
    /// It does not.
    Final { kind: io::ErrorKind, why: String },
}

/// Asks one server.
pub(crate) struct Asker {
    client: Client,
    base: Url,
    credentials: Option<Credentials>,
    pub(crate) session: String,
    /// How often.
    asked: AtomicU64,
    /// As people know it.
    pub(crate) shown: String,
    told: Mutex<Option<Told>>,
    patience: Patience,
    width: AtomicUsize,
}

impl Asker {
    pub(crate) fn new(
        base: Url,
        shown: String,
        credentials: Option<Credentials>,
        patience: Patience,
        told: Told,
    ) -> Result<Asker, String> {
        // What was secret on its way here stays so on its way on.
        let policy = Policy::custom(|attempt| {
            let falls = attempt.previous().last().is_some_and(|last| last.scheme() == "https")
                && attempt.url().scheme() != "https";
            if falls || attempt.previous().len() > 5 { attempt.stop() } else { attempt.follow() }
        });
        let client = Client::builder()
            .user_agent(concat!("lab/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECTING)
            .redirect(policy)
            .referer(false)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| said(&error))?;
        let draw = RandomState::new().build_hasher().finish();
        Ok(Asker {
            client,
            base,
            credentials,
            session: format!("{draw:016x}"),
            asked: AtomicU64::new(0),
            shown,
            told: Mutex::new(Some(told)),
            patience,
            width: AtomicUsize::new(WIDTH.0),
        })
    }

    /// The same of another folder of the server.
    pub(crate) fn below(mut self, folder: &str) -> Asker {
        if let Ok(base) = self.base.join(folder) {
            self.base = base;
        }
        self
    }

    /// How many questions may be under way.
    pub(crate) fn width(&self) -> usize {
        self.width.load(Ordering::Relaxed)
    }

    /// Asks until there is an answer, or no hope of one. `first`: nothing has ever been answered, and
    /// what is wrong is most likely wrong for good.
    pub(crate) async fn ask(&self, question: &Question, first: bool) -> Result<Answer, Failure> {
        let mut pause = self.patience.pause;
        for attempt in 0.. {
            let failure = match self.once(question).await {
                Ok(answer) => {
                    let width = self.width();
                    self.width.store((width + 1).min(WIDTH.1), Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let Failure::Broken { why, pause: asked, never_connected } = &failure else {
                return Err(failure);
            };
            if attempt == self.patience.tries || (first && *never_connected) {
                return Err(failure);
            }
            self.width.store((self.width() / 2).max(1), Ordering::Relaxed);
            if let Some(told) = &*self.told.lock().unwrap_or_else(PoisonError::into_inner) {
                told(&format!("{}: {why}; trying again", self.shown));
            }
            // Of many clients that lose a server at once not all shall come back at once.
            let draw = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
            sleep(match asked {
                // Not before it said.
                Some(asked) => (*asked).min(LONGEST).mul_f64(1.0 + draw / 4.0),
                None => pause.min(LONGEST).mul_f64(0.5 + draw),
            })
            .await;
            pause *= 2;
        }
        unreachable!("it returns with the last attempt")
    }

    /// What the answer to a question has to bear. Parts of packs, which do not change, are called by what they
    /// are, so that whoever keeps them on the way can hand them out again; all else is asked anew each time.
    fn tag(&self, Question { method, path, headers, .. }: &Question) -> String {
        if *method == Method::GET && path.starts_with(Room::Packs.folder()) {
            let range = headers.get("range").and_then(|range| range.to_str().ok());
            return format!("{path} {}", range.unwrap_or("all"));
        }
        format!("{}-{}", self.session, self.asked.fetch_add(1, Ordering::Relaxed))
    }

    async fn once(&self, question: &Question) -> Result<Answer, Failure> {
        let url = self.base.join(&question.path).map_err(|error| fails(error.to_string()))?;
        let mut request = self.client.request(question.method.clone(), url);
        let tag = self.tag(question);
        request = request.headers(question.headers.clone()).header("lab-session", &self.session);
        request = request.header(QUESTION, &tag);
        if let Some(credentials) = &self.credentials {
            request = credentials.shown_with(request);
        }
        let moved = Arc::new(AtomicU64::new(0));
        let length = question.body.as_ref().map_or(0, Bytes::len) as u64;
        if let Some(body) = &question.body {
            request = request
                .header(reqwest::header::CONTENT_LENGTH, length)
                .body(Body::wrap_stream(pieces(body.clone(), Arc::clone(&moved))));
        }
        let sent = self.sent(request, &moved, length).await?;
        let (said, serves) = (sent.headers().get(QUESTION), sent.headers().contains_key(SERVES));
        if serves && said.is_none_or(|said| said.as_bytes() != tag.as_bytes()) {
            let why = "an answer to another question came".to_owned();
            return Err(Failure::Broken { why, pause: None, never_connected: false });
        }
        self.read(question, sent).await
    }

    /// Sends, as long as bytes move.
    async fn sent(
        &self,
        request: reqwest::RequestBuilder,
        moved: &AtomicU64,
        length: u64,
    ) -> Result<Response, Failure> {
        let mut sending = Box::pin(request.send());
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            if let Ok(sent) = timeout(self.patience.silence / 4, &mut sending).await {
                return sent.map_err(|error| broken(&error));
            }
            let now = moved.load(Ordering::Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            let Patience { silence, thought, .. } = self.patience;
            let patience = if length > 0 && now == length { thought } else { silence };
            if since.elapsed() > patience {
                return Err(silent(patience));
            }
        }
    }

    async fn read(&self, question: &Question, mut sent: Response) -> Result<Answer, Failure> {
        let (status, headers) = (sent.status(), sent.headers().clone());
        let whole = question.range.filter(|_| status == StatusCode::OK);
        let mut skip = whole.unwrap_or(0);
        let limit = if status.is_success() { question.limit } else { WORDS };
        let announced = sent.content_length().unwrap_or(0).min(limit).min(AT_FIRST);
        let mut body = Vec::with_capacity(announced as usize);
        loop {
            let silence = self.patience.silence;
            let part = timeout(silence, sent.chunk()).await.map_err(|_| silent(silence))?;
            let Some(part) = part.map_err(|error| broken(&error))? else { break };
            keep_pace(part.len() as u64).await;
            let passed = (part.len() as u64).min(skip);
            skip -= passed;
            let part = &part[passed as usize..];
            let room = limit - body.len() as u64;
            body.extend_from_slice(&part[..part.len().min(usize::try_from(room).unwrap_or(0))]);
            if part.len() as u64 > room {
                if whole.is_some() || !status.is_success() {
                    // More was not asked for.
                    break;
                }
                return Err(fails("more came than was asked for".to_owned()));
            }
        }
        let answer = Answer { status, headers, body };
        match status.as_u16() {
            408 | 425 | 429 | 500 | 502 | 503 | 504 => Err(Failure::Broken {
                why: answer.trouble(),
                pause: answer.pause(),
                never_connected: false,
            }),
            _ => Ok(answer),
        }
    }
}

impl Answer {
    /// What the server says is wrong.
    pub(crate) fn trouble(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        // `"detail": "..."` of a problem document; other servers' pages say nothing to people.
        let detail = text.split_once("\"detail\":").and_then(|(_, rest)| {
            let rest = rest.trim_start().strip_prefix('"')?;
            Some(rest.split_once('"')?.0.chars().filter(|c| !c.is_control()).collect::<String>())
        });
        match detail {
            Some(detail) => format!("{detail} ({})", self.status.as_u16()),
            None => format!("the server answers {}", self.status),
        }
    }

    fn pause(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// A body in pieces, which are counted as they are taken.
fn pieces(
    body: Bytes,
    moved: Arc<AtomicU64>,
) -> impl futures_util::Stream<Item = Result<Bytes, io::Error>> + Send + 'static {
    stream::unfold((body, moved), |(mut rest, moved)| async {
        let piece = rest.split_to(rest.len().min(paced_piece(PIECE)));
        if piece.is_empty() {
            return None;
        }
        keep_pace(piece.len() as u64).await;
        moved.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Some((Ok(piece), (rest, moved)))
    })
}

fn fails(why: String) -> Failure {
    Failure::Final { kind: io::ErrorKind::InvalidData, why }
}

fn silent(patience: Duration) -> Failure {
    let why = format!("nothing moved for {} s", patience.as_secs_f64());
    Failure::Broken { why, pause: None, never_connected: false }
}

fn broken(error: &reqwest::Error) -> Failure {
    let why = said(error);
    if error.is_builder() || error.is_redirect() {
        return fails(why);
    }
    Failure::Broken { why, pause: None, never_connected: error.is_connect() }
}

/// What is at the bottom of it, without the URL.
fn said(error: &reqwest::Error) -> String {
    let mut last: &dyn Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    match error.source() {
        Some(_) => last.to_string(),
        // Without a cause, it would show the whole URL.
        None if error.is_timeout() => "it took too long".to_owned(),
        None => "the question could not be sent".to_owned(),
    }
}
