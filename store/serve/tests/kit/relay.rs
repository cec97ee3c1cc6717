//! Something between a client and a server that knows where an answer begins and ends, and does with whole
//! answers what it likes.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Each n-th breaks off, before it begins or in the middle.
    Broken(u32),
    /// Each n-th does not come, and the connection stays open.
    Lost(u32),
    /// Each n-th comes again a moment later, whatever has been asked meanwhile.
    Doubled(u32),
    /// Each is held back for as long as is drawn, up to so many milliseconds, so that they come in another
    /// order than they were asked for.
    Late(u64),
    /// Each n-th goes to who asked something else at the same time, whose answer comes here.
    Crossed(u32),
}

/// How long an answer waits for another one to be exchanged with.
const MEETING: Duration = Duration::from_millis(10);

/// What has happened so far.
#[derive(Debug, Default)]
pub struct Seen {
    asked: AtomicU32,
    /// Answers that came from the server.
    pub answers: AtomicU32,
    /// Those to which something happened.
    pub bent: AtomicU32,
    /// The last question that was answered.
    newest: AtomicU32,
    draws: AtomicU64,
    /// An answer that waits to be exchanged.
    waits: Mutex<Option<Waits>>,
}

/// The number of a question, its answer, and who hears of the other one.
type Waits = (u32, Vec<u8>, Sender<Vec<u8>>);

pub struct Relay {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
}

impl Relay {
    pub fn to(server: SocketAddr, fate: Fate) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (Ok(near), seen) = (near, Arc::clone(&shared)) else { return };
                // Its own thread: nobody joins it, since a client may keep a connection for ever.
                std::thread::spawn(move || {
                    drop(carry(&near, server, fate, &seen));
                    let _ = near.shutdown(Shutdown::Both);
                });
            }
        });
        Relay { address, seen }
    }
}

fn carry(near: &TcpStream, server: SocketAddr, fate: Fate, seen: &Seen) -> io::Result<()> {
    let far = TcpStream::connect(server)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut from_near, mut from_far) = (BufReader::new(near), BufReader::new(&far));
    let back = Arc::new(Mutex::new(near.try_clone()?));
    loop {
        let question = message(&mut from_near)?;
        let asked = seen.asked.fetch_add(1, Ordering::Relaxed);
        (&far).write_all(&question)?;
        let mut answer = message(&mut from_far)?;
        let number = seen.answers.fetch_add(1, Ordering::Relaxed);
        let is_each = |n: u32| (number + 1).is_multiple_of(n);
        match fate {
            Fate::Broken(n) if is_each(n) => {
                seen.bent.fetch_add(1, Ordering::Relaxed);
                let part = answer.len() / 2 * (number / n % 2) as usize;
                return back.lock().unwrap().write_all(&answer[..part]);
            }
            Fate::Lost(n) if is_each(n) => {
                seen.bent.fetch_add(1, Ordering::Relaxed);
                // Until the client gives up.
                return from_near.read_until(b'\n', &mut Vec::new()).map(drop);
            }
            // Whole packs: who asks for one again may have the same answer, and it may have been put right.
            Fate::Doubled(n) if is_each(n) && !is_for_a_whole_pack(&question) => {
                seen.bent.fetch_add(1, Ordering::Relaxed);
                let (back, again) = (Arc::clone(&back), answer.clone());
                let moment = Duration::from_micros(draw(seen) % 3_000);
                std::thread::spawn(move || {
                    std::thread::sleep(moment);
                    let _ = back.lock().unwrap().write_all(&again);
                });
            }
            Fate::Late(most) => {
                std::thread::sleep(Duration::from_millis(draw(seen) % most));
                if seen.newest.fetch_max(asked, Ordering::Relaxed) > asked {
                    seen.bent.fetch_add(1, Ordering::Relaxed);
                }
            }
            Fate::Crossed(n) if is_each(n) => answer = exchanged(asked, answer, seen),
            _ => {}
        }
        back.lock().unwrap().write_all(&answer)?;
    }
}

fn is_for_a_whole_pack(question: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&question[..question.len().min(2_000)]);
    head.starts_with("GET /packs/") && !head.contains("\r\nrange: ")
}

/// The answer of somebody else, if one comes within a moment.
fn exchanged(asked: u32, answer: Vec<u8>, seen: &Seen) -> Vec<u8> {
    let (hand, handed) = channel();
    let mut waits = seen.waits.lock().unwrap();
    if let Some((_, theirs, hand)) = waits.take() {
        seen.bent.fetch_add(2, Ordering::Relaxed);
        hand.send(answer).unwrap();
        return theirs;
    }
    *waits = Some((asked, answer, hand));
    drop(waits);
    if let Ok(theirs) = handed.recv_timeout(MEETING) {
        return theirs;
    }
    match seen.waits.lock().unwrap().take_if(|(number, ..)| *number == asked) {
        Some((_, answer, _)) => answer,
        // It was taken this very moment.
        None => handed.recv().unwrap(),
    }
}

/// Numbers that look drawn, the same each time.
fn draw(seen: &Seen) -> u64 {
    let mut x = seen.draws.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A question or an answer as a whole: its head, and the body that the head tells of.
fn message(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let line = line(from, &mut all)?;
        let Some((name, value)) = line.split_once(':') else {
            if line.is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            "transfer-encoding" => is_chunked = value.trim() == "chunked",
            _ => {}
        }
    }
    if !is_chunked {
        body(from, length, &mut all)?;
        return Ok(all);
    }
    loop {
        let line = line(from, &mut all)?;
        let length = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
        body(from, length + 2, &mut all)?;
        if length == 0 {
            return Ok(all);
        }
    }
}

fn line(from: &mut impl BufRead, all: &mut Vec<u8>) -> io::Result<String> {
    let begun = all.len();
    if from.read_until(b'\n', all)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&all[begun..]).trim_end().to_owned())
}

fn body(from: &mut impl BufRead, length: usize, all: &mut Vec<u8>) -> io::Result<()> {
    let begun = all.len();
    all.resize(begun + length, 0);
    from.read_exact(&mut all[begun..])
}
