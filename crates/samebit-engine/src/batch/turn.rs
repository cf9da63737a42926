//! One pass over the model, and what comes of its rows.
//!
//! Everybody's rows are looked at side by side, one guess after the other: a row after a guess is looked at once the row before it
//! has said that the guess was right. A pass that stops is made again without whoever stopped it. Knows the step's parts; nothing
//! of who should have had one.

use std::collections::BTreeMap;

use samebit_model::{ForwardError, Outcome, Row, Wanted};

use super::BatchListener;
use super::backend::{Backend, Held};
use super::scheduler::Scheduler;
use super::sequence::{Job, Passes, Sequence, Slot, Work};
use super::submission::{Happening, Progress, Ticket};
use crate::answer::Answer;
use crate::error::EngineError;
use crate::request::Finish;

/// Submissions that cannot go on, each for the first reason.
type Failures = BTreeMap<Ticket, EngineError>;

impl<B: Backend> Scheduler<B> {
    /// Computes what the plan says and tells what came of it.
    pub(crate) fn turn(&mut self, listener: &mut BatchListener<'_>) -> Progress {
        let progress = self.progress();
        let who: Vec<usize> = (0..self.running.len()).filter(|&index| self.running[index].now.is_some()).collect();
        let mut outcomes = Vec::new();
        if !who.is_empty() {
            self.compute(&who, &mut outcomes);
        }
        let mut failures = Failures::new();
        let mut broken = Vec::new();
        let passes = Passes { outcomes: &outcomes, vocabulary: self.sizes.vocabulary, width: self.sizes.width };
        for sequence in self.running.iter_mut().filter(|sequence| sequence.now.is_some()) {
            take_in(sequence, passes, listener, &mut failures, &mut broken);
        }
        broken.into_iter().for_each(|ticket| self.break_off(ticket));
        self.look(passes, listener, &mut failures);
        for (ticket, error) in failures {
            self.drop_failed(ticket);
            // It is over: whether the listener would go on is nothing to it.
            let _ = listener(ticket, Happening::Failed(error));
        }
        self.conclude(listener);
        self.say_farewells(listener);
        progress
    }

    fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for sequence in &self.running {
            if let Some(part) = &sequence.now {
                let rows = part.positions().len();
                match part.rows == 1 && part.at_end {
                    true => progress.decode += rows,
                    false => progress.prefill += rows,
                }
            }
        }
        progress
    }

    /// Computes the parts of `who`; where that stops, without guesses, and then without whoever stops it.
    fn compute(&mut self, who: &[usize], outcomes: &mut Vec<Outcome<f32>>) {
        self.counts.passes += 1;
        let Err(error) = self.pass(who, outcomes) else { return };
        let mut guessed = false;
        for &index in who {
            let sequence = &mut self.running[index];
            if let Some(part) = &mut sequence.now
                && !part.draft.is_empty()
            {
                // A guess that makes something overflow may never come to pass.
                part.draft.clear();
                guessed = true;
                sequence.answers().iter_mut().for_each(Answer::expect_nothing);
            }
        }
        if guessed {
            return self.compute(who, outcomes);
        }
        if let [index] = *who {
            if let Some(part) = &mut self.running[index].now {
                part.slot = Err(error);
            }
            return;
        }
        let (some, others) = who.split_at(who.len() / 2);
        self.compute(some, outcomes);
        self.compute(others, outcomes);
    }

    /// One pass for the parts of `who`.
    fn pass(&mut self, who: &[usize], outcomes: &mut Vec<Outcome<f32>>) -> Result<(), ForwardError> {
        let (mut rows, mut logits, mut states) = (Vec::new(), Vec::new(), Vec::new());
        let mut slots = Vec::with_capacity(who.len());
        for (cache, &index) in who.iter().enumerate() {
            let sequence = &self.running[index];
            let Some(part) = &sequence.now else { continue };
            let slot = Slot { outcome: outcomes.len(), logits: logits.len(), states: states.len() };
            slots.push(slot);
            let known = &sequence.tokens[part.start..part.start + part.rows];
            let tokens = known.iter().chain(&part.draft);
            let wanted = if sequence.gives_logits() { &mut logits } else { &mut states };
            wanted.extend(part.wanted().map(|position| rows.len() + position - part.start));
            rows.extend(tokens.zip(part.start..).map(|(&token, position)| Row { token, position, cache }));
        }
        let mut held: Vec<Held<B::Page>> =
            who.iter().map(|&index| std::mem::take(&mut self.running[index].held)).collect();
        let outcome = self.backend.pass(&rows, &mut held, Wanted { logits: &logits, states: &states });
        for ((&index, held), slot) in who.iter().zip(held).zip(slots) {
            let sequence = &mut self.running[index];
            sequence.held = held;
            if let Some(part) = &mut sequence.now
                && outcome.is_ok()
            {
                part.slot = Ok(Some(slot));
                sequence.held.len = part.positions().end;
            }
        }
        outcomes.push(outcome?);
        Ok(())
    }

    /// Looks at rows, guess by guess, until nobody's guess was right.
    fn look(&mut self, passes: Passes<'_>, listener: &mut BatchListener<'_>, failures: &mut Failures) {
        let rules = self.manner.rules;
        for depth in 0.. {
            let mut jobs = Vec::new();
            self.running.iter_mut().for_each(|sequence| sequence.jobs(depth, passes, &mut jobs));
            if jobs.is_empty() && depth > 0 {
                return;
            }
            self.pool.fill(&mut jobs, 1, |_, jobs| jobs.iter_mut().for_each(Job::run));
            drop(jobs);
            for sequence in self.running.iter_mut().filter(|sequence| sequence.now.is_some()) {
                if depth == 0 {
                    tell_scores(sequence, listener);
                }
                hear(sequence, depth, listener, failures, |guessed, token| (rules.accepts)(guessed, token));
                if rules.digests_refused {
                    digest_refused(sequence, depth, passes);
                }
            }
        }
    }

    /// What was looked at is done: lengths, pages, ends, and a sequence for each choice.
    fn conclude(&mut self, listener: &mut BatchListener<'_>) {
        for mut sequence in std::mem::take(&mut self.running) {
            let Some(part) = sequence.now.take() else {
                self.running.push(sequence);
                continue;
            };
            if part.new > 0 {
                let drafted = part.draft.len();
                let learn = |answer: &mut Answer| answer.learn(part.new, drafted, part.accepted, part.guesser);
                sequence.answers().iter_mut().for_each(learn);
                self.counts.generated_tokens += (part.new * sequence.answers().len()) as u64;
                self.counts.drafted_tokens += drafted as u64;
                self.counts.accepted_tokens += part.accepted as u64;
            }
            if sequence.held.len >= sequence.prompt && !sequence.counted {
                sequence.counted = true;
                self.counts.prompt_tokens += sequence.prompt as u64;
                self.counts.cached_tokens += sequence.cached as u64;
            }
            // What was guessed wrong was never there; the latest token has not been in a pass.
            sequence.held.len = sequence.held.len.min(sequence.tokens.len().max(sequence.prompt + 1) - 1);
            if !self.manner.kv_cache && part.at_end {
                sequence.held.len = 0;
            }
            self.room.publish(&mut sequence);
            self.divide(sequence, listener);
        }
    }

    /// Tells of the answers that are complete, and lets the others go on, each for itself.
    fn divide(&mut self, mut sequence: Sequence<B::Page>, listener: &mut BatchListener<'_>) {
        let ticket = sequence.ticket;
        match &mut sequence.work {
            Work::Embedding(mean) if mean.positions() == sequence.prompt => {
                let vector = std::mem::take(mean).finish();
                let _ = listener(ticket, Happening::Embedding(&vector));
                return self.room.retire(&mut sequence);
            }
            Work::Embedding(_) => return self.running.push(sequence),
            Work::Answers(_) => {}
        }
        for answer in sequence.answers() {
            if let Some(finish) = answer.finish() {
                let (choice, generation) = (answer.choice(), answer.generation(finish));
                let _ = listener(ticket, Happening::Done { choice, generation });
            }
        }
        let in_prompt = sequence.in_prompt();
        let Work::Answers(answers) = &mut sequence.work else { return };
        answers.retain(|answer| answer.finish().is_none());
        if answers.is_empty() {
            return self.room.retire(&mut sequence);
        }
        if !in_prompt || answers.iter().all(|answer| !answer.has_begun()) {
            return self.running.push(sequence);
        }
        for answer in std::mem::take(answers) {
            let fork = sequence.fork(answer);
            if self.running.len() < self.limits.sequences {
                self.running.push(fork);
            } else {
                let mut fork = fork;
                self.room.give_all(&mut fork.held);
                fork.chain.clear();
                self.queue(fork);
            }
        }
        self.room.retire(&mut sequence);
    }
}

/// What the pass did to a sequence: its states, and the prompt's progress.
fn take_in<P>(
    sequence: &mut Sequence<P>,
    passes: Passes<'_>,
    listener: &mut BatchListener<'_>,
    failures: &mut Failures,
    broken: &mut Vec<Ticket>,
) {
    let in_prompt = sequence.in_prompt();
    let Some(part) = &mut sequence.now else { return };
    if let Err(error) = &part.slot {
        failures.entry(sequence.ticket).or_insert_with(|| error.clone().into());
        // There is nothing to look at.
        sequence.now = None;
        return;
    }
    if let Work::Embedding(mean) = &mut sequence.work {
        mean.add(part.states(passes), passes.width);
    }
    if in_prompt {
        let done = sequence.held.len.min(sequence.prompt);
        let happening = Happening::Prefill { done, total: sequence.prompt, cached: sequence.cached };
        if listener(sequence.ticket, happening).is_break() {
            part.going = false;
            broken.push(sequence.ticket);
        }
    }
}

/// The prompt's log-probabilities, once all are there.
fn tell_scores<P>(sequence: &mut Sequence<P>, listener: &mut BatchListener<'_>) {
    let Some(scores) = &mut sequence.scores else { return };
    // With the last token too, whose row says nothing of the prompt: whether it can be computed must not depend on the cut.
    if !scores.told && sequence.held.len >= sequence.prompt {
        scores.told = true;
        // A break here has nothing to end yet; the first token's does.
        let _ = listener(sequence.ticket, Happening::PromptLogprobs(&scores.done));
    }
}

/// What everybody's latest row gave; whether the guess after it is to be looked at.
fn hear<P>(
    sequence: &mut Sequence<P>,
    depth: usize,
    listener: &mut BatchListener<'_>,
    failures: &mut Failures,
    accepts: impl Fn(u32, u32) -> bool,
) {
    let (Some(part), Work::Answers(answers)) = (&mut sequence.now, &mut sequence.work) else { return };
    let alone = answers.len() == 1;
    let mut heard = false;
    for answer in answers {
        let chosen = match answer.latest() {
            None => continue,
            Some(Ok(chosen)) => chosen,
            Some(Err(error)) => {
                part.going = false;
                failures.entry(sequence.ticket).or_insert(error);
                return;
            }
        };
        heard = true;
        let (choice, token) = (answer.choice(), chosen.token);
        let told = listener(sequence.ticket, Happening::Token { choice, token, logprob: chosen.logprob.as_ref() });
        answer.push(token);
        if told.is_break() {
            answer.end(Finish::Cancelled);
        }
        if alone {
            sequence.tokens.push(token);
            let guessed = part.draft.get(depth).copied();
            part.accepted += usize::from(guessed == Some(token));
            part.going = answer.finish().is_none() && guessed.is_some_and(|guessed| accepts(guessed, token));
        } else {
            part.going = false;
        }
    }
    part.new += usize::from(heard);
}

/// A control: the row after a refused guess goes into the digest.
fn digest_refused<P>(sequence: &mut Sequence<P>, depth: usize, passes: Passes<'_>) {
    let (Some(part), Work::Answers(answers)) = (&sequence.now, &mut sequence.work) else { return };
    if let [answer] = &mut answers[..]
        && !part.going
        && part.new == depth + 1
        && depth < part.draft.len()
        && answer.finish().is_none()
        && let Some(row) = part.row(passes, part.start + part.rows + depth)
    {
        answer.digest_only(row);
    }
}
