//! One answer's way through a grammar. The next mask is made by a worker from the moment the last token is known.

use crate::one_line;
use crate::workers::Workers;
use llguidance::Matcher;
use llguidance::toktrie::SimpleVob;
use samebit_engine::{Constraint, Grammar};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

/// A compiled grammar.
struct Compiled {
    /// Never advanced: what each answer begins from.
    pristine: Arc<Mutex<Matcher>>,
    workers: Arc<Workers>,
}

/// Gives the engine what a compiled grammar is to it.
pub(crate) fn grammar(pristine: Matcher, workers: Arc<Workers>) -> Arc<dyn Grammar> {
    Arc::new(Compiled { pristine: Arc::new(Mutex::new(pristine)), workers })
}

impl Grammar for Compiled {
    fn start(&self) -> Box<dyn Constraint> {
        let pristine = Arc::clone(&self.pristine);
        // A deep copy: what an answer has cached must not show in what another may cost.
        let first = move || {
            let matcher = pristine.lock().unwrap_or_else(PoisonError::into_inner).deep_clone();
            State::with_mask(matcher)
        };
        Box::new(Live { turn: Turn::Away(self.workers.spawn(first)), workers: Arc::clone(&self.workers) })
    }
}

/// A grammar after some tokens, and what may come next.
struct State {
    matcher: Matcher,
    mask: SimpleVob,
}

impl State {
    fn with_mask(mut matcher: Matcher) -> Result<Box<Self>, String> {
        let mask = matcher.compute_mask_or_eos().map_err(|error| one_line(&error.to_string()))?;
        Ok(Box::new(Self { matcher, mask }))
    }

    fn after(mut self: Box<Self>, token: u32) -> Result<Box<Self>, String> {
        // After the grammar's end only ends of generation come, and they change nothing.
        if !self.matcher.is_stopped() {
            self.matcher.consume_token(token).map_err(|error| one_line(&error.to_string()))?;
        }
        Self::with_mask(self.matcher)
    }
}

/// Where the state is.
enum Turn {
    Here(Box<State>),
    /// With a worker.
    Away(Receiver<Result<Box<State>, String>>),
    Failed(String),
}

struct Live {
    turn: Turn,
    workers: Arc<Workers>,
}

impl Live {
    /// Waits for the worker, if one has the state.
    fn settle(&mut self) -> Result<(), String> {
        if let Turn::Away(answer) = &self.turn {
            let state = answer.recv().unwrap_or_else(|_| Err("the grammar's thread failed".into()));
            self.turn = state.map_or_else(Turn::Failed, Turn::Here);
        }
        match &self.turn {
            Turn::Failed(why) => Err(why.clone()),
            Turn::Here(_) | Turn::Away(_) => Ok(()),
        }
    }
}

impl Constraint for Live {
    fn mask(&mut self) -> Result<Option<&[u32]>, String> {
        self.settle()?;
        match &self.turn {
            Turn::Here(state) => Ok(Some(state.mask.as_slice())),
            Turn::Away(_) | Turn::Failed(_) => Err("the grammar has no state".into()),
        }
    }

    fn accept(&mut self, token: u32) -> Result<(), String> {
        self.settle()?;
        let lost = Turn::Failed("the grammar has no state".into());
        if let Turn::Here(state) = std::mem::replace(&mut self.turn, lost) {
            self.turn = Turn::Away(self.workers.spawn(move || state.after(token)));
        }
        Ok(())
    }
}
