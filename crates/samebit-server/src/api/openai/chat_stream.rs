//! A chat answer as it comes.

use super::super::shared::{Samebit, ToolUse, Usage};
use super::chat::Logprobs;
use super::logprobs::ChatToken;
use super::{Head, ToolCall, call_id, finish_reason};
use crate::answer::{Encoder, Frames};
use crate::app::App;
use crate::engine::{Done, Event, Piece};
use crate::tools::{Delta, Reader};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Chunk<'a> {
    #[serde(flatten)]
    head: &'a Head,
    choices: Vec<ChunkChoice>,
    /// With `include_usage`: null, but in the last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samebit: Option<Samebit>,
}

#[derive(Serialize)]
struct ChunkChoice {
    index: u32,
    delta: DeltaBody,
    logprobs: Option<Logprobs>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct DeltaBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
}

/// Makes chat's events.
pub(super) struct ChatEncoder {
    app: Arc<App>,
    head: Head,
    choices: Vec<State>,
    prompt: usize,
    logprobs: bool,
    usage: bool,
    samebit: bool,
}

/// One choice.
struct State {
    reader: Reader,
    /// Since its last event.
    tokens: Vec<u32>,
    told: Vec<ChatToken>,
    generated: u64,
}

impl ChatEncoder {
    #[expect(clippy::too_many_arguments, reason = "each is one thing that the request said")]
    pub(super) fn new(
        app: &Arc<App>,
        head: Head,
        choices: usize,
        prompt: usize,
        tools: ToolUse,
        logprobs: bool,
        usage: bool,
        samebit: bool,
    ) -> Self {
        let state = || State { reader: Reader::new(tools.family), tokens: Vec::new(), told: Vec::new(), generated: 0 };
        let choices = std::iter::repeat_with(state).take(choices).collect();
        Self { app: Arc::clone(app), head, choices, prompt, logprobs, usage, samebit }
    }

    fn chunk(&self, choice: Option<ChunkChoice>, samebit: Option<Samebit>) -> Chunk<'_> {
        Chunk { head: &self.head, choices: choice.into_iter().collect(), usage: self.usage.then_some(None), samebit }
    }

    fn token(&mut self, piece: Piece, out: &mut Frames) {
        let Some(state) = self.choices.get_mut(piece.choice as usize) else { return };
        state.generated += 1;
        state.tokens.push(piece.token);
        if let Some(told) = &piece.logprob {
            state.told.push(ChatToken::new(&self.app.model, told));
        }
        let delta = state.reader.push(&piece.text);
        self.delta(piece.choice, piece.index, delta, out);
    }

    /// An event, if there is something to tell.
    fn delta(&mut self, index: u32, position: u64, delta: Delta, out: &mut Frames) {
        let Some(state) = self.choices.get_mut(index as usize) else { return };
        if delta == Delta::default() && state.told.is_empty() {
            return;
        }
        let before = state.reader.calls() - delta.calls.len();
        let id = self.head.id.rsplit('-').next().unwrap_or_default();
        let calls = delta
            .calls
            .into_iter()
            .enumerate()
            .map(|(at, call)| ToolCall::new(call, call_id(id, index, before + at), Some(before + at)));
        let body = DeltaBody {
            role: None,
            content: Some(delta.content).filter(|content| !content.is_empty()),
            tool_calls: calls.collect(),
        };
        let told = std::mem::take(&mut state.told);
        let tokens = std::mem::take(&mut state.tokens);
        let logprobs = self.logprobs.then_some(Logprobs { content: told });
        let choice = ChunkChoice { index, delta: body, logprobs, finish_reason: None };
        let samebit = self.samebit.then(|| Samebit::tokens(tokens));
        out.at(index, position, None, &self.chunk(Some(choice), samebit));
    }

    fn done(&mut self, done: Done, out: &mut Frames) {
        let Some(state) = self.choices.get_mut(done.choice as usize) else { return };
        let mut delta = state.reader.push(&done.rest);
        let rest = state.reader.finish();
        delta.content.push_str(&rest.content);
        delta.calls.extend(rest.calls);
        self.delta(done.choice, done.tokens + 1, delta, out);
        let Some(state) = self.choices.get_mut(done.choice as usize) else { return };
        let reason = finish_reason(done.ending, state.reader.calls());
        let tokens = std::mem::take(&mut state.tokens);
        let samebit = self.samebit.then(|| Samebit::end(&self.app, &done, tokens));
        let choice = ChunkChoice {
            index: done.choice,
            delta: DeltaBody::default(),
            logprobs: None,
            finish_reason: Some(reason),
        };
        out.at(done.choice, done.tokens + 2, None, &self.chunk(Some(choice), samebit));
    }
}

impl Encoder for ChatEncoder {
    fn begin(&mut self, out: &mut Frames) {
        for index in 0..self.choices.len() as u32 {
            let delta = DeltaBody { role: Some("assistant"), content: Some(String::new()), ..DeltaBody::default() };
            let choice = ChunkChoice { index, delta, logprobs: None, finish_reason: None };
            out.first(None, &self.chunk(Some(choice), None));
        }
    }

    fn event(&mut self, event: Event, out: &mut Frames) {
        match event {
            Event::Token(piece) => self.token(piece, out),
            Event::Done(done) => self.done(done, out),
            Event::Accepted | Event::Prompt { .. } | Event::Embedding { .. } | Event::Failed(_) => {}
        }
    }

    fn end(&mut self, out: &mut Frames) {
        if self.usage {
            let generated = self.choices.iter().map(|choice| choice.generated).sum();
            let usage = Some(Some(Usage::new(self.prompt, generated)));
            out.last(None, &Chunk { usage, ..self.chunk(None, None) });
        }
        out.done();
    }
}
