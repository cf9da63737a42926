//! A conversation with a model: messages in, answers out, the cache kept from turn to turn.
//!
//! Knows the engine and the session; nothing of terminals or files. No clock.

use core::time::Duration;
use std::ops::ControlFlow;
use std::sync::Arc;

use samebit_engine::{Batch, Finish, Generation, Grammar, Happening, Limits, Request, Submission, TokenLogprob};
use samebit_grammar::Grammars;
use samebit_text::StreamDecoder;

use crate::compose::{Composed, compose, shown};
use crate::error::ChatError;
use crate::model::Model;
use crate::session::{Ending, Session, Turn};
use crate::settings::Settings;
use crate::stops::{Stops, cut};
use crate::thinking::{Bound, Marks};

/// What is heard of an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// The answer begins, inside a thought or not; its prompt has so many tokens.
    Begin {
        /// Whether the template has opened a thought.
        thinking: bool,
        /// Tokens of the prompt.
        prompt: usize,
    },
    /// So many of the prompt's tokens are taken in.
    Prefill {
        /// Tokens done.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
        /// Of those done, how many were in the cache.
        cached: usize,
    },
    /// A token came, and completed this text, which may be empty.
    Text(&'a str),
}

/// Hears an answer; a break ends it.
pub type Hearer<'a> = dyn FnMut(Heard<'_>) -> ControlFlow<()> + 'a;

/// An answer that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its turn's number.
    pub number: usize,
    /// Whether it is a turn that was there already: the same seed gave the same answer.
    pub again: bool,
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Of these, how many were in the cache.
    pub cached: usize,
}

/// A conversation.
pub struct Talk {
    model: Arc<Model>,
    batch: Batch,
    /// Made when the first answer wants a form.
    grammars: Option<Grammars>,
    session: Session,
    /// Of the turns to come.
    settings: Arc<Settings>,
}

/// What is to be computed.
pub(crate) struct Task<'a> {
    pub(crate) prompt: Vec<u32>,
    pub(crate) settings: &'a Settings,
    pub(crate) seed: u64,
    /// Turns before this one.
    pub(crate) before: usize,
    /// Whether the prompt has opened a thought.
    pub(crate) thinking: bool,
    /// Most tokens of the answer.
    pub(crate) most: usize,
    /// Tokens that are expected.
    pub(crate) expected: Vec<u32>,
    /// Alternatives to be told with each token.
    pub(crate) alternatives: Option<usize>,
}

/// What came of it.
pub(crate) struct Computed {
    pub(crate) generation: Generation,
    pub(crate) cached: usize,
    pub(crate) logprobs: Vec<TokenLogprob>,
}

impl Talk {
    /// A conversation that has not begun.
    pub fn new(model: Arc<Model>, settings: Settings) -> Self {
        let options = model.engine.options();
        // One answer at a time, and room for one context.
        let (rows, prefix_cache) = (options.ubatch, options.kv_cache);
        let limits = Limits { rows, sequences: 1, pages: 0, queue: 1, prefix_cache };
        let batch = match &model.draft {
            Some(draft) => Batch::with_draft(&model.engine, draft, limits),
            None => Batch::new(&model.engine, limits),
        };
        Self { model, batch, grammars: None, session: Session::default(), settings: Arc::new(settings) }
    }

    /// Goes on with a session: its turns, where it stands, and its latest settings.
    pub fn resume(&mut self, session: Session, settings: Settings) {
        self.session = session;
        self.settings = Arc::new(settings);
    }

    /// Goes on with the same conversation, over a model that has the same vocabulary and template.
    pub(crate) fn change(&mut self, model: Arc<Model>) {
        let fresh = Self::new(model, (*self.settings).clone());
        let before = std::mem::replace(self, fresh);
        (self.session, self.grammars) = (before.session, before.grammars);
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// What was said.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// To go elsewhere in it.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The settings of the turns to come.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Replaces the settings of the turns to come.
    ///
    /// # Errors
    /// A sampling parameter out of its range, a form that cannot be had, a bound on thoughts where the model has no marks for them;
    /// nothing has changed then.
    pub fn set(&mut self, settings: Settings) -> Result<(), ChatError> {
        self.constraint(&settings, false)?;
        self.model.sampler(&settings, settings.seed, 0)?;
        self.settings = Arc::new(settings);
        Ok(())
    }

    /// Says something after the turn that one is at; the answer becomes a turn, and one is there.
    ///
    /// # Errors
    /// A context that is full; a template, grammar or engine that refuses; nothing was kept then. Also where it was broken off
    /// before the first token.
    pub fn ask(&mut self, user: &str, hear: &mut Hearer<'_>) -> Result<Answered, ChatError> {
        let (at, seed) = (self.session.at(), self.settings.seed);
        self.answer(at, user, seed, hear)
    }

    /// Answers the latest message again: with the settings' seed, or another. What is there already is not added again.
    ///
    /// # Errors
    /// As [`Talk::ask`]; where there is no answer yet.
    pub fn regenerate(&mut self, seed: Option<u64>, hear: &mut Hearer<'_>) -> Result<Answered, ChatError> {
        let turn = self.session.latest().ok_or(ChatError::NoAnswer)?;
        let (parent, user) = (turn.parent, turn.user.clone());
        self.answer(parent, &user, seed.unwrap_or(self.settings.seed), hear)
    }

    fn answer(&mut self, parent: usize, user: &str, seed: u64, hear: &mut Hearer<'_>) -> Result<Answered, ChatError> {
        let settings = Arc::clone(&self.settings);
        let composed = self.compose(parent, &settings, user)?;
        let prompt = composed.ids.len();
        if hear(Heard::Begin { thinking: composed.thinking, prompt }).is_break() {
            return Err(ChatError::Cancelled);
        }
        let rest = composed.ids[composed.kept..].to_vec();
        let task = Task {
            prompt: composed.ids,
            settings: &settings,
            seed,
            before: self.session.depth(parent),
            thinking: composed.thinking,
            most: settings.predict.unwrap_or(usize::MAX),
            expected: Vec::new(),
            alternatives: None,
        };
        let mut stops = Stops::new(&settings.stop);
        let Computed { generation, cached, .. } = self.compute(task, &mut |heard| match heard {
            Heard::Text(text) => {
                let going = hear(Heard::Text(&stops.push(text)));
                if stops.found() { ControlFlow::Break(()) } else { going }
            }
            other => hear(other),
        })?;
        let held = stops.finish();
        if !held.is_empty() {
            // It is over: whether the hearer would go on is nothing to it.
            let _ = hear(Heard::Text(&held));
        }
        let finish = match generation.finish {
            _ if stops.found() => Ending::Stop,
            Finish::Stop => Ending::Stop,
            Finish::Length => Ending::Length,
            Finish::Cancelled | Finish::Deadline => Ending::Cancelled,
        };
        if generation.tokens.is_empty() {
            return Err(ChatError::Cancelled);
        }
        let positions = self.model.engine.context();
        let full = finish == Ending::Length && prompt + generation.tokens.len() >= positions;
        let most = generation.tokens.len();
        let turn = Turn {
            parent,
            seed,
            user: user.to_owned(),
            kept: composed.kept,
            prompt: rest,
            answer: cut(&shown(&self.model.tokenizer, &generation.tokens), &settings.stop).0,
            tokens: generation.tokens,
            finish,
            context: Some(positions).filter(|_| full && settings.predict != Some(most)),
            digest: generation.logits_digest,
            settings,
        };
        let (number, again) = self.keep(turn);
        Ok(Answered { number, again, prompt, cached })
    }

    /// The number of a turn, which may be there already.
    fn keep(&mut self, turn: Turn) -> (usize, bool) {
        let known = self.session.children(turn.parent).find(|&number| self.session.turn(number) == Some(&turn));
        match known {
            Some(number) => (number, self.session.go_to(number)),
            // It was composed after its parent, so it fits.
            None => (self.session.push(turn).unwrap_or_default(), false),
        }
    }

    /// The ids for a message after `parent`, if they leave room for an answer.
    pub(crate) fn compose(&self, parent: usize, settings: &Settings, user: &str) -> Result<Composed, ChatError> {
        let composed = compose(&self.model, &self.session, parent, settings, user)?;
        let (tokens, context) = (composed.ids.len(), self.model.engine.context());
        if tokens >= context {
            return Err(ChatError::Full { tokens, context });
        }
        Ok(composed)
    }

    /// Each token of the latest answer with its probability and the likeliest alternatives, computed again.
    ///
    /// # Errors
    /// Where there is no answer, or the engine refuses.
    pub fn explain(&mut self, alternatives: usize, hear: &mut Hearer<'_>) -> Result<Vec<TokenLogprob>, ChatError> {
        let number = self.session.at();
        let turn = self.session.turn(number).ok_or(ChatError::NoAnswer)?;
        let settings = Arc::clone(&turn.settings);
        let thinking = compose(&self.model, &self.session, turn.parent, &settings, &turn.user)?.thinking;
        let task = Task {
            thinking,
            seed: turn.seed,
            before: self.session.depth(turn.parent),
            most: turn.tokens.len(),
            expected: turn.tokens.clone(),
            prompt: self.session.prompt(number),
            settings: &settings,
            alternatives: Some(alternatives),
        };
        Ok(self.compute(task, hear)?.logprobs)
    }

    pub(crate) fn compute(&mut self, task: Task<'_>, hear: &mut Hearer<'_>) -> Result<Computed, ChatError> {
        let tokenizer = Arc::clone(&self.model.tokenizer);
        let request = Request {
            max_tokens: task.most,
            sampler: self.model.sampler(task.settings, task.seed, task.before)?,
            stop_tokens: tokenizer.eog_ids(),
            ignore_eos: false,
        };
        let grammar = self.constraint(task.settings, task.thinking)?;
        let submission = Submission {
            logprobs: task.alternatives,
            draft: task.expected,
            grammar,
            ..Submission::new(task.prompt, request)
        };
        self.batch.submit(submission, Duration::ZERO)?;
        let mut decoder = StreamDecoder::new(&tokenizer);
        let (mut outcome, mut already, mut logprobs) = (None, 0, Vec::new());
        while !self.batch.is_idle() {
            self.batch.step(Duration::ZERO, &mut |_, happening| match happening {
                Happening::Prefill { done, total, cached } => {
                    already = cached;
                    hear(Heard::Prefill { done, total, cached })
                }
                Happening::Token { token, logprob, .. } => {
                    logprobs.extend(logprob.cloned());
                    let text = if tokenizer.is_eog(token) { String::new() } else { decoder.push(token) };
                    hear(Heard::Text(&text))
                }
                Happening::Done { generation, .. } => {
                    outcome = Some(Ok(generation));
                    ControlFlow::Continue(())
                }
                Happening::Failed(error) => {
                    outcome = Some(Err(error));
                    ControlFlow::Continue(())
                }
                Happening::PromptLogprobs(_) | Happening::Embedding(_) => ControlFlow::Continue(()),
            })?;
        }
        let rest = decoder.finish();
        if !rest.is_empty() {
            // It is over: whether the hearer would go on is nothing to it.
            let _ = hear(Heard::Text(&rest));
        }
        // A submission ends in one of the two.
        let generation = outcome.ok_or(ChatError::Cancelled)??;
        Ok(Computed { generation, cached: already, logprobs })
    }

    /// What binds an answer, if anything does.
    fn constraint(&mut self, settings: &Settings, thinking: bool) -> Result<Option<Arc<dyn Grammar>>, ChatError> {
        let form = match settings.format.source() {
            Some(source) => Some(self.grammars()?.compile(&source)?),
            None => None,
        };
        let budget = settings.think_budget;
        if budget.is_none() && !(thinking && form.is_some()) {
            return Ok(form);
        }
        let tokenizer = Arc::clone(&self.model.tokenizer);
        match Marks::of(&tokenizer) {
            Some(marks) => Ok(Some(Arc::new(Bound { tokenizer, marks, thinking, budget, form }))),
            None if budget.is_none() => Ok(form),
            None => Err(ChatError::NoMarks),
        }
    }

    fn grammars(&mut self) -> Result<&Grammars, ChatError> {
        let grammars = match self.grammars.take() {
            Some(grammars) => grammars,
            None => Grammars::new(Arc::clone(&self.model.tokenizer), 1)?,
        };
        Ok(self.grammars.insert(grammars))
    }
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk").field("at", &self.session.at()).finish_non_exhaustive()
    }
}
