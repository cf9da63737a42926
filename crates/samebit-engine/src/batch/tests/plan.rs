//! Random schedules: who asks for what, when they come and go, and what the batch may hold.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::{Constraint, Grammar, Limits, Submission, Wants};
use crate::request::Request;
use crate::sampler::SamplerConfig;

/// Numbers that mean nothing, the same for the same seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n.max(1) as u64) as usize
    }

    pub(super) fn within(&mut self, range: Range<usize>) -> usize {
        range.start + self.below(range.len())
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Tokens by turns: which may come depends on the latest, and after so many the grammar breaks.
pub(super) struct Turns {
    pub(super) vocabulary: usize,
    pub(super) breaks_after: usize,
}

struct Turn {
    mask: Vec<u32>,
    vocabulary: usize,
    left: usize,
}

impl Turn {
    fn allow(&mut self, last: usize) {
        self.mask = vec![0; self.vocabulary.div_ceil(32)];
        let allowed = (0..self.vocabulary).filter(|token| !(token + last).is_multiple_of(3));
        allowed.for_each(|token| self.mask[token / 32] |= 1 << (token % 32));
    }
}

impl Grammar for Turns {
    fn start(&self) -> Box<dyn Constraint> {
        let mut turn = Turn { mask: Vec::new(), vocabulary: self.vocabulary, left: self.breaks_after };
        turn.allow(0);
        Box::new(turn)
    }
}

impl Constraint for Turn {
    fn mask(&mut self) -> Result<Option<&[u32]>, String> {
        Ok(Some(&self.mask))
    }

    fn accept(&mut self, token: u32) -> Result<(), String> {
        self.left = self.left.checked_sub(1).ok_or("broken on purpose")?;
        self.allow(token as usize);
        Ok(())
    }
}

/// A submission, when it comes, and what befalls it.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) submission: Submission,
    /// Steps before it comes.
    pub(super) arrival: usize,
    /// Steps after which it is cancelled.
    pub(super) cancelled: Option<usize>,
    /// Tokens of a choice after which the listener has enough.
    pub(super) patience: Option<usize>,
    /// How far its draft is what will come: all, or so many tokens.
    pub(super) foreseen: Option<usize>,
}

/// A whole schedule.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) planned: Vec<Planned>,
    pub(super) limits: Limits,
    pub(super) threads: usize,
    /// Most tokens of a guess from the text.
    pub(super) most_drafted: usize,
    pub(super) kv_cache: bool,
    /// Whether another model guesses.
    pub(super) foresight: bool,
}

/// What schedules are made of.
pub(super) struct World {
    pub(super) vocabulary: usize,
    /// Tokens that no prompt has.
    pub(super) reserved: usize,
    pub(super) context: usize,
    /// Prompts begin with a part of one of these.
    pub(super) stems: Vec<Vec<u32>>,
    /// Most tokens of a prompt of its own.
    pub(super) tail: usize,
    pub(super) answer: usize,
    pub(super) submissions: Range<usize>,
    pub(super) pages: Range<usize>,
    /// One schedule in so many is without a cache.
    pub(super) caches: usize,
}

impl World {
    fn sampler(&self, dice: &mut Dice) -> SamplerConfig {
        let plain = SamplerConfig {
            seed: dice.below(5) as u64,
            temperature: dice.pick(&[0.0, 0.4, 0.8, 1.5]),
            top_k: dice.pick(&[0, 3, 40]),
            top_p: dice.pick(&[0.9, 1.0]),
            ..SamplerConfig::default()
        };
        match dice.one_in(3) {
            false => plain,
            true => SamplerConfig {
                repeat_last_n: dice.pick(&[4, usize::MAX]),
                repeat_penalty: dice.pick(&[1.0, 1.2]),
                frequency_penalty: dice.pick(&[0.0, 0.2]),
                dry_multiplier: dice.pick(&[0.0, 2.0]),
                dry_penalty_last_n: dice.pick(&[8, usize::MAX]),
                dry_breakers: [(1, vec![]), (2, vec![3])].into_iter().collect(),
                dynatemp_range: dice.pick(&[0.0, 0.5]),
                top_n_sigma: dice.pick(&[-1.0, 1.5]),
                logit_bias: vec![(dice.below(self.vocabulary) as u32, dice.pick(&[1.5, f32::NEG_INFINITY]))],
                ..plain
            },
        }
    }

    fn prompt(&self, dice: &mut Dice) -> Vec<u32> {
        let stem = &self.stems[dice.below(self.stems.len())];
        let mut prompt = stem[..dice.within(1..stem.len() + 1)].to_vec();
        if dice.one_in(3) {
            prompt = stem.clone();
        }
        let own = dice.below(self.tail + 1);
        prompt.extend((0..own).map(|_| dice.below(self.vocabulary - self.reserved) as u32));
        prompt.truncate(self.context);
        prompt
    }

    fn submission(&self, dice: &mut Dice) -> Submission {
        let request = Request {
            max_tokens: dice.below(self.answer + 1),
            sampler: self.sampler(dice),
            stop_tokens: vec![dice.below(self.vocabulary) as u32],
            ignore_eos: dice.one_in(2),
        };
        let plain = Submission::new(self.prompt(dice), request);
        let grammar = dice.one_in(6).then(|| {
            let turns = Turns { vocabulary: self.vocabulary, breaks_after: dice.pick(&[usize::MAX, 5]) };
            Arc::new(turns) as Arc<dyn Grammar>
        });
        Submission {
            choices: dice.pick(&[1, 1, 1, 2, 3]),
            priority: dice.pick(&[0, 0, 0, 1, -1]),
            deadline: dice.one_in(8).then(|| Duration::from_secs(dice.below(60) as u64)),
            logprobs: dice.one_in(5).then(|| dice.below(4)),
            prompt_logprobs: dice.one_in(8).then(|| dice.below(4)),
            grammar,
            wants: if dice.one_in(10) { Wants::Embedding } else { Wants::Tokens },
            ..plain
        }
    }

    fn planned(&self, dice: &mut Dice) -> Planned {
        let arrival = dice.below(30);
        Planned {
            submission: self.submission(dice),
            arrival,
            cancelled: dice.one_in(8).then(|| arrival + dice.below(30)),
            patience: dice.one_in(8).then(|| dice.within(1..9)),
            foreseen: dice.one_in(4).then(|| dice.pick(&[0, 1, 5, usize::MAX])),
        }
    }

    /// A schedule by its number.
    pub(super) fn plan(&self, seed: u64) -> Plan {
        let dice = &mut Dice::new(seed);
        let mut planned: Vec<Planned> =
            (0..dice.within(self.submissions.clone())).map(|_| self.planned(dice)).collect();
        if dice.one_in(2) {
            // A needle among them, again and again.
            let needle = self.planned(dice);
            let again = |dice: &mut Dice| Planned { arrival: dice.below(40), cancelled: None, ..needle.clone() };
            planned.extend((0..3).map(|_| again(dice)));
        }
        let limits = Limits {
            rows: dice.pick(&[1, 2, 3, 7, 16, 64, 512]),
            sequences: dice.within(1..9),
            pages: dice.within(self.pages.clone()),
            queue: usize::MAX,
            prefix_cache: dice.one_in(2),
        };
        let (threads, most_drafted, kv_cache) =
            (dice.pick(&[1, 1, 1, 2]), dice.pick(&[0, 0, 4, 9]), !dice.one_in(self.caches));
        Plan { planned, limits, threads, most_drafted, kv_cache, foresight: dice.one_in(4) }
    }
}
