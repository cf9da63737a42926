//! What every request passes before its handler: who sent it, from where, and whether it may be served now.

use super::ApiError;
use super::error::quoted;
use super::keys::Access;
use super::rate::Payer;
use super::work::Mark;
use crate::app::App;
use crate::telemetry::Span;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Which request this is: in the logs, and in the response's header of that name.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a handler may know of its request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) request: Arc<str>,
    pub(crate) payer: Payer,
    pub(crate) span: Span,
}

/// Paths that need no key: none of them tells anything of a model or of those who ask it.
const PUBLIC: [&str; 4] = ["/health", "/v1/health", "/openapi.json", "/"];

/// Looks at a request, has it served, and writes it down.
pub(crate) async fn gate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let origin = request.headers().get(header::ORIGIN).cloned();
    let span = app.tracer.request(&method, &path, request.headers());
    let trace = span.trace_id().or_else(|| traceparent(request.headers()));
    let mark = Mark::default();
    let mut response = match admit(&app, &request) {
        Ok(payer) => {
            request.extensions_mut().insert(mark.clone());
            request.extensions_mut().insert(Caller { request: id.clone().into(), payer, span: span.clone() });
            next.run(request).await
        }
        Err(refused) => *refused,
    };
    let status = response.status().as_u16();
    app.metrics.response(status);
    span.status(status);
    let ms = started.elapsed().as_millis() as u64;
    let trace = trace.unwrap_or_default();
    if status >= 500 {
        tracing::error!(request = %id, trace, %method, path, status, ms, "request");
    } else {
        tracing::info!(request = %id, trace, %method, path, status, ms, "request");
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(origin) = origin.filter(|origin| is_allowed(&app.options.cors_origins, origin)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-request-id, retry-after"));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response.map(|body| mark.keep(body))
}

/// Who pays for the request, or the answer that it gets instead of its handler's.
fn admit(app: &App, request: &Request) -> Result<Payer, Box<Response>> {
    let refuse = |error: ApiError| Box::new(error.into_response());
    let headers = request.headers();
    one_host(request).map_err(refuse)?;
    check_host(app, headers).map_err(refuse)?;
    check_origin(app, headers).map_err(refuse)?;
    if request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return Err(Box::new(preflight()));
    }
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let address = Payer::Address(address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    let path = request.uri().path();
    let payer = match app.keys.access(headers) {
        Access::Open => address,
        Access::Key(key) => Payer::Key(key),
        Access::Denied if PUBLIC.contains(&path) || path.starts_with("/page.") => address,
        Access::Denied => {
            let error = ApiError::new(StatusCode::UNAUTHORIZED, "give a key: `Authorization: Bearer KEY`");
            return Err(refuse(error.code("invalid_api_key")));
        }
    };
    if request.method() == Method::POST {
        if app.is_stopping() {
            return Err(refuse(ApiError::unavailable("the server is about to end: ask another one")));
        }
        app.rates.request(payer, Instant::now()).map_err(|seconds| {
            let error =
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "this minute's measure is used up: try again later");
            refuse(error.code("rate_limit_exceeded").retry_after(seconds))
        })?;
    }
    Ok(payer)
}

/// HTTP has one `Host` in every request, but for HTTP/1.0: whoever reads another than we do would be told something else.
fn one_host(request: &Request) -> Result<(), ApiError> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let message = match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => "the header `Host` is missing: HTTP/1.1 has one",
        (_, Some(_)) => "there are several headers `Host`: send one",
        (Some(host), None) if host.to_str().is_err() => "the header `Host` is no name",
        _ => return Ok(()),
    };
    Err(ApiError::bad(message).param("Host"))
}

/// A page that makes its own name point to this machine must not reach a server that trusts whoever reaches it.
fn check_host(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    if !app.keys.is_empty() || !is_local(&app.options.host) {
        return Ok(());
    }
    let Some(host) = headers.get(header::HOST).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let name = without_port(host);
    if is_local(name) || app.options.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let name = quoted(name);
    let message = format!("this server is not called `{name}`: give it --allowed-host {name}, or an --api-key");
    Err(ApiError::new(StatusCode::FORBIDDEN, message).code("host_not_allowed"))
}

/// Browsers say where a page that asks comes from; only this server's own pages and those it was told of may.
fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    if is_allowed(&app.options.cors_origins, origin) {
        return Ok(());
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let from = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, from)| from);
    if host.is_some() && host == from {
        return Ok(());
    }
    let message = "pages of this origin may not ask here: give the server --cors-origin";
    Err(ApiError::new(StatusCode::FORBIDDEN, message).code("origin_not_allowed"))
}

fn is_allowed(origins: &[String], origin: &HeaderValue) -> bool {
    origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
}

/// A name without its port; an IPv6 address without its brackets.
fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Whether a name or an address is this machine's own.
pub fn is_local(name: &str) -> bool {
    let name = name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(name);
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, last-event-id, samebit, x-api-key, x-request-id",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
        (header::ALLOW, "GET, POST"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// The client's own id if it is fit to be repeated, a new one otherwise.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let fit = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    };
    given.filter(fit).map_or_else(|| format!("req-{:016x}", random()), str::to_owned)
}

/// The trace's id out of a `traceparent` header (W3C Trace Context), so that logs can be joined with other systems'.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("traceparent")?.to_str().ok()?.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// A number that nobody has had: for names, not for secrets.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for local in [
            "localhost",
            "LocalHost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "a.localhost",
            "localhost.",
        ] {
            assert!(is_local(local), "{local}");
        }
        for other in [
            "example.com",
            "127.0.0.1.example.com",
            "localhost.example.com",
            "0.0.0.0",
            "[::]",
            "[::1",
            "::1]",
            "[]",
            "",
        ] {
            assert!(!is_local(other), "{other}");
        }
        assert_eq!(without_port("[::1]:80"), "::1");
        assert_eq!(without_port("localhost:80"), "localhost");
        assert_eq!(without_port("localhost"), "localhost");
    }

    #[test]
    fn ids_are_repeated_if_they_are_harmless() {
        let with = |id: &str| HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(id).expect("a value"))]);
        assert_eq!(request_id(&with("abc-1")), "abc-1");
        assert!(request_id(&with("a b")).starts_with("req-"));
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let with = |header: &str| {
            HeaderMap::from_iter([(
                "traceparent".parse().expect("a name"),
                HeaderValue::from_str(header).expect("a value"),
            )])
        };
        assert_eq!(traceparent(&with(&format!("00-{trace}-00f067aa0ba902b7-01"))).as_deref(), Some(trace));
        assert_eq!(traceparent(&with("00-x y-1")), None);
    }
}
