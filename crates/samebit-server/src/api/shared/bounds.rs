//! How far sampling's numbers may go, as `openapi.json` says it too: within these bounds no penalty and no bias makes a logit overflow.

use crate::http::ApiError;
use samebit_engine::sampler::{ParamError, SamplerConfig};
use std::fmt::Display;

/// A logit may be moved so far at most; what is to be banned is given as `false`, or to the flag as -inf.
const MOST_BIAS: f32 = 1e6;

/// A number that makes no sense: its field, and what is wrong, the field named.
#[derive(Debug, PartialEq)]
pub(crate) struct OutOfBounds {
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

impl From<OutOfBounds> for ApiError {
    fn from(wrong: OutOfBounds) -> Self {
        Self::bad(wrong.message).param(wrong.field)
    }
}

/// Refuses what the sampler cannot use, and what would make its logits overflow. A temperature below 0 is the likeliest token here:
/// flags have it so.
pub(crate) fn check(sampler: &SamplerConfig, vocab: usize) -> Result<(), OutOfBounds> {
    sampler.validate(vocab).map_err(|error| OutOfBounds { field: field(&error), message: error.to_string() })?;
    for (field, value, least, most) in [
        ("temperature", sampler.temperature, f32::MIN, 1000.0),
        ("dynatemp_range", sampler.dynatemp_range, 0.0, 1000.0),
        ("dynatemp_exponent", sampler.dynatemp_exponent, 0.0, 1000.0),
        ("top_n_sigma", sampler.top_n_sigma, -1000.0, 1000.0),
        ("repeat_penalty", sampler.repeat_penalty, 0.001, 1000.0),
        ("frequency_penalty", sampler.frequency_penalty, -1000.0, 1000.0),
        ("presence_penalty", sampler.presence_penalty, -1000.0, 1000.0),
        ("dry_multiplier", sampler.dry_multiplier, 0.0, 1000.0),
        ("dry_base", sampler.dry_base, 1.0, 1000.0),
    ] {
        if value > most {
            return Err(wrong(field, format!("is {value:?}: give at most {most}")));
        }
        if value < least {
            return Err(wrong(field, format!("is {value:?}: give at least {least}")));
        }
    }
    let far = |bias: f32| bias.abs() > MOST_BIAS && bias != f32::NEG_INFINITY;
    match sampler.logit_bias.iter().find(|(_, bias)| far(*bias)) {
        Some((token, bias)) => Err(wrong(
            "logit_bias",
            format!("of token {token} is {bias:?}: give -{MOST_BIAS} to {MOST_BIAS}, or false to ban the token"),
        )),
        None => Ok(()),
    }
}

fn wrong(field: &'static str, what: impl Display) -> OutOfBounds {
    OutOfBounds { field, message: format!("{field} {what}") }
}

/// The field that the sampler's own error is about.
pub(crate) fn field(error: &ParamError) -> &'static str {
    match error {
        ParamError::Range { name, .. } => name,
        ParamError::BiasToken { .. } | ParamError::BiasValue { .. } => "logit_bias",
        ParamError::EmptyVocabulary => "model",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds_and_are_named() {
        let usual = SamplerConfig::default();
        assert_eq!(check(&usual, 9), Ok(()));
        assert_eq!(check(&SamplerConfig { temperature: -1.0, ..usual.clone() }, 9), Ok(()));
        let banned = vec![(3, f32::NEG_INFINITY), (4, -1e6)];
        assert_eq!(check(&SamplerConfig { logit_bias: banned, ..usual.clone() }, 9), Ok(()));
        for (wrong, field) in [
            (SamplerConfig { repeat_penalty: 1e-40, ..usual.clone() }, "repeat_penalty"),
            (SamplerConfig { repeat_penalty: 0.0, ..usual.clone() }, "repeat_penalty"),
            (SamplerConfig { presence_penalty: -3.4e38, ..usual.clone() }, "presence_penalty"),
            (SamplerConfig { frequency_penalty: -3e38, ..usual.clone() }, "frequency_penalty"),
            (SamplerConfig { temperature: 1001.0, ..usual.clone() }, "temperature"),
            (SamplerConfig { dry_multiplier: 1e30, ..usual.clone() }, "dry_multiplier"),
            (SamplerConfig { top_p: 2.0, ..usual.clone() }, "top_p"),
            (SamplerConfig { logit_bias: vec![(3, 3.4e38)], ..usual.clone() }, "logit_bias"),
            (SamplerConfig { logit_bias: vec![(9, 0.0)], ..usual }, "logit_bias"),
        ] {
            let error = check(&wrong, 9).expect_err(field);
            assert_eq!(error.field, field);
            assert!(error.message.contains(field), "{}", error.message);
        }
    }
}
