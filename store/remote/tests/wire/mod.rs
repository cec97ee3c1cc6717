//! Connections to a server in this process, and what may happen to them on their way.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::io::{self, Cursor, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use lab_objects::{Backend, Key, Memory, Store};
use lab_remote::{Dial, Ends, Far, Held, Opened, Patience, Result, answer};

pub const QUICK: Patience =
    Patience { silence: Duration::from_secs(5), tries: 3, pause: Duration::from_millis(1) };

/// What happens to a connection on its way.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Clear,
    /// It breaks off after so many bytes that go there.
    CutThere(i64),
    /// After so many bytes that come back.
    CutBack(i64),
    /// Nothing comes back after so many bytes, and it stays open.
    Silent(i64),
    /// What goes there is taken and never arrives; after a while nothing is taken either.
    Stuck,
    /// A byte at a time.
    Trickle,
    /// Of the messages that come back the n-th does not come,
    Lost(usize),
    /// comes twice,
    Doubled(usize),
    /// comes after the one that follows it, if one does.
    Overtaken(usize),
}

/// Connections to a server in this process; the n-th goes the n-th way, those after the last go clear.
#[derive(Debug)]
pub struct Wire {
    backend: Arc<Memory>,
    ways: Vec<Way>,
    pub patience: Patience,
    pub dialled: Arc<AtomicU32>,
    pub servers: Arc<Mutex<Vec<JoinHandle<io::Result<()>>>>>,
}

impl Wire {
    pub fn new(backend: &Arc<Memory>, ways: &[Way]) -> Wire {
        let (dialled, servers) = (Arc::default(), Arc::default());
        let (backend, ways, patience) = (Arc::clone(backend), ways.to_vec(), QUICK);
        Wire { backend, ways, patience, dialled, servers }
    }

    pub fn far(self) -> Result<Far> {
        let patience = self.patience;
        Ok(Far::connect(Box::new(self), patience, true, Box::new(|_| {}))?.0)
    }

    pub fn store(self) -> Result<Store> {
        Ok(Store::open(Arc::new(self.far()?)).unwrap())
    }
}

/// An end of a connection with something on its way.
struct Bent {
    stream: UnixStream,
    left: AtomicI64,
    way: Way,
}

impl Read for Bent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        let most = match self.way {
            Way::CutBack(_) if left <= 0 => return Ok(0),
            Way::Silent(_) if left <= 0 => loop {
                // Until it is cut.
                if self.stream.read(&mut [0; 64])? == 0 {
                    return Ok(0);
                }
            },
            Way::CutBack(_) | Way::Silent(_) => buffer.len().min(left as usize),
            Way::Trickle => 1,
            _ => buffer.len(),
        };
        let read = self.stream.read(&mut buffer[..most])?;
        self.left.fetch_sub(read as i64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Write for Bent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        let most = match self.way {
            Way::CutThere(_) if left <= 0 => {
                self.stream.shutdown(Shutdown::Both)?;
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Way::CutThere(_) => bytes.len().min(left as usize),
            Way::Trickle => 1,
            _ => bytes.len(),
        };
        let written = self.stream.write(&bytes[..most])?;
        self.left.fetch_sub(written as i64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// An end of a connection that knows where a message begins and ends.
struct Mangled {
    messages: Receiver<Vec<u8>>,
    way: Way,
    /// Messages that have come so far.
    number: usize,
    ready: Cursor<Vec<u8>>,
}

impl Mangled {
    fn new(mut stream: UnixStream, way: Way) -> Mangled {
        let (hand, messages) = channel();
        std::thread::spawn(move || {
            let mut message = || -> io::Result<Vec<u8>> {
                let mut all = vec![0; 4];
                stream.read_exact(&mut all)?;
                let length = u32::from_le_bytes(all[..].try_into().unwrap());
                all.resize(4 + length as usize, 0);
                stream.read_exact(&mut all[4..])?;
                Ok(all)
            };
            while message().is_ok_and(|message| hand.send(message).is_ok()) {}
        });
        Mangled { messages, way, number: 0, ready: Cursor::default() }
    }
}

impl Read for Mangled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.position() == self.ready.get_ref().len() as u64 {
            // None comes when the connection has ended.
            let Ok(mut came) = self.messages.recv() else { return Ok(0) };
            let number = self.number;
            self.number += 1;
            match self.way {
                Way::Lost(n) if n == number => continue,
                Way::Doubled(n) if n == number => came = came.repeat(2),
                Way::Overtaken(n) if n == number => {
                    if let Ok(next) = self.messages.recv_timeout(Duration::from_millis(20)) {
                        came = [next, came].concat();
                    }
                }
                _ => {}
            }
            self.ready = Cursor::new(came);
        }
        self.ready.read(buffer)
    }
}

struct Stream(UnixStream);

impl Held for Stream {
    fn cut(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.cut();
    }
}

pub fn ends(stream: UnixStream, way: Way) -> Ends {
    let bent = |stream: &UnixStream| {
        let left = match way {
            Way::CutThere(left) | Way::CutBack(left) | Way::Silent(left) => left,
            _ => i64::MAX,
        };
        Bent { stream: stream.try_clone().unwrap(), left: AtomicI64::new(left), way }
    };
    let from: Box<dyn Read + Send> = match way {
        Way::Lost(_) | Way::Doubled(_) | Way::Overtaken(_) => {
            Box::new(Mangled::new(stream.try_clone().unwrap(), way))
        }
        _ => Box::new(bent(&stream)),
    };
    Ends { from, to: Box::new(bent(&stream)), held: Box::new(Stream(stream)) }
}

/// Connections of which none lasts: most are short, and each fourth is long enough for whatever is asked.
pub fn ragged() -> Vec<Way> {
    let way = |n: i64| match n % 4 {
        0 => Way::CutBack(200 + n * 37 % 5_000),
        1 => Way::CutThere(5_000 + n * 7_919 % 90_000),
        2 => Way::CutThere(200 + n * 53 % 5_000),
        _ => Way::CutBack(80_000_000 + n * 104_729 % 4_000_000),
    };
    (0..400).map(way).collect()
}

/// Connections on which something happens to an answer sooner or later; after three of them one is cut.
pub fn mangled() -> Vec<Way> {
    let way = |n: usize| match n % 4 {
        0 => Way::Doubled(1 + n * 7 % 60),
        1 => Way::Overtaken(1 + n * 5 % 40),
        2 => Way::Lost(1 + n * 3 % 50),
        _ => Way::CutBack(80_000_000),
    };
    (0..400).map(way).collect()
}

impl Dial for Wire {
    fn dial(&self) -> io::Result<Ends> {
        let number = self.dialled.fetch_add(1, Ordering::Relaxed) as usize;
        let way = self.ways.get(number).copied().unwrap_or(Way::Clear);
        let (near, far) = UnixStream::pair()?;
        let backend = Arc::clone(&self.backend);
        let stuck = matches!(way, Way::Stuck);
        self.servers.lock().unwrap().push(std::thread::spawn(move || {
            if stuck {
                std::thread::sleep(Duration::from_secs(30));
                return Ok(());
            }
            let open = move |_| -> Result<Opened> {
                let made = backend.read(&Key::Format).unwrap().is_none();
                let store = Store::create(backend.clone()).unwrap();
                Ok(Opened { backend: backend.clone(), store, made, guard: None })
            };
            let to = far.try_clone()?;
            let answered = answer(&mut &far, to, &open);
            let _ = far.shutdown(Shutdown::Both);
            answered
        }));
        Ok(ends(near, way))
    }

    fn location(&self) -> String {
        "wire".into()
    }
}
