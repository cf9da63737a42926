//! Thoughts among the tokens of an answer: ended where they have become long enough, and free of the form that the answer must have.
//!
//! Knows ids; nothing of looks. A function of the tokens so far, so a replay is bound in the same way.

use std::sync::Arc;

use samebit_engine::{Constraint, Grammar};
use samebit_text::{DecodeOptions, EncodeOptions, Tokenizer};

/// The tokens that begin and end a model's thoughts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// `<think>` and `</think>`.
    Think { open: u32, close: u32 },
    /// Harmony: `<|channel|>`, a channel's name, `<|message|>`, and `<|end|>`.
    Harmony { channel: u32, message: u32, close: u32 },
}

impl Marks {
    /// Those of a vocabulary, where each is a token.
    pub(crate) fn of(tokenizer: &Tokenizer) -> Option<Self> {
        let id = |text: &str| match tokenizer
            .encode(text, EncodeOptions { add_special: false, parse_special: true })[..]
        {
            [id] => Some(id),
            _ => None,
        };
        if let (Some(channel), Some(message), Some(close)) = (id("<|channel|>"), id("<|message|>"), id("<|end|>")) {
            return Some(Self::Harmony { channel, message, close });
        }
        Some(Self::Think { open: id("<think>")?, close: id("</think>")? })
    }

    fn close(self) -> u32 {
        match self {
            Self::Think { close, .. } | Self::Harmony { close, .. } => close,
        }
    }
}

/// What binds an answer that may begin with a thought.
pub(crate) struct Bound {
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) marks: Marks,
    /// Whether the prompt has opened the thought.
    pub(crate) thinking: bool,
    /// Most tokens of the thought.
    pub(crate) budget: Option<u32>,
    /// What binds what follows the thought.
    pub(crate) form: Option<Arc<dyn Grammar>>,
}

impl Grammar for Bound {
    fn start(&self) -> Box<dyn Constraint> {
        let close = self.marks.close();
        let mut only = vec![0; self.tokenizer.vocab_size().div_ceil(32)];
        // The tokenizer gave the id.
        if let Some(word) = only.get_mut(close as usize / 32) {
            *word = 1 << (close % 32);
        }
        Box::new(Live {
            tokenizer: Arc::clone(&self.tokenizer),
            marks: self.marks,
            stage: if self.thinking { Stage::Thinking } else { Stage::Before },
            left: self.budget.unwrap_or(u32::MAX),
            only,
            form: self.form.as_ref().map(|form| form.start()),
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Before,
    /// These tokens of a channel's name have come.
    Named(Vec<u32>),
    Thinking,
    Speaking,
}

struct Live {
    tokenizer: Arc<Tokenizer>,
    marks: Marks,
    stage: Stage,
    /// Tokens that the thought may still have.
    left: u32,
    /// Allows the end of the thought alone.
    only: Vec<u32>,
    form: Option<Box<dyn Constraint>>,
}

impl Live {
    /// Where an answer begins that has a form a thought is not begun with: the form has no place for it.
    fn begin(&self, token: u32) -> Stage {
        match self.marks {
            _ if self.form.is_some() => Stage::Speaking,
            Marks::Think { open, .. } if token == open => Stage::Thinking,
            Marks::Harmony { channel, .. } if token == channel => Stage::Named(Vec::new()),
            _ => Stage::Speaking,
        }
    }

    fn named(&self, name: &[u32]) -> Stage {
        let name = self.tokenizer.decode(name, DecodeOptions::default()).unwrap_or_default();
        if name.starts_with(b"analysis") { Stage::Thinking } else { Stage::Speaking }
    }
}

impl Constraint for Live {
    fn mask(&mut self) -> Result<Option<&[u32]>, String> {
        match (&self.stage, &mut self.form) {
            (Stage::Thinking, _) if self.left == 0 => Ok(Some(&self.only)),
            (Stage::Thinking | Stage::Named(_), _) | (_, None) => Ok(None),
            (Stage::Before | Stage::Speaking, Some(form)) => form.mask(),
        }
    }

    fn accept(&mut self, token: u32) -> Result<(), String> {
        match &mut self.stage {
            Stage::Before => {
                self.stage = self.begin(token);
                if let Some(form) = &mut self.form {
                    return form.accept(token);
                }
            }
            Stage::Named(name) => match self.marks {
                Marks::Harmony { message, .. } if token == message => {
                    let name = std::mem::take(name);
                    self.stage = self.named(&name);
                }
                _ => name.push(token),
            },
            Stage::Thinking if token == self.marks.close() => self.stage = Stage::Speaking,
            Stage::Thinking => self.left = self.left.saturating_sub(1),
            Stage::Speaking => {
                if let Some(form) = &mut self.form {
                    return form.accept(token);
                }
            }
        }
        Ok(())
    }
}
