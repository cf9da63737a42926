//! Asking servers: redirects followed by hand, so that the token goes to the hub alone; every refusal in one line with its remedy.
//!
//! Knows nothing of models.

use crate::error::HubError;
use crate::settings::Settings;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use ureq::http::{HeaderMap, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

/// More hops than this lead nowhere.
const MOST_HOPS: usize = 8;
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(20);
/// Answers in JSON longer than this are none.
const MOST_JSON: u64 = 64 << 20;
/// Where systems keep the certificates of the authorities that they trust, besides `SSL_CERT_FILE`.
const AUTHORITIES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// Asks servers on behalf of one user.
pub(crate) struct Client {
    agent: OnceLock<(Agent, bool)>,
    endpoint: String,
    token: Option<String>,
    offline: bool,
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// SHA-256 of the file, as the hub tells in the answer that redirects to it.
    pub(crate) linked_sha256: Option<String>,
    /// Who answered in the end.
    pub(crate) host: String,
    body: Body,
}

impl Answer {
    /// The body as it comes. It ends in an error if the connection breaks before its stated length.
    pub(crate) fn reader(self) -> impl Read {
        self.body.into_reader()
    }

    /// A header that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Client {
    pub(crate) fn new(settings: &Settings) -> Self {
        let Settings { endpoint, token, offline, .. } = settings.clone();
        Self { agent: OnceLock::new(), endpoint, token, offline }
    }

    /// A GET, from this byte on if one is given. Answers 200 and 206; all others are errors.
    pub(crate) fn get(&self, url: &str, from: Option<Range<'_>>) -> Result<Answer, HubError> {
        let mut place = parse(url)?;
        if self.offline {
            return Err(HubError::Refused(format!("{place}: HF_HUB_OFFLINE is set: unset it to fetch models")));
        }
        let mut linked_sha256 = None;
        for _ in 0..MOST_HOPS {
            let response = self.once(&place, &from)?;
            let status = response.status().as_u16();
            let (parts, body) = response.into_parts();
            let etag = parts.headers.get("x-linked-etag").and_then(|value| value.to_str().ok()).map(unquoted);
            linked_sha256 = linked_sha256.or(etag.filter(|etag| crate::name::is_sha256(etag)));
            if let 301 | 302 | 303 | 307 | 308 = status {
                let location = parts.headers.get("location").and_then(|value| value.to_str().ok());
                place = location.and_then(|location| resolve(&place, location)).ok_or_else(|| {
                    HubError::Refused(format!("{}: redirects to nowhere: try again later", host(&place)))
                })?;
                continue;
            }
            let answer = Answer { status, headers: parts.headers, linked_sha256, host: host(&place), body };
            return if matches!(status, 200 | 206) { Ok(answer) } else { Err(self.refusal(url, &place, &answer)) };
        }
        Err(HubError::Refused(format!("{}: redirects without end: try again later", host(&place))))
    }

    /// A GET whose answer is JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, HubError> {
        let answer = self.get(url, None)?;
        let host = answer.host.clone();
        let mut bytes = Vec::new();
        answer.reader().take(MOST_JSON).read_to_end(&mut bytes).map_err(|error| broken(&host, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            HubError::Refused(format!("{host}: does not answer as the hub does ({error}): is HF_ENDPOINT right?"))
        })
    }

    /// One request, no redirect followed.
    fn once(&self, place: &Uri, from: &Option<Range<'_>>) -> Result<ureq::http::Response<Body>, HubError> {
        let (agent, trusts) = self.agent.get_or_init(agent);
        if place.scheme_str() == Some("https") && !trusts {
            return Err(HubError::Local(format!(
                "{}: no certificates to know it by: install ca-certificates, or set SSL_CERT_FILE",
                host(place)
            )));
        }
        let mut request = agent.get(place);
        if let Some(range) = from {
            request = request.header("Range", &range.value());
            if let Some(validator) = range.unless_changed {
                request = request.header("If-Range", validator);
            }
        }
        if let Some(token) = self.token.as_ref().filter(|_| self.is_hub(place)) {
            request = request.header("Authorization", &format!("Bearer {token}"));
        }
        request.call().map_err(|error| unreachable_host(place, &error))
    }

    /// Whether the token may be seen there: the same scheme, host and port as the hub's.
    fn is_hub(&self, place: &Uri) -> bool {
        parse(&self.endpoint).is_ok_and(|hub| origin(&hub) == origin(place))
    }

    /// What a status says, and what to do.
    fn refusal(&self, url: &str, place: &Uri, answer: &Answer) -> HubError {
        let (host, status) = (host(place), answer.status);
        let hub = self.is_hub(place);
        let why = match (status, hub, &self.token) {
            (401, true, None) => "no such model, or a private one: check its name, or set HF_TOKEN".to_owned(),
            (401, true, Some(_)) => "no such model, or HF_TOKEN does not open it: check both".to_owned(),
            (403, true, _) => {
                "not for everybody: accept the model's terms on its page, and set HF_TOKEN to a token of that account"
                    .to_owned()
            }
            (401 | 403, false, _) => "not for everybody, and samebit has no way to log in there".to_owned(),
            (404 | 410, true, _) => "there is no such model, revision or file: check the name".to_owned(),
            (404 | 410, false, _) => "there is no such file: check the address".to_owned(),
            (429, ..) => {
                let wait = answer.header("retry-after").and_then(|text| text.parse::<u64>().ok());
                let when = wait.map_or_else(|| "later".to_owned(), |seconds| format!("in {seconds} seconds"));
                let token =
                    if hub && self.token.is_none() { ", or set HF_TOKEN, which may ask more often" } else { "" };
                format!("too many requests: try again {when}{token}")
            }
            (500.., ..) => "the server is in trouble: try again later".to_owned(),
            _ => "not an answer to be expected: check the name, or try again later".to_owned(),
        };
        let path = parse(url).map(|asked| asked.path().to_owned()).unwrap_or_default();
        HubError::Refused(format!("{host}{path}: {why} (HTTP {status})"))
    }
}

/// Which bytes of a file.
#[derive(Clone, Copy)]
pub(crate) struct Range<'a> {
    pub(crate) from: u64,
    /// Where to stop, if not at the end.
    pub(crate) to: Option<u64>,
    /// The validator that what is there already was made by.
    pub(crate) unless_changed: Option<&'a str>,
}

impl Range<'_> {
    fn value(&self) -> String {
        match self.to {
            // HTTP's ranges name their last byte.
            Some(to) => format!("bytes={}-{}", self.from, to.saturating_sub(1)),
            None => format!("bytes={}-", self.from),
        }
    }
}

/// The agent, and whether it trusts anybody.
fn agent() -> (Agent, bool) {
    let named = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let mut files = named.into_iter().chain(AUTHORITIES.iter().map(PathBuf::from));
    let pem = files.find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    let trusts = !certificates.is_empty();
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("samebit/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .build();
    (config.new_agent(), trusts)
}

fn parse(url: &str) -> Result<Uri, HubError> {
    let uri: Option<Uri> = url.parse().ok().filter(|uri: &Uri| uri.host().is_some() && uri.scheme().is_some());
    uri.ok_or_else(|| HubError::Name(format!("`{url}` is no address")))
}

/// Host, and port where it is not the usual one.
fn host(place: &Uri) -> String {
    place.authority().map_or_else(String::new, |authority| authority.as_str().to_owned())
}

fn origin(place: &Uri) -> (bool, String, u16) {
    let https = place.scheme_str() == Some("https");
    let port = place.port_u16().unwrap_or(if https { 443 } else { 80 });
    (https, place.host().unwrap_or_default().to_ascii_lowercase(), port)
}

/// Where a `Location` leads; nowhere if it would leave https.
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let full = if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let to = parse(full.split('#').next()?).ok()?;
    let fits = match to.scheme_str()? {
        "https" => true,
        "http" => scheme == "http",
        _ => false,
    };
    fits.then_some(to)
}

/// `"abc"` or `W/"abc"` without what is around it.
fn unquoted(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// A connection that broke while something came.
pub(crate) fn broken(host: &str, error: &std::io::Error) -> HubError {
    let why = match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "was silent for too long".to_owned(),
        _ => format!("the connection broke ({error})"),
    };
    HubError::Network { host: host.to_owned(), why, remedy: "pull again to go on where it stopped" }
}

fn unreachable_host(place: &Uri, error: &ureq::Error) -> HubError {
    let why = match error {
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    let remedy = "check the network, HTTPS_PROXY, and HF_ENDPOINT if it is set";
    HubError::Network { host: host(place), why: format!("cannot be reached ({why})"), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(location: &str) -> Option<String> {
        let from = parse("https://h:1/a/b?c").expect("an address");
        resolve(&from, location).map(|uri| uri.to_string())
    }

    #[test]
    fn locations() {
        assert_eq!(to("https://x/y?z#f").as_deref(), Some("https://x/y?z"));
        assert_eq!(to("//x/y").as_deref(), Some("https://x/y"));
        assert_eq!(to("/y").as_deref(), Some("https://h:1/y"));
        assert_eq!(to("y").as_deref(), Some("https://h:1/a/y"));
        assert_eq!(to("http://x/y"), None);
        assert_eq!(to("file:///etc/passwd"), None);
    }

    #[test]
    fn origins_and_ranges() {
        let origin = |url| origin(&parse(url).expect("an address"));
        assert_eq!(origin("https://H/a"), origin("https://h:443/b"));
        assert_ne!(origin("https://h/"), origin("http://h/"));
        assert_ne!(origin("https://h/"), origin("https://h.evil/"));
        assert_eq!(Range { from: 5, to: Some(9), unless_changed: None }.value(), "bytes=5-8");
        assert_eq!(Range { from: 5, to: None, unless_changed: None }.value(), "bytes=5-");
        assert_eq!(unquoted("W/\"a\""), "a");
    }
}
