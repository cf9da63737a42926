//! From a conversation and a message to the ids of a prompt, of which as many as possible are already in the cache.
//!
//! The whole conversation is rendered by the template each time. Where the text begins with the text of the turn before, prompt
//! and answer, that turn's own ids are taken: what the model wrote is not cut into other tokens when it is read again. Where it
//! does not (a template may leave thoughts out), the whole text is encoded, and the ids that agree are kept. A function of the
//! session alone, so a replay composes the same ids. Knows texts and ids; nothing of what is computed from them.

use samebit_text::template::{Message, RenderOptions};
use samebit_text::{EncodeOptions, StreamDecoder, Tokenizer};

use crate::error::ChatError;
use crate::look::{has_channels, parted};
use crate::model::Model;
use crate::session::{Session, Turn};
use crate::settings::Settings;

/// No text has tokens that are longer on the whole.
const MOST_OF_A_TOKEN: usize = 64;

/// A prompt's ids.
pub(crate) struct Composed {
    /// All of them.
    pub(crate) ids: Vec<u32>,
    /// How many of them the turn before begins with too.
    pub(crate) kept: usize,
    /// Whether the text ends inside a thought, which the answer goes on with.
    pub(crate) thinking: bool,
}

/// What follows `parent` when `user` is said.
pub(crate) fn compose(
    model: &Model,
    session: &Session,
    parent: usize,
    settings: &Settings,
    user: &str,
) -> Result<Composed, ChatError> {
    let texts = session.path(parent).into_iter().filter_map(|number| session.turn(number));
    let texts = texts.flat_map(|turn| [&*turn.user, &*turn.answer]).chain([user]).chain(settings.system.as_deref());
    texts.into_iter().try_for_each(|text| bounded(model, text))?;
    let text = render(model, session, parent, settings, user)?;
    bounded(model, &text)?;
    let before = session.sequence(parent);
    let ids = match session.turn(parent) {
        Some(turn) => continued(model, session, turn, &before, &text)?,
        None => None,
    };
    let ids = ids.unwrap_or_else(|| whole(&model.tokenizer, &text));
    let kept = before.iter().zip(&ids).take_while(|(a, b)| a == b).count();
    Ok(Composed { kept, ids, thinking: text.trim_end().ends_with("<think>") })
}

/// Refuses a text that no context could hold: to cut it into tokens would take long, and much memory.
fn bounded(model: &Model, text: &str) -> Result<(), ChatError> {
    let (bytes, context) = (text.len(), model.engine.context());
    if bytes > context.saturating_mul(MOST_OF_A_TOKEN) { Err(ChatError::TooLong { bytes, context }) } else { Ok(()) }
}

fn render(
    model: &Model,
    session: &Session,
    parent: usize,
    settings: &Settings,
    user: &str,
) -> Result<String, ChatError> {
    let mut messages: Vec<Message> = settings.system.iter().map(|text| Message::new("system", text.as_str())).collect();
    for turn in session.path(parent).into_iter().filter_map(|number| session.turn(number)) {
        messages.push(Message::new("user", turn.user.as_str()));
        messages.push(said(&turn.answer));
    }
    messages.push(Message::new("user", user));
    let mut options = RenderOptions { now: settings.now(), ..RenderOptions::default() };
    options.extra.extend(settings.variables.clone());
    if let Some(effort) = &settings.effort {
        options.extra.insert("reasoning_effort".into(), effort.as_str().into());
    }
    if let Some(think) = settings.think {
        options.extra.insert("enable_thinking".into(), think.into());
    }
    Ok(model.template.render(&messages, &options)?)
}

/// An answer as templates want it. Most take thoughts in `<think>` as a part of the text; Harmony's channels have a field of their own.
fn said(answer: &str) -> Message {
    if !has_channels(answer) {
        return Message::new("assistant", answer);
    }
    let (thought, speech) = parted(answer, false);
    Message::new("assistant", speech).with("thinking", thought)
}

/// The ids of the turn before and what follows them, where its text is what the text begins with.
fn continued(
    model: &Model,
    session: &Session,
    turn: &Turn,
    before: &[u32],
    text: &str,
) -> Result<Option<Vec<u32>>, ChatError> {
    let asked = render(model, session, turn.parent, &turn.settings, &turn.user)?;
    let Some(said) = text.strip_prefix(&asked) else { return Ok(None) };
    let tokenizer = &model.tokenizer;
    // The token that ended the answer may be what the template writes there, or not.
    let ended = turn.tokens.last().is_some_and(|&token| tokenizer.is_eog(token));
    for dropped in 0..=usize::from(ended) {
        let tokens = &turn.tokens[..turn.tokens.len() - dropped];
        let Some(rest) = said.strip_prefix(&spelled(tokenizer, tokens)) else { continue };
        let more = tokenizer.encode(rest, EncodeOptions { add_special: false, parse_special: true });
        // Elsewhere the two sides of the seam could have become one token, or been parted by a space.
        let seam = [tokens.last(), more.first()].into_iter().flatten().any(|&token| tokenizer.is_control(token));
        if seam {
            return Ok(Some([&before[..before.len() - dropped], &more].concat()));
        }
    }
    Ok(None)
}

/// The text of tokens, special ones too.
fn spelled(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    let mut decoder = StreamDecoder::new(tokenizer).with_special();
    let mut text: String = tokens.iter().map(|&token| decoder.push(token)).collect();
    text.push_str(&decoder.finish());
    text
}

/// The text of an answer's tokens, as it is shown: without special tokens.
pub(crate) fn shown(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
    let mut decoder = StreamDecoder::new(tokenizer);
    let mut text = String::new();
    for &token in tokens.iter().filter(|&&token| !tokenizer.is_eog(token)) {
        text.push_str(&decoder.push(token));
    }
    text.push_str(&decoder.finish());
    text
}

fn whole(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    // A template that begins with the beginning-of-sequence token has said all there is to say.
    let bos = tokenizer.bos().and_then(|id| tokenizer.piece(id));
    let begins = bos.is_some_and(|bos| !bos.is_empty() && text.as_bytes().starts_with(&bos));
    tokenizer.encode(text, EncodeOptions { add_special: !begins, parse_special: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_channels_is_given_to_the_template_in_parts() {
        let message = said("<|channel|>analysis<|message|>Hm.<|start|>assistant<|channel|>final<|message|>Yes.");
        assert_eq!(message, Message::new("assistant", "Yes.").with("thinking", "Hm."));
        // What others think stays in the text: their templates part it, or leave it.
        assert_eq!(said("<think>Hm.</think>Yes."), Message::new("assistant", "<think>Hm.</think>Yes."));
    }
}
