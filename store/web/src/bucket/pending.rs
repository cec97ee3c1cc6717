//! Packs on their way up. Two go at a time, and none is there before the one before it, since it may hold
//! what is made of that.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::thread::JoinHandle;

use lab_objects::{ObjectsError, Result};
use tokio::sync::oneshot::{Receiver, channel};

use super::trouble::Trouble;

/// Packs at a time.
const AT_ONCE: usize = 2;

/// Packs on their way, in their order.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    packs: VecDeque<JoinHandle<Result<()>>>,
    last: Option<Receiver<bool>>,
}

/// Whatever has to be there first.
#[derive(Debug, Default)]
pub(crate) struct Before(Option<Receiver<bool>>);

impl Before {
    /// Whether there may be something to wait for.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// Waits until it is there.
    pub(crate) async fn is_there(&mut self) -> std::result::Result<(), Trouble> {
        let Some(before) = self.0.take() else { return Ok(()) };
        // Whoever ends without a word did not get there.
        match before.await {
            Ok(true) => Ok(()),
            _ => {
                let why = "what it may stand on did not get there".to_owned();
                Err(Trouble::Refused(ErrorKind::Other, why))
            }
        }
    }
}

impl Pending {
    /// Sends one more in a thread of its own; waits while enough are on their way, and tells of the first
    /// that did not get there.
    pub(crate) fn send(
        &mut self,
        send: impl FnOnce(Before) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        while self.packs.len() >= AT_ONCE || self.packs.front().is_some_and(JoinHandle::is_finished)
        {
            if let Err(first) = self.confirm() {
                // What becomes of the others follows from it.
                let _ = self.settle();
                return Err(first);
            }
        }
        if self.packs.is_empty() {
            self.last = None;
        }
        let (tell, hear) = channel();
        let before = Before(self.last.replace(hear));
        self.packs.push_back(std::thread::spawn(move || {
            let sent = send(before);
            // There may be nobody who waits.
            let _ = tell.send(sent.is_ok());
            sent
        }));
        Ok(())
    }

    /// Waits for all that are on their way, and tells of the first that did not get there.
    pub(crate) fn settle(&mut self) -> Result<()> {
        let mut first = Ok(());
        while !self.packs.is_empty() {
            let sent = self.confirm();
            first = first.and(sent);
        }
        first
    }

    /// What became of the first.
    fn confirm(&mut self) -> Result<()> {
        let Some(pack) = self.packs.pop_front() else { return Ok(()) };
        pack.join().unwrap_or_else(|_| {
            let source = io::Error::other("the thread that sent a pack has ended");
            Err(ObjectsError::Stream { verb: "publish", source })
        })
    }
}
