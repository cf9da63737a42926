//! The scheduler over small models of every architecture: real pages, real passes, the fastest instruction set there is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use samebit_gguf::Gguf;
use samebit_kernels::{Activations, Isa, Numerics, Pool, Table};
use samebit_model::tap::NoTap;
use samebit_model::{Cache, KvType, Layout, Row, Runner, Wanted};
use samebit_numerics::ops::matmul::Matrix;
use samebit_synth::{Plan as Weights, Request as Synthetic};

use super::plan::{Dice, World};
use super::run::{Alone, agrees, foresee, run};
use crate::batch::{Batch, scheduler};
use crate::engine::{Engine, EngineOptions};

const CONTEXT: usize = 640;
/// Rows that are remembered: some 30 MB.
const MOST_KNOWN: usize = 8192;

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
        let runner = Runner::new(Arc::clone(model), table, Pool::new(1), CONTEXT);
        let cache = Cache::from_pages(Layout::of(model.config(), KvType::F16), Vec::new(), 0);
        Self { runner, caches: [cache], tokens: Vec::new(), known: BTreeMap::new() }
    }

    fn after(&mut self, tokens: &[u32]) -> [Vec<f32>; 2] {
        if let Some(known) = self.known.get(tokens) {
            return known.clone();
        }
        if self.known.len() > MOST_KNOWN {
            self.known.clear();
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
        stems: vec![stem(20), stem(40), stem(30), stem(268), [1, 2, 3].repeat(4), [9, 8].repeat(5)],
        tail: 2,
        answer: 10,
        submissions: 2..6,
        pages: 0..12,
        caches: 60,
    }
}

fn schedules(shape: &str, quant: &str, seeds: Range<u64>) {
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
            true => Batch::with_draft(&subject, &draft, plan.limits.clone()),
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
fn any_schedule_of_llamas() {
    schedules("tiny-llama", "Q8_0", 0..250);
    schedules("tiny-llama-256", "Q4_K_M", 250..500);
}

#[test]
fn any_schedule_of_qwens() {
    schedules("tiny-qwen2-288", "Q5_0", 500..750);
    schedules("tiny-qwen3moe", "Q5_1", 750..1000);
}

#[test]
fn any_schedule_of_gemmas() {
    schedules("tiny-gemma2", "Q8_0", 1000..1250);
    schedules("tiny-gemma3", "Q5_1", 1250..1500);
}

#[test]
fn any_schedule_of_others() {
    schedules("tiny-phi3-256", "Q6_K", 1500..1750);
    schedules("tiny-gpt-oss", "MXFP4", 1750..2000);
}

/// How many of a few schedules of a model run by this product are not what its pieces are alone.
fn noticed(matmul: fn(&Matrix<'_>, Range<usize>, &Activations<f32>, &mut [f32])) -> usize {
    let engine = engine("tiny-llama", "Q8_0");
    let engine = engine.with_options(&EngineOptions { isa: Isa::Reference, ..engine.options().clone() });
    let mut model = OneByOne::new(&engine);
    let world = World { submissions: 3..5, stems: vec![vec![5, 6, 7, 8, 9]], ..world(engine.vocab_size()) };
    let table = Table { matmul, ..Table::single(Isa::Reference, Numerics::V1) };
    (0..20)
        .filter(|&seed| {
            let mut plan = world.plan(seed);
            plan.limits.rows = 16;
            let mut steps = scheduler(&engine, table, KvType::F16, plan.limits.clone(), None);
            let (heard, _) = run(&mut *steps, &plan);
            agrees(&mut model, &plan, &heard).is_err()
        })
        .count()
}

#[test]
fn a_product_that_depends_on_who_shares_the_pass_is_noticed() {
    let sound = |w: &Matrix<'_>, rows: Range<usize>, x: &Activations<f32>, out: &mut [f32]| {
        (Table::single(Isa::Reference, Numerics::V1).matmul)(w, rows, x, out);
    };
    assert_eq!(noticed(sound), 0, "the control's own scaffold is sound");
    let by_the_batch = |w: &Matrix<'_>, rows: Range<usize>, x: &Activations<f32>, out: &mut [f32]| {
        (Table::single(Isa::Reference, Numerics::V1).matmul)(w, rows, x, out);
        if x.tokens > 3 {
            // As another order of a sum would have it: the last bit.
            out.iter_mut().for_each(|y| *y = f32::from_bits(y.to_bits() ^ 1));
        }
    };
    let noticed = noticed(by_the_batch);
    println!("a product that depends on the batch: noticed in {noticed} of 20 schedules");
    assert!(noticed > 15, "{noticed}");
}
