//! The model that is talked to, with all that a conversation needs of it.

use std::sync::Arc;

use samebit_engine::sampler::SamplerConfig;
use samebit_engine::{Engine, EngineError};
use samebit_text::template::ChatTemplate;
use samebit_text::{Tokenizer, check_breakers};

use crate::error::ChatError;
use crate::settings::Settings;

/// A model, loaded.
#[derive(Clone, Debug)]
pub struct Model {
    /// What computes.
    pub engine: Engine,
    /// A smaller one of the same vocabulary that guesses ahead, if there is one.
    pub draft: Option<Engine>,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// Its chat template.
    pub template: ChatTemplate,
    /// What it is called.
    pub name: String,
    /// Where it lies.
    pub path: String,
    /// The licence that its file names, or has in full.
    pub license: Option<String>,
    /// What else there is to say of it: names and values.
    pub facts: Vec<(String, String)>,
    /// BLAKE3 of its file, in hexadecimal.
    pub digest: String,
    /// The precision mode's name, such as `v1`.
    pub numerics: String,
    /// The cache type's name, such as `f16`.
    pub kv: String,
}

impl Model {
    /// BLAKE3 of the chat template's source, in hexadecimal.
    pub fn template_digest(&self) -> String {
        blake3::hash(self.template.source().as_bytes()).to_hex().to_string()
    }

    /// The sampler's settings for an answer drawn with `seed` that has `before` turns before it.
    ///
    /// # Errors
    /// One that makes no sense for this vocabulary.
    pub(crate) fn sampler(&self, settings: &Settings, seed: u64, before: usize) -> Result<SamplerConfig, ChatError> {
        let (dry, mut config) = (&settings.sampling.dry, settings.config(seed, before));
        check_breakers(&dry.sequence_breakers)?;
        if dry.multiplier > 0.0 {
            config.dry_breakers = self.tokenizer.breakers(&dry.sequence_breakers)?.into_iter().collect();
        }
        config.validate(self.tokenizer.vocab_size()).map_err(EngineError::from)?;
        Ok(config)
    }

    /// Whether the template can be told not to think.
    pub fn may_think(&self) -> bool {
        self.template.source().contains("enable_thinking")
    }

    /// Whether the template can be told how hard to think.
    pub fn has_effort(&self) -> bool {
        self.template.source().contains("reasoning_effort")
    }
}
