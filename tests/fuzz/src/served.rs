//! A server in this process with two stores, and requests to it, one at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock, Mutex};

use lab_objects::{Backend, Expected, Key, Memory, Move, NameKind, Room, Store, TOLD};
use lab_remote::Opened;
use lab_schema::Name;
use lab_serve::{Access, Server, Settings, Tokens};

/// The server that the targets ask.
pub static SERVED: LazyLock<Served> = LazyLock::new(Served::new);

/// A server, what is in its stores, and who may do what with them.
pub struct Served {
    address: SocketAddr,
    connection: Mutex<Option<BufReader<TcpStream>>>,
    /// The store `one`.
    pub one: Arc<Memory>,
    /// The store `two`.
    pub two: Arc<Memory>,
    /// To write in `one`.
    pub writer: String,
    /// To read in `one`.
    pub reader: String,
    /// To write in `two`.
    pub stranger: String,
    /// Revoked.
    pub gone: String,
    before: [Vec<(Key, Vec<u8>)>; 2],
}

/// What is answered.
pub struct Heard {
    /// The status.
    pub status: u16,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// What comes after them.
    pub body: Vec<u8>,
}

impl Heard {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A store in memory with a pack and a name, the same each time.
pub fn filled(content: &str) -> Arc<Memory> {
    let memory = Arc::new(Memory::new());
    let store = Store::create(memory.clone()).expect("there is memory");
    let mut writer = store.writer();
    let id = writer.put_bytes(content.repeat(40).as_bytes()).expect("there is memory");
    writer.finish().expect("there is memory");
    let m = Move {
        target: Some(id.into()),
        kind: NameKind::Dataset,
        when_ms: 1,
        who: content.to_owned(),
        why: String::new(),
    };
    let name = Name::new("n").expect("a name");
    store.names().set(&name, Expected::Absent, m).expect("there is memory");
    memory
}

/// The pack of a store that has one.
pub fn pack_of(memory: &Memory) -> Key {
    memory.list(Room::Packs).expect("there is memory").remove(0).0
}

/// Every file of a store.
pub fn files(memory: &Memory) -> Vec<(Key, Vec<u8>)> {
    let rooms = [Room::Root].into_iter().chain(TOLD);
    let keys = rooms.flat_map(|room| memory.list(room).expect("there is memory"));
    let whole = |key: Key| memory.read(&key).expect("there is memory").map(|bytes| (key, bytes));
    keys.filter_map(|(key, _)| whole(key)).collect()
}

impl Served {
    fn new() -> Served {
        let folder = std::env::temp_dir().join(format!("lab-fuzz-served-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let tokens = Tokens::at(&folder.join("tokens.toml"));
        let token = |space, access| tokens.add(space, access, "", None).expect("it can be written");
        let (writer, reader) = (token("one", Access::Write), token("one", Access::Read));
        let (stranger, gone) = (token("two", Access::Write), token("one", Access::Write));
        let id = gone.split('_').nth(1).expect("a token has an id");
        tokens.revoke(id).expect("it is there");
        let (one, two) = (filled("of one"), filled("of two"));
        let stores = [("one", Arc::clone(&one)), ("two", Arc::clone(&two))];
        let open = move |space: &str, _: bool| {
            let found = stores.iter().find(|(name, _)| *name == space);
            let (_, backend) =
                found.ok_or_else(|| lab_remote::RemoteError::NotAStore { path: space.into() })?;
            let store = Store::open(backend.clone()).expect("a store");
            Ok(Opened { backend: backend.clone(), store, made: false, guard: None })
        };
        let mut settings = Settings::default();
        settings.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        settings.limits.requests_per_second = u32::MAX;
        let server = Server::listen(settings, tokens, true, Box::new(open), Box::new(|_| {}));
        let server = server.expect("there is a port");
        let address = server.address().expect("it listens");
        std::thread::spawn(move || server.serve(false));
        let before = [files(&one), files(&two)];
        let connection = Mutex::default();
        Served { address, connection, one, two, writer, reader, stranger, gone, before }
    }

    /// Bytes below 7 become words that a fuzzer cannot guess: a pack, a name, tokens. What gets longer than a
    /// server takes a head for is cut.
    pub fn spelled(&self, data: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        for byte in data {
            if all.len() > 20_000 {
                break;
            }
            match byte {
                1 => all.extend(pack_of(&self.one).path().into_bytes()),
                2 => all.extend(b"names/n"),
                3 => all.extend(self.writer.as_bytes()),
                4 => all.extend(self.reader.as_bytes()),
                5 => all.extend(self.stranger.as_bytes()),
                6 => all.extend(self.gone.as_bytes()),
                byte => all.push(*byte),
            }
        }
        all
    }

    /// Asks for something with a token that may write, or with what `headers` say of that.
    pub fn ask(&self, method: &str, path: &[u8], headers: &[(&str, &[u8])], body: &[u8]) -> Heard {
        let one_line = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().map(|byte| if b"\r\n".contains(byte) { b'.' } else { *byte }).collect()
        };
        let path: Vec<u8> =
            one_line(path).iter().map(|b| if *b == b' ' { b'+' } else { *b }).collect();
        let mut said = [method.as_bytes(), b" ", &path, b" HTTP/1.1\r\nhost: x\r\n"].concat();
        for (name, value) in headers {
            said.extend([name.as_bytes(), b": ", &one_line(value), b"\r\n"].concat());
        }
        if headers.iter().all(|(name, _)| *name != "authorization") {
            said.extend(format!("authorization: Bearer {}\r\n", self.writer).into_bytes());
        }
        said.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
        said.extend(body);
        let mut connection = self.connection.lock().expect("nobody panics while holding it");
        // It may have been closed after the last answer.
        for _ in 0..2 {
            let mut stream = connection.take().unwrap_or_else(|| {
                let stream = TcpStream::connect(self.address).expect("it listens");
                stream.set_nodelay(true).expect("a stream");
                BufReader::new(stream)
            });
            let answered = stream.get_mut().write_all(&said);
            let answered = answered.and_then(|()| heard(&mut stream, method == "HEAD"));
            if let Ok(heard) = answered {
                if heard.header("connection") != Some("close") {
                    *connection = Some(stream);
                }
                return heard;
            }
        }
        panic!("it does not answer {:?}", String::from_utf8_lossy(&said));
    }

    /// Nothing in the stores has changed, and nothing of what is secret was answered.
    pub fn is_as_before(&self, heard: &Heard) {
        assert!([files(&self.one), files(&self.two)] == self.before, "something was written");
        let said = format!("{:?} {}", heard.headers, String::from_utf8_lossy(&heard.body));
        for token in [&self.writer, &self.reader, &self.stranger, &self.gone] {
            let secret = token.rsplit('_').next().expect("a token has a secret");
            assert!(!said.contains(secret), "a secret was answered");
        }
    }
}

fn heard(from: &mut BufReader<TcpStream>, is_head: bool) -> io::Result<Heard> {
    let mut line = || -> io::Result<String> {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    };
    let status = line()?.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut heard = Heard { status, headers, body: Vec::new() };
    let length = heard.header("content-length").and_then(|length| length.parse().ok());
    if let Some(length) = length.filter(|_| !is_head) {
        heard.body = vec![0; length];
        from.read_exact(&mut heard.body)?;
    }
    Ok(heard)
}
