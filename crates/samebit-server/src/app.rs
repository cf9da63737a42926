//! What all requests share. Nothing here changes while the server runs, counters aside.

use crate::engine::{self, Handle};
use crate::http::ServeError;
use crate::http::keys::Keys;
use crate::http::rate::Rates;
use crate::http::work::Work;
use crate::metrics::Metrics;
use crate::model::Model;
use crate::options::Options;
use crate::telemetry::Tracer;
use crate::tools::Capabilities;
use samebit_grammar::Grammars;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// What all requests share.
pub(crate) struct App {
    pub(crate) model: Arc<Model>,
    pub(crate) options: Options,
    pub(crate) engine: Handle,
    pub(crate) grammars: Grammars,
    pub(crate) capabilities: Capabilities,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) keys: Keys,
    pub(crate) rates: Rates,
    pub(crate) tracer: Tracer,
    /// Templates, tokenizers and grammars of so many requests are worked on at once.
    pub(crate) preparing: Semaphore,
    /// When the server began, in seconds since 1970.
    pub(crate) created: u64,
    /// Answers that are being made, from the request's last byte to their own.
    pub(crate) answering: Work,
    /// Connections whose client has yet to take what it was sent.
    pub(crate) sending: Work,
    stopping: AtomicBool,
    breaking: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl App {
    /// Starts the engine's thread and the grammars'.
    pub(crate) fn new(model: Model, options: Options) -> Result<Arc<Self>, ServeError> {
        let tracer = Tracer::start(options.otlp_endpoint.as_deref(), &model)?;
        let model = Arc::new(model);
        let metrics = Arc::new(Metrics::default());
        let grammars = Grammars::new(Arc::clone(&model.tokenizer), options.grammar_threads)
            .map_err(|error| ServeError::Threads(error.to_string()))?;
        let (engine, thread) =
            engine::start(Arc::clone(&model), options.limits.clone(), options.cpus.clone(), Arc::clone(&metrics))
                .map_err(ServeError::Threads)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Arc::new(Self {
            capabilities: Capabilities::of(&model),
            keys: Keys::new(&options.api_keys),
            rates: Rates::new(options.rate_requests, options.rate_tokens),
            tracer,
            preparing: Semaphore::new(cores.max(2)),
            created: unix_seconds(),
            answering: Work::default(),
            sending: Work::default(),
            stopping: AtomicBool::new(false),
            breaking: AtomicBool::new(false),
            thread: Mutex::new(Some(thread)),
            model,
            options,
            engine,
            grammars,
            metrics,
        }))
    }

    /// No request is taken from now on.
    pub(crate) fn stop_taking(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether requests are refused because the server is about to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Ends the engine's thread though answers run, and waits for it.
    pub(crate) fn break_off(&self) {
        self.breaking.store(true, Ordering::Relaxed);
        self.engine.stop();
        while self.engine.is_alive() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether answers break off because the server ends.
    pub(crate) fn is_breaking_off(&self) -> bool {
        self.breaking.load(Ordering::Relaxed)
    }

    /// Ends the engine's thread and waits for it; whether it ended well.
    pub(crate) fn stop_engine(&self) -> bool {
        self.engine.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.is_none_or(|thread| thread.join().is_ok())
    }
}

/// Seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
