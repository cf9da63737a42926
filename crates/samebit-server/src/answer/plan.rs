//! What is to be computed for a request, and the way to the engine.

use crate::app::App;
use crate::engine::{Done, Ending, Event, NotTaken, Order, Submitted};
use crate::http::ApiError;
use crate::http::gate::Caller;
use crate::telemetry::{self, Span};
use samebit_engine::{Grammar, Request, Submission, Wants};
use samebit_grammar::Source;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Events of each choice that a reader may lag behind. One that lags more is cut off, and may resume.
const MOST_UNREAD: usize = 4096;
/// Events of all choices. A few hundred bytes each, more with log-probabilities.
const MOST_UNREAD_IN_ALL: usize = 1 << 18;

/// What is to be computed.
pub(crate) struct Plan {
    pub(crate) prompts: Vec<Vec<u32>>,
    /// The request's field that they come from.
    pub(crate) field: &'static str,
    /// Choices of each prompt.
    pub(crate) choices: u32,
    pub(crate) request: Request,
    pub(crate) stops: Arc<[String]>,
    /// Special tokens that are shown as text.
    pub(crate) shown: Arc<[u32]>,
    pub(crate) logprobs: Option<usize>,
    pub(crate) prompt_logprobs: Option<usize>,
    pub(crate) grammar: Option<(Source, Arc<dyn Grammar>)>,
    /// Tokens that the first choice is expected to begin with.
    pub(crate) draft: Vec<u32>,
    pub(crate) priority: i32,
    pub(crate) wants: Wants,
}

impl Plan {
    /// Tokens of all prompts.
    pub(crate) fn prompt_tokens(&self) -> usize {
        self.prompts.iter().map(Vec::len).sum()
    }

    /// Choices of all prompts.
    pub(crate) fn all_choices(&self) -> usize {
        self.prompts.len() * self.choices as usize
    }

    /// Tokens that a choice can come to.
    pub(crate) fn most_tokens(&self, app: &App) -> u64 {
        self.request.max_tokens.min(app.model.engine.context()) as u64
    }

    /// A digest of everything that the answer depends on, the model included. What changes time alone is left out.
    pub(crate) fn digest(&self, app: &App) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut rest = String::new();
        let Request { max_tokens, sampler, stop_tokens, ignore_eos } = &self.request;
        let model = &app.model;
        let grammar = self.grammar.as_ref().map(|(source, _)| source);
        // Writing to a string cannot fail.
        let _ = write!(
            rest,
            "{} {} {} {sampler:?} {max_tokens} {stop_tokens:?} {ignore_eos} {:?} {:?} {} {:?} {:?} {grammar:?}",
            model.digest,
            model.numerics,
            model.engine.context(),
            self.stops,
            self.shown,
            self.choices,
            self.logprobs,
            self.prompt_logprobs,
        );
        hasher.update(rest.as_bytes());
        for prompt in &self.prompts {
            hasher.update(&(prompt.len() as u64).to_le_bytes());
            let bytes: Vec<u8> = prompt.iter().flat_map(|token| token.to_le_bytes()).collect();
            hasher.update(&bytes);
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// An answer on its way. Dropping it takes the request back, wherever it is.
pub(crate) struct Answers {
    pub(crate) events: mpsc::Receiver<Event>,
    app: Arc<App>,
    caller: Caller,
    /// Choices, or prompts where a vector is wanted, that are to come.
    pub(crate) open: usize,
    pub(crate) prompt_tokens: usize,
    pub(crate) generated: u64,
    started: Instant,
    _submitted: Submitted,
}

impl Answers {
    /// The next event; `None` if the engine has let go of the request.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        self.count(event.as_ref());
        event
    }

    /// Why no more events come, though choices are open.
    pub(crate) fn lost(&self) -> ApiError {
        match self.app.is_breaking_off() {
            true => ApiError::unavailable("the server ended before the answer was complete (--grace): ask again"),
            false => ApiError::internal("the engine's pass failed: the server's log says why"),
        }
    }

    /// Keeps account of an event.
    pub(crate) fn count(&mut self, event: Option<&Event>) {
        match event {
            Some(Event::Token(_)) => self.generated += 1,
            Some(Event::Done(done)) => {
                self.open = self.open.saturating_sub(1);
                self.caller.span.choice(|| told(done, self.started));
            }
            Some(Event::Embedding { .. }) => self.open = self.open.saturating_sub(1),
            _ => {}
        }
    }
}

/// What a trace says of a choice.
fn told(done: &Done, started: Instant) -> telemetry::Choice {
    let ending = match done.ending {
        Ending::Stop => "stop",
        Ending::Length => "length",
        Ending::Deadline => "deadline",
        Ending::Cancelled => "cancelled",
    };
    telemetry::Choice {
        ago: started.elapsed(),
        first: done.timings.first,
        rest: done.timings.rest,
        attributes: vec![
            ("samebit.choice", done.choice.into()),
            ("gen_ai.response.finish_reason", ending.into()),
            ("gen_ai.usage.output_tokens", done.tokens.into()),
            ("samebit.cached_tokens", done.timings.cached.into()),
            ("samebit.logits_digest", done.digest.clone().into()),
        ],
    }
}

/// What a trace says of a request.
fn tell(span: &Span, app: &App, plan: &Plan) {
    let sampler = &plan.request.sampler;
    span.set("gen_ai.request.model", app.model.id.as_str());
    span.set("gen_ai.request.choice.count", plan.choices);
    span.set("gen_ai.request.seed", sampler.seed);
    span.set("gen_ai.request.temperature", sampler.temperature);
    span.set("gen_ai.request.max_tokens", plan.request.max_tokens);
    span.set("gen_ai.usage.input_tokens", plan.prompt_tokens());
}

impl Drop for Answers {
    fn drop(&mut self) {
        let (prompt, generated) = (self.prompt_tokens, self.generated);
        self.app.rates.tokens(self.caller.payer, prompt as u64 + generated, Instant::now());
        let span = &self.caller.span;
        span.set("gen_ai.usage.output_tokens", generated);
        if self.open > 0 {
            span.fail("the answer is not complete");
        }
        let (complete, ms) = (self.open == 0, self.started.elapsed().as_millis() as u64);
        tracing::info!(request = %self.caller.request, prompt, generated, complete, ms, "answer");
    }
}

/// Gives a plan to the engine and waits until it is taken.
///
/// # Errors
/// The queue is full, the prompt too long, a parameter out of range.
pub(crate) async fn start(app: &Arc<App>, caller: &Caller, plan: Plan) -> Result<Answers, ApiError> {
    let (prompts, all) = (plan.prompts.len(), plan.all_choices());
    let (sender, events) = mpsc::channel(MOST_UNREAD.saturating_mul(all).clamp(MOST_UNREAD, MOST_UNREAD_IN_ALL));
    let prompt_tokens = plan.prompt_tokens();
    let (embeds, field) = (plan.wants == Wants::Embedding, plan.field);
    tell(&caller.span, app, &plan);
    let mut orders = Vec::with_capacity(prompts);
    for (index, prompt) in plan.prompts.into_iter().enumerate() {
        orders.push(Order {
            submission: Submission {
                choices: plan.choices,
                priority: plan.priority,
                // From now on; the thread that has the clock makes a time of it.
                deadline: Some(app.options.timeout),
                logprobs: plan.logprobs,
                prompt_logprobs: plan.prompt_logprobs,
                draft: if index == 0 { plan.draft.clone() } else { Vec::new() },
                grammar: plan.grammar.as_ref().map(|(_, grammar)| Arc::clone(grammar)),
                wants: plan.wants,
                ..Submission::new(prompt, plan.request.clone())
            },
            // Choices are few: `Plan`'s makers bound them.
            first: index as u32 * plan.choices,
            stops: Arc::clone(&plan.stops),
            shown: Arc::clone(&plan.shown),
            events: sender.clone(),
        });
    }
    drop(sender);
    let submitted = app.engine.submit(orders).map_err(|refused| match refused {
        NotTaken::Full => ApiError::full(),
        NotTaken::Ended => ApiError::unavailable("the engine has ended"),
    })?;
    let mut answers = Answers {
        events,
        app: Arc::clone(app),
        caller: caller.clone(),
        open: if embeds { prompts } else { all },
        prompt_tokens,
        generated: 0,
        started: Instant::now(),
        _submitted: submitted,
    };
    match answers.events.recv().await {
        Some(Event::Accepted) => Ok(answers),
        Some(Event::Failed(error)) => Err(ApiError::of_prompt(error, field)),
        _ => Err(ApiError::unavailable("the engine has let go of the request")),
    }
}
