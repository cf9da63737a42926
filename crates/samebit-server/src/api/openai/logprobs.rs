//! Log-probabilities in the two forms that OpenAI has for them.

use super::super::shared::shortest;
use crate::model::Model;
use samebit_engine::TokenLogprob;
use serde::Serialize;
use serde_json::{Map, Value};

/// JSON has no infinity; OpenAI writes this for what cannot come.
const IMPOSSIBLE: f64 = -9999.0;

fn finite(logprob: f32) -> f64 {
    if logprob.is_finite() { shortest(logprob) } else { IMPOSSIBLE }
}

/// A token of a chat answer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ChatToken {
    token: String,
    logprob: f64,
    bytes: Vec<u8>,
    top_logprobs: Vec<Top>,
}

#[derive(Clone, Debug, Serialize)]
struct Top {
    token: String,
    logprob: f64,
    bytes: Vec<u8>,
}

impl ChatToken {
    pub(super) fn new(model: &Model, told: &TokenLogprob) -> Self {
        let top = |&(token, logprob): &(u32, f32)| Top {
            token: model.piece(token),
            logprob: finite(logprob),
            bytes: model.bytes(token),
        };
        Self {
            token: model.piece(told.token),
            logprob: finite(told.logprob),
            bytes: model.bytes(told.token),
            top_logprobs: told.top.iter().map(top).collect(),
        }
    }
}

/// Tokens of a completion, list by list.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Columns {
    tokens: Vec<String>,
    /// The first token of a prompt has none.
    token_logprobs: Vec<Option<f64>>,
    top_logprobs: Vec<Option<Map<String, Value>>>,
    /// Characters of the text before each token.
    text_offset: Vec<usize>,
    #[serde(skip)]
    offset: usize,
}

impl Columns {
    /// Columns of a text of which so many characters have been told.
    pub(super) fn after(offset: usize) -> Self {
        Self { offset, ..Self::default() }
    }

    /// A token about which nothing is known.
    pub(super) fn unknown(&mut self, model: &Model, token: u32) {
        self.text(model.piece(token));
        self.token_logprobs.push(None);
        self.top_logprobs.push(None);
    }

    pub(super) fn push(&mut self, model: &Model, told: &TokenLogprob) {
        self.text(model.piece(told.token));
        self.token_logprobs.push(Some(finite(told.logprob)));
        let mut top = Map::new();
        for &(token, logprob) in &told.top {
            // Two tokens may print alike: the likelier one stands for both.
            top.entry(model.piece(token)).or_insert_with(|| finite(logprob).into());
        }
        self.top_logprobs.push(Some(top));
    }

    /// Characters told so far.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    fn text(&mut self, piece: String) {
        self.text_offset.push(self.offset);
        self.offset += piece.chars().count();
        self.tokens.push(piece);
    }
}
