//! A small S3 on loopback, as strict as the real ones where it matters: signed requests only, exact ranges,
//! listings in pages, conditions if wanted. On the way to it things can go wrong.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done; the answer is this status.
    Status(u16),
    /// It is done, and the connection is cut before the answer.
    NoAnswer,
    /// The connection is cut before it is done.
    Cut,
    /// The answer breaks off in the middle.
    Torn,
    /// What comes is as long as it should be, and not what it should be.
    Wrong,
    /// The answer comes a byte at a time.
    Slow,
}

/// Decides what goes wrong with the n-th request, told as `GET lab/format`.
pub type Plan = Box<dyn FnMut(usize, &str) -> Option<Fault> + Send>;

pub const BUCKET: &str = "bucket";
pub const KEY: &str = "AKIDTEST";
pub const REGION: &str = "test-1";

/// Entries of a page of a listing.
const PAGE: usize = 3;

struct State {
    objects: BTreeMap<String, (Vec<u8>, u64)>,
    next: u64,
    log: Vec<String>,
    plan: Plan,
    conditions: bool,
    latency: Duration,
    under_way: usize,
    trips: usize,
}

#[derive(Clone)]
pub struct S3 {
    pub address: String,
    state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl S3 {
    pub fn start(conditions: bool) -> S3 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            objects: BTreeMap::new(),
            next: 1,
            log: Vec::new(),
            plan: Box::new(|_, _| None),
            conditions,
            latency: Duration::ZERO,
            under_way: 0,
            trips: 0,
        }));
        let server = S3 { address, state };
        let ours = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let ours = ours.clone();
                // A client that hangs up is no failure of the server.
                std::thread::spawn(move || drop(ours.serve(&stream)));
            }
        });
        server
    }

    /// From now on; the requests are counted anew.
    pub fn plan(&self, plan: Plan) {
        let mut state = self.state.lock().unwrap();
        state.plan = plan;
        state.log.clear();
        state.trips = 0;
    }

    /// How long each answer takes.
    pub fn latency(&self, latency: Duration) {
        self.state.lock().unwrap().latency = latency;
    }

    /// How many times the way was taken since the last plan, if what is asked together counts once.
    pub fn trips(&self) -> usize {
        self.state.lock().unwrap().trips
    }

    /// What was asked since the last plan.
    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn keys(&self) -> Vec<String> {
        self.state.lock().unwrap().objects.keys().cloned().collect()
    }

    pub fn clear(&self) {
        self.state.lock().unwrap().objects.clear();
    }

    /// What `lab` has to know of it.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "s3cret/of+all".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
        ]
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = read(&mut reader)? {
            let (fault, latency) = {
                let mut state = self.state.lock().unwrap();
                let what = match request.query.get("prefix") {
                    Some(prefix) => format!("LIST {prefix}"),
                    None => format!("{} {}", request.method, request.path),
                };
                state.log.push(what.clone());
                let number = state.log.len() - 1;
                state.trips += usize::from(state.under_way == 0);
                state.under_way += 1;
                ((state.plan)(number, &what), state.latency)
            };
            std::thread::sleep(latency);
            self.state.lock().unwrap().under_way -= 1;
            let answer = match fault {
                Some(Fault::Status(status)) => error(status, "Trouble", "on purpose"),
                Some(Fault::Cut) => return Ok(()),
                _ => self.answer(&request),
            };
            if fault == Some(Fault::NoAnswer) {
                return Ok(());
            }
            if !write(stream, &request, answer, fault)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn answer(&self, request: &Request) -> Answer {
        let signed = request.headers.get("authorization").cloned().unwrap_or_default();
        if !signed.contains(&format!("Credential={KEY}/")) {
            return error(403, "InvalidAccessKeyId", "The key that you provided is not known.");
        }
        if !signed.contains(&format!("/{REGION}/s3/")) {
            let message =
                format!("expecting '{REGION}'</Message><Region>{REGION}</Region><Message>");
            return error(400, "AuthorizationHeaderMalformed", &message);
        }
        let path = request.path.as_str();
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket != BUCKET {
            return error(404, "NoSuchBucket", "The bucket does not exist");
        }
        let mut state = self.state.lock().unwrap();
        if key.is_empty() {
            return list(&state.objects, &request.query);
        }
        match request.method.as_str() {
            "PUT" => put(&mut state, key, request),
            "DELETE" => {
                state.objects.remove(key);
                Answer { status: 204, headers: Vec::new(), body: Vec::new() }
            }
            _ => match state.objects.get(key) {
                None => error(404, "NoSuchKey", "The key does not exist"),
                Some((bytes, version)) => get(bytes, *version, request.headers.get("range")),
            },
        }
    }
}

fn put(state: &mut State, key: &str, request: &Request) -> Answer {
    if state.conditions {
        let there = state.objects.get(key).map(|(_, version)| format!("\"{version:032x}\""));
        let refused = match (request.headers.get("if-none-match"), request.headers.get("if-match"))
        {
            (Some(_), _) => there.is_some(),
            (_, Some(expected)) => there.as_ref() != Some(expected),
            _ => false,
        };
        if refused {
            return error(412, "PreconditionFailed", "At least one did not hold");
        }
    }
    let version = state.next;
    state.next += 1;
    state.objects.insert(key.to_owned(), (request.body.clone(), version));
    let headers = vec![("etag", format!("\"{version:032x}\""))];
    Answer { status: 200, headers, body: Vec::new() }
}

fn get(bytes: &[u8], version: u64, range: Option<&String>) -> Answer {
    let mut headers = vec![
        ("etag", format!("\"{version:032x}\"")),
        ("last-modified", "Mon, 30 Nov 2026 12:00:00 GMT".to_owned()),
    ];
    let Some(range) = range else {
        return Answer { status: 200, headers, body: bytes.to_vec() };
    };
    let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
    if start >= bytes.len() {
        return error(416, "InvalidRange", "The range is not satisfiable");
    }
    let end = end.min(bytes.len() - 1);
    headers.push(("content-range", format!("bytes {start}-{end}/{}", bytes.len())));
    Answer { status: 206, headers, body: bytes[start..=end].to_vec() }
}

fn list(objects: &BTreeMap<String, (Vec<u8>, u64)>, query: &BTreeMap<String, String>) -> Answer {
    let prefix = query.get("prefix").cloned().unwrap_or_default();
    let after = query.get("continuation-token").cloned().unwrap_or_default();
    let found: Vec<_> =
        objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after).collect();
    let page = &found[..found.len().min(PAGE)];
    let mut body = format!("<ListBucketResult><IsTruncated>{}</IsTruncated>", found.len() > PAGE);
    if let (true, Some((last, _))) = (found.len() > PAGE, page.last()) {
        body += &format!("<NextContinuationToken>{last}</NextContinuationToken>");
    }
    for (key, (bytes, version)) in page {
        body += &format!(
            "<Contents><Key>{key}</Key><LastModified>2026-11-30T12:00:{:02}.000Z</LastModified><ETag>&quot;{version:032x}&quot;</ETag><Size>{}</Size></Contents>",
            version % 2,
            bytes.len()
        );
    }
    body += "</ListBucketResult>";
    Answer { status: 200, headers: Vec::new(), body: body.into_bytes() }
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    Answer { status, headers: Vec::new(), body: body.into_bytes() }
}

/// A request; none at the end.
fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let bytes = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    let mut body = vec![0; bytes];
    reader.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = query.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
    let path = decoded(path.trim_start_matches('/'));
    Ok(Some(Request { method, path, query, headers, body }))
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        plain.push(u8::from_str_radix(&part[..2], 16).unwrap() as char);
        plain += &part[2..];
    }
    plain
}

/// Sends an answer; whether the connection can be used further.
fn write(
    mut stream: &TcpStream,
    request: &Request,
    mut answer: Answer,
    fault: Option<Fault>,
) -> std::io::Result<bool> {
    if fault == Some(Fault::Wrong) {
        answer.body.iter_mut().for_each(|byte| *byte ^= 0x20);
    }
    let mut head =
        format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let body = if request.method == "HEAD" { Vec::new() } else { answer.body };
    let mut all = [head.as_bytes(), b"\r\n", &body].concat();
    if fault == Some(Fault::Torn) {
        all.truncate(all.len() - (body.len() / 2).max(1));
        stream.write_all(&all)?;
        return Ok(false);
    }
    let step = if fault == Some(Fault::Slow) { 1 } else { all.len() };
    for part in all.chunks(step) {
        stream.write_all(part)?;
    }
    Ok(true)
}
