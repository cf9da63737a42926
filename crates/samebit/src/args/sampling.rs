//! How the next token is drawn. Names and defaults are llama.cpp's; the seed's is not: the same run twice gives the same text.

use super::values::{MOST, number, within};
use crate::failure::Failure;
use crate::prompt::unescape;
use clap::Args;
use samebit_engine::sampler::{Breakers, SamplerConfig};
use samebit_text::{BREAKERS, Tokenizer, check_breakers};

#[derive(Debug, Args)]
#[command(next_help_heading = "Sampling", allow_negative_numbers = true)]
pub(crate) struct SamplingArgs {
    /// Seed of the draws. 0 unless you say otherwise: the same command gives the same text
    #[arg(short, long, value_name = "N", default_value_t = 0, env = "SAMEBIT_SEED", value_parser = within::<u64>(0..=u64::MAX.into()))]
    pub(crate) seed: u64,
    /// Temperature; 0: always the likeliest token
    #[arg(long, alias = "temperature", value_name = "T", default_value_t = 0.8, env = "SAMEBIT_TEMP", value_parser = number)]
    pub(crate) temp: f32,
    /// How far the temperature may move either way: down where the model is sure, up where it is not; 0: not at all
    #[arg(long, value_name = "T", default_value_t = 0.0, env = "SAMEBIT_DYNATEMP_RANGE", value_parser = number)]
    pub(crate) dynatemp_range: f32,
    /// The entropy's share, to this power, is the way from the lowest temperature to the highest
    #[arg(long, value_name = "X", default_value_t = 1.0, env = "SAMEBIT_DYNATEMP_EXP", value_parser = number)]
    pub(crate) dynatemp_exp: f32,
    /// Keep those at most N standard deviations of all logits below the likeliest; 0 and less: all
    #[arg(long, alias = "top-nsigma", value_name = "N", default_value_t = -1.0, env = "SAMEBIT_TOP_N_SIGMA", value_parser = number)]
    pub(crate) top_n_sigma: f32,
    /// Keep the K likeliest; 0: all
    #[arg(long, value_name = "K", default_value_t = 40, env = "SAMEBIT_TOP_K", value_parser = within::<i64>(i128::MIN..=MOST))]
    pub(crate) top_k: i64,
    /// Keep the likeliest that hold this share of the probability; 1: all
    #[arg(long, value_name = "P", default_value_t = 0.95, env = "SAMEBIT_TOP_P", value_parser = number)]
    pub(crate) top_p: f32,
    /// Keep those at least this share as likely as the likeliest; 0: all
    #[arg(long, value_name = "P", default_value_t = 0.05, env = "SAMEBIT_MIN_P", value_parser = number)]
    pub(crate) min_p: f32,
    /// Keep the most typical that hold this share of the probability; 1: all
    #[arg(long, alias = "typical-p", value_name = "P", default_value_t = 1.0, env = "SAMEBIT_TYPICAL", value_parser = number)]
    pub(crate) typical: f32,
    /// Chance to exclude the likeliest tokens (XTC); 0: never
    #[arg(long, value_name = "P", default_value_t = 0.0, env = "SAMEBIT_XTC_PROBABILITY", value_parser = number)]
    pub(crate) xtc_probability: f32,
    /// XTC excludes tokens at least this likely, but the last of them; above 0.5: none
    #[arg(long, value_name = "P", default_value_t = 0.1, env = "SAMEBIT_XTC_THRESHOLD", value_parser = number)]
    pub(crate) xtc_threshold: f32,
    /// How many of the latest tokens the penalties look at, prompt included; -1: all, 0: none
    #[arg(long, value_name = "N", default_value_t = 64, env = "SAMEBIT_REPEAT_LAST_N", value_parser = within::<i64>(i128::MIN..=MOST))]
    pub(crate) repeat_last_n: i64,
    /// Divides the logits of tokens seen (multiplies negative ones); 1: off
    #[arg(long, value_name = "X", default_value_t = 1.0, env = "SAMEBIT_REPEAT_PENALTY", value_parser = number)]
    pub(crate) repeat_penalty: f32,
    /// Subtracted from the logits of tokens seen; 0: off
    #[arg(long, value_name = "X", default_value_t = 0.0, env = "SAMEBIT_PRESENCE_PENALTY", value_parser = number)]
    pub(crate) presence_penalty: f32,
    /// Subtracted from the logits of tokens seen, once each time; 0: off
    #[arg(long, value_name = "X", default_value_t = 0.0, env = "SAMEBIT_FREQUENCY_PENALTY", value_parser = number)]
    pub(crate) frequency_penalty: f32,
    /// Subtracted from the logit of a token that prolongs a repetition (DRY); 0: off
    #[arg(long, value_name = "X", default_value_t = 0.0, env = "SAMEBIT_DRY_MULTIPLIER", value_parser = number)]
    pub(crate) dry_multiplier: f32,
    /// DRY subtracts this many times as much for each further token of the repetition
    #[arg(long, value_name = "X", default_value_t = 1.75, env = "SAMEBIT_DRY_BASE", value_parser = number)]
    pub(crate) dry_base: f32,
    /// DRY leaves shorter repetitions alone
    #[arg(long, value_name = "N", default_value_t = 2, env = "SAMEBIT_DRY_ALLOWED_LENGTH", value_parser = within::<usize>(0..=MOST))]
    pub(crate) dry_allowed_length: usize,
    /// How many of the latest tokens DRY looks at, prompt included; -1: all, 0: none
    #[arg(long, value_name = "N", default_value_t = -1, env = "SAMEBIT_DRY_PENALTY_LAST_N", value_parser = within::<i64>(i128::MIN..=MOST))]
    pub(crate) dry_penalty_last_n: i64,
    /// DRY follows no repetition beyond this text (\n, \t as in -e); may be repeated, replaces a line's end, `:`, `"` and
    /// `*`; `none`: no such text
    #[arg(long, value_name = "TEXT", env = "SAMEBIT_DRY_SEQUENCE_BREAKER")]
    pub(crate) dry_sequence_breaker: Vec<String>,
    /// Add to a token's logit, as in 15043+1.5, 15043-1 or 15043-inf; may be repeated
    #[arg(long, value_name = "ID(+|-)BIAS", value_delimiter = ',', env = "SAMEBIT_LOGIT_BIAS", value_parser = bias)]
    pub(crate) logit_bias: Vec<(u32, f32)>,
}

impl SamplingArgs {
    /// The texts that DRY follows no repetition beyond.
    pub(crate) fn breakers(&self) -> Vec<String> {
        match &self.dry_sequence_breaker[..] {
            [] => BREAKERS.map(str::to_owned).to_vec(),
            texts => texts.iter().filter(|text| *text != "none").map(|text| unescape(text)).collect(),
        }
    }

    /// DRY's breakers as tokens.
    ///
    /// # Errors
    /// Texts that are too many, too long or empty.
    pub(crate) fn breakers_for(&self, tokenizer: &Tokenizer) -> Result<Breakers, Failure> {
        let breakers = tokenizer.breakers(&self.breakers()).map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(breakers.into_iter().collect())
    }

    /// The engine's settings for a vocabulary; without DRY's breakers if it is off.
    ///
    /// # Errors
    /// One that makes no sense.
    pub(crate) fn config_for(&self, tokenizer: &Tokenizer) -> Result<SamplerConfig, Failure> {
        check_breakers(&self.breakers()).map_err(|error| Failure::Usage(error.to_string()))?;
        let mut config = self.config();
        if config.dry_multiplier > 0.0 {
            config.dry_breakers = self.breakers_for(tokenizer)?;
        }
        config.validate(tokenizer.vocab_size()).map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(config)
    }

    /// The engine's settings, but for what depends on a vocabulary. They are checked by the sampler, which knows it.
    pub(crate) fn config(&self) -> SamplerConfig {
        SamplerConfig {
            seed: self.seed,
            sample_index: 0,
            temperature: self.temp,
            dynatemp_range: self.dynatemp_range,
            dynatemp_exponent: self.dynatemp_exp,
            top_n_sigma: self.top_n_sigma,
            top_k: usize::try_from(self.top_k).unwrap_or(0),
            top_p: self.top_p,
            min_p: self.min_p,
            typical_p: self.typical,
            xtc_probability: self.xtc_probability,
            xtc_threshold: self.xtc_threshold,
            repeat_last_n: usize::try_from(self.repeat_last_n).unwrap_or(usize::MAX),
            repeat_penalty: self.repeat_penalty,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            dry_multiplier: self.dry_multiplier,
            dry_base: self.dry_base,
            dry_allowed_length: self.dry_allowed_length,
            dry_penalty_last_n: usize::try_from(self.dry_penalty_last_n).unwrap_or(usize::MAX),
            dry_breakers: Breakers::default(),
            logit_bias: self.logit_bias.clone(),
        }
    }
}

/// `15043+1.5`: the sign is part of the number and parts it from the id.
fn bias(text: &str) -> Result<(u32, f32), String> {
    let advice =
        || format!("`{text}` is no bias: write a token id and a signed number, such as 15043+1.5 or 15043-inf");
    let sign = text.find(['+', '-']).ok_or_else(advice)?;
    let (id, value) = text.split_at(sign);
    let id = id.parse().map_err(|_| advice())?;
    let value: f32 = value.parse().map_err(|_| advice())?;
    Ok((id, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sampling: SamplingArgs,
    }

    #[test]
    fn the_defaults_are_the_samplers_own() {
        let line = Line::try_parse_from(["x"]).expect("defaults");
        assert_eq!(line.sampling.config(), SamplerConfig::default());
    }

    #[test]
    fn zero_and_below_switch_off() {
        let line = Line::try_parse_from(["x", "--top-k", "-1", "--repeat-last-n", "-1", "--temp", "-1"]);
        let config = line.unwrap_or_else(|e| panic!("{e}")).sampling.config();
        assert_eq!((config.top_k, config.repeat_last_n, config.temperature), (0, usize::MAX, -1.0));
    }

    #[test]
    fn the_first_breaker_given_replaces_the_usual_ones() {
        let breakers = |line: &[&str]| {
            let line = Line::try_parse_from([&["x"], line].concat());
            line.unwrap_or_else(|e| panic!("{e}")).sampling.breakers()
        };
        assert_eq!(breakers(&[]), BREAKERS);
        let given =
            ["--dry-sequence-breaker", r"\n", "--dry-sequence-breaker", "none", "--dry-sequence-breaker", "User:"];
        assert_eq!(breakers(&given), ["\n", "User:"]);
        assert!(breakers(&["--dry-sequence-breaker", "none"]).is_empty());
    }

    #[test]
    fn biases() {
        assert_eq!(bias("15043+1.5"), Ok((15043, 1.5)));
        assert_eq!(bias("0-inf"), Ok((0, f32::NEG_INFINITY)));
        assert_eq!(bias("7-1e-3"), Ok((7, -1e-3)));
        for wrong in ["", "7", "+1", "7+", "x-1", "7*2"] {
            assert!(bias(wrong).is_err(), "{wrong}");
        }
    }
}
