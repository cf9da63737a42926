//! The loop over a toy model, so fast that thousands of requests can be compared with and without speculation. And the
//! controls: verification done wrong on purpose is noticed by the same comparison.

use super::*;
use crate::sampler::SamplerConfig;
use crate::sequence::{Sequence, TraceFn};
use proptest::prelude::*;
use samebit_model::ForwardError;

const VOCABULARY: u32 = 6;

/// A model whose logits lean on the last two tokens, so that it repeats itself, and a little on all before.
#[derive(Debug, Default)]
struct Toy {
    cache: Vec<u32>,
    /// A pass of more than one token after the prompt fails if it holds this one.
    poison: Option<u32>,
}

fn mix(seed: u32, word: u32) -> u32 {
    let x = (seed ^ word).wrapping_mul(0x9e37_79b1);
    (x ^ x >> 15).wrapping_mul(0x85eb_ca77) ^ x >> 13
}

impl Toy {
    fn row(&self) -> impl Iterator<Item = f32> {
        let late = self.cache.iter().rev().take(2).fold(1, |hash, &token| mix(hash, token));
        let all = self.cache.iter().fold(2, |hash, &token| mix(hash, token));
        let share = |hash: u32, token: u32| (mix(hash, token) >> 20) as f32 / 4096.0;
        (0..VOCABULARY).map(move |token| 8.0 * share(late, token) + share(all, token))
    }
}

impl Sequence for Toy {
    fn len(&self) -> usize {
        self.cache.len()
    }

    fn truncate(&mut self, len: usize) {
        self.cache.truncate(len);
    }

    fn pass(
        &mut self,
        tokens: &[u32],
        wanted: &[usize],
        _: Option<&mut TraceFn<'_>>,
    ) -> Result<Vec<f32>, ForwardError> {
        if !self.cache.is_empty() && self.poison.is_some_and(|poison| tokens[1..].contains(&poison)) {
            return Err(ForwardError::Token { token: tokens[0], vocabulary: 0 });
        }
        let mut rows = Vec::new();
        for (index, &token) in tokens.iter().enumerate() {
            self.cache.push(token);
            if wanted.contains(&index) {
                rows.extend(self.row());
            }
        }
        Ok(rows)
    }
}

/// A request and everything that may be asked of its execution.
#[derive(Clone, Debug)]
struct Case {
    prompt: Vec<u32>,
    request: Request,
    context: usize,
    ubatch: usize,
    most_drafted: usize,
    kv_cache: bool,
    /// The event at which the listener breaks off.
    patience: usize,
    poison: Option<u32>,
}

/// Everything that a caller sees.
#[derive(Debug, PartialEq)]
struct Outcome {
    tokens: Vec<u32>,
    finish: Finish,
    logits_digest: String,
    events: Vec<Event>,
}

fn run(case: &Case, most_drafted: usize, rules: Rules) -> (Outcome, Speculation) {
    let manner = Manner { most_drafted, kv_cache: case.kv_cache, rules };
    let toy = Toy { poison: case.poison, ..Toy::default() };
    let mut session = Session::new(Box::new(toy), case.ubatch, case.context);
    let mut events = Vec::new();
    let answer = Answer::new(&case.prompt, &case.request, case.context, VOCABULARY as usize, manner);
    let generation = answer.expect("parameters in range").run(&mut session, &mut |event| {
        events.push(event);
        if events.len() < case.patience { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let Generation { tokens, finish, logits_digest, speculation } = generation.expect("finite");
    (Outcome { tokens, finish, logits_digest, events }, speculation)
}

/// What every check of this file comes down to: is this the answer of plain decoding?
fn agrees(case: &Case, rules: Rules) -> bool {
    run(case, case.most_drafted, rules).0 == run(case, 0, Rules::EXACT).0
}

fn sampler() -> impl Strategy<Value = SamplerConfig> {
    let chance = (any::<u64>(), prop_oneof![Just(0.0f32), 0.1f32..2.0], 0usize..4, 0.3f32..1.0);
    let memory = (prop_oneof![Just(0usize), 1usize..20, Just(usize::MAX)], 0.8f32..1.5, -0.2f32..0.4, -0.2f32..0.4);
    let bias = proptest::collection::vec((0..VOCABULARY, -3.0f32..3.0), 0..3);
    (chance, memory, bias, any::<bool>()).prop_map(|(chance, memory, logit_bias, plain)| {
        let (seed, temperature, top_k, top_p) = chance;
        let config = SamplerConfig { seed, temperature, top_k, top_p, logit_bias, ..SamplerConfig::default() };
        let (repeat_last_n, repeat_penalty, frequency_penalty, presence_penalty) = memory;
        match plain {
            true => config,
            false => SamplerConfig { repeat_last_n, repeat_penalty, frequency_penalty, presence_penalty, ..config },
        }
    })
}

fn case() -> impl Strategy<Value = Case> {
    let prompt = proptest::collection::vec(0..VOCABULARY, 1..40);
    let stops = (proptest::collection::vec(0..VOCABULARY, 0..2), any::<bool>());
    let bounds = (0usize..60, 0usize..80, prop_oneof![Just(usize::MAX), 1usize..60]);
    let manner = (1usize..9, 1usize..12, any::<bool>(), proptest::option::of(0..VOCABULARY));
    (prompt, sampler(), stops, bounds, manner).prop_map(|(prompt, sampler, stops, bounds, manner)| {
        let (stop_tokens, ignore_eos) = stops;
        let (max_tokens, room, patience) = bounds;
        let (ubatch, most_drafted, kv_cache, poison) = manner;
        // Without a cache the prompt is in every pass.
        let poison = poison.filter(|_| kv_cache);
        let request = Request { max_tokens, sampler, stop_tokens, ignore_eos };
        let context = prompt.len() + room;
        // The prompt in one pass: a later piece of it would be poisoned too.
        let ubatch = if poison.is_some() { 64 } else { ubatch };
        Case { prompt, request, context, ubatch, most_drafted, kv_cache, patience, poison }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn speculation_changes_nothing_that_a_caller_sees(case in case()) {
        prop_assert!(agrees(&case, Rules::EXACT));
    }
}

/// Requests of which nearly all have drafts accepted and drafts refused.
fn repetitive() -> impl Iterator<Item = Case> {
    (0..40).map(|seed| {
        let sampler = SamplerConfig { seed, temperature: 0.4, top_k: 3, ..SamplerConfig::default() };
        Case {
            prompt: (0..30).map(|i| i % 3).collect(),
            request: Request { max_tokens: 100, sampler, stop_tokens: Vec::new(), ignore_eos: false },
            context: 1000,
            ubatch: 64,
            most_drafted: 8,
            kv_cache: true,
            patience: usize::MAX,
            poison: None,
        }
    })
}

#[test]
fn drafts_are_accepted_and_save_passes() {
    let mut sum = Speculation::default();
    for case in repetitive() {
        assert!(agrees(&case, Rules::EXACT), "{case:?}");
        let (outcome, one) = run(&case, 8, Rules::EXACT);
        assert_eq!(
            one.passes + one.accepted + 1,
            outcome.tokens.len(),
            "each pass gives one token more than it guessed"
        );
        sum.accepted += one.accepted;
        sum.drafted += one.drafted;
        let (_, plain) = run(&case, 0, Rules::EXACT);
        assert_eq!(plain, Speculation { passes: 99, drafted: 0, accepted: 0 });
    }
    assert!(sum.accepted > 400 && sum.drafted > sum.accepted, "{sum:?}");
}

#[test]
fn verification_done_wrong_is_noticed() {
    let gullible = Rules { accepts: |_, _| true, ..Rules::EXACT };
    let remembering = Rules { forget: |_, _| (), ..Rules::EXACT };
    for (name, wrong) in [("every draft accepted", gullible), ("nothing forgotten", remembering)] {
        let noticed = repetitive().filter(|case| !agrees(case, wrong)).count();
        assert!(noticed > 30, "{name}: noticed in {noticed} of 40");
    }
}

#[test]
fn a_draft_that_cannot_be_computed_is_none() {
    for case in repetitive() {
        let case = Case { poison: Some(1), ..case };
        let (outcome, speculation) = run(&case, 8, Rules::EXACT);
        assert_eq!(outcome, run(&Case { poison: None, ..case }, 0, Rules::EXACT).0);
        assert!(outcome.tokens.contains(&1) && speculation.passes > 0);
    }
}
