//! What is asked of a batch, what it tells, and how much it may hold.
//!
//! Data alone; when and with whom a submission is computed is the scheduler's.

use core::time::Duration;
use std::sync::Arc;

use super::grammar::Grammar;
use crate::error::EngineError;
use crate::request::{Generation, Request};

/// Most choices of one submission.
pub const MOST_CHOICES: u32 = 128;
/// Most alternatives to be told with a token.
pub const MOST_LOGPROBS: usize = 256;

/// How much a batch may hold and do at once. None of it changes a bit of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a step: prefill chunks and decode rows together. At least one.
    pub rows: usize,
    /// Answers that are computed at once. At least one.
    pub sequences: usize,
    /// Pages of the key/value cache in all (256 positions of all layers each); 0: as many as `sequences` full contexts would need,
    /// within reason. Never fewer than one answer of the full context needs.
    pub pages: usize,
    /// Submissions that wait at most; more are refused.
    pub queue: usize,
    /// Keep finished answers' pages for prompts that begin alike.
    pub prefix_cache: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 512, sequences: 16, pages: 0, queue: 1024, prefix_cache: true }
    }
}

/// What a submission is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wants {
    /// Answers.
    #[default]
    Tokens,
    /// One vector for the prompt. NUMERICS.md, section 12, "Embeddings".
    Embedding,
}

/// One prompt, and what is wanted of it.
#[derive(Clone)]
pub struct Submission {
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
    /// What to generate.
    pub request: Request,
    /// Answers to the same prompt, whose cache they share; choice i draws with the sampler's sample index + i.
    pub choices: u32,
    /// Higher ones first; among equals in the order of arrival.
    pub priority: i32,
    /// On the caller's clock; once it has passed, answers end with [`Finish::Deadline`](crate::Finish::Deadline).
    pub deadline: Option<Duration>,
    /// With each token its log-probability, and of so many alternatives.
    pub logprobs: Option<usize>,
    /// The same for each token of the prompt but the first.
    pub prompt_logprobs: Option<usize>,
    /// Tokens expected to come (a stream that is resumed, a receipt that is replayed). They are verified as any guess is, as
    /// fast as a prompt is taken in; wrong ones cost time and nothing else.
    pub draft: Vec<u32>,
    /// Which tokens may come.
    pub grammar: Option<Arc<dyn Grammar>>,
    /// What for.
    pub wants: Wants,
}

impl Submission {
    /// One answer, and nothing special.
    pub fn new(prompt: Vec<u32>, request: Request) -> Self {
        Self {
            prompt,
            request,
            choices: 1,
            priority: 0,
            deadline: None,
            logprobs: None,
            prompt_logprobs: None,
            draft: Vec::new(),
            grammar: None,
            wants: Wants::Tokens,
        }
    }
}

/// Names one submission of a batch, in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// What happens to a submission.
#[derive(Debug)]
pub enum Happening<'a> {
    /// So many of the prompt's tokens have been taken in; fewer than before, if its pages were needed elsewhere meanwhile.
    Prefill {
        /// Tokens done.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
        /// Of those done, how many had been computed for an earlier prompt.
        cached: usize,
    },
    /// Of all the prompt's tokens but the first, once, before the first token.
    PromptLogprobs(&'a [TokenLogprob]),
    /// A token was chosen.
    Token {
        /// Of which choice.
        choice: u32,
        /// The token.
        token: u32,
        /// If asked for.
        logprob: Option<&'a TokenLogprob>,
    },
    /// A choice is complete.
    Done {
        /// Which.
        choice: u32,
        /// All of it.
        generation: Generation,
    },
    /// The prompt's vector, of length 1; nothing follows.
    Embedding(&'a [f32]),
    /// This submission failed, with all its choices; others go on.
    Failed(EngineError),
}

/// A token's log-probability: of the raw row, before bias, penalties and temperature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub token: u32,
    /// Its log-probability.
    pub logprob: f32,
    /// The likeliest tokens, in the sampler's order.
    pub top: Vec<(u32, f32)>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows of prompts and of what had to be computed again.
    pub prefill: usize,
    /// Rows of latest tokens and of guesses after them.
    pub decode: usize,
}

/// Where a batch stands, and what it has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers (or prompts on the way to them) that have a place.
    pub running: usize,
    /// Submissions and preempted answers that wait for one.
    pub waiting: usize,
    /// Pages that there may be.
    pub pages: usize,
    /// Pages of running answers.
    pub pages_used: usize,
    /// Pages kept for prompts to come, and for nobody now.
    pub pages_cached: usize,
    /// Prompt tokens taken in, those included that were in the prefix cache.
    pub prompt_tokens: u64,
    /// Of these, how many were.
    pub cached_tokens: u64,
    /// Tokens chosen.
    pub generated_tokens: u64,
    /// Tokens guessed.
    pub drafted_tokens: u64,
    /// Of these, how many were chosen.
    pub accepted_tokens: u64,
    /// Answers that gave their pages back and were computed again.
    pub preemptions: u64,
    /// Passes over the model.
    pub passes: u64,
}
