//! A span for each request, for OpenTelemetry's collectors: from its first byte to its answer's last, with a child for each choice.
//!
//! Numbers, names and digests, and never a text. Knows no API and no engine; without the feature `otel` it is nothing, under the
//! same names.

#[cfg(not(feature = "otel"))]
#[path = "off.rs"]
mod chosen;
#[cfg(feature = "otel")]
#[path = "otel.rs"]
mod chosen;

pub(crate) use chosen::{Span, Tracer};

use std::time::Duration;

/// What a span says of the answer that it is about.
#[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "nobody is told"))]
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Float(f64),
    Text(String),
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Float(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// A choice that is done.
#[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "nobody is told"))]
pub(crate) struct Choice {
    /// How long ago its request was given to the engine.
    pub(crate) ago: Duration,
    /// From then to its first token.
    pub(crate) first: Duration,
    /// From then to its last.
    pub(crate) rest: Duration,
    pub(crate) attributes: Vec<(&'static str, Value)>,
}
