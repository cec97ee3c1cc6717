//! A server in this process, and what may happen to connections on their way to it.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses its part")]

mod relay;
mod scripted;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use lab_objects::{Backend, Key, Memory, Store};
use lab_remote::{Opened, RemoteError};
use lab_serve::{Access, Open, Served, Server, Settings, Stop, Tokens};
use lab_web::{Patience, Web, WebError};

pub use relay::{Fate, Relay};
pub use scripted::{ours, page, path, plain, scripted};

pub const QUICK: Patience = Patience {
    silence: Duration::from_secs(2),
    thought: Duration::from_secs(10),
    tries: 4,
    pause: Duration::from_millis(1),
};

/// A server with one store in memory, for which `token` is a token to write.
pub struct Running {
    pub address: SocketAddr,
    pub token: String,
    pub reader: String,
    pub backend: Arc<Memory>,
    pub log: Arc<Mutex<Vec<Served>>>,
    pub folder: tempfile::TempDir,
    stop: Stop,
    thread: Option<JoinHandle<bool>>,
}

pub fn settings(text: &str, folder: &Path) -> Settings {
    std::fs::write(folder.join("serve.toml"), text).unwrap();
    let mut settings = Settings::read(&folder.join("serve.toml")).unwrap();
    settings.listen = Some("127.0.0.1:0".parse().unwrap());
    settings
}

impl Running {
    pub fn new(text: &str) -> Running {
        Running::of(&Arc::new(Memory::new()), text)
    }

    /// With the store behind `memory`.
    pub fn of(memory: &Arc<Memory>, text: &str) -> Running {
        let behind = Arc::clone(memory);
        let open = move |space: &str, make: bool| {
            assert_eq!(space, "");
            opened(&behind, make)
        };
        Running::with(memory, text, false, Box::new(open))
    }

    pub fn with(memory: &Arc<Memory>, text: &str, many: bool, open: Box<Open>) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Tokens::at(&folder.path().join("tokens.toml"));
        let space = if many { "one" } else { "" };
        let token = tokens.add(space, Access::Write, "", None).unwrap();
        let reader = tokens.add(space, Access::Read, "", None).unwrap();
        let settings = settings(text, folder.path());
        let log: Arc<Mutex<Vec<Served>>> = Arc::default();
        let noted = Arc::clone(&log);
        let note = Box::new(move |served: &Served| noted.lock().unwrap().push(served.clone()));
        let server = Server::listen(settings, tokens, many, open, note).unwrap();
        let (address, stop) = (server.address().unwrap(), server.stop());
        let thread = Some(std::thread::spawn(move || server.serve(false).unwrap()));
        let backend = Arc::clone(memory);
        Running { address, token, reader, backend, log, folder, stop, thread }
    }

    pub fn url(&self) -> String {
        url(self.address, &self.token)
    }

    /// A client's store, by way of `address`.
    pub fn store(&self, address: SocketAddr) -> Result<Store, WebError> {
        connect(&url(address, &self.token)).map(|(store, _)| store)
    }

    /// Stops it; says whether everybody could finish.
    pub fn stop(&mut self) -> bool {
        self.stop.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

pub fn url(address: SocketAddr, token: &str) -> String {
    format!("http://{token}@{address}/")
}

pub fn opened(memory: &Arc<Memory>, make: bool) -> lab_remote::Result<Opened> {
    let backend: Arc<dyn Backend> = Arc::clone(memory) as Arc<dyn Backend>;
    let made = backend.read(&Key::Format).unwrap().is_none();
    if made && !make {
        return Err(RemoteError::NotAStore { path: "memory".into() });
    }
    let store = Store::create(Arc::clone(&backend)).unwrap();
    Ok(Opened { backend, store, made, guard: None })
}

pub fn connect(url: &str) -> Result<(Store, Arc<Web>), WebError> {
    let (web, made) = Web::connect(url, true, QUICK, Box::new(|_| {}))?;
    let web = Arc::new(web);
    let open = if made { Store::create } else { Store::open };
    Ok((open(web.clone())?, web))
}

/// What happens to connections on their way.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Clear,
    /// The one that carries the n-th byte there breaks off before it.
    CutThere(i64),
    /// The same of bytes that come back.
    CutBack(i64),
    /// After so many bytes nothing more comes back by that connection, and it stays open.
    Silent(i64),
    /// A byte at a time.
    Trickle,
    /// Everything takes so long each way.
    Late(Duration),
    /// What comes back by the first connection comes twice.
    Twice,
    /// The n-th connection is answered with this by somebody before the server.
    Said(u32, &'static str),
}

/// Something between a client and a server.
pub struct Proxy {
    pub address: SocketAddr,
    /// Connections so far.
    pub connections: Arc<AtomicU32>,
    /// Bytes there and back.
    pub carried: [Arc<AtomicI64>; 2],
    over: Arc<AtomicBool>,
}

impl Proxy {
    pub fn to(server: SocketAddr, way: Way) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicU32::new(0));
        let carried = [Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0))];
        let (counted, sums) = (Arc::clone(&connections), carried.clone());
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let Ok(near) = near else { return };
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let number = counted.fetch_add(1, Ordering::Relaxed);
                let sums = sums.clone();
                // Its own thread: nobody joins it, since a client may keep a connection for ever.
                std::thread::spawn(move || drop(carry(&near, server, way, number, &sums)));
            }
        });
        Proxy { address, connections, carried, over }
    }
}

impl Drop for Proxy {
    /// It takes no more connections: a test makes one for each byte.
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn carry(
    near: &TcpStream,
    server: SocketAddr,
    way: Way,
    number: u32,
    sums: &[Arc<AtomicI64>; 2],
) -> io::Result<()> {
    if let Way::Said(n, text) = way
        && n == number
    {
        let mut head = [0; 16 << 10];
        let _ = (&*near).read(&mut head)?;
        (&*near).write_all(text.as_bytes())?;
        return near.shutdown(Shutdown::Both);
    }
    let far = TcpStream::connect(server)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let cut = if let Way::CutThere(cut) = way { Some(cut) } else { None };
            pass(near, &far, &sums[0], cut, None, way, false)
        });
        let cut = if let Way::CutBack(cut) = way { Some(cut) } else { None };
        let silent = if let Way::Silent(at) = way { Some(at) } else { None };
        let twice = matches!(way, Way::Twice) && number == 0;
        let _ = pass(&far, near, &sums[1], cut, silent, way, twice);
    });
    Ok(())
}

fn pass(
    mut from: &TcpStream,
    mut to: &TcpStream,
    sum: &AtomicI64,
    cut: Option<i64>,
    silent: Option<i64>,
    way: Way,
    twice: bool,
) -> io::Result<()> {
    let mut buffer = vec![0; if matches!(way, Way::Trickle) { 1 } else { 64 << 10 }];
    let end = || {
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    };
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) | Err(_) => {
                end();
                return Ok(());
            }
            Ok(read) => read,
        };
        let before = sum.fetch_add(read as i64, Ordering::Relaxed);
        let after = before + read as i64;
        if let Some(cut) = cut.filter(|cut| (before..after).contains(cut)) {
            let _ = to.write_all(&buffer[..(cut - before) as usize]);
            end();
            return Ok(());
        }
        if let Some(at) = silent.filter(|at| (before..after).contains(at)) {
            let _ = to.write_all(&buffer[..(at - before) as usize]);
            // Until the client gives up.
            while matches!(to.peek(&mut [0]), Ok(1..)) {
                std::thread::sleep(Duration::from_millis(5));
            }
            end();
            return Ok(());
        }
        if let Way::Late(late) = way {
            std::thread::sleep(late);
        }
        let written = to.write_all(&buffer[..read]);
        let written =
            if twice { written.and_then(|()| to.write_all(&buffer[..read])) } else { written };
        if written.is_err() {
            end();
            return Ok(());
        }
    }
}
