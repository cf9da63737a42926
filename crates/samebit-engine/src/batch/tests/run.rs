//! A schedule run, and compared with each submission alone, token by token.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use super::plan::{Plan, Planned};
use crate::LogitsDigest;
use crate::batch::embedding::Mean;
use crate::batch::submission::{Happening, Ticket, TokenLogprob, Wants};
use crate::batch::{Counts, Steps};
use crate::request::{Finish, Generation};
use crate::sampler::{Sampler, token_logprob};

/// A model as it is alone: the row and the state after some tokens, computed one by one.
pub(super) trait Alone {
    fn row(&mut self, tokens: &[u32]) -> Option<Vec<f32>>;
    fn state(&mut self, tokens: &[u32]) -> Option<Vec<f32>>;
    fn context(&self) -> usize;
}

/// Why an answer ends, left to itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Finish(Finish),
    Failure,
}

/// An answer left to itself.
struct Expected {
    tokens: Vec<u32>,
    /// After so many tokens.
    digests: Vec<String>,
    logprobs: Vec<TokenLogprob>,
    end: End,
}

fn bits(logprob: &TokenLogprob) -> (u32, u32, Vec<(u32, u32)>) {
    let top = logprob.top.iter().map(|(token, logprob)| (*token, logprob.to_bits())).collect();
    (logprob.token, logprob.logprob.to_bits(), top)
}

/// One answer, in the simplest way there is.
fn alone(model: &mut dyn Alone, planned: &Planned, choice: u32) -> Expected {
    let submission = &planned.submission;
    let mut config = submission.request.sampler.clone();
    config.sample_index += choice;
    let mut tokens = submission.prompt.clone();
    let bound = (tokens.len() + submission.request.max_tokens).min(model.context());
    let mut digest = LogitsDigest::default();
    let mut expected = Expected {
        tokens: Vec::new(),
        digests: vec![digest.hex()],
        logprobs: Vec::new(),
        end: End::Finish(Finish::Length),
    };
    let mut constraint = submission.grammar.as_ref().map(|grammar| grammar.start());
    let mut sampler = None;
    while tokens.len() < bound {
        expected.end = End::Failure;
        let Some(row) = model.row(&tokens) else { return expected };
        let sampler = sampler.get_or_insert_with(|| {
            let mut sampler = Sampler::new(&config, row.len()).expect("in range");
            tokens.iter().for_each(|&token| sampler.accept(token));
            sampler
        });
        digest.row(&row);
        let mask = constraint.as_mut().and_then(|constraint| constraint.mask().expect("masks"));
        let Ok(token) = sampler.sample_allowed(&row, tokens.len(), mask) else { return expected };
        sampler.accept(token);
        if constraint.as_mut().is_some_and(|constraint| constraint.accept(token).is_err()) {
            return expected;
        }
        expected.logprobs.push(token_logprob(&row, token, submission.logprobs.unwrap_or(0)));
        tokens.push(token);
        expected.tokens.push(token);
        expected.digests.push(digest.hex());
        expected.end = End::Finish(Finish::Length);
        if submission.request.stop_tokens.contains(&token) && !submission.request.ignore_eos {
            expected.end = End::Finish(Finish::Stop);
            break;
        }
    }
    expected
}

/// What a listener heard of a submission.
#[derive(Default)]
pub(super) struct Heard {
    tokens: BTreeMap<u32, Vec<(u32, Option<TokenLogprob>)>>,
    done: BTreeMap<u32, Generation>,
    prompt_logprobs: Option<Vec<TokenLogprob>>,
    embedding: Option<Vec<f32>>,
    failed: bool,
}

impl Heard {
    fn hear(&mut self, happening: Happening<'_>, patience: Option<usize>) -> ControlFlow<()> {
        match happening {
            Happening::Prefill { done, total, cached } => assert!(done <= total && cached < total),
            Happening::PromptLogprobs(all) => assert!(self.prompt_logprobs.replace(all.to_vec()).is_none()),
            Happening::Token { choice, token, logprob } => {
                assert!(!self.failed && !self.done.contains_key(&choice), "nothing follows the end");
                let tokens = self.tokens.entry(choice).or_default();
                tokens.push((token, logprob.cloned()));
                if patience == Some(tokens.len()) {
                    return ControlFlow::Break(());
                }
            }
            Happening::Done { choice, generation } => {
                assert!(self.done.insert(choice, generation).is_none(), "told twice");
            }
            Happening::Embedding(vector) => assert!(self.embedding.replace(vector.to_vec()).is_none()),
            Happening::Failed(_) => {
                assert!(!self.failed);
                self.failed = true;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Runs a schedule to its end, or until it seems to have none; what was heard, and the counts at last.
pub(super) fn run(steps: &mut dyn Steps, plan: &Plan) -> (Vec<Heard>, Counts) {
    let mut heard: Vec<Heard> = plan.planned.iter().map(|_| Heard::default()).collect();
    let mut tickets: BTreeMap<Ticket, usize> = BTreeMap::new();
    let last = plan.planned.iter().map(|planned| planned.arrival).max().unwrap_or(0);
    for step in 0.. {
        for (index, planned) in plan.planned.iter().enumerate() {
            if planned.arrival == step {
                let ticket = steps.submit(planned.submission.clone()).expect("may be asked for");
                tickets.insert(ticket, index);
            }
        }
        for (&ticket, &index) in &tickets {
            if plan.planned[index].cancelled == Some(step) {
                steps.cancel(ticket);
            }
        }
        steps.step(Duration::from_secs(step as u64), &mut |ticket, happening| {
            let index = tickets[&ticket];
            heard[index].hear(happening, plan.planned[index].patience)
        });
        if step >= last && steps.is_idle() || step == 20_000 {
            break;
        }
    }
    (heard, steps.counts())
}

/// Drafts that are right as far as they are meant to be.
pub(super) fn foresee(model: &mut dyn Alone, plan: &mut Plan) {
    for planned in &mut plan.planned {
        if let Some(right) = planned.foreseen {
            let mut draft = alone(model, planned, 0).tokens;
            if let Some(wrong) = draft.get_mut(right) {
                *wrong = (*wrong + 1) % 5;
            }
            planned.submission.draft = draft;
        }
    }
}

/// Whether what was heard of a submission is what it gives alone; else why not.
fn compare(model: &mut dyn Alone, planned: &Planned, heard: &Heard) -> Result<(), String> {
    let (submission, ends_early) =
        (&planned.submission, planned.cancelled.is_some() || planned.submission.deadline.is_some());
    let unless = |wrong: bool, what: &str| if wrong { Err(what.to_owned()) } else { Ok(()) };
    if submission.wants == Wants::Embedding {
        let mut mean = Mean::default();
        let states = (1..=submission.prompt.len()).map(|end| model.state(&submission.prompt[..end]));
        let Some(states) = states.collect::<Option<Vec<_>>>() else {
            return unless(!heard.failed && !ends_early, "an embedding that cannot be");
        };
        states.iter().for_each(|state| mean.add(state, state.len()));
        let wanted: Vec<u32> = mean.finish().into_iter().map(f32::to_bits).collect();
        return match &heard.embedding {
            Some(got) => unless(got.iter().map(|x| x.to_bits()).ne(wanted), "another embedding"),
            None => unless(!ends_early || heard.failed || heard.done.is_empty(), "no embedding"),
        };
    }
    let expected: Vec<Expected> = (0..submission.choices).map(|choice| alone(model, planned, choice)).collect();
    if let Some(top) = submission.prompt_logprobs
        && let Some(got) = &heard.prompt_logprobs
    {
        let rows =
            (1..submission.prompt.len()).map(|end| (end, model.row(&submission.prompt[..end]).unwrap_or_default()));
        let wanted = rows.map(|(end, row)| bits(&token_logprob(&row, submission.prompt[end], top)));
        unless(!got.iter().map(bits).eq(wanted), "other log-probabilities of the prompt")?;
    }
    let fails = expected
        .iter()
        .any(|expected| expected.end == End::Failure && planned.patience.is_none_or(|p| p > expected.tokens.len()));
    let prompt_fails = submission.prompt_logprobs.is_some() && model.row(&submission.prompt).is_none();
    unless(heard.failed && !fails && !prompt_fails, "failed without a reason")?;
    unless((fails || prompt_fails) && !heard.failed && !ends_early, "did not fail")?;
    for (choice, expected) in (0..).zip(&expected) {
        let none = Vec::new();
        let tokens = heard.tokens.get(&choice).unwrap_or(&none);
        let plain: Vec<u32> = tokens.iter().map(|(token, _)| *token).collect();
        unless(!expected.tokens.starts_with(&plain), "other tokens")?;
        for ((_, logprob), wanted) in tokens.iter().zip(&expected.logprobs) {
            let wanted = submission.logprobs.map(|_| bits(wanted));
            unless(logprob.as_ref().map(bits) != wanted, "other log-probabilities")?;
        }
        let Some(generation) = heard.done.get(&choice) else {
            unless(!heard.failed, "no end")?;
            continue;
        };
        unless(generation.tokens != plain, "tokens that were not told")?;
        unless(generation.logits_digest != expected.digests[plain.len()], "another digest")?;
        let patient = planned.patience.is_none_or(|patience| plain.len() < patience);
        match generation.finish {
            Finish::Cancelled => unless(patient && planned.cancelled.is_none(), "cancelled by nobody")?,
            Finish::Deadline => unless(submission.deadline.is_none(), "in time")?,
            finish => {
                let whole = plain.len() == expected.tokens.len() && patient;
                unless(!whole || End::Finish(finish) != expected.end, "another end")?;
            }
        }
    }
    Ok(())
}

/// What every check of these tests comes down to: does everybody get what they get alone?
pub(super) fn agrees(model: &mut dyn Alone, plan: &Plan, heard: &[Heard]) -> Result<(), String> {
    for (index, (planned, heard)) in plan.planned.iter().zip(heard).enumerate() {
        compare(model, planned, heard).map_err(|why| format!("submission {index}: {why}"))?;
    }
    Ok(())
}
