//! One answer on its way: rows of logits in, tokens out, until there is a reason to stop. Speculation, exactly.
//!
//! A pass takes in the latest token and a guess at what follows, and gives a row of logits after each. Rows are looked at in
//! order, as if each had come from a pass of its own, for as long as the token before it was guessed right; rows after a wrong
//! guess are never looked at. By promises C and K the rows that are looked at have the bits of plain decoding, so everything
//! that follows from them is the same. Promise S.
//!
//! Knows one request; nothing of how rows are computed or with whom they share a pass.

use std::sync::Arc;

use samebit_kernels::float_env;

use crate::batch::{Constraint, TokenLogprob};
use crate::digest::LogitsDigest;
use crate::draft::{Drafter, Pace};
use crate::error::EngineError;
use crate::request::{Finish, Generation, Request, Speculation};
use crate::sampler::{Sampler, token_logprob};

/// What is asked of one answer.
pub(crate) struct Asked {
    pub(crate) request: Arc<Request>,
    /// Which of several answers to the prompt.
    pub(crate) choice: u32,
    /// Alternatives to be told with each token.
    pub(crate) logprobs: Option<usize>,
    pub(crate) constraint: Option<Box<dyn Constraint>>,
    /// What somebody expects to come.
    pub(crate) expected: Vec<u32>,
    /// Most tokens of a guess.
    pub(crate) most_drafted: usize,
}

/// Who made a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guesser {
    /// The caller, who expects it.
    Caller,
    /// The text, by what followed last time.
    Text,
    /// Another model.
    Model,
}

/// Most tokens of another model's guess: each costs a pass of it.
const MOST_OF_MODEL: usize = 16;

/// A token that a row gave.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) token: u32,
    pub(crate) logprob: Option<TokenLogprob>,
}

/// The state of one answer.
pub(crate) struct Answer {
    asked: Asked,
    sampler: Sampler,
    digest: LogitsDigest,
    drafter: Drafter,
    /// Of another model's guesses.
    pace: Pace,
    tokens: Vec<u32>,
    /// Tokens of the prompt.
    prompt: usize,
    /// Tokens at which to stop.
    most: usize,
    speculation: Speculation,
    /// Passes that gave a row.
    passes: usize,
    /// What the latest row gave, until somebody takes it.
    latest: Option<Result<Chosen, EngineError>>,
    finish: Option<Finish>,
}

impl Answer {
    /// Nothing generated yet. `context` bounds prompt and answer together; the prompt fits.
    ///
    /// # Errors
    /// Sampling parameters out of range.
    pub(crate) fn new(prompt: &[u32], asked: Asked, context: usize, vocabulary: usize) -> Result<Self, EngineError> {
        let mut config = asked.request.sampler.clone();
        config.sample_index = config.sample_index.wrapping_add(asked.choice);
        let mut sampler = Sampler::new(&config, vocabulary)?;
        prompt.iter().for_each(|&token| sampler.accept(token));
        let mut drafter = Drafter::new(asked.most_drafted);
        drafter.extend(prompt);
        Ok(Self {
            sampler,
            digest: LogitsDigest::default(),
            drafter,
            pace: Pace::new(MOST_OF_MODEL),
            tokens: Vec::new(),
            prompt: prompt.len(),
            most: asked.request.max_tokens.min(context - prompt.len()),
            speculation: Speculation::default(),
            passes: 0,
            latest: None,
            finish: None,
            asked,
        })
    }

    /// Which of several answers to its prompt this is.
    pub(crate) fn choice(&self) -> u32 {
        self.asked.choice
    }

    /// What there is of it.
    pub(crate) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Whether it has a token.
    pub(crate) fn has_begun(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Whether nothing may follow.
    pub(crate) fn is_full(&self) -> bool {
        self.tokens.len() >= self.most
    }

    /// How many tokens of what somebody expects are still to be verified.
    pub(crate) fn expected(&self) -> usize {
        // The last token needs no row after it.
        self.asked.expected.len().saturating_sub(self.tokens.len()).min(self.room())
    }

    /// Tokens that may be guessed.
    fn room(&self) -> usize {
        (self.most - self.tokens.len()).saturating_sub(1)
    }

    /// A guess at what follows, not longer than what may still follow: what somebody expects, else what the text had before.
    /// At most `expected` tokens of the one, `looked_up` of the other.
    pub(crate) fn draft(&mut self, expected: usize, looked_up: usize) -> (Vec<u32>, Guesser) {
        let known = self.expected().min(expected);
        if self.expected() > 0 {
            return (self.asked.expected[self.tokens.len()..][..known].to_vec(), Guesser::Caller);
        }
        let room = if self.has_begun() { looked_up.min(self.room()) } else { 0 };
        (self.drafter.draft(room), Guesser::Text)
    }

    /// The sampler as it stands, and how many tokens another model may guess; `None` where that is of no use.
    pub(crate) fn forecast(&mut self) -> Option<(Sampler, usize)> {
        let room = self.room().min(self.pace.length());
        let useful = self.has_begun() && self.expected() == 0 && room > 0 && !self.pace.pauses();
        useful.then(|| (self.sampler.clone(), room))
    }

    /// Chooses the next token from the row after the latest.
    pub(crate) fn choose(&mut self, row: &[f32]) {
        self.digest.row(row);
        self.latest = Some(self.chosen_from(row));
    }

    fn chosen_from(&mut self, row: &[f32]) -> Result<Chosen, EngineError> {
        let position = self.prompt + self.tokens.len();
        let mask = match &mut self.asked.constraint {
            Some(constraint) => constraint.mask().map_err(EngineError::Constraint)?,
            None => None,
        };
        let token = float_env::with_default(|| self.sampler.sample_allowed(row, position, mask))?;
        let logprob = self.asked.logprobs.map(|top| token_logprob(row, token, top));
        self.sampler.accept(token);
        if let Some(constraint) = &mut self.asked.constraint {
            constraint.accept(token).map_err(EngineError::Constraint)?;
        }
        Ok(Chosen { token, logprob })
    }

    /// Looks at a row that means nothing: for a control.
    pub(crate) fn digest_only(&mut self, row: &[f32]) {
        self.digest.row(row);
    }

    /// What the latest row gave.
    pub(crate) fn latest(&mut self) -> Option<Result<Chosen, EngineError>> {
        self.latest.take()
    }

    /// A token was chosen.
    pub(crate) fn push(&mut self, token: u32) {
        if self.asked.expected.get(self.tokens.len()).is_some_and(|&expected| expected != token) {
            self.expect_nothing();
        }
        self.tokens.push(token);
        if self.asked.request.stop_tokens.contains(&token) && !self.asked.request.ignore_eos {
            self.finish = Some(Finish::Stop);
        } else if self.is_full() {
            self.finish = Some(Finish::Length);
        }
    }

    /// What somebody expected is not what comes.
    pub(crate) fn expect_nothing(&mut self) {
        self.asked.expected.clear();
    }

    /// Why it ended, if it did.
    pub(crate) fn finish(&self) -> Option<Finish> {
        self.finish
    }

    /// Ends it, for a reason that goes before its own.
    pub(crate) fn end(&mut self, finish: Finish) {
        self.finish = Some(finish);
    }

    /// What came of a pass: `new` tokens, of which `accepted` were among the `drafted`.
    pub(crate) fn learn(&mut self, new: usize, drafted: usize, accepted: usize, guesser: Guesser) {
        match guesser {
            Guesser::Caller => {}
            Guesser::Text => self.drafter.learn(drafted, accepted),
            Guesser::Model => self.pace.learn(drafted, accepted),
        }
        self.drafter.extend(&self.tokens[self.tokens.len() - new..]);
        self.speculation.drafted += drafted;
        self.speculation.accepted += accepted;
        self.passes += 1;
    }

    /// What there is, and why no more.
    pub(crate) fn generation(&self, finish: Finish) -> Generation {
        let speculation = Speculation { passes: self.passes.saturating_sub(1), ..self.speculation };
        Generation { tokens: self.tokens.clone(), finish, logits_digest: self.digest.hex(), speculation }
    }
}
