//! A session computed again, turn by turn: the same, or where it is not.
//!
//! Knows the conversation; nothing of files. What the file says is expected, and verified as fast as a prompt is taken in; a turn
//! that departs is computed to its first difference and no further.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::compose::shown;
use crate::error::ChatError;
use crate::model::Model;
use crate::session::{Ending, Session, Turn};
use crate::settings::Settings;
use crate::stops::cut;
use crate::talk::{Computed, Heard, Talk, Task};

/// Where a session departs from what is computed here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Departure {
    /// The ids of a prompt.
    #[error("turn {turn}: token {index} of the prompt is {here} here, the file says {said}")]
    Prompt {
        /// The turn.
        turn: usize,
        /// Which token, from 0.
        index: usize,
        /// What it is here.
        here: Id,
        /// What the file says.
        said: Id,
    },
    /// The ids of an answer.
    #[error("turn {turn}: token {index} of the answer is {here} here, the file says {said}")]
    Answer {
        /// The turn.
        turn: usize,
        /// Which token, from 0.
        index: usize,
        /// What it is here.
        here: Id,
        /// What the file says.
        said: Id,
    },
    /// The tokens are the same, and the logits that they were drawn from are not.
    #[error("turn {turn}: the tokens are the same, but the digest of the logits is {here} here, the file says {said}")]
    Digest {
        /// The turn.
        turn: usize,
        /// What it is here.
        here: String,
        /// What the file says.
        said: String,
    },
    /// The text is not that of the tokens.
    #[error("turn {turn}: the answer's text is not the text of its tokens, from character {index} on")]
    Text {
        /// The turn.
        turn: usize,
        /// Which character, from 0.
        index: usize,
    },
    /// An answer that ended otherwise than its tokens do.
    #[error("turn {turn}: the file says that the answer ended with `{said}`, and its tokens say otherwise")]
    Finish {
        /// The turn.
        turn: usize,
        /// What the file says.
        said: &'static str,
    },
}

/// A token's id, or the end where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(pub Option<u32>);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(id) => write!(f, "{id}"),
            None => f.write_str("not there"),
        }
    }
}

/// Computes every turn of a session again, telling `hear` of each before it begins; the first departure, if there is one. `None`
/// where `hear` broke it off too: it is the caller who knows that.
///
/// # Errors
/// What cannot be computed at all.
pub fn replay(
    model: &Arc<Model>,
    session: &Session,
    settings: &Settings,
    hear: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Departure>, ChatError> {
    let mut talk = Talk::new(Arc::clone(model), settings.clone());
    talk.resume(session.clone(), settings.clone());
    for (index, turn) in session.turns().iter().enumerate() {
        let number = index + 1;
        if hear(number).is_break() {
            return Ok(None);
        }
        if let Some(departure) = departs(&mut talk, number, turn, hear)? {
            return Ok(Some(departure));
        }
    }
    Ok(None)
}

fn departs(
    talk: &mut Talk,
    number: usize,
    turn: &Turn,
    hear: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Departure>, ChatError> {
    let composed = talk.compose(turn.parent, &turn.settings, &turn.user)?;
    let (here, thinking) = (composed.ids, composed.thinking);
    let said = talk.session().prompt(number);
    if let Some((index, here, said)) = differ(&here, &said) {
        return Ok(Some(Departure::Prompt { turn: number, index, here, said }));
    }
    let before = talk.session().depth(turn.parent);
    let (most, expected) = (turn.tokens.len(), turn.tokens.clone());
    let (settings, seed) = (&*turn.settings, turn.seed);
    let task = Task { prompt: here, settings, seed, before, thinking, most, expected, alternatives: None };
    let mut broken = false;
    let Computed { generation, .. } = talk.compute(task, &mut |heard| {
        broken |= matches!(heard, Heard::Prefill { .. } | Heard::Text(_)) && hear(number).is_break();
        if broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if broken {
        return Ok(None);
    }
    if let Some((index, here, said)) = differ(&generation.tokens, &turn.tokens) {
        return Ok(Some(Departure::Answer { turn: number, index, here, said }));
    }
    if generation.logits_digest != turn.digest {
        let (here, said) = (generation.logits_digest, turn.digest.clone());
        return Ok(Some(Departure::Digest { turn: number, here, said }));
    }
    let (text, cut_short) = cut(&shown(&talk.model().tokenizer, &turn.tokens), &turn.settings.stop);
    if text != turn.answer {
        let index = text.chars().zip(turn.answer.chars()).take_while(|(a, b)| a == b).count();
        return Ok(Some(Departure::Text { turn: number, index }));
    }
    let stopped = cut_short || turn.tokens.last().is_some_and(|&token| talk.model().tokenizer.is_eog(token));
    let said = match turn.finish {
        Ending::Stop if !stopped => "stop",
        Ending::Length if stopped || !bounded(talk, number, turn) => "length",
        _ => return Ok(None),
    };
    Ok(Some(Departure::Finish { turn: number, said }))
}

/// Whether an answer has as many tokens as it may: as its settings say, or as there was room for in the context that it names, or in
/// this one where it names none.
fn bounded(talk: &Talk, number: usize, turn: &Turn) -> bool {
    let context = turn.context.unwrap_or(talk.model().engine.context());
    turn.settings.predict == Some(turn.tokens.len()) || talk.session().length(number) == context
}

/// The first place where two runs of ids differ.
fn differ(here: &[u32], said: &[u32]) -> Option<(usize, Id, Id)> {
    let index = here.iter().zip(said).take_while(|(a, b)| a == b).count();
    let id = |ids: &[u32]| Id(ids.get(index).copied());
    (here != said).then(|| (index, id(here), id(said)))
}
