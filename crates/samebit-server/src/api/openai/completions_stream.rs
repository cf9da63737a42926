//! A completion as it comes.

use super::super::shared::{Samebit, Usage};
use super::completions::{ChoiceBody, Echo, prompt_columns};
use super::logprobs::Columns;
use super::{Head, finish_reason};
use crate::answer::{Encoder, Frames};
use crate::app::App;
use crate::engine::{Done, Event, Piece};
use samebit_engine::TokenLogprob;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Chunk<'a> {
    #[serde(flatten)]
    head: &'a Head,
    choices: Vec<ChoiceBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samebit: Option<Samebit>,
}

/// Makes completions' events. Positions: 1 is the echo, a token's is one more than its number.
pub(super) struct CompletionEncoder {
    app: Arc<App>,
    head: Head,
    echo: Echo,
    choices: Vec<State>,
    prompt: usize,
    usage: bool,
    samebit: bool,
}

#[derive(Default)]
struct State {
    tokens: Vec<u32>,
    told: Vec<TokenLogprob>,
    /// Characters told with tokens so far.
    offset: usize,
    generated: u64,
}

impl CompletionEncoder {
    pub(super) fn new(
        app: &Arc<App>,
        head: Head,
        echo: Echo,
        choices: usize,
        prompt: usize,
        usage: bool,
        samebit: bool,
    ) -> Self {
        let choices = std::iter::repeat_with(State::default).take(choices).collect();
        Self { app: Arc::clone(app), head, echo, choices, prompt, usage, samebit }
    }

    fn chunk(&self, choice: Option<ChoiceBody>, samebit: Option<Samebit>) -> Chunk<'_> {
        Chunk { head: &self.head, choices: choice.into_iter().collect(), usage: self.usage.then_some(None), samebit }
    }

    /// The prompt, told to each of its choices.
    fn echoed(&mut self, first: u32, told: &[TokenLogprob], out: &mut Frames) {
        for index in first..first + self.echo.each {
            let Some((prompt, text)) = self.echo.prompt(index) else { return };
            let columns = self.echo.logprobs.then(|| {
                let mut columns = Columns::default();
                prompt_columns(&self.app, prompt, told, &mut columns);
                columns
            });
            let text = text.clone();
            if let (Some(state), Some(columns)) = (self.choices.get_mut(index as usize), &columns) {
                state.offset = columns.offset();
            }
            let body = ChoiceBody { text, index, logprobs: columns, finish_reason: None };
            out.at(index, 1, None, &self.chunk(Some(body), None));
        }
    }

    fn token(&mut self, piece: Piece, out: &mut Frames) {
        let Some(state) = self.choices.get_mut(piece.choice as usize) else { return };
        state.generated += 1;
        state.tokens.push(piece.token);
        state.told.extend(piece.logprob);
        self.text(piece.choice, piece.index + 1, piece.text, out);
    }

    /// An event, if there is something to tell.
    fn text(&mut self, index: u32, position: u64, text: String, out: &mut Frames) {
        let Some(state) = self.choices.get_mut(index as usize) else { return };
        if text.is_empty() && state.told.is_empty() {
            return;
        }
        let told = std::mem::take(&mut state.told);
        let tokens = std::mem::take(&mut state.tokens);
        let logprobs = self.echo.logprobs.then(|| {
            let mut columns = Columns::after(state.offset);
            told.iter().for_each(|told| columns.push(&self.app.model, told));
            state.offset = columns.offset();
            columns
        });
        let body = ChoiceBody { text, index, logprobs, finish_reason: None };
        let samebit = self.samebit.then(|| Samebit::tokens(tokens));
        out.at(index, position, None, &self.chunk(Some(body), samebit));
    }

    fn done(&mut self, done: Done, out: &mut Frames) {
        self.text(done.choice, done.tokens + 2, done.rest.clone(), out);
        let Some(state) = self.choices.get_mut(done.choice as usize) else { return };
        let tokens = std::mem::take(&mut state.tokens);
        let samebit = self.samebit.then(|| Samebit::end(&self.app, &done, tokens));
        let finish_reason = Some(finish_reason(done.ending, 0));
        let body = ChoiceBody { text: String::new(), index: done.choice, logprobs: None, finish_reason };
        out.at(done.choice, done.tokens + 3, None, &self.chunk(Some(body), samebit));
    }
}

impl Encoder for CompletionEncoder {
    fn begin(&mut self, out: &mut Frames) {
        // With log-probabilities the engine tells when the prompt is known.
        if self.echo.echo && !self.echo.logprobs {
            for prompt in 0..self.echo.prompts.len() as u32 {
                self.echoed(prompt * self.echo.each, &[], out);
            }
        }
    }

    fn event(&mut self, event: Event, out: &mut Frames) {
        match event {
            Event::Prompt { choice, logprobs } => self.echoed(choice, &logprobs, out),
            Event::Token(piece) => self.token(piece, out),
            Event::Done(done) => self.done(done, out),
            Event::Accepted | Event::Embedding { .. } | Event::Failed(_) => {}
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
