//! One answer on its way: rows of logits in, tokens out, until there is a reason to stop. Speculation, exactly.
//!
//! A pass takes in the latest token and a guess at what follows (`draft.rs`), and gives a row of logits after each. Rows
//! are sampled in order, as if each had come from a pass of its own, for as long as the token before it was guessed right;
//! rows after a wrong guess are never looked at, and the cache forgets them. By promises C and K the rows that are
//! looked at have the bits of plain decoding, so everything that follows from them is the same. Promise S.
//!
//! Knows one request; nothing of how rows are computed or with whom they share a pass.

use std::ops::ControlFlow;

use samebit_kernels::float_env;

use crate::digest::LogitsDigest;
use crate::draft::Drafter;
use crate::error::EngineError;
use crate::request::{Event, Finish, Generation, Request, Speculation};
use crate::sampler::Sampler;
use crate::session::Session;

/// Hears events; may break the generation off.
pub(crate) type Listener<'a> = dyn FnMut(Event) -> ControlFlow<()> + 'a;

/// What verification does with a draft. One right way, and wrong ones in the tests that must notice them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Whether the row after a drafted token may be looked at, given the token that was chosen in its place.
    pub(crate) accepts: fn(drafted: u32, chosen: u32) -> bool,
    /// Takes the cache back to the tokens that were accepted.
    pub(crate) forget: fn(&mut Session, usize),
}

impl Rules {
    /// The right way.
    pub(crate) const EXACT: Self =
        Self { accepts: |drafted, chosen| drafted == chosen, forget: |session, len| session.truncate(len) };
}

/// How an answer is generated; none of it changes a bit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Most tokens of a draft.
    pub(crate) most_drafted: usize,
    /// Whether what was computed is kept from pass to pass.
    pub(crate) kv_cache: bool,
    pub(crate) rules: Rules,
}

/// The state of one request.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    request: &'a Request,
    sampler: Sampler,
    digest: LogitsDigest,
    drafter: Drafter,
    manner: Manner,
    /// Prompt and answer.
    tokens: Vec<u32>,
    prompt: usize,
    /// Length at which to stop.
    bound: usize,
    finish: Option<Finish>,
    speculation: Speculation,
}

impl<'a> Answer<'a> {
    /// Nothing generated yet. `context` bounds prompt and answer together; the prompt fits.
    ///
    /// # Errors
    /// Sampling parameters out of range.
    pub(crate) fn new(
        prompt: &[u32],
        request: &'a Request,
        context: usize,
        vocabulary: usize,
        manner: Manner,
    ) -> Result<Self, EngineError> {
        let mut sampler = Sampler::new(&request.sampler, vocabulary)?;
        prompt.iter().for_each(|&token| sampler.accept(token));
        let mut drafter = Drafter::new(manner.most_drafted);
        drafter.extend(prompt);
        let bound = prompt.len().saturating_add(request.max_tokens).min(context);
        Ok(Self {
            request,
            sampler,
            digest: LogitsDigest::default(),
            drafter,
            manner,
            tokens: prompt.to_vec(),
            prompt: prompt.len(),
            bound,
            finish: (prompt.len() >= bound).then_some(Finish::Length),
            speculation: Speculation::default(),
        })
    }

    /// A guess at what follows, not longer than what may still follow: the last token needs no row after it.
    fn draft(&mut self) -> Vec<u32> {
        self.drafter.draft((self.bound - self.tokens.len()).saturating_sub(1))
    }

    /// Chooses tokens from the rows after the latest token and after each of `draft`, while the draft was right.
    ///
    /// # Errors
    /// A row that nothing can be drawn from.
    fn take(&mut self, rows: &[f32], draft: &[u32], listener: &mut Listener<'_>) -> Result<(), EngineError> {
        let (before, mut accepted) = (self.tokens.len(), 0);
        for (index, row) in rows.chunks_exact(rows.len() / (draft.len() + 1)).enumerate() {
            self.digest.row(row);
            let token = float_env::with_default(|| self.sampler.sample(row, self.tokens.len()))?;
            self.sampler.accept(token);
            self.tokens.push(token);
            accepted += usize::from(draft.get(index) == Some(&token));
            self.finish = self.reason_to_stop(token, listener);
            if self.finish.is_some()
                || draft.get(index).is_none_or(|&drafted| !(self.manner.rules.accepts)(drafted, token))
            {
                break;
            }
        }
        self.drafter.learn(draft.len(), accepted);
        self.drafter.extend(&self.tokens[before..]);
        self.speculation.drafted += draft.len();
        self.speculation.accepted += accepted;
        Ok(())
    }

    fn reason_to_stop(&self, token: u32, listener: &mut Listener<'_>) -> Option<Finish> {
        if listener(Event::Token(token)).is_break() {
            Some(Finish::Cancelled)
        } else if self.request.stop_tokens.contains(&token) && !self.request.ignore_eos {
            Some(Finish::Stop)
        } else {
            (self.tokens.len() >= self.bound).then_some(Finish::Length)
        }
    }

    /// Generates to the end in an empty session.
    ///
    /// # Errors
    /// A pass that stopped, a row that nothing can be drawn from.
    pub(crate) fn run(mut self, session: &mut Session, listener: &mut Listener<'_>) -> Result<Generation, EngineError> {
        while self.finish.is_none() {
            let first = self.tokens.len() == self.prompt;
            let mut draft = if first { Vec::new() } else { self.draft() };
            if !self.manner.kv_cache {
                session.truncate(0);
            }
            let total = self.prompt;
            let mut progress = |done| match first {
                true => listener(Event::Prefill { done, total }),
                false => ControlFlow::Continue(()),
            };
            let fresh = if first || !self.manner.kv_cache { 0 } else { self.tokens.len() - 1 };
            let Some(rows) = pass(session, &self.tokens[fresh..], &mut draft, &mut progress)? else {
                self.finish = Some(Finish::Cancelled);
                break;
            };
            self.speculation.passes += usize::from(!first);
            self.take(&rows, &draft, listener)?;
            (self.manner.rules.forget)(session, self.tokens.len() - 1);
        }
        Ok(Generation {
            tokens: self.tokens.split_off(self.prompt),
            finish: self.finish.unwrap_or(Finish::Length),
            logits_digest: self.digest.hex(),
            speculation: self.speculation,
        })
    }
}

/// The rows after the last of `tokens` and after each of `draft`, which is emptied if it cannot be computed; `None` if
/// broken off.
fn pass(
    session: &mut Session,
    tokens: &[u32],
    draft: &mut Vec<u32>,
    progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Vec<f32>>, EngineError> {
    let before = session.len();
    let rows = session.feed(&[tokens, draft].concat(), 1 + draft.len(), progress);
    if rows.is_err() && !draft.is_empty() {
        // A draft is a guess: what it makes overflow may never come to pass.
        session.truncate(before);
        draft.clear();
        return session.feed(tokens, 1, progress);
    }
    rows
}

#[cfg(test)]
mod tests;
