//! One run of tokens on its way through the model: a prompt with the answers that will follow it, then each answer on its own.
//!
//! A sequence is behind by the tokens that its cache does not have: a prompt, the latest token, or all of it again after its pages
//! were given away. What a pass does about that is a `Part`. Knows its own tokens; nothing of other sequences.

use core::time::Duration;
use std::ops::Range;

use samebit_model::{ForwardError, Outcome};

use super::backend::Held;
use super::embedding::Mean;
use super::submission::{Ticket, TokenLogprob};
use crate::answer::{Answer, Guesser};
use crate::sampler::{Sampler, token_logprob};

/// Steps without a row after which a sequence comes first.
const PATIENCE: usize = 4;

/// What a sequence is for.
pub(crate) enum Work {
    /// Several as long as they share the prompt, then one.
    Answers(Vec<Answer>),
    Embedding(Mean),
}

/// Log-probabilities of the prompt's tokens but the first.
pub(crate) struct PromptScores {
    pub(crate) top: usize,
    pub(crate) done: Vec<TokenLogprob>,
    pub(crate) told: bool,
}

/// What the passes of a step gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passes<'a> {
    pub(crate) outcomes: &'a [Outcome<f32>],
    /// Elements of a row of logits, and of a row of states.
    pub(crate) vocabulary: usize,
    pub(crate) width: usize,
}

/// Where in its outcomes a pass put the rows of a part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) outcome: usize,
    /// First row of logits, first of states.
    pub(crate) logits: usize,
    pub(crate) states: usize,
}

/// What a sequence does in a step.
#[derive(Debug)]
pub(crate) struct Part {
    /// First position.
    pub(crate) start: usize,
    /// Tokens taken in.
    pub(crate) rows: usize,
    /// Guesses after them.
    pub(crate) draft: Vec<u32>,
    /// Whose guesses they are.
    pub(crate) guesser: Guesser,
    /// The position of the first row that is wanted.
    pub(crate) from: usize,
    pub(crate) slot: Result<Option<Slot>, ForwardError>,
    /// Whether it is at the sequence's end, and a token follows.
    pub(crate) at_end: bool,
    /// Whether rows may still be looked at.
    pub(crate) going: bool,
    /// Of the guesses, how many were right.
    pub(crate) accepted: usize,
    /// Tokens that were chosen.
    pub(crate) new: usize,
}

impl Part {
    /// Positions of the pass.
    pub(crate) fn positions(&self) -> Range<usize> {
        self.start..self.start + self.rows + self.draft.len()
    }

    /// Leaves out what lies at `end` and beyond.
    pub(crate) fn cut(&mut self, end: usize) {
        let kept = end.saturating_sub(self.start);
        self.draft.truncate(kept.saturating_sub(self.rows));
        if kept < self.rows {
            self.rows = kept;
            (self.at_end, self.going) = (false, false);
        }
    }

    /// Positions whose rows are wanted.
    pub(crate) fn wanted(&self) -> Range<usize> {
        self.from.min(self.positions().end)..self.positions().end
    }

    /// The row of logits at `position`.
    pub(crate) fn row<'a>(&self, passes: Passes<'a>, position: usize) -> Option<&'a [f32]> {
        let Ok(Some(slot)) = self.slot else { return None };
        let index = slot.logits + position.checked_sub(self.from)?;
        passes.outcomes.get(slot.outcome)?.logits.chunks_exact(passes.vocabulary).nth(index)
    }

    /// All rows of states.
    pub(crate) fn states<'a>(&self, passes: Passes<'a>) -> &'a [f32] {
        let Ok(Some(slot)) = self.slot else { return &[] };
        &passes.outcomes[slot.outcome].states[slot.states * passes.width..][..self.wanted().len() * passes.width]
    }
}

/// The state of one run of tokens.
pub(crate) struct Sequence<P> {
    pub(crate) ticket: Ticket,
    pub(crate) priority: i32,
    pub(crate) deadline: Option<Duration>,
    /// Prompt, and the answer once it is one.
    pub(crate) tokens: Vec<u32>,
    /// Tokens of the prompt.
    pub(crate) prompt: usize,
    pub(crate) held: Held<P>,
    /// Nodes of the prefix cache that its first pages are.
    pub(crate) chain: Vec<u64>,
    /// Tokens of the prompt that were in the prefix cache.
    pub(crate) cached: usize,
    /// Whether the prompt was taken in once.
    pub(crate) counted: bool,
    pub(crate) work: Work,
    pub(crate) scores: Option<PromptScores>,
    /// Steps since it had a row.
    pub(crate) waited: usize,
    /// Whether it gave its pages back.
    pub(crate) preempted: bool,
    pub(crate) now: Option<Part>,
}

/// One row to be looked at, by whichever thread is free.
pub(crate) enum Job<'a> {
    Score { row: &'a [f32], token: u32, top: usize, to: &'a mut TokenLogprob },
    Choose { row: &'a [f32], answer: &'a mut Answer },
}

impl Job<'_> {
    pub(crate) fn run(&mut self) {
        match self {
            Self::Score { row, token, top, to } => **to = token_logprob(row, *token, *top),
            Self::Choose { row, answer } => answer.choose(row),
        }
    }
}

impl<P> Sequence<P> {
    /// Its answers; none of an embedding.
    pub(crate) fn answers(&mut self) -> &mut [Answer] {
        match &mut self.work {
            Work::Answers(answers) => answers,
            Work::Embedding(_) => &mut [],
        }
    }

    /// The first answer's number: with the ticket it names the sequence.
    pub(crate) fn choice(&self) -> u32 {
        match &self.work {
            Work::Answers(answers) => answers.first().map_or(0, Answer::choice),
            Work::Embedding(_) => 0,
        }
    }

    /// Whether no token was chosen yet.
    pub(crate) fn in_prompt(&self) -> bool {
        self.tokens.len() == self.prompt
    }

    /// The first position whose row is still of use.
    pub(crate) fn due(&self) -> usize {
        match (&self.work, &self.scores) {
            (Work::Embedding(mean), _) => mean.positions(),
            (_, Some(scores)) if scores.done.len() + 1 < self.prompt => scores.done.len(),
            _ => self.tokens.len() - 1,
        }
    }

    /// Whether the rows that it wants are of logits.
    pub(crate) fn gives_logits(&self) -> bool {
        matches!(self.work, Work::Answers(_))
    }

    /// Whether a token follows the last one: not where only the prompt was to be looked at.
    fn chooses(&self) -> bool {
        match &self.work {
            Work::Answers(answers) => answers.iter().any(|answer| !answer.is_full()),
            Work::Embedding(_) => false,
        }
    }

    /// Whether there is nothing to compute.
    pub(crate) fn is_complete(&self) -> bool {
        let scored = self.scores.as_ref().is_none_or(|scores| scores.told);
        self.gives_logits() && scored && !self.chooses()
    }

    /// Whether only its latest token is behind, and nothing is expected to come.
    pub(crate) fn decodes(&self) -> bool {
        let expects =
            matches!(&self.work, Work::Answers(answers) if answers.iter().any(|answer| answer.expected() > 0));
        self.tokens.len() - self.held.len == 1 && self.due() + 1 == self.tokens.len() && !expects
    }

    /// Whether it comes before all others for once.
    pub(crate) fn is_out_of_patience(&self) -> bool {
        self.waited >= PATIENCE
    }

    /// What it does in a step that has room for so many rows, and for so many that give logits; at most `guesses` of them on
    /// guesses from the text.
    pub(crate) fn part(&mut self, rows: usize, logits: usize, guesses: usize) -> Option<Part> {
        let (start, due) = (self.held.len, self.due());
        let behind = self.tokens.len() - start;
        let from = start.max(due);
        let bound = if self.gives_logits() { from - start + logits } else { usize::MAX };
        let taken = behind.min(rows).min(bound);
        if taken == 0 {
            return None;
        }
        let at_end = taken == behind && self.chooses();
        let room = (rows - taken).min(bound - taken);
        let (mut draft, mut guesser) = (Vec::new(), Guesser::Text);
        if let Work::Answers(answers) = &mut self.work
            && let [answer] = &mut answers[..]
            && at_end
        {
            (draft, guesser) = answer.draft(room, guesses.min(room));
        }
        let slot = Ok(None);
        Some(Part { start, rows: taken, draft, guesser, from, slot, at_end, going: at_end, accepted: 0, new: 0 })
    }

    /// One of its answers on its own; what the cache holds is shared.
    pub(crate) fn fork(&self, answer: Answer) -> Self {
        let mut tokens = self.tokens.clone();
        tokens.extend(answer.tokens());
        Self {
            tokens,
            held: self.held.clone(),
            chain: self.chain.clone(),
            work: Work::Answers(vec![answer]),
            scores: None,
            waited: 0,
            preempted: false,
            now: None,
            ..*self
        }
    }

    /// The sampler as it stands, and how many tokens may be guessed, if nobody guesses in this step.
    pub(crate) fn forecast(&mut self) -> Option<(Sampler, usize)> {
        self.now.as_ref().filter(|part| part.at_end && part.draft.is_empty())?;
        match &mut self.work {
            Work::Answers(answers) if answers.len() == 1 => answers[0].forecast(),
            _ => None,
        }
    }

    /// The rows to be looked at, `depth` guesses after the latest token.
    pub(crate) fn jobs<'a>(&'a mut self, depth: usize, passes: Passes<'a>, jobs: &mut Vec<Job<'a>>) {
        let Some(part) = &self.now else { return };
        if depth == 0
            && let Some(scores) = &mut self.scores
        {
            let first = scores.done.len();
            let end = part.wanted().end.min(self.prompt - 1).max(first);
            scores.done.resize(end, TokenLogprob::default());
            for (position, to) in (first..end).zip(&mut scores.done[first..]) {
                if let Some(row) = part.row(passes, position) {
                    jobs.push(Job::Score { row, token: self.tokens[position + 1], top: scores.top, to });
                }
            }
        }
        let Some(row) = part.row(passes, part.start + part.rows - 1 + depth).filter(|_| part.going) else { return };
        if let Work::Answers(answers) = &mut self.work {
            jobs.extend(
                answers.iter_mut().filter(|answer| !answer.is_full()).map(|answer| Job::Choose { row, answer }),
            );
        }
    }
}
