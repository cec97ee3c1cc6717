//! Connections: taken, spoken to, and ended.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tower_service::Service;

use crate::asker::{From, Log, Shared};
use crate::error::{Result, ServeError};
use crate::limits::{Rate, Room};
use crate::metrics::Metrics;
use crate::routes::router;
use crate::settings::{Settings, Tls};
use crate::spaces::{Open, Spaces};
use crate::steady::Steady;
use crate::tokens::Tokens;

/// Where it listens if nothing is said: for this machine alone.
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7770);
/// Threads that wait for disks.
const WORKERS: usize = 32;
/// How often leases are looked through.
const SWEEP: Duration = Duration::from_secs(60);

/// A server that listens.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    many: bool,
    stop: (watch::Sender<bool>, watch::Receiver<bool>),
}

/// Ends a server.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// Takes no more connections; who is at it may finish.
    pub fn stop(&self) {
        // It fails only if the server has ended.
        let _ = self.0.send(true);
    }
}

impl Server {
    /// Listens. `open` opens the store of a space, or makes it if it is told to and there is none;
    /// without `many` there is one, whose name is empty. `log` hears of every request.
    pub fn listen(
        settings: Settings,
        tokens: Tokens,
        many: bool,
        open: Box<Open>,
        log: Box<Log>,
    ) -> Result<Server> {
        let address = settings.listen.unwrap_or(HERE);
        let failed = |source| ServeError::Listen { address: address.to_string(), source };
        let tls = settings.tls.as_ref().map(acceptor).transpose()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(WORKERS)
            .thread_name("lab-serve")
            .enable_all()
            .build()
            .map_err(failed)?;
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
        let shared = Arc::new(Shared {
            spaces: Spaces::new(open),
            tokens,
            metrics: Arc::default(),
            rate: Rate::new(settings.limits.requests_per_second),
            memory: Room::new(settings.limits.upload_memory_bytes),
            answers: Room::new(settings.limits.answer_memory_bytes),
            log,
            settings,
        });
        Ok(Server { runtime, listener, tls, shared, many, stop: watch::channel(false) })
    }

    /// Where it listens, with the port that it was given.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener
            .local_addr()
            .map_err(|source| ServeError::Listen { address: "?".to_owned(), source })
    }

    /// Whether it speaks TLS.
    pub fn is_secret(&self) -> bool {
        self.tls.is_some()
    }

    /// What was done so far.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.shared.metrics)
    }

    /// Ends it, from elsewhere.
    pub fn stop(&self) -> Stop {
        Stop(self.stop.0.clone())
    }

    /// Serves until it is stopped, or told to by a signal if `signals` is set; says whether all who were
    /// at it could finish.
    pub fn serve(self, signals: bool) -> Result<bool> {
        let Server { runtime, listener, tls, shared, many, stop } = self;
        let limit = Duration::from_secs(shared.settings.limits.stop_seconds);
        let done = runtime.block_on(async move {
            let mut stopped = stop.1.clone();
            let asked = async {
                // That it cannot be waited for means that nobody can stop it so.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            let going = GracefulShutdown::new();
            tokio::select! {
                () = accept(&listener, tls, &shared, many, &going) => {}
                () = asked => {}
                () = told(signals) => {}
            }
            drop(listener);
            tokio::time::timeout(limit, going.shutdown()).await.is_ok()
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        Ok(done)
    }
}

/// Waits for a signal to stop.
async fn told(signals: bool) {
    use tokio::signal::unix::{SignalKind, signal};
    if !signals {
        return std::future::pending().await;
    }
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        // Then the signals end the process themselves.
        _ => std::future::pending().await,
    }
}

async fn accept(
    listener: &TcpListener,
    tls: Option<TlsAcceptor>,
    shared: &Arc<Shared>,
    many: bool,
    going: &GracefulShutdown,
) {
    let places = Arc::new(Semaphore::new(shared.settings.limits.connections));
    let routes = router(Arc::clone(shared), many);
    let silence = shared.settings.limits.silence();
    tokio::spawn({
        let shared = Arc::clone(shared);
        async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                shared.spaces.sweep();
            }
        }
    });
    loop {
        // One who comes when all places are taken waits in the system's own queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, from) = match listener.accept().await {
            Ok(taken) => taken,
            // Too many open files, or one that hung up at once: it passes.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are small or come in large pieces: waiting for more is no use.
        let _ = stream.set_nodelay(true);
        let (routes, tls, metrics) = (routes.clone(), tls.clone(), Arc::clone(&shared.metrics));
        let watcher = going.watcher();
        tokio::spawn(async move {
            metrics.connections.fetch_add(1, Ordering::Relaxed);
            match tls {
                None => talk(stream, from, routes, silence, watcher).await,
                Some(tls) => {
                    // Who does not finish shaking hands is nobody.
                    let shaken = tokio::time::timeout(silence, tls.accept(stream)).await;
                    if let Ok(Ok(stream)) = shaken {
                        let stream: tokio_rustls::server::TlsStream<TcpStream> = stream;
                        talk(stream, from, routes, silence, watcher).await;
                    }
                }
            }
            metrics.connections.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    from: SocketAddr,
    routes: axum::Router,
    silence: Duration,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let working = Arc::new(AtomicBool::new(false));
    let stream = Steady::new(stream, silence, Arc::clone(&working));
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(From(from.ip()));
        let (answer, working) = (routes.clone().call(request), Arc::clone(&working));
        async move {
            working.store(true, Ordering::Relaxed);
            let answer = answer.await;
            working.store(false, Ordering::Relaxed);
            answer
        }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(silence).max_buf_size(64 << 10);
    // How a connection ends is its client's affair; what was wrong with a request was answered.
    let _ = watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await;
}

/// Shakes hands with this certificate.
fn acceptor(tls: &Tls) -> Result<TlsAcceptor> {
    let wrong = |path: &Path, why: String| ServeError::Tls { path: path.to_owned(), why };
    let open = |path: &Path| {
        let file = File::open(path);
        file.map(BufReader::new).map_err(|error| wrong(path, error.to_string()))
    };
    let chain: std::result::Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_reader_iter(open(&tls.certificate)?).collect();
    let chain = chain.map_err(|error| wrong(&tls.certificate, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_reader(open(&tls.key)?)
        .map_err(|error| wrong(&tls.key, error.to_string()))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(&tls.certificate, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
