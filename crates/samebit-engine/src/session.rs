//! A sequence whose tokens the caller chooses: prefill, decode, step back. What measurements are made with, and what
//! an answer is generated in.
//!
//! Knows how tokens are cut into passes; nothing of sampling or of when to stop.

use std::fmt;
use std::ops::ControlFlow;

use crate::error::EngineError;
use crate::sequence::Sequence;

/// One sequence and its cache.
pub struct Session {
    sequence: Box<dyn Sequence>,
    ubatch: usize,
    context: usize,
}

impl Session {
    /// Passes of at most `ubatch` tokens (at least one), up to `context` positions.
    pub(crate) fn new(sequence: Box<dyn Sequence>, ubatch: usize, context: usize) -> Self {
        Self { sequence, ubatch: ubatch.max(1), context }
    }

    /// Tokens in the cache.
    pub fn len(&self) -> usize {
        self.sequence.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the tokens from position `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.sequence.truncate(len);
    }

    /// Takes in tokens that follow on, as many at once as the options allow; the logits after the last of them.
    ///
    /// # Errors
    /// No tokens, or more than the context has room for; a pass that stopped, of which nothing stays in the cache.
    pub fn prefill(&mut self, tokens: &[u32]) -> Result<Vec<f32>, EngineError> {
        if tokens.is_empty() {
            return Err(EngineError::EmptyPrompt);
        }
        let (before, after) = (self.len(), self.len().saturating_add(tokens.len()));
        if after > self.context {
            return Err(EngineError::PromptTooLong { tokens: after, context: self.context });
        }
        let logits = self.feed(tokens, 1, &mut |_| ControlFlow::Continue(()));
        if logits.is_err() {
            self.truncate(before);
        }
        Ok(logits?.unwrap_or_default())
    }

    /// Takes in one token; the logits after it.
    ///
    /// # Errors
    /// As [`Session::prefill`].
    pub fn decode(&mut self, token: u32) -> Result<Vec<f32>, EngineError> {
        self.prefill(&[token])
    }

    /// Takes in tokens, telling `progress` after each pass how many are done; the logits of the last `wanted` of them,
    /// one row after the other, or `None` if broken off.
    pub(crate) fn feed(
        &mut self,
        tokens: &[u32],
        wanted: usize,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let first_wanted = tokens.len().saturating_sub(wanted);
        let (mut done, mut logits) = (0, Vec::new());
        for piece in tokens.chunks(self.ubatch) {
            let rows: Vec<usize> = (first_wanted.saturating_sub(done).min(piece.len())..piece.len()).collect();
            let part = self.sequence.pass(piece, &rows, None)?;
            done += piece.len();
            if logits.is_empty() {
                logits = part;
            } else {
                logits.extend_from_slice(&part);
            }
            if progress(done).is_break() {
                return Ok(None);
            }
        }
        Ok(Some(logits))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("len", &self.len()).field("context", &self.context).finish_non_exhaustive()
    }
}
