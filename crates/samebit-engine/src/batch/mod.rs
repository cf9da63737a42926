//! Many submissions at once, in steps.
//!
//! Pure: time comes in as an argument.

mod grammar;
mod submission;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

pub use grammar::{Constraint, Grammar};
pub use submission::{
    Counts, Happening, Limits, MOST_CHOICES, MOST_LOGPROBS, Progress, Submission, Ticket, TokenLogprob, Wants,
};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::request::{Event, Finish, Generation};

/// Hears what happens; a break ends the choice that it is told about.
pub type BatchListener<'a> = dyn FnMut(Ticket, Happening<'_>) -> ControlFlow<()> + 'a;

/// Submissions on their way through one model.
pub struct Batch {
    engine: Engine,
    limits: Limits,
    waiting: VecDeque<(Ticket, Submission)>,
    cancelled: Vec<(Ticket, u32)>,
    next: u64,
    counts: Counts,
}

impl Batch {
    /// An empty batch over `engine`'s model, run as its options say.
    pub fn new(engine: &Engine, limits: Limits) -> Self {
        let (waiting, cancelled) = (VecDeque::new(), Vec::new());
        Self { engine: engine.clone(), limits, waiting, cancelled, next: 0, counts: Counts::default() }
    }

    /// Takes a submission in.
    ///
    /// # Errors
    /// The queue is full; a prompt that is empty or too long; parameters out of range.
    pub fn submit(&mut self, submission: Submission, _now: Duration) -> Result<Ticket, EngineError> {
        if self.waiting.len() >= self.limits.queue {
            return Err(EngineError::QueueFull { waiting: self.waiting.len() });
        }
        self.engine.check_prompt(&submission.prompt)?;
        submission.request.sampler.validate(self.engine.vocab_size())?;
        let ticket = Ticket(self.next);
        self.next += 1;
        let place = self.waiting.iter().position(|(_, other)| other.priority < submission.priority);
        self.waiting.insert(place.unwrap_or(self.waiting.len()), (ticket, submission));
        Ok(ticket)
    }

    /// Ends a submission; the next step tells [`Finish::Cancelled`] of each of its choices.
    pub fn cancel(&mut self, ticket: Ticket) {
        if let Some(at) = self.waiting.iter().position(|(other, _)| *other == ticket)
            && let Some((ticket, submission)) = self.waiting.remove(at)
        {
            self.cancelled.push((ticket, submission.choices));
        }
    }

    /// One pass over the model.
    ///
    /// # Errors
    /// None yet.
    pub fn step(&mut self, _now: Duration, listener: &mut BatchListener<'_>) -> Result<Progress, EngineError> {
        for (ticket, choices) in std::mem::take(&mut self.cancelled) {
            for choice in 0..choices {
                let generation = Generation {
                    tokens: Vec::new(),
                    finish: Finish::Cancelled,
                    logits_digest: crate::LogitsDigest::default().hex(),
                    speculation: crate::Speculation::default(),
                };
                let _ = listener(ticket, Happening::Done { choice, generation });
            }
        }
        let Some((ticket, submission)) = self.waiting.pop_front() else {
            return Ok(Progress::default());
        };
        let first = submission.request.sampler.sample_index;
        for choice in 0..submission.choices {
            let mut request = submission.request.clone();
            request.sampler.sample_index = first.wrapping_add(choice);
            let generation = self.engine.generate(&submission.prompt, &request, &mut |event| match event {
                Event::Prefill { done, total } => listener(ticket, Happening::Prefill { done, total, cached: 0 }),
                Event::Token(token) => {
                    self.counts.generated_tokens += 1;
                    listener(ticket, Happening::Token { choice, token, logprob: None })
                }
            });
            let happening = match generation {
                Ok(generation) => Happening::Done { choice, generation },
                Err(error) => Happening::Failed(error),
            };
            let _ = listener(ticket, happening);
        }
        Ok(Progress { prefill: submission.prompt.len(), decode: 0 })
    }

    /// Whether nothing is left to do or to tell.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.cancelled.is_empty()
    }

    /// Where it stands.
    pub fn counts(&self) -> Counts {
        Counts { waiting: self.waiting.len(), ..self.counts }
    }
}
