//! From a row of logits to a token: the sampling chain of NUMERICS.md, "Sampling".
//!
//! A draw depends on the logits, the settings, the tokens accepted so far and the position, and on nothing else: the
//! random generator is counter-based and keeps no state, so sequences may be drawn in any order, again, or never.
//! Knows nothing of models, text or time.
//!
//! The chain, in this order: the mask of a constraint, logit bias, penalties, DRY, top-nσ, top-k, typical, top-p, min-p, XTC, temperature,
//! draw.

mod candidates;
mod config;
mod dry;
mod logprobs;
mod penalties;

pub use config::{ParamError, SamplerConfig};
pub use dry::Breakers;
pub use logprobs::token_logprob;

use candidates::{Candidates, highest, sigma_floor};
use penalties::Window;
use samebit_numerics::philox::{philox4x32_10, uniform24};
use thiserror::Error;

/// What a random number is for: the last word of the generator's counter.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
enum Purpose {
    Draw = 0,
    Xtc = 1,
}

/// A row of logits that no token can be drawn from.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SampleError {
    /// A logit, after bias and penalties, is NaN or `+inf`.
    #[error("the logit of token {token} at position {position} is {value}: the model's numbers overflowed")]
    NotFinite {
        /// Position of the token to be drawn.
        position: usize,
        /// Whose logit it is.
        token: usize,
        /// The logit.
        value: f32,
    },
    /// Every logit is `-inf`.
    #[error("no token is left to draw at position {position}: every one is banned by logit_bias or the grammar")]
    NothingLeft {
        /// Position of the token to be drawn.
        position: usize,
    },
    /// The row is not as long as the vocabulary.
    #[error("{got} logits at position {position}, the vocabulary has {expected} tokens")]
    Length {
        /// Position of the token to be drawn.
        position: usize,
        /// Logits given.
        got: usize,
        /// Tokens in the vocabulary.
        expected: usize,
    },
}

/// Draws one sequence's tokens.
///
/// Cloning gives an independent sampler that continues alike: what speculation needs to look ahead.
#[derive(Clone, Debug)]
pub struct Sampler {
    config: SamplerConfig,
    vocab: usize,
    window: Window,
    /// The tokens so far, if DRY wants them.
    tokens: Vec<u32>,
    candidates: Candidates,
    changed: Vec<f32>,
}

impl Sampler {
    /// A sampler for rows of `vocab` logits that has accepted no token yet.
    ///
    /// # Errors
    /// The first setting that makes no sense for this vocabulary.
    pub fn new(config: &SamplerConfig, vocab: usize) -> Result<Self, ParamError> {
        config.validate(vocab)?;
        Ok(Self {
            config: config.clone(),
            vocab,
            window: Window::default(),
            tokens: Vec::new(),
            candidates: Candidates::default(),
            changed: Vec::new(),
        })
    }

    /// The settings.
    pub fn config(&self) -> &SamplerConfig {
        &self.config
    }

    /// Records a token of the sequence, prompt or drawn, for the penalties.
    pub fn accept(&mut self, token: u32) {
        if self.config.penalises() {
            self.window.push(token, self.config.repeat_last_n);
        }
        if self.config.dries() {
            self.tokens.push(token);
        }
    }

    /// Draws the token at `position`, the number of tokens before it in its sequence. Does not [`Sampler::accept`] it.
    ///
    /// # Errors
    /// A row of the wrong length, a logit that is NaN or `+inf`, or no token left.
    pub fn sample(&mut self, logits: &[f32], position: usize) -> Result<u32, SampleError> {
        self.sample_allowed(logits, position, None)
    }

    /// As [`Sampler::sample`], of the tokens that `mask` allows: a bit each, least significant first, 32 to a word; tokens beyond
    /// its last word are not allowed.
    ///
    /// # Errors
    /// As there.
    pub fn sample_allowed(
        &mut self,
        logits: &[f32],
        position: usize,
        mask: Option<&[u32]>,
    ) -> Result<u32, SampleError> {
        if logits.len() != self.vocab {
            return Err(SampleError::Length { position, got: logits.len(), expected: self.vocab });
        }
        let mut changed = std::mem::take(&mut self.changed);
        let logits = self.bias_and_penalise(logits, mask, &mut changed);
        let drawn = match reject(logits, position) {
            Ok(()) if self.config.temperature <= 0.0 => highest(logits),
            Ok(()) => self.draw(logits, position),
            Err(error) => return Err(error),
        };
        self.changed = changed;
        drawn.ok_or(SampleError::NothingLeft { position })
    }

    /// Steps 0 to 3: the logits themselves where nothing changes them.
    fn bias_and_penalise<'a>(&self, logits: &'a [f32], mask: Option<&[u32]>, changed: &'a mut Vec<f32>) -> &'a [f32] {
        let penalises = self.config.penalises() || self.config.dries();
        if mask.is_none() && self.config.logit_bias.is_empty() && !penalises {
            return logits;
        }
        changed.clear();
        changed.extend_from_slice(logits);
        if let Some(mask) = mask {
            let words = mask.iter().chain(std::iter::repeat(&0));
            for (&word, logits) in words.zip(changed.chunks_mut(32)) {
                let banned = logits.iter_mut().enumerate().filter(|(bit, _)| word >> bit & 1 == 0);
                banned.for_each(|(_, logit)| *logit = f32::NEG_INFINITY);
            }
        }
        for &(token, bias) in &self.config.logit_bias {
            // `validate` has checked every token against the vocabulary.
            changed[token as usize] += bias;
        }
        if self.config.penalises() {
            self.window.apply(&self.config, changed);
        }
        if self.config.dries() {
            dry::apply(&self.config, &self.tokens, changed);
        }
        changed
    }

    /// Steps 4 to 11; `None` if every logit is `-inf`.
    fn draw(&mut self, logits: &[f32], position: usize) -> Option<u32> {
        let config = &self.config;
        let set = &mut self.candidates;
        let tail_unseen = config.top_k == 0 && config.typical_p >= 1.0 && config.top_p >= 1.0;
        let early_min_p = if tail_unseen { config.min_p } else { 0.0 };
        let floor = if config.top_n_sigma > 0.0 { sigma_floor(logits, config.top_n_sigma) } else { f32::NEG_INFINITY };
        if !set.fill(logits, floor, config.top_k, early_min_p) {
            return None;
        }
        if config.typical_p < 1.0 {
            set.keep_typical(config.typical_p);
        }
        if config.top_p < 1.0 {
            set.keep_top_p(config.top_p);
        }
        if config.min_p > 0.0 {
            set.keep_min_p(config.min_p);
        }
        if config.xtc_probability > 0.0
            && config.xtc_threshold <= 0.5
            && uniform(config, position, Purpose::Xtc) < config.xtc_probability
        {
            set.exclude_top(config.xtc_threshold);
        }
        let uniform = uniform(config, position, Purpose::Draw);
        let temperature = match config.dynatemp_range {
            0.0 => config.temperature,
            range => set.temperature(config.temperature, range, config.dynatemp_exponent),
        };
        set.draw(temperature, uniform)
    }
}

/// A multiple of 2^-24 in [0, 1), from Philox4x32-10 (Salmon et al., 2011).
fn uniform(config: &SamplerConfig, position: usize, purpose: Purpose) -> f32 {
    let position = position as u64;
    let counter = [position as u32, (position >> 32) as u32, config.sample_index, purpose as u32];
    let key = [config.seed as u32, (config.seed >> 32) as u32];
    uniform24(philox4x32_10(counter, key)[0])
}

/// Refuses logits that are NaN or `+inf`.
fn reject(logits: &[f32], position: usize) -> Result<(), SampleError> {
    // A block at a time, without a branch in it: so vectors may do it.
    let good = |block: &[f32]| block.iter().fold(true, |good, &logit| good & (logit < f32::INFINITY));
    let Some(block) = logits.chunks(256).position(|block| !good(block)) else { return Ok(()) };
    let token = logits.iter().skip(block * 256).position(|&logit| !good(&[logit])).map_or(0, |at| block * 256 + at);
    Err(SampleError::NotFinite { position, token, value: logits[token] })
}
