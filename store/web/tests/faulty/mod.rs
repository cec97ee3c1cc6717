//! An object store in memory on which things go wrong: conditions that are not looked at, answers that
//! are lost, bodies that break off, listings that do.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use lab_web::{Bucket, Limits, Patience, Terms};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, UploadPart,
};

/// What goes wrong with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and that is said, as with a status of 503.
    Busy,
    /// It is done, and the answer is lost.
    Lost,
    /// It is done, and an error is answered.
    Liar,
    /// What comes breaks off in the middle.
    Torn,
    /// It takes so many milliseconds, and so many more until the answer is there.
    Slow(u64, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditions {
    /// Are looked at.
    Kept,
    /// Are not looked at, silently.
    Ignored,
    /// Only whether something is there, and not what.
    Half,
    /// Are refused.
    Refused,
}

/// Decides what goes wrong with the n-th question (what is asked, of which path).
pub type Plan = Box<dyn Fn(u64, &str, &str) -> Option<Fault> + Send + Sync>;

pub struct Faulty {
    inner: Arc<InMemory>,
    conditions: Conditions,
    plan: Mutex<Arc<Plan>>,
    asked: AtomicU64,
    pub log: Arc<Mutex<Vec<String>>>,
    pub aborted: Arc<AtomicU64>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    pub fn new(conditions: Conditions) -> Arc<Faulty> {
        Faulty::with(conditions, Box::new(|_, _, _| None))
    }

    pub fn with(conditions: Conditions, plan: Plan) -> Arc<Faulty> {
        Arc::new(Faulty {
            inner: Arc::default(),
            conditions,
            plan: Mutex::new(Arc::new(plan)),
            asked: AtomicU64::new(0),
            log: Arc::default(),
            aborted: Arc::default(),
        })
    }

    /// From now on.
    pub fn plan(&self, plan: Plan) {
        *self.plan.lock().unwrap() = Arc::new(plan);
        self.asked.store(0, Ordering::SeqCst);
    }

    /// Another client of the same bucket, with faults of its own.
    pub fn other(&self, plan: Plan) -> Arc<Faulty> {
        let mut other = Faulty::with(self.conditions, plan);
        Arc::get_mut(&mut other).unwrap().inner = Arc::clone(&self.inner);
        other
    }

    /// What is in the bucket.
    pub fn inner(&self) -> &InMemory {
        &self.inner
    }

    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    fn next(&self, what: &str, path: &Path) -> Option<Fault> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        self.log.lock().unwrap().push(format!("{what} {path}"));
        let plan = Arc::clone(&self.plan.lock().unwrap());
        plan(number, what, path.as_ref())
    }

    async fn before(&self, fault: Option<Fault>) -> Result<()> {
        match fault {
            Some(Fault::Busy) => Err(wrong("busy")),
            Some(Fault::Slow(ms, _)) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn after<T>(&self, fault: Option<Fault>, answer: Result<T>) -> Result<T> {
        match fault {
            Some(Fault::Slow(_, ms)) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                answer
            }
            Some(Fault::Lost) => Err(lost()),
            Some(Fault::Liar) => Err(wrong("an internal error")),
            _ => answer,
        }
    }
}

fn wrong(why: &str) -> Error {
    Error::Generic { store: "faulty", source: why.into() }
}

/// A connection that broke off.
fn lost() -> Error {
    use object_store::client::{HttpError, HttpErrorKind};
    let source = std::io::Error::other("connection reset");
    Error::Generic {
        store: "faulty",
        source: Box::new(HttpError::new(HttpErrorKind::Interrupted, source)),
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let fault = self.next("put", path);
        self.before(fault).await?;
        let plain = matches!(options.mode, PutMode::Overwrite);
        match self.conditions {
            Conditions::Kept => {}
            Conditions::Half if matches!(options.mode, PutMode::Create) => {}
            Conditions::Ignored | Conditions::Half => options.mode = PutMode::Overwrite,
            Conditions::Refused if plain => {}
            Conditions::Refused => {
                let (operation, implementer) = ("a condition".to_owned(), "faulty".to_owned());
                return Err(Error::NotImplemented { operation, implementer });
            }
        }
        let answer = self.inner.put_opts(path, payload, options).await;
        self.after(fault, answer).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let fault = self.next("multipart", path);
        self.before(fault).await?;
        let inner = self.inner.put_multipart_opts(path, options).await?;
        let aborted = Arc::clone(&self.aborted);
        Ok(Box::new(Parts { inner, fails: fault.is_some(), aborted }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let what = if options.head { "head" } else { "get" };
        let fault = self.next(what, path);
        self.before(fault).await?;
        let answer = self.inner.get_opts(path, options).await;
        let mut got = self.after(fault, answer).await?;
        if fault == Some(Fault::Torn) {
            let (range, meta) = (got.range.clone(), got.meta.clone());
            let bytes = got.bytes().await?;
            let half = bytes.slice(..bytes.len() / 2);
            let stream = stream::iter([Ok(half)]).boxed();
            got = GetResult {
                payload: GetResultPayload::Stream(stream),
                meta,
                range,
                attributes: Default::default(),
                extensions: Default::default(),
            };
        }
        Ok(got)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let fault = self.next("delete", &Path::default());
        if fault == Some(Fault::Busy) {
            return stream::iter([Err(wrong("busy"))]).boxed();
        }
        let done = self.inner.delete_stream(paths);
        match fault {
            Some(Fault::Lost | Fault::Liar) => done.and_then(|_| async { Err(lost()) }).boxed(),
            _ => done,
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let fault = self.next("list", &prefix.cloned().unwrap_or_default());
        if let Some(Fault::Slow(before, after)) = fault {
            let (inner, prefix) = (Arc::clone(&self.inner), prefix.cloned());
            let listed = async move {
                tokio::time::sleep(Duration::from_millis(before)).await;
                let all: Vec<_> = inner.list(prefix.as_ref()).collect().await;
                tokio::time::sleep(Duration::from_millis(after)).await;
                stream::iter(all)
            };
            return stream::once(listed).flatten().boxed();
        }
        let all = self.inner.list(prefix);
        match fault {
            Some(Fault::Busy | Fault::Lost | Fault::Liar) => stream::iter([Err(lost())]).boxed(),
            Some(Fault::Torn) => {
                all.take(1).chain(stream::iter([Err(wrong("half an answer"))])).boxed()
            }
            _ => all,
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct Parts {
    inner: Box<dyn MultipartUpload>,
    fails: bool,
    aborted: Arc<AtomicU64>,
}

#[async_trait]
impl MultipartUpload for Parts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if self.fails {
            return Box::pin(async { Err(lost()) });
        }
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.aborted.fetch_add(1, Ordering::SeqCst);
        self.inner.abort().await
    }
}

/// A bucket that is quick to lose patience.
pub fn bucket(store: &Arc<Faulty>) -> Bucket {
    bucket_with(store, QUICK, SHORT)
}

pub const QUICK: Patience = Patience {
    tries: 4,
    pause: Duration::from_millis(1),
    silence: Duration::from_secs(5),
    thought: Duration::from_secs(5),
};

pub const SHORT: Limits = Limits {
    wait: Duration::from_secs(20),
    hold: Duration::from_secs(2),
    dead: Duration::from_secs(5),
};

pub fn bucket_with(store: &Arc<Faulty>, patience: Patience, limits: Limits) -> Bucket {
    Bucket::new(Terms {
        store: Arc::<Faulty>::clone(store),
        location: "s3://bucket/lab".to_owned(),
        prefix: "lab".to_owned(),
        keys: String::new(),
        conditional: false,
        patience,
        limits,
        told: Box::new(|_| {}),
    })
}
