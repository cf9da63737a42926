//! How to serve: data, and whether it makes sense. `docs/serving.md` tells it to people.

use crate::http::ServeError;
use axum::http::Uri;
use samebit_engine::Limits;
use samebit_engine::sampler::SamplerConfig;
use samebit_text::template::CivilTime;
use std::net::Ipv6Addr;
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

impl Options {
    /// The same, brought into the form in which requests' headers are compared with them.
    ///
    /// # Errors
    /// A key, an origin or a name that no request can have.
    pub fn checked(mut self) -> Result<Self, ServeError> {
        self.api_keys.iter().try_for_each(|key| check_key(key))?;
        self.cors_origins = self.cors_origins.iter().map(|text| origin(text)).collect::<Result<_, _>>()?;
        self.allowed_hosts = self.allowed_hosts.iter().map(|text| host(text)).collect::<Result<_, _>>()?;
        Ok(self)
    }
}

/// A key that `Authorization` can carry. It is not repeated: errors are logged.
fn check_key(key: &str) -> Result<(), ServeError> {
    if key.is_empty() {
        return Err(ServeError::Option("--api-key: a key is empty, and would let everybody in".into()));
    }
    if key.trim_ascii() != key || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        let message = "--api-key: no request can bear this key: give letters, digits and signs, no blanks around them";
        return Err(ServeError::Option(message.into()));
    }
    Ok(())
}

/// An origin as browsers name it: no path, small letters.
fn origin(text: &str) -> Result<String, ServeError> {
    let bare = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    if ["*", "null"].contains(&bare.as_str()) {
        return Ok(bare);
    }
    let whole = bare.parse::<Uri>().ok().and_then(|uri| {
        let (scheme, authority) = (uri.scheme_str()?, uri.authority()?.as_str());
        (!authority.contains('@')).then(|| format!("{scheme}://{authority}"))
    });
    match whole {
        Some(whole) if whole == bare => Ok(bare),
        _ => Err(ServeError::Option(format!(
            "--cors-origin {text}: give an origin as browsers name it, such as https://example.com or http://localhost:3000, or *"
        ))),
    }
}

/// A name as it stands in `Host`, without a port; an IPv6 address without its brackets.
fn host(text: &str) -> Result<String, ServeError> {
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    let name = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if name || bare.parse::<Ipv6Addr>().is_ok() {
        return Ok(bare.to_owned());
    }
    Err(ServeError::Option(format!(
        "--allowed-host {text}: give a name alone, such as models.example.com: no scheme, no port"
    )))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_hosts_and_keys_are_such() {
        for (given, kept) in [
            ("*", "*"),
            ("null", "null"),
            ("https://example.com/", "https://example.com"),
            ("HTTP://LocalHost:3000", "http://localhost:3000"),
            ("chrome-extension://abc", "chrome-extension://abc"),
        ] {
            assert_eq!(origin(given).expect("an origin"), kept);
        }
        for wrong in
            ["", "garbage", "example.com", "https://example.com/path", "https://", "https://a@b", "https://a b"]
        {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
        for (given, kept) in [("models.example.com", "models.example.com"), ("[::1]", "::1"), ("10.0.0.1", "10.0.0.1")]
        {
            assert_eq!(host(given).expect("a name"), kept);
        }
        for wrong in ["", "http://x", "x:80", "a b", "x/", "[]", "ä"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        assert!(check_key("sk-1 2").is_ok());
        for wrong in ["", " x", "x ", "a\nb", "a\tb", "ä", "\u{7f}"] {
            let error = check_key(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with("--api-key: "), "{error}");
        }
    }
}
