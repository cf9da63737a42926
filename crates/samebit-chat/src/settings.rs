//! What an answer depends on besides what was said: sampling, the system prompt, its form, whether the model thinks.
//!
//! Knows names and ranges; nothing of how they are used.

use samebit_engine::sampler::{Breakers, SamplerConfig};
use samebit_text::BREAKERS;
use samebit_text::template::CivilTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::form::Format;
use crate::stops;

/// What templates are given of what was said, and of the model.
const THEIRS: [&str; 6] = ["messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token"];

/// Everything that governs the answers to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Seed of the draws.
    pub seed: u64,
    /// The system prompt.
    pub system: Option<String>,
    /// Most tokens of an answer; `None`: until the model ends it or the context is full.
    pub predict: Option<usize>,
    /// The template's `enable_thinking`; `None` leaves it to the template.
    pub think: Option<bool>,
    /// How hard it thinks: the template's `reasoning_effort`, such as `low`; `None` leaves it to the template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Most tokens of a thought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think_budget: Option<u32>,
    /// Further variables of the template.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
    /// The answers' form.
    pub format: Format,
    /// Texts that end an answer, and are no part of it: at most 16 of at most 400 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The day that the template's clock shows, as 2026-01-31; `None`: it has no clock.
    pub date: Option<String>,
    /// How tokens are drawn.
    pub sampling: Sampling,
}

/// [`SamplerConfig`] as it stands in a file; the seed is the settings' and the sample index the turn's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are SamplerConfig's")]
pub struct Sampling {
    pub temperature: f32,
    #[serde(default, skip_serializing_if = "DynamicTemperature::is_off")]
    pub dynamic_temperature: DynamicTemperature,
    #[serde(default = "no_sigma", skip_serializing_if = "is_no_sigma")]
    pub top_n_sigma: f32,
    pub top_k: usize,
    pub top_p: f32,
    pub min_p: f32,
    pub typical_p: f32,
    pub xtc_probability: f32,
    pub xtc_threshold: f32,
    /// `None` is all.
    pub repeat_last_n: Option<usize>,
    pub repeat_penalty: f32,
    pub frequency_penalty: f32,
    pub presence_penalty: f32,
    #[serde(default, skip_serializing_if = "Dry::is_default")]
    pub dry: Dry,
    /// `None` is −∞, which JSON cannot say.
    pub logit_bias: Vec<(u32, Option<f32>)>,
}

/// How far the temperature may move: nothing of it stands in a file unless it may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are SamplerConfig's")]
pub struct DynamicTemperature {
    pub range: f32,
    pub exponent: f32,
}

impl Default for DynamicTemperature {
    fn default() -> Self {
        Self { range: 0.0, exponent: 1.0 }
    }
}

impl DynamicTemperature {
    fn is_off(&self) -> bool {
        *self == Self::default()
    }
}

/// What repetitions cost: nothing of it stands in a file unless something is other than usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are SamplerConfig's")]
pub struct Dry {
    pub multiplier: f32,
    pub base: f32,
    pub allowed_length: usize,
    /// `None` is all.
    pub penalty_last_n: Option<usize>,
    /// Texts that no repetition is followed beyond.
    pub sequence_breakers: Vec<String>,
}

impl Default for Dry {
    fn default() -> Self {
        let config = SamplerConfig::default();
        Self {
            multiplier: config.dry_multiplier,
            base: config.dry_base,
            allowed_length: config.dry_allowed_length,
            penalty_last_n: None,
            sequence_breakers: BREAKERS.map(str::to_owned).to_vec(),
        }
    }
}

impl Dry {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn no_sigma() -> f32 {
    SamplerConfig::default().top_n_sigma
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_no_sigma(n: &f32) -> bool {
    *n == no_sigma()
}

impl Settings {
    /// Text without a system prompt, drawn as `config` says, with DRY's usual breakers.
    pub fn new(config: &SamplerConfig) -> Self {
        let bias = |&(token, bias): &(u32, f32)| (token, Some(bias).filter(|bias| *bias != f32::NEG_INFINITY));
        Self {
            seed: config.seed,
            system: None,
            predict: None,
            think: None,
            effort: None,
            think_budget: None,
            variables: Map::new(),
            format: Format::Text,
            stop: Vec::new(),
            date: None,
            sampling: Sampling {
                temperature: config.temperature,
                dynamic_temperature: DynamicTemperature {
                    range: config.dynatemp_range,
                    exponent: config.dynatemp_exponent,
                },
                top_n_sigma: config.top_n_sigma,
                top_k: config.top_k,
                top_p: config.top_p,
                min_p: config.min_p,
                typical_p: config.typical_p,
                xtc_probability: config.xtc_probability,
                xtc_threshold: config.xtc_threshold,
                repeat_last_n: Some(config.repeat_last_n).filter(|n| *n != usize::MAX),
                repeat_penalty: config.repeat_penalty,
                frequency_penalty: config.frequency_penalty,
                presence_penalty: config.presence_penalty,
                dry: Dry {
                    multiplier: config.dry_multiplier,
                    base: config.dry_base,
                    allowed_length: config.dry_allowed_length,
                    penalty_last_n: Some(config.dry_penalty_last_n).filter(|n| *n != usize::MAX),
                    ..Dry::default()
                },
                logit_bias: config.logit_bias.iter().map(bias).collect(),
            },
        }
    }

    /// The sampler's settings for an answer drawn with `seed` that has `before` turns before it, but for DRY's breakers, which are
    /// [`crate::Model`]'s to find.
    pub fn config(&self, seed: u64, before: usize) -> SamplerConfig {
        let sampling = &self.sampling;
        let bias = |&(token, bias): &(u32, Option<f32>)| (token, bias.unwrap_or(f32::NEG_INFINITY));
        SamplerConfig {
            seed,
            // More turns than 2^32 fit in no context.
            sample_index: u32::try_from(before).unwrap_or(u32::MAX),
            temperature: sampling.temperature,
            dynatemp_range: sampling.dynamic_temperature.range,
            dynatemp_exponent: sampling.dynamic_temperature.exponent,
            top_n_sigma: sampling.top_n_sigma,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
            typical_p: sampling.typical_p,
            xtc_probability: sampling.xtc_probability,
            xtc_threshold: sampling.xtc_threshold,
            repeat_last_n: sampling.repeat_last_n.unwrap_or(usize::MAX),
            repeat_penalty: sampling.repeat_penalty,
            frequency_penalty: sampling.frequency_penalty,
            presence_penalty: sampling.presence_penalty,
            dry_multiplier: sampling.dry.multiplier,
            dry_base: sampling.dry.base,
            dry_allowed_length: sampling.dry.allowed_length,
            dry_penalty_last_n: sampling.dry.penalty_last_n.unwrap_or(usize::MAX),
            dry_breakers: Breakers::default(),
            logit_bias: sampling.logit_bias.iter().map(bias).collect(),
        }
    }

    /// The day of the template's clock; `None` too where `date` is no day.
    pub fn now(&self) -> Option<CivilTime> {
        day(self.date.as_deref()?)
    }

    /// Names of the parameters and their values, in the order in which they are shown.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let sampling = &self.sampling;
        let all = |n: Option<usize>| n.map_or("-1".into(), |n| n.to_string());
        let texts = |texts: &[String]| if texts.is_empty() { "none".into() } else { texts.join(", ") };
        let (dynamic, dry) = (&sampling.dynamic_temperature, &sampling.dry);
        vec![
            ("seed", self.seed.to_string()),
            ("num_predict", all(self.predict)),
            ("temperature", sampling.temperature.to_string()),
            ("dynatemp_range", dynamic.range.to_string()),
            ("dynatemp_exponent", dynamic.exponent.to_string()),
            ("top_n_sigma", sampling.top_n_sigma.to_string()),
            ("top_k", sampling.top_k.to_string()),
            ("top_p", sampling.top_p.to_string()),
            ("min_p", sampling.min_p.to_string()),
            ("typical_p", sampling.typical_p.to_string()),
            ("xtc_probability", sampling.xtc_probability.to_string()),
            ("xtc_threshold", sampling.xtc_threshold.to_string()),
            ("repeat_last_n", all(sampling.repeat_last_n)),
            ("repeat_penalty", sampling.repeat_penalty.to_string()),
            ("frequency_penalty", sampling.frequency_penalty.to_string()),
            ("presence_penalty", sampling.presence_penalty.to_string()),
            ("dry_multiplier", dry.multiplier.to_string()),
            ("dry_base", dry.base.to_string()),
            ("dry_allowed_length", dry.allowed_length.to_string()),
            ("dry_penalty_last_n", all(dry.penalty_last_n)),
            ("dry_sequence_breaker", texts(&dry.sequence_breakers).escape_debug().to_string()),
            ("stop", texts(&self.stop)),
        ]
    }

    /// Adds a text that ends answers.
    fn add_stop(&mut self, value: &str) -> Result<(), String> {
        add_text(&mut self.stop, value);
        let fits = self.stops_fit();
        if fits.is_err() {
            self.stop.pop();
        }
        fits
    }

    /// Whether no variable of the template has the name of one that it is given anyway, and would take its place.
    ///
    /// # Errors
    /// The name of one that has.
    pub fn variables_fit(&self) -> Result<(), String> {
        match THEIRS.into_iter().find(|name| self.variables.contains_key(*name)) {
            Some(name) => Err(format!("variable {name}: is the conversation's or the model's: take another name")),
            None => Ok(()),
        }
    }

    /// Whether the texts that end answers are within bounds.
    pub(crate) fn stops_fit(&self) -> Result<(), String> {
        let good = |text: &String| !text.is_empty() && text.len() <= stops::LONGEST;
        if self.stop.len() <= stops::MOST && self.stop.iter().all(good) {
            return Ok(());
        }
        Err(format!("stop: at most {} texts of 1 to {} bytes", stops::MOST, stops::LONGEST))
    }

    /// Sets a parameter by its name. The range is not checked here but by the sampler, which knows it.
    ///
    /// # Errors
    /// A value that is no number; a name that is none, with those that there are.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let sampling = &mut self.sampling;
        match name {
            "seed" => self.seed = whole(name, value)?,
            "num_predict" | "predict" => self.predict = all_or(name, value)?,
            "repeat_last_n" => sampling.repeat_last_n = all_or(name, value)?,
            "top_k" => sampling.top_k = all_or(name, value)?.unwrap_or(0),
            "stop" => self.add_stop(value)?,
            "dry_penalty_last_n" => sampling.dry.penalty_last_n = all_or(name, value)?,
            "dry_allowed_length" => {
                let length = all_or(name, value)?.ok_or_else(|| format!("{name}: {value} is below 0"))?;
                sampling.dry.allowed_length = length;
            }
            "dry_sequence_breaker" => {
                let breakers = &mut sampling.dry.sequence_breakers;
                // The first of one's own replaces the usual ones.
                if *breakers == BREAKERS {
                    breakers.clear();
                }
                add_text(breakers, value);
            }
            "num_gpu" | "num_thread" | "num_batch" => {
                return Err(format!("{name}: no answer depends on it; -t and -ub are given when the program starts"));
            }
            "num_ctx" | "ctx_size" => {
                return Err("the context is the model's and not an answer's".into());
            }
            _ => {
                let number = match name {
                    "temperature" | "temp" => &mut sampling.temperature,
                    "dynatemp_range" => &mut sampling.dynamic_temperature.range,
                    "dynatemp_exponent" | "dynatemp_exp" => &mut sampling.dynamic_temperature.exponent,
                    "top_n_sigma" => &mut sampling.top_n_sigma,
                    "top_p" => &mut sampling.top_p,
                    "min_p" => &mut sampling.min_p,
                    "typical_p" => &mut sampling.typical_p,
                    "xtc_probability" => &mut sampling.xtc_probability,
                    "xtc_threshold" => &mut sampling.xtc_threshold,
                    "repeat_penalty" => &mut sampling.repeat_penalty,
                    "frequency_penalty" => &mut sampling.frequency_penalty,
                    "presence_penalty" => &mut sampling.presence_penalty,
                    "dry_multiplier" => &mut sampling.dry.multiplier,
                    "dry_base" => &mut sampling.dry.base,
                    _ => {
                        let names: Vec<&str> = self.parameters().into_iter().map(|(name, _)| name).collect();
                        return Err(format!("no parameter is named {name}; there are {}, num_ctx", names.join(", ")));
                    }
                };
                *number = value.parse().map_err(|_| format!("{name}: {value} is no number"))?;
            }
        }
        Ok(())
    }
}

/// Adds a text to others, perhaps quoted as in JSON; an empty one takes all away.
fn add_text(texts: &mut Vec<String>, value: &str) {
    let text: String = serde_json::from_str(value).unwrap_or_else(|_| value.to_owned());
    if text.is_empty() {
        texts.clear();
    } else if !texts.contains(&text) {
        texts.push(text);
    }
}

/// A day of the calendar, from 2026-01-31.
pub(crate) fn day(text: &str) -> Option<CivilTime> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    if parts.next().is_some() { None } else { CivilTime::date(year, month, day) }
}

fn whole(name: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("{name}: {value} is no whole number from 0 to {}", u64::MAX))
}

/// A whole number; below 0 is all.
fn all_or(name: &str, value: &str) -> Result<Option<usize>, String> {
    let number: i64 = value.parse().map_err(|_| format!("{name}: {value} is no whole number"))?;
    Ok(usize::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_from_json_bit_for_bit() {
        let config = SamplerConfig {
            seed: u64::MAX,
            temperature: 0.1 + 0.2,
            top_p: 0.949_999_9,
            repeat_last_n: usize::MAX,
            logit_bias: vec![(7, f32::NEG_INFINITY), (8, -1.5e-7)],
            dynatemp_range: 0.3,
            top_n_sigma: 1.1,
            dry_multiplier: 0.8,
            dry_penalty_last_n: 77,
            ..SamplerConfig::default()
        };
        let settings = Settings::new(&config);
        let json = serde_json::to_string(&settings).expect("JSON");
        let back: Settings = serde_json::from_str(&json).expect("settings");
        assert_eq!(back, settings);
        assert_eq!(back.config(u64::MAX, 0), config);
        // What is as usual is not written, so that a reader who does not know it can read the file.
        let usual = serde_json::to_string(&Settings::new(&SamplerConfig::default())).expect("JSON");
        assert!(["dry", "dynamic", "sigma"].iter().all(|name| json.contains(name) && !usual.contains(name)), "{usual}");
        assert_eq!(serde_json::from_str::<Settings>(&usual).expect("settings").sampling.dry, Dry::default());
    }

    #[test]
    fn parameters_are_set_by_the_names_that_are_shown() {
        let mut settings = Settings::new(&SamplerConfig::default());
        for (name, _) in settings.parameters() {
            settings.set(name, "1").expect("a parameter");
        }
        assert!(settings.parameters().iter().all(|(_, value)| value == "1"), "{settings:?}");
        // A number is JSON and no text: it stands for itself.
        settings.set("stop", "\"a\\n\"").expect("a text");
        assert_eq!(settings.stop, ["1", "a\n"]);
        assert!(settings.set("stop", &"x".repeat(401)).is_err() && settings.stop.len() == 2);
        settings.set("stop", "").expect("none");
        assert!(settings.stop.is_empty());
        settings.set("dry_sequence_breaker", "\"\\n\"").expect("a text");
        assert_eq!(settings.sampling.dry.sequence_breakers, ["1", "\n"]);
        let shown = settings.parameters().into_iter().find(|(name, _)| *name == "dry_sequence_breaker");
        assert_eq!(shown.map(|(_, value)| value).as_deref(), Some("1, \\n"));
        assert!(settings.set("dry_allowed_length", "-1").is_err());
        settings.set("num_predict", "-1").expect("all");
        assert_eq!(settings.predict, None);
        assert_eq!(settings.set("top_p", "x"), Err("top_p: x is no number".into()));
        assert!(settings.set("tempo", "1").is_err_and(|error| error.contains("temperature")));
        assert!(settings.set("num_gpu", "1").is_err_and(|error| error.contains("no answer depends on it")));
    }

    #[test]
    fn days() {
        assert!(day("2026-01-31").is_some());
        assert!(day("2026-02-31").is_none() && day("2026-01").is_none() && day("2026-01-01-01").is_none());
    }
}
