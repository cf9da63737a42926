//! How to serve. Data alone; `docs/serving.md` tells it to people.

use samebit_engine::Limits;
use samebit_engine::sampler::SamplerConfig;
use samebit_text::template::CivilTime;
use std::time::Duration;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0: any that is free.
    pub port: u16,
    /// What the engine's batch may hold.
    pub limits: Limits,
    /// Sampling where a request says nothing.
    pub sampling: SamplerConfig,
    /// Tokens to generate at most where a request says nothing; `None`: until the context is full.
    pub predict: Option<usize>,
    /// Keys that requests must bear one of; none: everybody may ask.
    pub api_keys: Vec<String>,
    /// Origins whose pages may read answers; `*`: all.
    pub cors_origins: Vec<String>,
    /// Names that `Host` may have besides this machine's own, where no key is asked for and the server is on loopback.
    pub allowed_hosts: Vec<String>,
    /// Requests a minute for each key, or for each address where there are no keys.
    pub rate_requests: Option<u32>,
    /// Tokens a minute, of prompts and answers, for each key or address.
    pub rate_tokens: Option<u32>,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Choices of one request: prompts times `n`.
    pub choices: usize,
    /// Connections at once.
    pub connections: usize,
    /// How long an answer may take, waiting included.
    pub timeout: Duration,
    /// How long a client may take to send a request, and a connection may idle or refuse to take bytes.
    pub io_timeout: Duration,
    /// How long running answers may go on after the server was asked to stop.
    pub grace: Duration,
    /// Threads that compute grammars' masks.
    pub grammar_threads: usize,
    /// CPUs to bind the engine's threads to, if that is wanted.
    pub cpus: Option<Vec<usize>>,
    /// The day that a template's clock shows; without one it has no clock.
    pub date: Option<CivilTime>,
    /// Whether `/slots` tells who is being served.
    pub slots: bool,
    /// Whether `/metrics` is there.
    pub metrics: bool,
    /// Whether the chat page is there.
    pub page: bool,
    /// Address of an OpenTelemetry collector (OTLP over HTTP) that is told of every request; without the feature `otel` an error.
    pub otlp_endpoint: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 8080,
            limits: Limits::default(),
            sampling: SamplerConfig::default(),
            predict: None,
            api_keys: Vec::new(),
            cors_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            rate_requests: None,
            rate_tokens: None,
            body_bytes: 32 << 20,
            choices: 2048,
            connections: 16_384,
            timeout: Duration::from_secs(600),
            io_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            grammar_threads: 1,
            cpus: None,
            date: None,
            slots: true,
            metrics: true,
            page: true,
            otlp_endpoint: None,
        }
    }
}
