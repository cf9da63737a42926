//! One submission as the engine's thread hears of it: tokens become text, stop strings are found, events are sent.
//!
//! All of it is a function of the tokens, and done before the next is chosen.

use super::stops::Stops;
use samebit_engine::{EngineError, Finish, Generation, Happening, Submission, TokenLogprob};
use samebit_text::{StreamDecoder, Tokenizer};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// A submission, and what its listener needs.
pub(crate) struct Order {
    pub(crate) submission: Submission,
    /// The number that its first choice has in the response.
    pub(crate) first: u32,
    /// Texts that end a choice.
    pub(crate) stops: Arc<[String]>,
    /// Special tokens that are shown as text all the same.
    pub(crate) shown: Arc<[u32]>,
    pub(crate) events: Sender<Event>,
}

/// What a request hears of its answer.
#[derive(Debug)]
pub(crate) enum Event {
    /// The batch has taken it.
    Accepted,
    /// Probabilities of the prompt whose first choice this is.
    Prompt {
        choice: u32,
        logprobs: Vec<TokenLogprob>,
    },
    Token(Piece),
    Done(Done),
    Embedding {
        choice: u32,
        values: Vec<f32>,
    },
    /// There will be no answer.
    Failed(EngineError),
}

/// A token and the text that it completed.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) choice: u32,
    pub(crate) token: u32,
    /// Which of the choice's tokens it is, from 1.
    pub(crate) index: u64,
    /// Empty while a character or a stop string may still become complete.
    pub(crate) text: String,
    pub(crate) logprob: Option<TokenLogprob>,
}

/// The end of a choice.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) choice: u32,
    /// Text that was held back.
    pub(crate) rest: String,
    pub(crate) ending: Ending,
    pub(crate) tokens: u64,
    pub(crate) digest: String,
    pub(crate) timings: Timings,
}

/// Why a choice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The model ended it, or a stop string.
    Stop,
    /// The bound on tokens, or the context.
    Length,
    /// Its time was over.
    Deadline,
    /// Nobody wants it any more.
    Cancelled,
}

/// When things happened. What may differ from run to run, and nothing else may.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timings {
    /// From arrival to the first token.
    pub(crate) first: Duration,
    /// From the first token to the last.
    pub(crate) rest: Duration,
    /// Tokens of the prompt that were in the cache.
    pub(crate) cached: usize,
}

/// The state of one submission.
pub(crate) struct Job<'a> {
    tokenizer: &'a Tokenizer,
    first: u32,
    shown: Arc<[u32]>,
    events: Sender<Event>,
    choices: Vec<Choice<'a>>,
    pub(crate) prompt: usize,
    done: usize,
    cached: usize,
    arrived: Duration,
}

struct Choice<'a> {
    decoder: StreamDecoder<'a>,
    stops: Stops,
    stopped: bool,
    tokens: u64,
    first: Duration,
    last: Duration,
}

/// What the thread should do after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Go,
    /// The choice has come to its stop string.
    Stop,
    /// Nobody reads any more.
    Gone,
}

impl<'a> Job<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer, order: &Order, now: Duration) -> Self {
        let choice = |_| Choice {
            decoder: StreamDecoder::new(tokenizer),
            stops: Stops::new(Arc::clone(&order.stops)),
            stopped: false,
            tokens: 0,
            first: now,
            last: now,
        };
        Self {
            tokenizer,
            first: order.first,
            shown: Arc::clone(&order.shown),
            events: order.events.clone(),
            choices: (0..order.submission.choices).map(choice).collect(),
            prompt: order.submission.prompt.len(),
            done: 0,
            cached: 0,
            arrived: now,
        }
    }

    /// Tokens of all choices so far.
    pub(crate) fn tokens(&self) -> u64 {
        self.choices.iter().map(|choice| choice.tokens).sum()
    }

    /// Choices that are not done.
    pub(crate) fn unfinished(&self) -> usize {
        self.choices.len() - self.done
    }

    /// Whether the prompt is still being read.
    pub(crate) fn in_prompt(&self) -> bool {
        self.tokens() == 0
    }

    /// Hears what happened. The second is whether that was the last of it.
    pub(crate) fn hear(&mut self, happening: Happening<'_>, now: Duration) -> (Next, bool) {
        match happening {
            Happening::Prefill { cached, .. } => {
                self.cached = cached;
                (if self.events.is_closed() { Next::Gone } else { Next::Go }, false)
            }
            Happening::PromptLogprobs(logprobs) => {
                (self.send(Event::Prompt { choice: self.first, logprobs: logprobs.to_vec() }), false)
            }
            Happening::Token { choice, token, logprob } => (self.token(choice, token, logprob, now), false),
            Happening::Done { choice, generation } => self.finished(choice, generation),
            Happening::Embedding(values) => {
                (self.send(Event::Embedding { choice: self.first, values: values.to_vec() }), true)
            }
            Happening::Failed(error) => (self.send(Event::Failed(error)), true),
        }
    }

    fn token(&mut self, index: u32, token: u32, logprob: Option<&TokenLogprob>, now: Duration) -> Next {
        let Some(choice) = self.choices.get_mut(index as usize) else { return Next::Go };
        if choice.tokens == 0 {
            choice.first = now;
        }
        choice.last = now;
        choice.tokens += 1;
        let text = if self.tokenizer.is_eog(token) {
            String::new()
        } else if self.shown.contains(&token) {
            let piece = self.tokenizer.piece(token).unwrap_or_default();
            choice.decoder.finish() + &String::from_utf8_lossy(&piece)
        } else {
            choice.decoder.push(token)
        };
        let (text, stopped) = choice.stops.push(text);
        choice.stopped = stopped;
        let piece = Piece { choice: self.first + index, token, index: choice.tokens, text, logprob: logprob.cloned() };
        match self.send(Event::Token(piece)) {
            Next::Go if stopped => Next::Stop,
            next => next,
        }
    }

    fn finished(&mut self, index: u32, generation: Generation) -> (Next, bool) {
        let Some(choice) = self.choices.get_mut(index as usize) else { return (Next::Go, false) };
        let ending = match generation.finish {
            Finish::Cancelled if choice.stopped => Ending::Stop,
            Finish::Cancelled => Ending::Cancelled,
            Finish::Stop => Ending::Stop,
            Finish::Length => Ending::Length,
            Finish::Deadline => Ending::Deadline,
        };
        let mut rest = String::new();
        if !choice.stopped {
            // What the decoder still has may complete a stop string too.
            let (text, stopped) = choice.stops.push(choice.decoder.finish());
            rest = text;
            if !stopped {
                rest.push_str(&choice.stops.finish());
            }
        }
        let timings = Timings {
            first: choice.first.saturating_sub(self.arrived),
            rest: choice.last.saturating_sub(choice.first),
            cached: self.cached,
        };
        let done = Done {
            choice: self.first + index,
            rest,
            ending,
            tokens: choice.tokens,
            digest: generation.logits_digest,
            timings,
        };
        self.done += 1;
        (self.send(Event::Done(done)), self.done == self.choices.len())
    }

    /// The channel is as long as a reader may lag behind: one that lags more is cut off, and may resume.
    fn send(&self, event: Event) -> Next {
        match self.events.try_send(event) {
            Ok(()) => Next::Go,
            Err(_) => Next::Gone,
        }
    }
}

impl From<Next> for ControlFlow<()> {
    fn from(next: Next) -> Self {
        if next == Next::Go { Self::Continue(()) } else { Self::Break(()) }
    }
}
