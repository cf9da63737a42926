//! Errors as OpenAI's clients expect them. What a client did wrong is a 4xx and says so in one line; 5xx are ours.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use samebit_engine::EngineError;
use samebit_engine::sampler::SampleError;
use serde_json::{Value, json};

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
    /// Seconds after which it is worth another try.
    pub(crate) retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: presentable(&message.into()), param: None, code: None, retry_after: None }
    }

    /// The request makes no sense.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A field makes no sense.
    pub(crate) fn field(param: &str, message: impl std::fmt::Display) -> Self {
        Self { param: Some(param.to_owned()), ..Self::bad(format!("{param}: {message}")) }
    }

    /// The field that is at fault, where the message says so by itself.
    pub(crate) fn param(self, param: &str) -> Self {
        Self { param: Some(param.to_owned()), ..self }
    }

    pub(crate) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// As many requests wait as may.
    pub(crate) fn full() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too many requests wait already: try again later")
            .code("queue_full")
            .retry_after(1)
    }

    /// The server is about to end, or its engine has.
    pub(crate) fn unavailable(why: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why).code("unavailable").retry_after(5)
    }

    /// Something of ours broke.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The answer took longer than this server gives it.
    pub(crate) fn deadline() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "the answer took longer than this server allows (--timeout)")
            .code("timeout")
    }

    /// The engine's error of a request whose prompt is in this field.
    pub(crate) fn of_prompt(error: EngineError, field: &str) -> Self {
        let about_it = matches!(error, EngineError::EmptyPrompt | EngineError::PromptTooLong { .. });
        let error = Self::from(error);
        if about_it { error.param(field) } else { error }
    }

    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_client_error() => "invalid_request_error",
            _ => "server_error",
        }
    }

    /// The body, also of an event in a stream that broke.
    pub(crate) fn json(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind(), "param": self.param, "code": self.code}})
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::EmptyPrompt | EngineError::Position { .. } => Self::bad(text),
            EngineError::PromptTooLong { .. } => Self::bad(text).code("context_length_exceeded"),
            EngineError::Parameter(_) => Self::bad(text),
            EngineError::Choices { .. } => Self::bad(text).param("n"),
            EngineError::Logprobs { .. } => Self::bad(text).param("logprobs"),
            EngineError::Constraint(_) => Self::bad(text).code("grammar_failed"),
            EngineError::Sample(SampleError::NothingLeft { .. }) => Self::bad(text),
            EngineError::QueueFull { .. } => Self::full(),
            EngineError::Load(_) | EngineError::Forward(_) | EngineError::Sample(_) => Self::internal(text),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json_response(self.status, &self.json());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A JSON body.
pub(crate) fn json_response(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => {
            tracing::error!(%error, "a body could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What a client sent, as far as it may be repeated to it: a name, not a novel.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 100;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// One line of bounded length: what a client sent may be quoted in it.
fn presentable(message: &str) -> String {
    const MOST: usize = 600;
    let mut line: String = message.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if message.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_fault_it_is() {
        let too_long = ApiError::from(EngineError::PromptTooLong { tokens: 9, context: 8 });
        assert_eq!((too_long.status.as_u16(), too_long.code), (400, Some("context_length_exceeded")));
        assert_eq!(too_long.json()["error"]["type"], "invalid_request_error");
        let of_input = ApiError::of_prompt(EngineError::PromptTooLong { tokens: 9, context: 8 }, "input");
        assert_eq!(of_input.param.as_deref(), Some("input"));
        let full = ApiError::from(EngineError::QueueFull { waiting: 3 }).into_response();
        assert_eq!(full.status().as_u16(), 429);
        assert_eq!(full.headers()["retry-after"], "1");
        assert_eq!(ApiError::internal("a\nb").message, "a b");
        assert_eq!((quoted("ä"), quoted(&"ä".repeat(101))), ("ä".into(), "ä".repeat(100) + "…"));
        assert_eq!(ApiError::field("top_p", "no").json()["error"]["param"], "top_p");
    }
}
