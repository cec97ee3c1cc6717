//! Something between a client and a server that knows where an answer begins and ends, and does with whole
//! answers what it likes.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What happens to answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Each n-th breaks off, before it begins or in the middle.
    Broken(u32),
}

/// What it counts.
#[derive(Debug, Default)]
pub struct Counts {
    /// Answers that came from the server.
    pub answers: AtomicU32,
    /// Those to which something happened.
    pub bent: AtomicU32,
}

pub struct Relay {
    pub address: SocketAddr,
    pub counts: Arc<Counts>,
}

impl Relay {
    pub fn to(server: SocketAddr, fate: Fate) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (Ok(near), counts) = (near, Arc::clone(&counted)) else { return };
                // Its own thread: nobody joins it, since a client may keep a connection for ever.
                std::thread::spawn(move || {
                    drop(carry(&near, server, fate, &counts));
                    let _ = near.shutdown(Shutdown::Both);
                });
            }
        });
        Relay { address, counts }
    }
}

fn carry(near: &TcpStream, server: SocketAddr, fate: Fate, counts: &Counts) -> io::Result<()> {
    let far = TcpStream::connect(server)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut from_near, mut from_far) = (BufReader::new(near), BufReader::new(&far));
    loop {
        let question = message(&mut from_near)?;
        (&far).write_all(&question)?;
        let answer = message(&mut from_far)?;
        let number = counts.answers.fetch_add(1, Ordering::Relaxed);
        match fate {
            Fate::Broken(each) if number % each == each - 1 => {
                counts.bent.fetch_add(1, Ordering::Relaxed);
                let part = if number / each % 2 == 0 { 0 } else { answer.len() / 2 };
                return (&*near).write_all(&answer[..part]);
            }
            Fate::Broken(_) => (&*near).write_all(&answer)?,
        }
    }
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
