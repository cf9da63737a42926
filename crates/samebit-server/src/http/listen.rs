//! The listening socket and its connections: accepted up to a number, timed out when idle, let go when the server ends.

use super::signals::asked;
use super::stall::Stalling;
use crate::api;
use crate::app::App;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}{}", remedy(error))]
    Bind {
        /// What was asked for.
        address: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The system gives no threads.
    #[error("cannot start the server's threads: {0}")]
    Threads(String),
    /// An option makes no sense.
    #[error("{0}")]
    Option(String),
    /// Traces cannot be sent.
    #[error("--otlp-endpoint: {0}")]
    Traces(String),
}

/// What to do where an address cannot be listened on.
fn remedy(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::AddrInUse => ": give another --port, or 0 for any that is free",
        ErrorKind::PermissionDenied => ": give a --port from 1024, lower ones are the system's",
        // The name is unknown, or another machine's.
        _ => ": give --host a name or an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all",
    }
}

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every answer that ran was finished.
    Finished,
    /// Some took longer than they were given, and were broken off.
    BrokenOff,
    /// The engine's thread ended by itself: a defect.
    EngineLost,
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Stopped>>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and finishes those that run, within the grace that the options give. Returns at once.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until it has stopped: after [`Running::stop`], or after a signal if `signals` were asked for.
    pub fn wait(mut self) -> Stopped {
        let thread = self.thread.take();
        thread.map_or(Stopped::EngineLost, |thread| thread.join().unwrap_or(Stopped::EngineLost))
    }

    /// Stops when the process is asked to by SIGINT, SIGTERM or SIGHUP (the last on Linux, and not under `nohup`); the second time it
    /// ends at once, with 128 + SIGINT.
    ///
    /// # Errors
    /// The system gives no thread, or no signals.
    pub fn stop_on_signals(&self) -> std::io::Result<()> {
        let stop = self.stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listen = move || {
            runtime.block_on(async {
                asked().await;
                tracing::info!("stopping: running answers are finished first");
                stop.send_replace(true);
                asked().await;
                crate::log::finish();
                std::process::exit(130);
            });
        };
        std::thread::Builder::new().name("samebit-signals".into()).spawn(listen).map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Binds and starts; the server's threads run until it is stopped.
pub(crate) fn start(app: Arc<App>) -> Result<Running, ServeError> {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("samebit-http")
        .enable_all()
        .build()
        .map_err(|error| ServeError::Threads(error.to_string()))?;
    let (host, port) = (app.options.host.clone(), app.options.port);
    let failed = |error| ServeError::Bind { address: format!("{host}:{port}"), error };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = (bare, port).to_socket_addrs().map_err(failed)?.collect();
    let failed = |error| ServeError::Bind { address: format!("{host}:{port}"), error };
    let listener = runtime.block_on(async { bind(&addresses) }).map_err(failed)?;
    let failed = |error| ServeError::Bind { address: format!("{host}:{port}"), error };
    let address = listener.local_addr().map_err(failed)?;
    let (stop, stopping) = watch::channel(false);
    let serve = move || {
        let ended = runtime.block_on(run(&app, listener, stopping));
        let joined = app.stop_engine();
        app.tracer.end();
        // What still hangs on a socket is given up with the runtime.
        runtime.shutdown_timeout(Duration::from_secs(1));
        if joined { ended } else { Stopped::EngineLost }
    };
    let thread = std::thread::Builder::new()
        .name("samebit-serve".into())
        .spawn(serve)
        .map_err(|error| ServeError::Threads(error.to_string()))?;
    Ok(Running { address, stop, thread: Some(thread) })
}

/// Connections that wait with the system to be accepted, as far as it lets them: a burst is not told to come again in a second.
const BACKLOG: u32 = 4096;

/// Listens on the first of these addresses that can be had. Within the runtime, which watches over the socket.
fn bind(addresses: &[SocketAddr]) -> std::io::Result<TcpListener> {
    let mut failure = std::io::Error::new(std::io::ErrorKind::AddrNotAvailable, "the name has no address");
    for &address in addresses {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let listening = socket.and_then(|socket| {
            // Connections of a server that has just ended do not keep the next one waiting. Elsewhere it would let two listen.
            #[cfg(unix)]
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        });
        match listening {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Accepts until told to stop, then waits for what runs; how it ended.
async fn run(app: &Arc<App>, listener: TcpListener, mut stopping: watch::Receiver<bool>) -> Stopped {
    let router = api::router(Arc::clone(app));
    let places = Arc::new(Semaphore::new(app.options.connections.max(1)));
    let graceful = GracefulShutdown::new();
    let mut watchdog = tokio::time::interval(Duration::from_secs(1));
    loop {
        let accepted = async {
            // Beyond the number, connections wait with the system until another has gone.
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => break,
            _ = watchdog.tick() => if !app.engine.is_alive() { break },
            (connection, place) = accepted => match connection {
                Ok((stream, peer)) => serve(app, &router, &graceful, stream, peer, place.ok()),
                Err(error) => {
                    // Out of descriptors, or the client has gone already: neither ends the server.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    app.stop_taking();
    let alive = app.engine.is_alive();
    match (wind_up(app, graceful.shutdown()).await, alive) {
        (_, false) => Stopped::EngineLost,
        (true, true) => Stopped::Finished,
        (false, true) => Stopped::BrokenOff,
    }
}

/// A connection for which nothing is done is waited for so long: what is on its way may still come.
const MOMENT: Duration = Duration::from_secs(1);
/// Clients whose answers are broken off get so long to be told.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Waits for the answers that run, as long as the options say; whether all were finished. Those that are not are told so.
async fn wind_up(app: &Arc<App>, closed: impl Future<Output = ()>) -> bool {
    let mut closed = std::pin::pin!(closed);
    tokio::select! {
        () = &mut closed => return true,
        () = nothing_left(app) => return true,
        () = tokio::time::sleep(app.options.grace) => {}
    }
    let finished = !app.answering.is_any() && !app.sending.is_any();
    let ending = Arc::clone(app);
    // The engine's end closes the channels that answers come through: their requests hear of it, and tell their clients.
    if tokio::task::spawn_blocking(move || ending.break_off()).await.is_err() {
        tracing::error!("the engine was not stopped");
    }
    let _ = tokio::time::timeout(LAST_WORDS, async {
        tokio::select! {
            () = closed => {}
            () = nothing_left(app) => {}
        }
    })
    .await;
    finished
}

/// Returns when for a moment no answer was made, and no client was left to take what it was sent.
async fn nothing_left(app: &App) {
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let mut since = tokio::time::Instant::now();
    while since.elapsed() < MOMENT {
        look.tick().await;
        if app.answering.is_any() || app.sending.is_any() {
            since = tokio::time::Instant::now();
        }
    }
}

/// Serves one connection in a task of its own.
fn serve(
    app: &Arc<App>,
    router: &Router,
    graceful: &GracefulShutdown,
    stream: TcpStream,
    peer: SocketAddr,
    place: Option<tokio::sync::OwnedSemaphorePermit>,
) {
    // Tokens are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let patience = app.options.io_timeout;
    let router = router.clone();
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(Stalling::new(stream, patience, app.sending.clone())), service);
    let connection = graceful.watch(connection);
    let metrics = Arc::clone(&app.metrics);
    metrics.connected();
    tokio::spawn(async move {
        // A connection that breaks concerns nobody but its client.
        if let Err(error) = connection.await {
            tracing::debug!(%error, %peer, "a connection ended");
        }
        metrics.disconnected();
        drop(place);
    });
}

/// As many open files as the system lets this process have: each connection is one.
fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        // Where it is refused, fewer connections are accepted.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}
