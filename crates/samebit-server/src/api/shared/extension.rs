//! What is samebit's own in requests and responses: digests, token ids, tokens to resume with.

use crate::app::App;
use crate::engine::{Done, Timings};
use crate::http::ApiError;
use axum::http::HeaderMap;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The field `samebit` of a request: `true`, or an object. The header `samebit: true` says the same as the former.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Extension {
    /// Whether the response tells of digests, tokens and times.
    pub(crate) wanted: bool,
    /// What the answer is known to begin with.
    pub(crate) resume_tokens: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    resume_tokens: Vec<u32>,
}

impl<'de> Deserialize<'de> for Extension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match Value::deserialize(deserializer)? {
            Value::Bool(wanted) => Ok(Self { wanted, ..Self::default() }),
            value @ Value::Object(_) => {
                let fields: Fields = serde_json::from_value(value).map_err(D::Error::custom)?;
                Ok(Self { wanted: true, resume_tokens: fields.resume_tokens })
            }
            _ => Err(D::Error::custom("give true, or an object such as {\"resume_tokens\": [ids]}")),
        }
    }
}

impl Extension {
    /// What body and header ask for together.
    pub(crate) fn of(app: &App, field: Option<Self>, headers: &HeaderMap) -> Result<Self, ApiError> {
        let header = headers.get("samebit").is_some_and(|value| matches!(value.as_bytes(), b"true" | b"1"));
        let mut extension = field.unwrap_or_default();
        extension.wanted |= header;
        super::check_tokens(app, "samebit.resume_tokens", &extension.resume_tokens)?;
        Ok(extension)
    }
}

/// What a response tells: of a whole one, or of the choice that an event ends.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Samebit {
    #[serde(skip_serializing_if = "Option::is_none")]
    numerics: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_digest: Option<String>,
    /// Of the first choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    logits_digest: Option<String>,
    /// Of all choices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<ChoiceDigest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens: Option<Vec<u32>>,
    /// In an event: tokens since the choice's last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<Times>,
}

#[derive(Debug, Serialize)]
struct ChoiceDigest {
    index: u32,
    logits_digest: String,
    tokens: Vec<u32>,
}

/// The only part of a response that may differ from run to run.
#[derive(Clone, Copy, Debug, Serialize)]
struct Times {
    cached_tokens: usize,
    first_token_ms: f64,
    predicted_ms: f64,
    predicted_per_second: f64,
}

impl Times {
    fn new(timings: &Timings, tokens: u64) -> Self {
        let (first, rest) = (timings.first.as_secs_f64(), timings.rest.as_secs_f64());
        let rate = if rest > 0.0 { tokens.saturating_sub(1) as f64 / rest } else { 0.0 };
        let round = |value: f64| (value * 1e3).round() / 1e3;
        Self {
            cached_tokens: timings.cached,
            first_token_ms: round(first * 1e3),
            predicted_ms: round(rest * 1e3),
            predicted_per_second: round(rate),
        }
    }
}

impl Samebit {
    /// Of a whole response; `prompt` where there is one.
    pub(crate) fn whole(app: &App, prompt: Option<Vec<u32>>, choices: &mut [crate::answer::Choice]) -> Self {
        let first = choices.first().and_then(|choice| choice.done.clone());
        let mut told = Self::of_model(app);
        if let Some(done) = first {
            told.timings = Some(Times::new(&done.timings, done.tokens));
            told.logits_digest = Some(done.digest);
        }
        told.prompt_tokens = prompt;
        for (index, choice) in (0..).zip(choices) {
            let logits_digest = choice.done.as_ref().map(|done| done.digest.clone()).unwrap_or_default();
            told.choices.push(ChoiceDigest { index, logits_digest, tokens: std::mem::take(&mut choice.tokens) });
        }
        told
    }

    /// Of an event that brings tokens.
    pub(crate) fn tokens(tokens: Vec<u32>) -> Self {
        Self { tokens: Some(tokens), ..Self::default() }
    }

    /// Of the event that ends a choice.
    pub(crate) fn end(app: &App, done: &Done, tokens: Vec<u32>) -> Self {
        Self {
            logits_digest: Some(done.digest.clone()),
            tokens: Some(tokens),
            timings: Some(Times::new(&done.timings, done.tokens)),
            ..Self::of_model(app)
        }
    }

    fn of_model(app: &App) -> Self {
        Self {
            numerics: Some(app.model.numerics.clone()),
            model_digest: Some(app.model.digest.clone()),
            ..Self::default()
        }
    }
}
