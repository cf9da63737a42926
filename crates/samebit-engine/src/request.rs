//! What is asked of the engine, what it tells on the way, and what it gives.
//!
//! Data alone; how an answer comes about is `answer.rs`.

use crate::sampler::SamplerConfig;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Request {
    /// Most tokens to generate; the context bounds them too.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampler: SamplerConfig,
    /// Tokens that end the generation; the one that did is part of it.
    pub stop_tokens: Vec<u32>,
    /// Go on after such a token.
    pub ignore_eos: bool,
}

/// What happens while a request runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// So many of the prompt's tokens have been taken in.
    Prefill {
        /// Tokens done.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// A token was chosen.
    Token(u32),
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// A stop token was chosen.
    Stop,
    /// The bound on tokens, or the context, was reached.
    Length,
    /// The caller broke it off.
    Cancelled,
    /// Its time was over.
    Deadline,
}

impl Finish {
    /// The name in records: `stop`, `length`, `cancelled`, `deadline`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
            Self::Deadline => "deadline",
        }
    }
}

/// What was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The tokens, a stop token included.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// See [`LogitsDigest`](crate::LogitsDigest).
    pub logits_digest: String,
    /// How the tokens came about; the one field that speculation changes.
    pub speculation: Speculation,
}

/// What speculation did. Without it, `passes` is one less than the tokens, and the others are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speculation {
    /// Passes over the model after the prompt's.
    pub passes: usize,
    /// Tokens that were guessed.
    pub drafted: usize,
    /// Of these, how many were chosen.
    pub accepted: usize,
}
