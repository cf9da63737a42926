//! Built without OpenTelemetry: nothing is traced, and to ask for it is an error.

use super::{Choice, Value};
use crate::http::ServeError;
use crate::model::Model;
use axum::http::{HeaderMap, Method};

/// Makes spans of nothing.
#[derive(Debug)]
pub(crate) struct Tracer;

impl Tracer {
    /// # Errors
    /// There is an endpoint.
    pub(crate) fn start(endpoint: Option<&str>, _: &Model) -> Result<Self, ServeError> {
        match endpoint {
            None => Ok(Self),
            Some(_) => Err(ServeError::Traces(
                "this samebit was built without OpenTelemetry: build it with `--features otel`".into(),
            )),
        }
    }

    pub(crate) fn request(&self, _: &Method, _: &str, _: &HeaderMap) -> Span {
        Span
    }

    pub(crate) fn end(&self) {}
}

/// Nothing.
#[derive(Clone, Debug)]
pub(crate) struct Span;

impl Span {
    pub(crate) fn trace_id(&self) -> Option<String> {
        None
    }

    pub(crate) fn set(&self, _: &'static str, _: impl Into<Value>) {}

    pub(crate) fn status(&self, _: u16) {}

    pub(crate) fn fail(&self, _: &'static str) {}

    pub(crate) fn choice(&self, _: impl FnOnce() -> Choice) {}
}
