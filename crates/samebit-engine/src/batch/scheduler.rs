//! Who is computed in a step, and with how many rows: admission, the plan, and what happens to those who must wait or end.
//!
//! Knows submissions, time as it is told, and seniority; how a pass is made and looked at is `turn.rs`, where pages come from
//! `room.rs`.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use samebit_kernels::Pool;

use super::backend::{Backend, Held};
use super::embedding::Mean;
use super::foresight::{Ask, Foresight, Name};
use super::pages::Pages;
use super::prefixes::Prefixes;
use super::room::{Room, Seniority};
use super::rules::Manner;
use super::sequence::{PromptScores, Sequence, Work};
use super::submission::{Counts, Happening, Limits, Progress, Submission, Ticket, Wants};
use super::{BatchListener, Steps};
use crate::answer::{Answer, Asked, Guesser};
use crate::digest::LogitsDigest;
use crate::error::EngineError;
use crate::request::{Finish, Generation, Speculation};

/// Guesses from the text that a step makes at most, shared out among the answers: they must cost little where many share a pass.
const GUESSES: usize = 64;
/// Elements of the logits of a pass: bounds how many rows are looked at in one.
const MOST_LOGITS: usize = 1 << 24;

/// What a model is, as far as answers depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) context: usize,
    pub(crate) vocabulary: usize,
    /// Elements of a state.
    pub(crate) width: usize,
}

/// Submissions on their way through a model.
pub(crate) struct Scheduler<B: Backend> {
    pub(crate) backend: B,
    pub(crate) pool: Pool,
    pub(crate) sizes: Sizes,
    pub(crate) limits: Limits,
    pub(crate) manner: Manner,
    pub(crate) room: Room<B>,
    pub(crate) running: Vec<Sequence<B::Page>>,
    waiting: BTreeMap<Seniority, Sequence<B::Page>>,
    /// What is still to be told of those who are no more.
    farewells: Vec<(Ticket, u32, Generation)>,
    foresight: Option<Box<dyn Foresight + Send>>,
    next: u64,
    pub(crate) counts: Counts,
}

impl<B: Backend> Scheduler<B> {
    /// Nothing submitted yet.
    pub(crate) fn new(backend: B, pool: Pool, sizes: Sizes, limits: Limits, manner: Manner) -> Self {
        let page_len = backend.page_len();
        // One answer of the full context, and the page that it copies before it writes.
        let least = sizes.context.div_ceil(page_len) + 1;
        let prefixes = (limits.prefix_cache && manner.kv_cache).then(|| Prefixes::new(page_len, manner.rules.agree));
        let pages = Pages::new(limits.pages.max(least));
        let limits = Limits { rows: limits.rows.max(1), sequences: limits.sequences.max(1), ..limits };
        let room = Room { pages, prefixes, page_len, rules: manner.rules };
        let (running, waiting, farewells) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self {
            backend,
            pool,
            sizes,
            limits,
            manner,
            room,
            running,
            waiting,
            farewells,
            foresight: None,
            next: 0,
            counts: Counts::default(),
        }
    }

    /// Lets another model guess.
    pub(crate) fn guided_by(mut self, foresight: Box<dyn Foresight + Send>) -> Self {
        self.foresight = Some(foresight);
        self
    }

    /// A submission as a sequence that has computed nothing.
    fn sequence(&self, ticket: Ticket, submission: Submission) -> Result<Sequence<B::Page>, EngineError> {
        let Submission { prompt, request, choices, priority, deadline, logprobs, prompt_logprobs, .. } = submission;
        let (request, mut expected) = (Arc::new(request), submission.draft);
        let mut answer = |choice| {
            let asked = Asked {
                request: Arc::clone(&request),
                choice,
                logprobs,
                constraint: submission.grammar.as_ref().map(|grammar| grammar.start()),
                expected: std::mem::take(&mut expected),
                most_drafted: self.manner.most_drafted,
            };
            Answer::new(&prompt, asked, self.sizes.context, self.sizes.vocabulary)
        };
        let work = match submission.wants {
            Wants::Tokens => Work::Answers((0..choices).map(&mut answer).collect::<Result<_, _>>()?),
            Wants::Embedding => Work::Embedding(Mean::default()),
        };
        let scores = prompt_logprobs.map(|top| PromptScores { top, done: Vec::new(), told: false });
        Ok(Sequence {
            ticket,
            priority,
            deadline,
            prompt: prompt.len(),
            tokens: prompt,
            held: Held::default(),
            chain: Vec::new(),
            cached: 0,
            counted: false,
            scores: scores.filter(|_| submission.wants == Wants::Tokens),
            work,
            waited: 0,
            preempted: false,
            now: None,
        })
    }

    /// Ends all answers of a sequence, to be told with the next step.
    fn end(&mut self, mut sequence: Sequence<B::Page>, finish: Finish) {
        self.room.retire(&mut sequence);
        let ticket = sequence.ticket;
        match sequence.work {
            Work::Answers(answers) => {
                let ends = answers.iter().map(|answer| (ticket, answer.choice(), answer.generation(finish)));
                self.farewells.extend(ends);
            }
            Work::Embedding(_) => self.farewells.push((ticket, 0, nothing(finish))),
        }
    }

    /// Ends the sequences of which `which` is true.
    fn end_where(&mut self, which: impl Fn(&Sequence<B::Page>) -> bool, finish: Finish) {
        let waiting = self.waiting.iter().filter(|(_, sequence)| which(sequence)).map(|(key, _)| *key);
        for key in waiting.collect::<Vec<_>>() {
            if let Some(sequence) = self.waiting.remove(&key) {
                self.end(sequence, finish);
            }
        }
        for sequence in self.running.extract_if(.., |sequence| which(sequence)).collect::<Vec<_>>() {
            self.end(sequence, finish);
        }
    }

    /// Ends the submission `ticket`; all its choices.
    pub(crate) fn break_off(&mut self, ticket: Ticket) {
        self.end_where(|sequence| sequence.ticket == ticket, Finish::Cancelled);
    }

    /// Forgets a submission that failed.
    pub(crate) fn drop_failed(&mut self, ticket: Ticket) {
        let told = self.farewells.len();
        self.break_off(ticket);
        self.farewells.truncate(told);
    }

    pub(crate) fn say_farewells(&mut self, listener: &mut BatchListener<'_>) {
        for (ticket, choice, generation) in std::mem::take(&mut self.farewells) {
            // It is over: whether the listener would go on is nothing to it.
            let _ = listener(ticket, Happening::Done { choice, generation });
        }
    }

    /// Gives places to those who wait, the most senior first and nobody before them.
    fn admit(&mut self) {
        while let Some(first) = self.waiting.first_entry() {
            let junior = self.running.iter().map(Sequence::seniority).max();
            let full = self.running.len() >= self.limits.sequences;
            // Only another priority takes a place away: that ends, and equals would take turns for ever.
            if full && junior.is_some_and(|junior| junior.0 <= first.key().0) {
                return;
            }
            if !full && !self.room.admits(&first.get().tokens, self.running.len()) {
                return;
            }
            let mut sequence = first.remove();
            if full {
                let place = self.running.iter().position(|other| Some(other.seniority()) == junior);
                place.into_iter().for_each(|place| self.preempt(place));
            }
            let len = sequence.tokens.len();
            if self.manner.rules.trusts_new_pages
                && sequence.preempted
                && self.room.reserve(&self.backend, &mut sequence.held, len)
            {
                sequence.held.len = len - 1;
            }
            sequence.preempted = false;
            sequence.waited = 0;
            self.running.push(sequence);
        }
    }

    /// Takes the place of a running sequence away.
    fn preempt(&mut self, place: usize) {
        let mut sequence = self.running.remove(place);
        self.room.preempt(&mut sequence);
        self.counts.preemptions += 1;
        self.waiting.insert(sequence.seniority(), sequence);
    }

    /// A sequence waits for a place, with nothing computed.
    pub(crate) fn queue(&mut self, mut sequence: Sequence<B::Page>) {
        sequence.preempted = true;
        self.waiting.insert(sequence.seniority(), sequence);
    }

    /// Rows of a step that may give logits: one for each answer at least.
    fn most_logits(&self) -> usize {
        (MOST_LOGITS / self.sizes.vocabulary).max(self.limits.sequences)
    }

    /// Says what everybody does: latest tokens first, then prompts, as far as the rows go; before them whoever has waited long.
    fn plan(&mut self) {
        self.running.iter_mut().for_each(|sequence| self.room.adopt(sequence));
        let mut order: Vec<usize> = (0..self.running.len()).collect();
        let rank = |&index: &usize| {
            let sequence: &Sequence<_> = &self.running[index];
            (!sequence.is_out_of_patience(), !sequence.decodes(), sequence.seniority())
        };
        order.sort_by_cached_key(rank);
        let decoding = self.running.iter().filter(|sequence| sequence.decodes()).count();
        let guesses = GUESSES / decoding.max(1);
        let (mut rows, mut logits) = (self.limits.rows, self.most_logits());
        for index in order {
            let sequence = &mut self.running[index];
            // Who comes before the latest tokens does not take all their rows.
            let before_others = sequence.is_out_of_patience() && !sequence.decodes() && decoding > 0;
            let share = if before_others { self.limits.rows.div_ceil(4).min(rows) } else { rows };
            sequence.now = sequence.part(share, logits, guesses);
            match &sequence.now {
                Some(part) => {
                    rows -= part.positions().len();
                    logits -= if sequence.gives_logits() { part.wanted().len() } else { 0 };
                    sequence.waited = 0;
                }
                None => sequence.waited += 1,
            }
        }
        self.foresee(guesses, rows.min(logits));
    }

    /// Lets the other model guess what nobody else guesses, at most so many tokens of an answer and so many in all.
    fn foresee(&mut self, guesses: usize, mut room: usize) {
        let Some(foresight) = &mut self.foresight else { return };
        let alive: Vec<Name> = self.running.iter().map(|sequence| (sequence.ticket, sequence.choice())).collect();
        let (mut who, mut asks) = (Vec::new(), Vec::new());
        for (index, sequence) in self.running.iter_mut().enumerate() {
            let Some((sampler, most)) = sequence.forecast() else { continue };
            let most = most.min(guesses).min(room);
            room -= most;
            who.push(index);
            asks.push(Ask { name: alive[index], tokens: &sequence.tokens, sampler, most });
        }
        let drafts = foresight.guess(asks, &alive);
        for (index, draft) in who.into_iter().zip(drafts) {
            if let Some(part) = &mut self.running[index].now {
                (part.draft, part.guesser) = (draft, Guesser::Model);
            }
        }
    }

    /// Sees to it that everybody has pages for what they do, the most senior first; who is junior to all gives theirs away.
    fn secure(&mut self) {
        self.running.sort_by_key(Sequence::seniority);
        let mut index = 0;
        while index < self.running.len() {
            let most_junior = self.running.len() - 1;
            let sequence = &mut self.running[index];
            if let Some(part) = &mut sequence.now {
                let end = part.positions().end;
                if !self.room.reserve(&self.backend, &mut sequence.held, end) {
                    if !part.draft.is_empty() {
                        // Nobody gives way to a guess.
                        part.draft.clear();
                        continue;
                    }
                    if most_junior > index {
                        self.preempt(most_junior);
                        continue;
                    }
                    let end = self.room.end(&sequence.held);
                    part.cut(end);
                    if part.rows == 0 {
                        sequence.now = None;
                        sequence.waited += 1;
                    }
                }
            }
            index += 1;
        }
    }
}

/// The generation of whoever had no tokens to generate.
fn nothing(finish: Finish) -> Generation {
    let (logits_digest, speculation) = (LogitsDigest::default().hex(), Speculation::default());
    Generation { tokens: Vec::new(), finish, logits_digest, speculation }
}

impl<B: Backend> Steps for Scheduler<B> {
    fn submit(&mut self, submission: Submission) -> Result<Ticket, EngineError> {
        let waiting = self.waiting.values().filter(|sequence| !sequence.preempted).count();
        if waiting >= self.limits.queue {
            return Err(EngineError::QueueFull { waiting });
        }
        let ticket = Ticket(self.next);
        let sequence = self.sequence(ticket, submission)?;
        self.next += 1;
        self.waiting.insert(sequence.seniority(), sequence);
        Ok(ticket)
    }

    fn cancel(&mut self, ticket: Ticket) {
        self.break_off(ticket);
    }

    fn step(&mut self, now: Duration, listener: &mut BatchListener<'_>) -> Progress {
        self.end_where(|sequence| sequence.deadline.is_some_and(|deadline| deadline <= now), Finish::Deadline);
        self.end_where(Sequence::is_complete, Finish::Length);
        self.say_farewells(listener);
        self.admit();
        self.plan();
        self.secure();
        self.turn(listener)
    }

    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty() && self.farewells.is_empty()
    }

    fn counts(&self) -> Counts {
        let cached = self.room.prefixes.as_ref().map_or(0, Prefixes::idle);
        Counts {
            running: self.running.len(),
            waiting: self.waiting.len(),
            pages: self.room.pages.most(),
            pages_used: self.room.pages.taken() - cached,
            pages_cached: cached,
            ..self.counts
        }
    }
}
