//! The scheduler over small models of every architecture: real pages, real passes, the fastest instruction set there is.

use std::collections::BTreeMap;

use samebit_gguf::Gguf;
use samebit_kernels::Pool;
use samebit_kernels::Table;
use samebit_model::tap::NoTap;
use samebit_model::{Cache, KvType, Layout, Row, Runner, Wanted};
use samebit_synth::{Plan as Weights, Request as Synthetic};

use super::plan::{Dice, World};
use super::run::{Alone, agrees, foresee, run};
use crate::batch::Batch;
use crate::engine::{Engine, EngineOptions};

const CONTEXT: usize = 640;

fn engine(shape: &str, quant: &str) -> Engine {
    let request = Synthetic { shape, quant, pure: false, seed: 9, layers: Some(2), vocab_from: None };
    let bytes = Weights::new(&request).expect("a known shape and type").bytes().expect("made");
    let options = EngineOptions { context: CONTEXT, ..EngineOptions::default() };
    Engine::load(Gguf::from_bytes(bytes).expect("a GGUF file"), &options).expect("a model")
}

/// Token by token, on one thread, in a cache of its own. What was computed once is remembered.
struct OneByOne {
    runner: Runner<f32>,
    caches: [Cache<f32>; 1],
    tokens: Vec<u32>,
    known: BTreeMap<Vec<u32>, [Vec<f32>; 2]>,
}

impl OneByOne {
    fn new(engine: &Engine) -> Self {
        let model = engine.shared_model();
        let table = Table::single(engine.options().isa, engine.options().numerics);
        let runner = Runner::new(std::sync::Arc::clone(model), table, Pool::new(1), CONTEXT);
        let cache = Cache::from_pages(Layout::of(model.config(), KvType::F16), Vec::new(), 0);
        Self { runner, caches: [cache], tokens: Vec::new(), known: BTreeMap::new() }
    }

    fn after(&mut self, tokens: &[u32]) -> [Vec<f32>; 2] {
        if let Some(known) = self.known.get(tokens) {
            return known.clone();
        }
        let shared = self.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count().min(tokens.len() - 1);
        self.caches[0].truncate(shared);
        for (position, &token) in tokens.iter().enumerate().skip(shared) {
            let rows = [Row { token, position, cache: 0 }];
            let wanted = Wanted { logits: &[0], states: &[0] };
            let outcome = self.runner.run_for(&rows, &mut self.caches, wanted, &mut NoTap).expect("finite");
            self.known.insert(tokens[..=position].to_vec(), [outcome.logits, outcome.states]);
        }
        self.tokens = tokens.to_vec();
        self.known[tokens].clone()
    }
}

impl Alone for OneByOne {
    fn row(&mut self, tokens: &[u32]) -> Option<Vec<f32>> {
        let [logits, _] = self.after(tokens);
        Some(logits)
    }

    fn state(&mut self, tokens: &[u32]) -> Option<Vec<f32>> {
        let [_, state] = self.after(tokens);
        Some(state)
    }

    fn context(&self) -> usize {
        CONTEXT
    }
}

/// Prompts around a page's end and well within one; few different ones, so that what is expected is computed once.
fn world(vocabulary: usize) -> World {
    let dice = &mut Dice::new(5);
    let mut stem = |len: usize| -> Vec<u32> { (0..len).map(|_| dice.below(200) as u32).collect() };
    World {
        vocabulary,
        reserved: 0,
        context: CONTEXT,
        stems: vec![stem(20), stem(40), stem(270), vec![1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]],
        tail: 2,
        answer: 12,
        submissions: 2..7,
        pages: 0..12,
        caches: 40,
    }
}

fn schedules(shape: &str, quant: &str, seeds: std::ops::Range<u64>) {
    let engine = engine(shape, quant);
    // Of other weights' precision, and so mostly of the same opinion.
    let draft = self::engine(shape, "Q4_0");
    let mut model = OneByOne::new(&engine);
    let world = world(engine.vocab_size());
    let (mut preemptions, mut cached, mut drafted, mut accepted) = (0, 0, 0, 0);
    for seed in seeds {
        let mut plan = world.plan(seed);
        foresee(&mut model, &mut plan);
        let options = EngineOptions {
            threads: plan.threads,
            speculation: plan.most_drafted,
            kv_cache: plan.kv_cache,
            ..engine.options().clone()
        };
        let subject = engine.with_options(&options);
        let mut batch = match plan.foresight {
            false => Batch::new(&subject, plan.limits.clone()),
            true => Batch::with_draft(&subject, &draft, plan.limits.clone()).expect("the same vocabulary"),
        };
        let (heard, counts) = run(&mut *batch.steps, &plan);
        assert_eq!(agrees(&mut model, &plan, &heard), Ok(()), "{shape} {quant}, schedule {seed}");
        assert_eq!((counts.running, counts.waiting, counts.pages_used), (0, 0, 0), "{shape} {quant}, schedule {seed}");
        preemptions += counts.preemptions;
        cached += counts.cached_tokens;
        drafted += counts.drafted_tokens;
        accepted += counts.accepted_tokens;
    }
    println!(
        "{shape} {quant}: {preemptions} preemptions, {cached} tokens from the prefix cache, {accepted} of {drafted} guesses right"
    );
    assert!(preemptions > 0 && cached > 0 && accepted > 0 && drafted > accepted, "{shape} {quant}");
}

#[test]
fn any_schedule_of_a_llama() {
    schedules("tiny-llama", "Q8_0", 0..400);
}
