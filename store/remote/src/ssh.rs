//! Connections by the user's own `ssh`, which runs `lab serve --stdio` on the far side: whatever works
//! by hand (keys, agents, jump hosts, names of hosts in its settings) works here.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab_objects::{pace, paced_piece};

use crate::link::{Dial, Ends, Held};

/// How long the program may take to end once it has hung up.
const PARTING: Duration = Duration::from_secs(2);

/// A store on another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ssh {
    /// `[user@]host`.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// Absolute, or from the user's home on.
    pub(crate) path: String,
    /// Looks as it was typed.
    pub(crate) location: String,
}

impl Dial for Ssh {
    fn dial(&self) -> io::Result<Ends> {
        let program = std::env::var_os("LAB_SSH").unwrap_or_else(|| "ssh".into());
        let mut command = Command::new(&program);
        if let Some(port) = self.port {
            command.arg("-p").arg(port.to_string());
        }
        // No terminal; and what begins with a dash is no option.
        command.args(["-T", "-o", "ServerAliveInterval=15", "--", &self.host]);
        command.arg(format!("lab serve --stdio {}", quoted(&self.path)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let text = format!("cannot run {}: {error}", program.to_string_lossy());
            io::Error::new(error.kind(), text)
        })?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (to, from) = pipes.ok_or_else(|| io::Error::other("it has no pipes"))?;
        let (from, to) = (Box::new(Paced(from)), Box::new(Paced(to)));
        Ok(Ends { from, to, held: Box::new(Running(child)) })
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}

/// A pipe through which no more goes than may.
struct Paced<P>(P);

impl<P: Read> Read for Paced<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        std::thread::sleep(pace(read as u64));
        Ok(read)
    }
}

impl<P: Write> Write for Paced<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(paced_piece(bytes.len()))];
        std::thread::sleep(pace(piece.len() as u64));
        self.0.write(piece)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The program, which ends with the connection.
struct Running(Child);

impl Held for Running {
    fn why(&mut self) -> Option<String> {
        let until = Instant::now() + PARTING;
        let status = loop {
            match self.0.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
                _ => return None,
            }
        };
        match status.code() {
            Some(0) => None,
            Some(255) => Some("ssh could not connect".to_owned()),
            Some(127) => Some("there is no `lab` on the far side's path".to_owned()),
            Some(code) => Some(format!("`lab serve` there ended with {code}")),
            None => Some("ssh was ended by a signal".to_owned()),
        }
    }

    fn cut(&mut self) {
        // If it cannot be killed, it has ended.
        let _ = self.0.kill();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The far side ends by itself when it is hung up on.
        self.cut();
        let _ = self.0.wait();
    }
}
