//! What an answer depends on besides what was said: sampling, the system prompt, its form, whether the model thinks.
//!
//! Knows names and ranges; nothing of how they are used.

use samebit_engine::sampler::SamplerConfig;
use samebit_text::template::CivilTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::form::Format;
use crate::stops;

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
    /// `None` is −∞, which JSON cannot say.
    pub logit_bias: Vec<(u32, Option<f32>)>,
}

impl Settings {
    /// Text without a system prompt, drawn as `config` says.
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
                logit_bias: config.logit_bias.iter().map(bias).collect(),
            },
        }
    }

    /// The sampler's settings for an answer drawn with `seed` that has `before` turns before it.
    pub fn config(&self, seed: u64, before: usize) -> SamplerConfig {
        let sampling = &self.sampling;
        let bias = |&(token, bias): &(u32, Option<f32>)| (token, bias.unwrap_or(f32::NEG_INFINITY));
        SamplerConfig {
            seed,
            // More turns than 2^32 fit in no context.
            sample_index: u32::try_from(before).unwrap_or(u32::MAX),
            temperature: sampling.temperature,
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
        vec![
            ("seed", self.seed.to_string()),
            ("num_predict", all(self.predict)),
            ("temperature", sampling.temperature.to_string()),
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
            ("stop", if self.stop.is_empty() { "none".into() } else { self.stop.join(", ") }),
        ]
    }

    /// Adds a text that ends answers, perhaps quoted as in JSON; an empty one takes all away.
    fn add_stop(&mut self, value: &str) -> Result<(), String> {
        let text: String = serde_json::from_str(value).unwrap_or_else(|_| value.to_owned());
        if text.is_empty() {
            self.stop.clear();
            return Ok(());
        }
        if !self.stop.contains(&text) {
            self.stop.push(text);
        }
        let fits = self.stops_fit();
        if fits.is_err() {
            self.stop.pop();
        }
        fits
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
            "num_gpu" | "num_thread" | "num_batch" => {
                return Err(format!("{name}: no answer depends on it; -t and -ub are given when the program starts"));
            }
            "num_ctx" | "ctx_size" => {
                return Err("the context is the model's and not an answer's".into());
            }
            _ => {
                let number = match name {
                    "temperature" | "temp" => &mut sampling.temperature,
                    "top_p" => &mut sampling.top_p,
                    "min_p" => &mut sampling.min_p,
                    "typical_p" => &mut sampling.typical_p,
                    "xtc_probability" => &mut sampling.xtc_probability,
                    "xtc_threshold" => &mut sampling.xtc_threshold,
                    "repeat_penalty" => &mut sampling.repeat_penalty,
                    "frequency_penalty" => &mut sampling.frequency_penalty,
                    "presence_penalty" => &mut sampling.presence_penalty,
                    _ => {
                        let names: Vec<&str> = self.parameters().into_iter().map(|(name, _)| name).collect();
                        return Err(format!("no parameter is named {name}; there are {}", names.join(", ")));
                    }
                };
                *number = value.parse().map_err(|_| format!("{name}: {value} is no number"))?;
            }
        }
        Ok(())
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
            ..SamplerConfig::default()
        };
        let settings = Settings::new(&config);
        let json = serde_json::to_string(&settings).expect("JSON");
        let back: Settings = serde_json::from_str(&json).expect("settings");
        assert_eq!(back, settings);
        assert_eq!(back.config(u64::MAX, 0), config);
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
