//! The scheduler over a toy model, so fast that thousands of schedules can be compared. Its pages hold tokens, and its rows are
//! made from what the pages hold: whoever reads a page that is not his gives himself away.

use std::sync::Mutex;

use samebit_kernels::Pool;
use samebit_model::{ForwardError, Outcome, Row, Wanted};

use super::plan::{Dice, Plan, World};
use super::run::{Alone, agrees, foresee, run};
use crate::batch::backend::{Backend, Held};
use crate::batch::foresight::Other;
use crate::batch::rules::{Manner, Rules};
use crate::batch::scheduler::{Scheduler, Sizes};
use crate::batch::{Counts, Steps};

const PAGE: usize = 4;
const VOCABULARY: usize = 8;
/// No row can be made of a sequence that has this token.
const POISON: u32 = 7;
const CONTEXT: usize = 70;

/// Written through a lock, so that a page which is shared by mistake can be written by mistake.
type Tokens = Mutex<[u32; PAGE]>;

fn mix(seed: u32, word: u32) -> u32 {
    let x = (seed ^ word).wrapping_mul(0x9e37_79b1);
    (x ^ x >> 15).wrapping_mul(0x85eb_ca77) ^ x >> 13
}

/// Leans on the last two tokens, so that the text repeats itself, and a little on all before.
fn row(tokens: &[u32]) -> Vec<f32> {
    let late = tokens.iter().rev().take(2).fold(1, |hash, &token| mix(hash, token));
    let all = tokens.iter().fold(2, |hash, &token| mix(hash, token));
    let share = |hash: u32, token: u32| (mix(hash, token) >> 20) as f32 / 4096.0;
    let rare = |token: u32| if token == POISON { -4.0 } else { 0.0 };
    (0..VOCABULARY as u32).map(|token| 8.0 * share(late, token) + share(all, token) + rare(token)).collect()
}

fn state(tokens: &[u32]) -> Vec<f32> {
    row(tokens)[..3].to_vec()
}

/// The row of a model that has more tokens, which it is fond of, or fewer.
fn row_of(size: usize, tokens: &[u32]) -> Vec<f32> {
    let mut row = row(tokens);
    row.resize(size, 20.0);
    row
}

fn poisoned(tokens: &[u32]) -> Result<(), ForwardError> {
    match tokens.contains(&POISON) {
        true => Err(ForwardError::Token { token: POISON, vocabulary: 0 }),
        false => Ok(()),
    }
}

struct Toy {
    /// Every so many tokens it is of another opinion: as a smaller model is.
    differs: Option<usize>,
    vocabulary: usize,
}

impl Default for Toy {
    fn default() -> Self {
        Self { differs: None, vocabulary: VOCABULARY }
    }
}

impl Backend for Toy {
    type Page = Tokens;

    fn page_len(&self) -> usize {
        PAGE
    }

    fn new_page(&self) -> Tokens {
        Mutex::new([99; PAGE])
    }

    fn copy_page(&self, from: &Tokens, to: &mut Tokens) {
        *to = Mutex::new(*from.lock().expect("one thread"));
    }

    fn pass(
        &mut self,
        rows: &[Row],
        held: &mut [Held<Tokens>],
        wanted: Wanted<'_>,
    ) -> Result<Outcome<f32>, ForwardError> {
        for row in rows {
            held[row.cache].pages[row.position / PAGE].lock().expect("one thread")[row.position % PAGE] = row.token;
        }
        let stranger = rows.iter().find(|row| row.token as usize >= self.vocabulary);
        if let Some(&Row { token, .. }) = stranger {
            return Err(ForwardError::Token { token, vocabulary: self.vocabulary });
        }
        let seen = |row: &Row| -> Vec<u32> {
            let of =
                |position: usize| held[row.cache].pages[position / PAGE].lock().expect("one thread")[position % PAGE];
            (0..=row.position).map(of).collect()
        };
        rows.iter().try_for_each(|row| poisoned(&seen(row)))?;
        let opinion = |row: &Row| self.differs.is_some_and(|every| row.position.is_multiple_of(every));
        let seen_by_it = |row: &Row| if opinion(row) { seen(row)[..1].to_vec() } else { seen(row) };
        let logits =
            wanted.logits.iter().flat_map(|&index| row_of(self.vocabulary, &seen_by_it(&rows[index]))).collect();
        let states = wanted.states.iter().flat_map(|&index| state(&seen(&rows[index]))).collect();
        Ok(Outcome { logits, states })
    }
}

impl Alone for Toy {
    fn row(&mut self, tokens: &[u32]) -> Option<Vec<f32>> {
        poisoned(tokens).is_ok().then(|| row(tokens))
    }

    fn state(&mut self, tokens: &[u32]) -> Option<Vec<f32>> {
        poisoned(tokens).is_ok().then(|| state(tokens))
    }

    fn context(&self) -> usize {
        CONTEXT
    }
}

fn world() -> World {
    let dice = &mut Dice::new(77);
    // The first two begin alike.
    let long: Vec<u32> = (0..30).map(|_| dice.below(5) as u32).collect();
    let fork: Vec<u32> = long[..9].iter().copied().chain((0..12).map(|_| dice.below(5) as u32)).collect();
    World {
        vocabulary: VOCABULARY,
        // Prompts may be poisoned, but not often.
        reserved: 0,
        context: CONTEXT,
        stems: vec![long, fork, vec![1, 2, 1, 2, 1, 2, 1, 2, 1, 2]],
        tail: 3,
        answer: 40,
        submissions: 1..12,
        pages: 0..60,
        caches: 10,
    }
}

/// A scheduler whose other model, if the plan has one, has so many tokens.
fn scheduler(plan: &Plan, rules: Rules, vocabulary: usize) -> Box<dyn Steps> {
    let sizes = Sizes { context: CONTEXT, vocabulary: VOCABULARY, width: 3 };
    let manner = Manner { most_drafted: plan.most_drafted, kv_cache: plan.kv_cache, rules };
    let scheduler = Scheduler::new(Toy::default(), Pool::new(plan.threads), sizes, plan.limits.clone(), manner);
    match plan.foresight {
        false => Box::new(scheduler),
        true => {
            let toy = Toy { differs: Some(3), vocabulary };
            let other = Other::new(toy, vocabulary, VOCABULARY, plan.limits.pages, plan.limits.rows);
            Box::new(scheduler.guided_by(Box::new(other)))
        }
    }
}

fn check(seed: u64, rules: Rules) -> (Result<(), String>, Counts) {
    let mut plan = world().plan(seed);
    foresee(&mut Toy::default(), &mut plan);
    let (heard, counts) = run(&mut *scheduler(&plan, rules, VOCABULARY), &plan);
    (agrees(&mut Toy::default(), &plan, &heard), counts)
}

#[test]
fn a_model_with_more_tokens_or_fewer_guesses_too() {
    for vocabulary in [VOCABULARY - 3, VOCABULARY, VOCABULARY + 3] {
        let mut accepted = 0;
        for seed in 0..100 {
            let mut plan = world().plan(seed);
            (plan.foresight, plan.most_drafted) = (true, 4);
            foresee(&mut Toy::default(), &mut plan);
            let (heard, counts) = run(&mut *scheduler(&plan, Rules::EXACT, vocabulary), &plan);
            assert_eq!(agrees(&mut Toy::default(), &plan, &heard), Ok(()), "{vocabulary} tokens, schedule {seed}");
            accepted += counts.accepted_tokens;
        }
        // What the text itself has taught is accepted too.
        let others = if vocabulary < VOCABULARY { 100 } else { 1000 };
        assert!(accepted > others, "{vocabulary} tokens: {accepted} accepted");
    }
}

#[test]
fn any_schedule_gives_everybody_what_they_get_alone() {
    let mut sum = Counts::default();
    for seed in 0..4000 {
        let (result, counts) = check(seed, Rules::EXACT);
        assert_eq!(result, Ok(()), "schedule {seed}");
        assert_eq!((counts.running, counts.waiting, counts.pages_used), (0, 0, 0), "schedule {seed}: {counts:?}");
        sum.preemptions += counts.preemptions;
        sum.cached_tokens += counts.cached_tokens;
        sum.drafted_tokens += counts.drafted_tokens;
        sum.accepted_tokens += counts.accepted_tokens;
        sum.generated_tokens += counts.generated_tokens;
    }
    println!("4000 schedules: {sum:?}");
    assert!(sum.preemptions > 4000 && sum.cached_tokens > 40_000 && sum.accepted_tokens > 20_000, "{sum:?}");
    assert!(sum.drafted_tokens > sum.accepted_tokens + 4000, "refused ones too: {sum:?}");
}

#[test]
fn schedulers_that_are_wrong_on_purpose_are_noticed() {
    let wrong = [
        ("every guess accepted", Rules { accepts: |_, _| true, ..Rules::EXACT }),
        ("a row after a refused guess in the digest", Rules { digests_refused: true, ..Rules::EXACT }),
        (
            "pages found by their first two tokens",
            Rules {
                agree: |a, b| if a[..2.min(a.len())] == b[..2.min(b.len())] { a.len() } else { 0 },
                ..Rules::EXACT
            },
        ),
        ("shared pages written", Rules { copies_on_write: false, ..Rules::EXACT }),
        ("new pages believed to hold what the old ones held", Rules { trusts_new_pages: true, ..Rules::EXACT }),
    ];
    for (name, rules) in wrong {
        let noticed = (0..300).filter(|&seed| check(seed, rules).0.is_err()).count();
        println!("{name}: noticed in {noticed} of 300 schedules");
        assert!(noticed > 30, "{name}: noticed in {noticed} of 300");
    }
}
