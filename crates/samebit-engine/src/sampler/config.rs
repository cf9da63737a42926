//! What a caller may ask of the sampler, and which values make sense.
//!
//! Knows nothing of how the values are used.

use super::Breakers;
use thiserror::Error;

/// Settings of one sampled sequence. The defaults are llama.cpp's, except the seed, which is 0: the same run twice gives the same text.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerConfig {
    /// Key of the random generator.
    pub seed: u64,
    /// Which of several answers to the same request this is; each has its own random stream.
    pub sample_index: u32,
    /// Divides the logits before the draw; at zero or below the highest logit is taken.
    pub temperature: f32,
    /// How far the temperature may move either way with the candidates' entropy; 0: not at all.
    pub dynatemp_range: f32,
    /// The share of the highest entropy, to this power, is the share of the way from the lowest to the highest temperature.
    pub dynatemp_exponent: f32,
    /// Keep logits at most this many standard deviations below the highest; 0 and less keeps all.
    pub top_n_sigma: f32,
    /// Keep at most this many of the highest logits; 0 keeps all.
    pub top_k: usize,
    /// Keep the fewest candidates that hold this share of the probability; 1 keeps all.
    pub top_p: f32,
    /// Keep candidates at least this share as probable as the likeliest; 0 keeps all.
    pub min_p: f32,
    /// Keep the fewest candidates of typical information content that hold more than this share; 1 keeps all.
    pub typical_p: f32,
    /// How often the likeliest candidates are excluded (XTC); 0 is never.
    pub xtc_probability: f32,
    /// XTC excludes all but the least likely of the candidates with at least this share; above 0.5 it does nothing.
    pub xtc_threshold: f32,
    /// How many of the latest tokens the penalties look at, prompt included; `usize::MAX` is all, 0 is none.
    pub repeat_last_n: usize,
    /// Divides positive logits of tokens seen, multiplies the others; 1 does nothing.
    pub repeat_penalty: f32,
    /// Subtracted from a token's logit once for each time it was seen.
    pub frequency_penalty: f32,
    /// Subtracted from a token's logit if it was seen.
    pub presence_penalty: f32,
    /// What DRY subtracts from a token that prolongs a repetition of the length allowed; 0 is nothing.
    pub dry_multiplier: f32,
    /// How many times as much each further token of that repetition costs.
    pub dry_base: f32,
    /// Repetitions shorter than this cost nothing.
    pub dry_allowed_length: usize,
    /// How many of the latest tokens DRY looks at, prompt included; `usize::MAX` is all, 0 is none.
    pub dry_penalty_last_n: usize,
    /// What a repetition is not followed beyond.
    pub dry_breakers: Breakers,
    /// `(token, bias)`: added to that token's logit before anything else; `-inf` bans the token.
    pub logit_bias: Vec<(u32, f32)>,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            sample_index: 0,
            temperature: 0.8,
            dynatemp_range: 0.0,
            dynatemp_exponent: 1.0,
            top_n_sigma: -1.0,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            typical_p: 1.0,
            xtc_probability: 0.0,
            xtc_threshold: 0.1,
            repeat_last_n: 64,
            repeat_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            dry_multiplier: 0.0,
            dry_base: 1.75,
            dry_allowed_length: 2,
            dry_penalty_last_n: usize::MAX,
            dry_breakers: Breakers::default(),
            logit_bias: Vec::new(),
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ParamError {
    /// A number outside its range, or not a number.
    #[error("{name} is {value}: give {allowed}")]
    Range {
        /// The setting, spelled as its field.
        name: &'static str,
        /// What was given.
        value: f32,
        /// What would be right.
        allowed: &'static str,
    },
    /// A bias for a token that the model does not have.
    #[error("logit_bias names token {token}: this model's tokens are 0 to {last}", last = vocab - 1)]
    BiasToken {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// A bias that is NaN or `+inf`.
    #[error("logit_bias of token {token} is {value}: give a finite number or -inf")]
    BiasValue {
        /// The token.
        token: u32,
        /// What was given.
        value: f32,
    },
    /// A model without tokens.
    #[error("the vocabulary is empty: there is nothing to sample")]
    EmptyVocabulary,
}

const SHARE: &str = "a number from 0 to 1";

impl SamplerConfig {
    /// The default settings at temperature 0: the highest logit, the lowest id where several are highest.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Checks every setting against its range and the vocabulary's size.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    pub fn validate(&self, vocab: usize) -> Result<(), ParamError> {
        if vocab == 0 {
            return Err(ParamError::EmptyVocabulary);
        }
        for (name, value) in [
            ("top_p", self.top_p),
            ("min_p", self.min_p),
            ("typical_p", self.typical_p),
            ("xtc_probability", self.xtc_probability),
            ("xtc_threshold", self.xtc_threshold),
        ] {
            check(name, value, SHARE, (0.0..=1.0).contains(&value))?;
        }
        for (name, value) in [
            ("temperature", self.temperature),
            ("top_n_sigma", self.top_n_sigma),
            ("frequency_penalty", self.frequency_penalty),
            ("presence_penalty", self.presence_penalty),
        ] {
            check(name, value, "a finite number", value.is_finite())?;
        }
        for (name, value) in [
            ("dynatemp_range", self.dynatemp_range),
            ("dynatemp_exponent", self.dynatemp_exponent),
            ("dry_multiplier", self.dry_multiplier),
        ] {
            check(name, value, "a finite number from 0", value >= 0.0 && value.is_finite())?;
        }
        let highest = self.temperature + self.dynatemp_range;
        check("dynatemp_range", self.dynatemp_range, "one that the temperature can be raised by", highest.is_finite())?;
        let base = self.dry_base;
        check("dry_base", base, "a finite number from 1", base >= 1.0 && base.is_finite())?;
        let repeat = self.repeat_penalty;
        check("repeat_penalty", repeat, "a finite number above 0", repeat > 0.0 && repeat.is_finite())?;
        self.validate_bias(vocab)
    }

    fn validate_bias(&self, vocab: usize) -> Result<(), ParamError> {
        for &(token, value) in &self.logit_bias {
            if token as usize >= vocab {
                return Err(ParamError::BiasToken { token, vocab });
            }
            if value.is_nan() || value == f32::INFINITY {
                return Err(ParamError::BiasValue { token, value });
            }
        }
        Ok(())
    }

    /// Whether DRY can change a logit.
    pub(super) fn dries(&self) -> bool {
        self.dry_multiplier > 0.0 && self.dry_penalty_last_n > 0
    }

    /// Whether the penalties can change a logit.
    pub(super) fn penalises(&self) -> bool {
        self.repeat_last_n > 0
            && (self.repeat_penalty != 1.0 || self.frequency_penalty != 0.0 || self.presence_penalty != 0.0)
    }
}

fn check(name: &'static str, value: f32, allowed: &'static str, good: bool) -> Result<(), ParamError> {
    if good { Ok(()) } else { Err(ParamError::Range { name, value, allowed }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(SamplerConfig::default().validate(1), Ok(()));
        assert_eq!(SamplerConfig::greedy().validate(1), Ok(()));
    }

    #[test]
    fn each_setting_has_its_range() {
        type Set = fn(&mut SamplerConfig, f32);
        let shares: [Set; 5] = [
            |c, v| c.top_p = v,
            |c, v| c.min_p = v,
            |c, v| c.typical_p = v,
            |c, v| c.xtc_probability = v,
            |c, v| c.xtc_threshold = v,
        ];
        for set in shares {
            for (value, good) in [(0.0, true), (1.0, true), (-0.1, false), (1.1, false)] {
                let mut config = SamplerConfig::default();
                set(&mut config, value);
                assert_eq!(config.validate(9).is_ok(), good, "{config:?}");
            }
        }
        let others: [Set; 9] = [
            |c, v| c.temperature = v,
            |c, v| c.dynatemp_range = v,
            |c, v| c.dynatemp_exponent = v,
            |c, v| c.top_n_sigma = v,
            |c, v| c.repeat_penalty = v,
            |c, v| c.frequency_penalty = v,
            |c, v| c.presence_penalty = v,
            |c, v| c.dry_multiplier = v,
            |c, v| c.dry_base = v,
        ];
        for set in shares.into_iter().chain(others) {
            for value in [f32::NAN, f32::INFINITY] {
                let mut config = SamplerConfig::default();
                set(&mut config, value);
                let error = config.validate(9).expect_err("not a number");
                assert!(matches!(error, ParamError::Range { .. }), "{error}");
            }
        }
        let config = SamplerConfig { repeat_penalty: 0.0, ..SamplerConfig::default() };
        assert_eq!(
            config.validate(9).map_err(|e| e.to_string()),
            Err("repeat_penalty is 0: give a finite number above 0".to_owned())
        );
        for set in [others[1], others[2], others[7], others[8]] {
            let mut config = SamplerConfig::default();
            set(&mut config, -0.5);
            assert!(config.validate(9).is_err(), "{config:?}");
        }
        assert!(SamplerConfig { dry_base: 0.5, ..SamplerConfig::default() }.validate(9).is_err());
    }

    #[test]
    fn a_bias_names_a_token_and_a_number() {
        let with = |bias| SamplerConfig { logit_bias: vec![bias], ..SamplerConfig::default() };
        assert_eq!(with((8, f32::NEG_INFINITY)).validate(9), Ok(()));
        assert_eq!(
            with((9, 0.0)).validate(9).map_err(|e| e.to_string()),
            Err("logit_bias names token 9: this model's tokens are 0 to 8".to_owned())
        );
        assert!(with((0, f32::NAN)).validate(9).is_err());
        assert!(with((0, f32::INFINITY)).validate(9).is_err());
        assert_eq!(with((0, 0.0)).validate(0), Err(ParamError::EmptyVocabulary));
    }
}
