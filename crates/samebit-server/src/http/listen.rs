//! The listening socket and its connections: accepted up to a number, timed out when idle, let go when the server ends.

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
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// What was asked for.
        address: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The system gives no threads.
    #[error("cannot start the server's threads: {0}")]
    Threads(String),
    /// Traces cannot be sent.
    #[error("--otlp-endpoint: {0}")]
    Traces(String),
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

    /// Waits until it has stopped: after [`Running::stop`], or after SIGINT or SIGTERM if `signals` were asked for.
    pub fn wait(mut self) -> Stopped {
        let thread = self.thread.take();
        thread.map_or(Stopped::EngineLost, |thread| thread.join().unwrap_or(Stopped::EngineLost))
    }

    /// Stops when the process is asked to by SIGINT or SIGTERM; the second time it ends at once, with 128 + SIGINT.
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

/// Returns when the process is asked to end.
async fn asked() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without signals there is nothing to wait for, and nobody can ask.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
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
        let finished = runtime.block_on(run(&app, listener, stopping));
        let alive = app.engine.is_alive();
        let joined = app.stop_engine();
        app.tracer.end();
        // What still hangs on a socket is given up with the runtime.
        runtime.shutdown_timeout(Duration::from_secs(1));
        match (alive && joined, finished) {
            (false, _) => Stopped::EngineLost,
            (true, true) => Stopped::Finished,
            (true, false) => Stopped::BrokenOff,
        }
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

/// Accepts until told to stop, then waits for what runs; whether all of it was finished in time.
async fn run(app: &Arc<App>, listener: TcpListener, mut stopping: watch::Receiver<bool>) -> bool {
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
    tokio::time::timeout(app.options.grace, graceful.shutdown()).await.is_ok()
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
        .serve_connection(TokioIo::new(Stalling::new(stream, patience)), service);
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
