//! Guesses by another, smaller model of the same vocabulary: it computes what it would say, and the sampler, at its next
//! positions, chooses from that. Since a draw depends on the position and not on earlier draws, two models that think alike choose
//! alike, at any temperature.
//!
//! Knows tokens and a model; nothing of the model that is guessed at. A wrong guess costs time and nothing else, so whatever
//! goes wrong here is no guess.

use std::borrow::Cow;
use std::collections::BTreeMap;

use samebit_kernels::float_env;
use samebit_model::{Row, Wanted};

use super::backend::{Backend, Held};
use super::pages::Pages;
use super::prefixes::common;
use super::submission::Ticket;
use crate::sampler::Sampler;

/// Names an answer.
pub(crate) type Name = (Ticket, u32);

/// What is to be guessed.
pub(crate) struct Ask<'a> {
    pub(crate) name: Name,
    /// All tokens so far.
    pub(crate) tokens: &'a [u32],
    /// As it stands after them.
    pub(crate) sampler: Sampler,
    /// Most tokens of the guess.
    pub(crate) most: usize,
}

/// Whoever guesses.
pub(crate) trait Foresight {
    /// A guess for each, often none. Of answers that are not among `alive` nothing is kept.
    fn guess(&mut self, asks: Vec<Ask<'_>>, alive: &[Name]) -> Vec<Vec<u32>>;
}

/// What the other model has computed of an answer.
struct State<P> {
    tokens: Vec<u32>,
    held: Held<P>,
}

/// The other model.
pub(crate) struct Other<B: Backend> {
    backend: B,
    pages: Pages<B::Page>,
    states: BTreeMap<Name, State<B::Page>>,
    /// Tokens of its own vocabulary, and of the model's that is guessed at: one of them may be padded.
    own: usize,
    vocabulary: usize,
    /// Most rows of a pass.
    rows: usize,
}

/// An answer while it is guessed at.
struct Guess<'a, P> {
    ask: Ask<'a>,
    held: Held<P>,
    tokens: Vec<u32>,
    /// How many of `tokens` are the answer's own.
    known: usize,
}

impl<P> Guess<'_, P> {
    /// Whether a pass is of use to it.
    fn goes_on(&self) -> bool {
        self.tokens.len() < self.known + self.ask.most && self.held.len < self.tokens.len()
    }
}

impl<B: Backend> Other<B> {
    /// A model of `own` tokens for one of `vocabulary`, with at most so many pages, and passes of at most `rows` rows.
    pub(crate) fn new(backend: B, own: usize, vocabulary: usize, pages: usize, rows: usize) -> Self {
        Self { backend, pages: Pages::new(pages), states: BTreeMap::new(), own, vocabulary, rows: rows.max(1) }
    }

    /// Whether it knows all of these tokens.
    fn knows(&self, tokens: &[u32]) -> bool {
        self.own >= self.vocabulary || tokens.iter().all(|&token| (token as usize) < self.own)
    }

    fn forget(&mut self, mut held: Held<B::Page>) {
        held.pages.drain(..).for_each(|page| self.pages.give(page));
    }

    /// One pass for those who go on; false if it stopped, and nothing is known of anybody's pages.
    fn pass(&mut self, guesses: &mut [Guess<'_, B::Page>]) -> bool {
        let (mut rows, mut wanted, mut left) = (Vec::new(), Vec::new(), self.rows);
        let page_len = self.backend.page_len();
        let mut ends = Vec::new();
        for (cache, guess) in guesses.iter_mut().enumerate() {
            let taken = if guess.goes_on() { left.min(guess.tokens.len() - guess.held.len) } else { 0 };
            let end = guess.held.len + taken;
            while guess.held.pages.len() * page_len < end {
                let Some(page) = self.pages.take(|| self.backend.new_page()) else { return false };
                guess.held.pages.push(page);
            }
            let tokens = guess.tokens[guess.held.len..end].iter().zip(guess.held.len..);
            rows.extend(tokens.map(|(&token, position)| Row { token, position, cache }));
            let last = taken > 0 && end == guess.tokens.len();
            wanted.extend(last.then(|| rows.len() - 1));
            ends.push((end, last));
            left -= taken;
        }
        let mut held: Vec<Held<B::Page>> = guesses.iter_mut().map(|guess| std::mem::take(&mut guess.held)).collect();
        let outcome = self.backend.pass(&rows, &mut held, Wanted { logits: &wanted, states: &[] });
        guesses.iter_mut().zip(held).for_each(|(guess, held)| guess.held = held);
        let Ok(outcome) = outcome else { return false };
        let mut logits = outcome.logits.chunks_exact(self.own).map(|row| fitted(row, self.vocabulary));
        for (guess, (end, last)) in guesses.iter_mut().zip(ends) {
            guess.held.len = end;
            if last && let Some(row) = logits.next() {
                let position = guess.tokens.len();
                match float_env::with_default(|| guess.ask.sampler.sample(&row, position)) {
                    Ok(token) => {
                        guess.ask.sampler.accept(token);
                        guess.tokens.push(token);
                    }
                    Err(_) => guess.ask.most = 0,
                }
            }
        }
        true
    }
}

/// A row of logits for a vocabulary of another size: what is not known here is not guessed, nor what is not known there.
fn fitted(row: &[f32], vocabulary: usize) -> Cow<'_, [f32]> {
    if row.len() >= vocabulary {
        return Cow::Borrowed(&row[..vocabulary]);
    }
    let mut row = row.to_vec();
    row.resize(vocabulary, f32::NEG_INFINITY);
    Cow::Owned(row)
}

impl<B: Backend> Foresight for Other<B> {
    fn guess(&mut self, asks: Vec<Ask<'_>>, alive: &[Name]) -> Vec<Vec<u32>> {
        let gone: Vec<Name> = self.states.keys().filter(|name| !alive.contains(name)).copied().collect();
        for state in gone.iter().filter_map(|name| self.states.remove(name)).collect::<Vec<_>>() {
            self.forget(state.held);
        }
        let mut guesses = Vec::with_capacity(asks.len());
        for mut ask in asks {
            if !self.knows(ask.tokens) {
                ask.most = 0;
            }
            let mut held = Held::default();
            if let Some(state) = self.states.remove(&ask.name) {
                held = state.held;
                held.len = held.len.min(common(&state.tokens, ask.tokens)).min(ask.tokens.len() - 1);
            }
            guesses.push(Guess { held, tokens: ask.tokens.to_vec(), known: ask.tokens.len(), ask });
        }
        // Whoever has a long way to go is let alone until the next step, when it goes on from where it is.
        let caught_up = |guess: &Guess<'_, _>| guess.tokens.len() > guess.known;
        let mut sound = true;
        for pass in 0.. {
            sound = sound && guesses.iter().any(Guess::goes_on) && self.pass(&mut guesses);
            if !sound || (pass == 0 && !guesses.iter().any(caught_up)) {
                break;
            }
            guesses.iter_mut().filter(|guess| !caught_up(guess)).for_each(|guess| guess.ask.most = 0);
        }
        let mut drafts = Vec::with_capacity(guesses.len());
        for guess in guesses {
            drafts.push(guess.tokens[guess.known..].to_vec());
            self.states.insert(guess.ask.name, State { tokens: guess.tokens, held: guess.held });
        }
        drafts
    }
}
