//! Spans by OpenTelemetry's own crates, sent over OTLP (protobuf over HTTP) from a thread of theirs: a collector that is slow or
//! away costs spans, and no answer.
//!
//! Attributes are named as the semantic conventions for HTTP and generative AI have them; `samebit.…` are ours.

use super::{Choice, Value};
use crate::http::ServeError;
use crate::model::Model;
use async_trait::async_trait;
use axum::http::{HeaderMap, Method, Uri};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Where OTLP has its traces, below a collector's address.
const PATH: &str = "/v1/traces";
/// A collector may take so long over a batch of spans, and over the last of them when the server ends.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of a collector's answer no more is read.
const MOST_ANSWER: u64 = 64 << 10;

/// Makes spans and sends them.
#[derive(Debug)]
pub(crate) struct Tracer {
    /// None: no endpoint was given, and nothing is traced.
    sending: Option<(SdkTracerProvider, SdkTracer)>,
}

impl Tracer {
    /// Begins to send to a collector's address, such as `http://127.0.0.1:4318`. Whether one is there shows later, in the log.
    ///
    /// # Errors
    /// An address that is none, or one with TLS; settings in the environment (`OTEL_…`) that make no sense.
    pub(crate) fn start(endpoint: Option<&str>, model: &Model) -> Result<Self, ServeError> {
        let Some(endpoint) = endpoint else { return Ok(Self { sending: None }) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new())
            .with_endpoint(address(endpoint)?)
            .build()
            .map_err(|error| ServeError::Traces(error.to_string()))?;
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(model)).build();
        let tracer = provider.tracer("samebit");
        Ok(Self { sending: Some((provider, tracer)) })
    }

    /// A request's span, within the client's trace if it names one.
    pub(crate) fn request(&self, method: &Method, path: &str, headers: &HeaderMap) -> Span {
        // Looking is cheap, and is not what anybody waits for.
        let Some((_, tracer)) = self.sending.as_ref().filter(|_| method == Method::POST) else { return Span(None) };
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        let builder = SpanBuilder::from_name(format!("{method} {path}")).with_kind(SpanKind::Server).with_attributes([
            KeyValue::new("http.request.method", method.as_str().to_owned()),
            KeyValue::new("url.path", path.to_owned()),
        ]);
        let span = tracer.build_with_context(builder, &parent);
        Span(Some(Arc::new(Open {
            tracer: tracer.clone(),
            context: span.span_context().clone(),
            span: Mutex::new(span),
        })))
    }

    /// Sends what is left.
    pub(crate) fn end(&self) {
        if let Some((provider, _)) = &self.sending
            && let Err(error) = provider.shutdown_with_timeout(PATIENCE)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// A request's span. It ends with the last of its clones, which is with the answer's last byte.
#[derive(Clone, Debug)]
pub(crate) struct Span(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    tracer: SdkTracer,
    context: SpanContext,
    span: Mutex<opentelemetry_sdk::trace::Span>,
}

impl Span {
    /// The trace's id, 32 hexadecimal digits.
    pub(crate) fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|open| open.context.trace_id().to_string())
    }

    pub(crate) fn set(&self, name: &'static str, value: impl Into<Value>) {
        self.with(|span| span.set_attribute(pair(name, value.into())));
    }

    /// The response's status: 5xx are this server's failures.
    pub(crate) fn status(&self, status: u16) {
        self.with(|span| {
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
            if status == 404 {
                // Names of spans are few: what is not there has none of its own.
                span.update_name("POST");
            }
            if status >= 500 {
                span.set_status(Status::error("the server failed"));
            }
        });
    }

    pub(crate) fn fail(&self, why: &'static str) {
        self.with(|span| span.set_status(Status::error(why)));
    }

    /// A child for a choice that is done.
    pub(crate) fn choice(&self, choice: impl FnOnce() -> Choice) {
        let Some(open) = &self.0 else { return };
        let choice = choice();
        let start = SystemTime::now().checked_sub(choice.ago).unwrap_or(SystemTime::UNIX_EPOCH);
        let builder = SpanBuilder::from_name("choice")
            .with_start_time(start)
            .with_attributes(choice.attributes.into_iter().map(|(name, value)| pair(name, value)));
        let parent = Context::new().with_remote_span_context(open.context.clone());
        let mut span = open.tracer.build_with_context(builder, &parent);
        span.add_event_with_timestamp("first_token", start + choice.first, Vec::new());
        span.end_with_timestamp(start + choice.first + choice.rest);
    }

    fn with(&self, act: impl FnOnce(&mut opentelemetry_sdk::trace::Span)) {
        if let Some(open) = &self.0 {
            act(&mut open.span.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

fn pair(name: &'static str, value: Value) -> KeyValue {
    match value {
        Value::Int(value) => KeyValue::new(name, value),
        Value::Float(value) => KeyValue::new(name, value),
        Value::Text(value) => KeyValue::new(name, value),
    }
}

/// Where spans go, from what was given as the collector's address.
fn address(endpoint: &str) -> Result<String, ServeError> {
    let wrong = |why: &str| ServeError::Traces(format!("`{endpoint}` {why}"));
    let uri: Uri = endpoint.parse().map_err(|_| wrong("is no address: give http://HOST:4318"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => {
            return Err(wrong("has TLS, which is a proxy's or a local collector's: give http://HOST:4318"));
        }
        _ => return Err(wrong("does not begin with http://")),
    }
    let whole = endpoint.trim_end_matches('/');
    Ok(if whole.ends_with(PATH) { whole.to_owned() } else { format!("{whole}{PATH}") })
}

/// Who sends: the service's name as the environment has it, and what the answers depend on.
fn resource(model: &Model) -> Resource {
    let told = Resource::builder().build();
    let named = told.get(&"service.name".into()).is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder().with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("samebit.model_digest", model.digest.clone()),
        KeyValue::new("samebit.numerics", model.numerics.clone()),
    ]);
    if named { builder.build() } else { builder.with_service_name("samebit").build() }
}

/// The exporter's way out. It is called on its own thread, where blocking harms nobody.
#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new() -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Self(config.build().new_agent())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let response = self.0.run(Request::from_parts(parts, &body[..]))?;
        let (parts, mut body) = response.into_parts();
        let bytes = body.with_config().limit(MOST_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(parts, bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let good = |endpoint: &str| address(endpoint).expect("an address");
        assert_eq!(good("http://127.0.0.1:4318"), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(good("http://collector/otlp/"), "http://collector/otlp/v1/traces");
        assert_eq!(good("http://collector/v1/traces"), "http://collector/v1/traces");
        for (bad, why) in [("https://x", "TLS"), ("collector:4318", "http://"), ("http://a b", "no address")] {
            assert!(address(bad).expect_err(bad).to_string().contains(why), "{bad}");
        }
    }
}
