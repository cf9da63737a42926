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
        let id = |text: &str| match tokenizer.encode(text, EncodeOptions { add_special: false, parse_special: true })[..]
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

#[cfg(test)]
mod tests {
    use super::*;
    use samebit_gguf::Strings;
    use samebit_text::{TokenType, Vocab};

    /// A vocabulary of control tokens and letters: ids are as listed.
    fn tokenizer(controls: &[&str], others: &[&str]) -> Arc<Tokenizer> {
        let texts: Vec<&str> = controls.iter().chain(others).copied().collect();
        let kind = |index| if index < controls.len() { TokenType::Control } else { TokenType::Normal };
        let vocab = Vocab {
            model: "gpt2".into(),
            pre: "gpt-2".into(),
            tokens: texts.iter().collect::<Strings>(),
            types: (0..texts.len()).map(kind).collect(),
            merges: Some(Strings::default()),
            ..Vocab::default()
        };
        Arc::new(Tokenizer::new(vocab).expect("a vocabulary"))
    }

    /// How long a mask is at each of these tokens: the ids it allows, or `None` for all.
    fn masks(bound: &Bound, tokens: &[u32]) -> Vec<Option<Vec<u32>>> {
        let mut live = bound.start();
        let allowed = |mask: Option<&[u32]>| {
            mask.map(|mask| {
                (0..32 * mask.len() as u32).filter(|id| mask[*id as usize / 32] >> (id % 32) & 1 == 1).collect()
            })
        };
        let mut seen = Vec::new();
        for &token in tokens {
            seen.push(allowed(live.mask().expect("a mask")));
            live.accept(token).expect("accepted");
        }
        seen
    }

    /// Allows the token 3 alone.
    struct Three;

    impl Grammar for Three {
        fn start(&self) -> Box<dyn Constraint> {
            Box::new(Self)
        }
    }

    impl Constraint for Three {
        fn mask(&mut self) -> Result<Option<&[u32]>, String> {
            Ok(Some(&[1 << 3]))
        }

        fn accept(&mut self, token: u32) -> Result<(), String> {
            if token == 3 { Ok(()) } else { Err(format!("{token} is none of the form's")) }
        }
    }

    #[test]
    fn a_thought_is_ended_where_it_is_long_enough() {
        let tokenizer = tokenizer(&["<think>", "</think>"], &["a", "b"]);
        let marks = Marks::of(&tokenizer).expect("marks");
        assert_eq!(marks, Marks::Think { open: 0, close: 1 });
        let bound = |thinking, budget| Bound { tokenizer: Arc::clone(&tokenizer), marks, thinking, budget, form: None };
        let close = || Some(vec![1]);
        assert_eq!(masks(&bound(true, Some(2)), &[2, 2, 1, 2, 2]), [None, None, close(), None, None]);
        assert_eq!(masks(&bound(false, Some(1)), &[0, 2, 1, 2]), [None, None, close(), None]);
        assert_eq!(masks(&bound(false, Some(0)), &[2, 0, 2]), [None, None, None], "it does not begin with a thought");
        assert_eq!(masks(&bound(true, Some(0)), &[1, 2]), [close(), None]);
        assert_eq!(masks(&bound(true, Some(9)), &[2, 1, 2]), [None, None, None], "it ended by itself");
    }

    #[test]
    fn the_form_is_for_what_follows_the_thought() {
        let tokenizer = tokenizer(&["<think>", "</think>"], &["a", "b"]);
        let marks = Marks::of(&tokenizer).expect("marks");
        let bound = |thinking| Bound {
            tokenizer: Arc::clone(&tokenizer),
            marks,
            thinking,
            budget: None,
            form: Some(Arc::new(Three)),
        };
        assert_eq!(masks(&bound(true), &[2, 1, 3]), [None, None, Some(vec![3])]);
        assert_eq!(masks(&bound(false), &[3, 3]), [Some(vec![3]), Some(vec![3])]);
    }

    #[test]
    fn channels_are_thoughts_unless_they_are_final() {
        let tokenizer = tokenizer(&["<|channel|>", "<|message|>", "<|end|>"], &["analysis", "final", "a"]);
        let marks = Marks::of(&tokenizer).expect("marks");
        let bound = Bound { tokenizer: Arc::clone(&tokenizer), marks, thinking: false, budget: Some(1), form: None };
        assert_eq!(masks(&bound, &[0, 3, 1, 5, 2, 5]), [None, None, None, None, Some(vec![2]), None]);
        assert_eq!(masks(&bound, &[0, 4, 1, 5, 5, 5]), vec![None; 6]);
        let plain = self::tokenizer(&["<s>"], &["a"]);
        assert_eq!(Marks::of(&plain), None);
    }
}
