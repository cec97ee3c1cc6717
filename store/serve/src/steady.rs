//! A connection on which something has to happen: one that takes nothing, or gives nothing in the middle
//! of something, is given up.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Who takes less than so many bytes while it may be silent is given up.
const ENOUGH: usize = 64 << 10;

/// A stream that fails once it has stood still for too long.
pub(crate) struct Steady<S> {
    stream: S,
    silence: Duration,
    reading: Pin<Box<Sleep>>,
    writing: Pin<Box<Sleep>>,
    /// Whether a write waits, and how many bytes went since it does.
    stuck: bool,
    went: usize,
    /// Whether a request is being worked on: then nothing need come.
    working: Arc<AtomicBool>,
}

impl<S> Steady<S> {
    pub(crate) fn new(stream: S, silence: Duration, working: Arc<AtomicBool>) -> Steady<S> {
        let timer = || Box::pin(sleep(silence));
        Steady {
            stream,
            silence,
            reading: timer(),
            writing: timer(),
            stuck: false,
            went: 0,
            working,
        }
    }

    fn still(&self) -> io::Error {
        let seconds = self.silence.as_secs();
        io::Error::new(io::ErrorKind::TimedOut, format!("nothing moved for {seconds} s"))
    }

    /// A write that waits has so long until `ENOUGH` has gone, and not only a byte.
    fn waits<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if !self.stuck || self.went >= ENOUGH {
            (self.stuck, self.went) = (true, 0);
            self.writing.as_mut().reset(Instant::now() + self.silence);
        }
        match self.writing.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(self.still())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Steady<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let until = Instant::now() + self.silence;
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            self.reading.as_mut().reset(until);
            return Poll::Ready(read);
        }
        if self.working.load(Ordering::Relaxed) {
            // Who takes a body in counts the time itself; the answer wakes whoever waits here.
            self.reading.as_mut().reset(until);
        }
        if self.reading.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(self.still()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Steady<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Who is being answered need not say anything meanwhile.
        let until = Instant::now() + self.silence;
        self.reading.as_mut().reset(until);
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                self.went = self.went.saturating_add(*written.as_ref().unwrap_or(&0));
                Poll::Ready(written)
            }
            Poll::Pending => self.waits(cx),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => {
                // All that was to be said has been taken.
                self.stuck = false;
                Poll::Ready(flushed)
            }
            Poll::Pending => self.waits(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Ready(shut) => Poll::Ready(shut),
            Poll::Pending => self.waits(cx),
        }
    }
}
