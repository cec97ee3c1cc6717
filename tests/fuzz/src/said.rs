//! A server in this process that answers what it is told to, and a client that asks it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lab_web::{Patience, Web};

/// A server that answers what it is told to, as `lab serve` or as a plain web server.
pub struct Said {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicU32>,
    /// Asks it.
    pub web: Web,
}

/// What it answers.
#[derive(Clone, Default)]
pub struct Answer {
    /// Status and reason.
    pub status: String,
    /// A header beyond those that are needed.
    pub header: Option<(&'static str, String)>,
    /// What comes after the headers.
    pub body: Vec<u8>,
}

impl Said {
    /// With `ours` as `lab serve` does.
    pub fn new(ours: bool) -> Said {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let url = format!("http://{}/", listener.local_addr().expect("it listens"));
        let (answer, asked) = (Arc::<Mutex<Answer>>::default(), Arc::<AtomicU32>::default());
        let (told, count) = (Arc::clone(&answer), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (told, count) = (Arc::clone(&told), Arc::clone(&count));
                let Ok(stream) = stream else { return };
                // Until the client closes it.
                std::thread::spawn(move || speak(stream, ours, &told, &count));
            }
        });
        let silence = Duration::from_secs(5);
        let patience = Patience { silence, thought: silence, tries: 0, pause: Duration::ZERO };
        let reached = Web::connect(&url, false, patience, Box::new(|_| {}));
        let (web, _) = reached.expect("it answers");
        asked.store(0, Ordering::Relaxed);
        Said { answer, asked, web }
    }

    /// What it says from now on.
    pub fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        self.asked.store(0, Ordering::Relaxed);
    }

    /// How often it was asked since then.
    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn speak(stream: TcpStream, ours: bool, told: &Mutex<Answer>, count: &AtomicU32) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut from = BufReader::new(stream);
    loop {
        let (mut first, mut question, mut length) = (String::new(), String::new(), 0);
        from.read_line(&mut first).ok().filter(|read| *read > 0)?;
        loop {
            let mut line = String::new();
            from.read_line(&mut line).ok()?;
            match line.trim_end().split_once(": ") {
                None => break,
                Some(("lab-question", said)) => question = said.to_owned(),
                Some(("content-length", said)) => length = said.parse().ok()?,
                Some(_) => {}
            }
        }
        from.read_exact(&mut vec![0; length]).ok()?;
        count.fetch_add(1, Ordering::Relaxed);
        let Answer { status, header, body } = match first.contains(" /format ") {
            true => Answer {
                status: "200 OK".to_owned(),
                body: b"lab store 2\n".to_vec(),
                ..Answer::default()
            },
            false => told.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
        if ours {
            head += &format!("lab-serve: 1\r\nlab-question: {question}\r\n");
        }
        if let Some((name, value)) = header {
            head += &format!("{name}: {value}\r\n");
        }
        from.get_mut().write_all(&[head.as_bytes(), b"\r\n", &body].concat()).ok()?;
    }
}
