//! The fields that say how tokens are chosen and when to stop: OpenAI's names, and llama.cpp's where OpenAI has none.

use super::{Extension, bounds};
use crate::app::App;
use crate::http::ApiError;
use samebit_engine::sampler::SamplerConfig;
use samebit_engine::{MOST_CHOICES, Request};
use samebit_text::check_breakers;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Stop strings of a request, and bytes of each.
const MOST_STOPS: usize = 32;
const MOST_STOP_BYTES: usize = 1024;
/// Biases of a request.
const MOST_BIASES: usize = 4096;

/// The fields; each may be missing.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Knobs {
    /// Any text: there is one model, and the response tells which.
    #[serde(rename = "model")]
    _model: Option<String>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    max_output_tokens: Option<i64>,
    temperature: Option<f32>,
    dynatemp_range: Option<f32>,
    dynatemp_exponent: Option<f32>,
    top_n_sigma: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<i64>,
    min_p: Option<f32>,
    typical_p: Option<f32>,
    xtc_probability: Option<f32>,
    xtc_threshold: Option<f32>,
    #[serde(alias = "repetition_penalty")]
    repeat_penalty: Option<f32>,
    repeat_last_n: Option<i64>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    dry_multiplier: Option<f32>,
    dry_base: Option<f32>,
    dry_allowed_length: Option<u32>,
    dry_penalty_last_n: Option<i64>,
    dry_sequence_breakers: Option<Vec<String>>,
    #[serde(default, deserialize_with = "biases")]
    logit_bias: Vec<(u32, f32)>,
    #[serde(default, deserialize_with = "seed")]
    seed: Option<u64>,
    #[serde(default, deserialize_with = "texts")]
    stop: Vec<String>,
    n: Option<u32>,
    ignore_eos: Option<bool>,
    priority: Option<i32>,
    pub(crate) stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    pub(crate) samebit: Option<Extension>,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// A text, a list of texts, or nothing.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    use serde::de::Error;
    let wrong = || D::Error::custom("give a text or a list of texts");
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(wrong()),
            })
            .collect(),
        _ => Err(wrong()),
    }
}

/// Any whole number of 64 bits; a negative one is a seed like any other.
fn seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    use serde::de::Error;
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.as_i64().map(i64::cast_unsigned))
            .map(Some)
            .ok_or_else(|| D::Error::custom("give a whole number of 64 bits")),
        _ => Err(D::Error::custom("give a whole number")),
    }
}

/// `{"15043": 1.5}` as OpenAI has it, or `[[15043, 1.5], [7, false]]` as llama.cpp has it; false bans.
fn biases<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u32, f32)>, D::Error> {
    use serde::de::Error;
    let wrong = || D::Error::custom("give an object of token ids and numbers, such as {\"15043\": 1.5}");
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64().map(|number| number as f32),
        Value::Bool(false) => Some(f32::NEG_INFINITY),
        _ => None,
    };
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Vec::new()),
        Value::Object(fields) => {
            let pair = |(id, value): (&String, &Value)| Some((id.parse().ok()?, number(value)?));
            fields.iter().map(|field| pair(field).ok_or_else(wrong)).collect()
        }
        Value::Array(items) => {
            let pair = |item: &Value| match item.as_array().map(Vec::as_slice) {
                Some([id, value]) => Some((u32::try_from(id.as_u64()?).ok()?, number(value)?)),
                _ => None,
            };
            items.iter().map(|item| pair(item).ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

impl Knobs {
    /// Choices of each prompt.
    pub(crate) fn choices(&self) -> Result<u32, ApiError> {
        match self.n.unwrap_or(1) {
            n if (1..=MOST_CHOICES).contains(&n) => Ok(n),
            n => Err(ApiError::field("n", format!("{n} choices: ask for 1 to {MOST_CHOICES}"))),
        }
    }

    pub(crate) fn priority(&self) -> i32 {
        self.priority.unwrap_or(0)
    }

    pub(crate) fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    pub(crate) fn include_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or(false)
    }

    /// Texts that end a choice.
    pub(crate) fn stops(&self) -> Result<Arc<[String]>, ApiError> {
        if self.stop.len() > MOST_STOPS {
            return Err(ApiError::field("stop", format!("{} texts: give at most {MOST_STOPS}", self.stop.len())));
        }
        if self.stop.iter().any(|stop| stop.len() > MOST_STOP_BYTES) {
            return Err(ApiError::field("stop", format!("a text may have {MOST_STOP_BYTES} bytes")));
        }
        // An empty text is found everywhere and means nothing.
        Ok(self.stop.iter().filter(|stop| !stop.is_empty()).cloned().collect())
    }

    /// What the engine is asked for; `most` tokens where the request does not say.
    pub(crate) fn request(&self, app: &App, most: Option<usize>) -> Result<Request, ApiError> {
        let tokenizer = &app.model.tokenizer;
        let mut sampler = self.sampler(&app.options.sampling)?;
        if let Some(texts) = &self.dry_sequence_breakers {
            // All of the vocabulary is looked at for them, so only if they matter.
            let breakers = match sampler.dry_multiplier > 0.0 {
                true => tokenizer.breakers(texts),
                false => check_breakers(texts).map(|()| BTreeSet::new()),
            };
            let breakers = breakers.map_err(|error| ApiError::field("dry_sequence_breakers", error.to_string()))?;
            sampler.dry_breakers = breakers.into_iter().collect();
        }
        let ignore_eos = self.ignore_eos.unwrap_or(false);
        let ends = tokenizer.eog_ids();
        if ignore_eos {
            // Banned rather than passed over, as `samebit run` does.
            sampler.logit_bias.extend(ends.iter().map(|&id| (id, f32::NEG_INFINITY)));
        }
        bounds::check(&sampler, app.model.engine.vocab_size())?;
        Ok(Request { max_tokens: self.max_tokens(most)?, sampler, stop_tokens: ends, ignore_eos })
    }

    /// -1, as llama.cpp has it, is until the context is full.
    fn max_tokens(&self, most: Option<usize>) -> Result<usize, ApiError> {
        let fields = [
            ("max_completion_tokens", self.max_completion_tokens),
            ("max_output_tokens", self.max_output_tokens),
            ("max_tokens", self.max_tokens),
        ];
        match fields.iter().find_map(|(name, value)| value.map(|value| (*name, value))) {
            None => Ok(most.unwrap_or(usize::MAX)),
            Some((_, -1)) => Ok(usize::MAX),
            Some((name, value)) => usize::try_from(value).map_err(|_| {
                ApiError::field(name, format!("{value} tokens: give a number from 0, or -1 for no bound"))
            }),
        }
    }

    fn sampler(&self, default: &SamplerConfig) -> Result<SamplerConfig, ApiError> {
        if let Some(temperature) = self.temperature.filter(|t| *t < 0.0) {
            return Err(ApiError::field("temperature", format!("{temperature} is below 0")));
        }
        if self.logit_bias.len() > MOST_BIASES {
            return Err(ApiError::field("logit_bias", format!("give at most {MOST_BIASES}")));
        }
        let count = |name: &str, value: Option<i64>, default: usize, all: usize| match value {
            None => Ok(default),
            Some(-1) => Ok(all),
            Some(value) => usize::try_from(value)
                .map_err(|_| ApiError::field(name, format!("{value}: give a number from 0, or -1 for all"))),
        };
        let mut logit_bias = default.logit_bias.clone();
        logit_bias.extend(&self.logit_bias);
        Ok(SamplerConfig {
            seed: self.seed.unwrap_or(default.seed),
            sample_index: default.sample_index,
            temperature: self.temperature.unwrap_or(default.temperature),
            dynatemp_range: self.dynatemp_range.unwrap_or(default.dynatemp_range),
            dynatemp_exponent: self.dynatemp_exponent.unwrap_or(default.dynatemp_exponent),
            top_n_sigma: self.top_n_sigma.unwrap_or(default.top_n_sigma),
            top_k: count("top_k", self.top_k, default.top_k, 0)?,
            top_p: self.top_p.unwrap_or(default.top_p),
            min_p: self.min_p.unwrap_or(default.min_p),
            typical_p: self.typical_p.unwrap_or(default.typical_p),
            xtc_probability: self.xtc_probability.unwrap_or(default.xtc_probability),
            xtc_threshold: self.xtc_threshold.unwrap_or(default.xtc_threshold),
            repeat_last_n: count("repeat_last_n", self.repeat_last_n, default.repeat_last_n, usize::MAX)?,
            repeat_penalty: self.repeat_penalty.unwrap_or(default.repeat_penalty),
            frequency_penalty: self.frequency_penalty.unwrap_or(default.frequency_penalty),
            presence_penalty: self.presence_penalty.unwrap_or(default.presence_penalty),
            dry_multiplier: self.dry_multiplier.unwrap_or(default.dry_multiplier),
            dry_base: self.dry_base.unwrap_or(default.dry_base),
            dry_allowed_length: self.dry_allowed_length.map_or(default.dry_allowed_length, |length| length as usize),
            dry_penalty_last_n: count(
                "dry_penalty_last_n",
                self.dry_penalty_last_n,
                default.dry_penalty_last_n,
                usize::MAX,
            )?,
            dry_breakers: default.dry_breakers.clone(),
            logit_bias,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn knobs(value: Value) -> Result<Knobs, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn fields_in_their_forms() {
        let all = knobs(json!({"stop": ["a", ""], "seed": -1, "logit_bias": {"7": -100}, "max_tokens": null, "n": 2}));
        let all = all.expect("knobs");
        assert_eq!(all.stops().expect("few").to_vec(), ["a"]);
        assert_eq!((all.seed, &all.logit_bias[..]), (Some(u64::MAX), &[(7, -100.0)][..]));
        assert_eq!(all.max_tokens(Some(5)), Ok(5));
        let other = knobs(json!({"stop": "x", "seed": u64::MAX, "logit_bias": [[3, false], [4, 1]], "max_tokens": -1}));
        let other = other.expect("knobs");
        assert_eq!(other.logit_bias, [(3, f32::NEG_INFINITY), (4, 1.0)]);
        assert_eq!(other.max_tokens(Some(5)), Ok(usize::MAX));
        assert_eq!(knobs(json!({"max_tokens": 1, "max_completion_tokens": 2})).expect("knobs").max_tokens(None), Ok(2));
    }

    #[test]
    fn other_forms_are_refused() {
        for wrong in [
            json!({"stop": 3}),
            json!({"stop": [3]}),
            json!({"seed": 1.5}),
            json!({"seed": "x"}),
            json!({"logit_bias": {"x": 1}}),
            json!({"logit_bias": [[1]]}),
            json!({"samebit": 3}),
            json!({"samebit": {"resume": []}}),
            json!({"n": -1}),
        ] {
            assert!(knobs(wrong.clone()).is_err(), "{wrong}");
        }
        let default = SamplerConfig::default();
        assert!(knobs(json!({"temperature": -0.5})).expect("a number").sampler(&default).is_err());
        assert!(knobs(json!({"top_k": -2})).expect("a number").sampler(&default).is_err());
        assert!(knobs(json!({"n": 0})).expect("a number").choices().is_err());
        assert!(knobs(json!({"max_tokens": -2})).expect("a number").max_tokens(None).is_err());
    }
}
