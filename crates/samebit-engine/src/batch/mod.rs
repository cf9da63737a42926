//! Many submissions at once, in steps: each step is one pass over the model, in which everybody who is being served has a share.
//!
//! Nothing of what an answer is depends on the others, on when they came, or on what was kept: promises B, C, K and S. Pure: the
//! time is an argument, so a schedule can be replayed.

mod backend;
mod embedding;
mod foresight;
mod grammar;
mod pages;
mod prefixes;
mod room;
mod rules;
mod scheduler;
mod sequence;
mod submission;
mod turn;

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use samebit_kernels::{Numerics, Table};
use samebit_model::forward::Real;
use samebit_model::{KvType, Layout, Runner};
use samebit_numerics::reduce::CHUNK;

pub use grammar::{Constraint, Grammar};
pub use submission::{
    Counts, Happening, Limits, MOST_CHOICES, MOST_LOGPROBS, Progress, Submission, Ticket, TokenLogprob, Wants,
};

use crate::engine::{Engine, MOST_DRAFTED};
use crate::error::EngineError;
use backend::OfModel;
use foresight::{Foresight, Other};
use rules::{Manner, Rules};
use scheduler::{Scheduler, Sizes};

/// Hears what happens; a break ends the choice that it is told about.
pub type BatchListener<'a> = dyn FnMut(Ticket, Happening<'_>) -> ControlFlow<()> + 'a;

/// Bytes of cache that are within reason where nobody says how many pages there may be.
const REASONABLE_BYTES: usize = 1 << 30;

/// A scheduler of any precision.
trait Steps {
    /// Takes in a submission that was checked.
    fn submit(&mut self, submission: Submission) -> Result<Ticket, EngineError>;
    fn cancel(&mut self, ticket: Ticket);
    fn step(&mut self, now: Duration, listener: &mut BatchListener<'_>) -> Progress;
    fn is_idle(&self) -> bool;
    fn counts(&self) -> Counts;
}

/// Submissions on their way through one model.
pub struct Batch {
    steps: Box<dyn Steps + Send>,
    engine: Engine,
}

impl Batch {
    /// An empty batch over `engine`'s model, run as its options say.
    pub fn new(engine: &Engine, limits: Limits) -> Self {
        Self { steps: steps(engine, limits, None), engine: engine.clone() }
    }

    /// As [`Batch::new`]; where the text itself gives no guess, `draft` guesses: a smaller model of the same vocabulary. It costs
    /// memory for a cache of its own, of as many pages, and changes no bit. One of the two may have more tokens, as padding is; that
    /// tokens of the same number are the same text is for the caller to see to: wrong guesses cost time.
    pub fn with_draft(engine: &Engine, draft: &Engine, limits: Limits) -> Self {
        let vocabulary = engine.vocab_size();
        let options = draft.options();
        let foresight = match options.numerics {
            Numerics::F64 => foresight(draft, vocabulary, Table::double(), KvType::F32, &limits),
            mode => foresight(draft, vocabulary, Table::single(options.isa, mode), options.kv, &limits),
        };
        Self { steps: steps(engine, limits, Some(foresight)), engine: engine.clone() }
    }

    /// Takes a submission in. It is computed by the steps that follow.
    ///
    /// # Errors
    /// The queue is full; a prompt that is empty, too long, or holds what is no token; parameters out of range.
    pub fn submit(&mut self, submission: Submission, _now: Duration) -> Result<Ticket, EngineError> {
        self.engine.check_prompt(&submission.prompt)?;
        let asked = submission.choices;
        if !(1..=MOST_CHOICES).contains(&asked) {
            return Err(EngineError::Choices { asked, most: MOST_CHOICES });
        }
        let asked = submission.logprobs.max(submission.prompt_logprobs).unwrap_or(0);
        if asked > MOST_LOGPROBS {
            return Err(EngineError::Logprobs { asked, most: MOST_LOGPROBS });
        }
        self.steps.submit(submission)
    }

    /// Ends a submission and frees its pages at once; the next step tells [`Finish::Cancelled`](crate::Finish::Cancelled) of each of
    /// its choices.
    pub fn cancel(&mut self, ticket: Ticket) {
        self.steps.cancel(ticket);
    }

    /// One pass over the model, with a share for whoever is served. Tells `listener` what happens: a break after a token ends that
    /// choice, after anything else the submission. `now` is on the clock of the deadlines.
    ///
    /// # Errors
    /// None that concerns all: what fails is told of its own submission.
    pub fn step(&mut self, now: Duration, listener: &mut BatchListener<'_>) -> Result<Progress, EngineError> {
        Ok(self.steps.step(now, listener))
    }

    /// Whether nothing is left to do or to tell.
    pub fn is_idle(&self) -> bool {
        self.steps.is_idle()
    }

    /// Where it stands.
    pub fn counts(&self) -> Counts {
        self.steps.counts()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

fn steps(engine: &Engine, limits: Limits, foresight: Option<Box<dyn Foresight + Send>>) -> Box<dyn Steps + Send> {
    let options = engine.options();
    match options.numerics {
        // Everything in binary64, the cache too.
        Numerics::F64 => scheduler(engine, Table::double(), KvType::F32, limits, foresight),
        mode => scheduler(engine, Table::single(options.isa, mode), options.kv, limits, foresight),
    }
}

/// Pages that there may be of a model's cache.
fn pages(engine: &Engine, layout: &Layout, limits: &Limits) -> usize {
    match limits.pages {
        0 => {
            let wanted = limits.sequences.saturating_mul(engine.context().div_ceil(CHUNK));
            wanted.min(REASONABLE_BYTES / layout.page_bytes().max(1))
        }
        pages => pages,
    }
}

fn backend<R: Real>(engine: &Engine, table: Table<R>, layout: Layout) -> OfModel<R> {
    let runner = Runner::new(Arc::clone(engine.shared_model()), table, engine.pool().clone(), engine.context());
    OfModel::new(runner, layout)
}

fn scheduler<R: Real>(
    engine: &Engine,
    table: Table<R>,
    kv: KvType,
    limits: Limits,
    foresight: Option<Box<dyn Foresight + Send>>,
) -> Box<dyn Steps + Send> {
    let config = engine.model().config();
    let layout = Layout::of(config, kv);
    let sizes = Sizes { context: engine.context(), vocabulary: engine.vocab_size(), width: config.width };
    let limits = Limits { pages: pages(engine, &layout, &limits), rows: engine.most_rows(limits.rows), ..limits };
    let manner = Manner {
        most_drafted: engine.options().speculation.min(MOST_DRAFTED),
        kv_cache: engine.options().kv_cache,
        rules: Rules::EXACT,
    };
    let scheduler = Scheduler::new(backend(engine, table, layout), engine.pool().clone(), sizes, limits, manner);
    match foresight {
        None => Box::new(scheduler),
        Some(foresight) => Box::new(scheduler.guided_by(foresight)),
    }
}

fn foresight<R: Real>(
    draft: &Engine,
    vocabulary: usize,
    table: Table<R>,
    kv: KvType,
    limits: &Limits,
) -> Box<dyn Foresight + Send> {
    let layout = Layout::of(draft.model().config(), kv);
    let (pages, rows) = (pages(draft, &layout, limits), draft.most_rows(limits.rows));
    // What a sequence needs at least, as for the model itself.
    let pages = pages.max(draft.context().div_ceil(CHUNK));
    Box::new(Other::new(backend(draft, table, layout), draft.vocab_size(), vocabulary, pages, rows))
}
