//! The batch as its users meet it: a needle among many, limits, ends, failures, and what is refused.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use samebit_engine::sampler::SamplerConfig;
use samebit_engine::{
    Batch, Engine, EngineError, EngineOptions, Finish, Generation, Happening, Limits, Request, Submission, Ticket,
    Wants,
};
use samebit_gguf::Gguf;
use samebit_synth::{Plan, Request as Synthetic};

fn model(shape: &str, quant: &str) -> Vec<u8> {
    let request = Synthetic { shape, quant, pure: true, seed: 3, layers: Some(2), vocab_from: None };
    Plan::new(&request).expect("a known shape and type").bytes().expect("made")
}

fn load(bytes: Vec<u8>) -> Engine {
    let options = EngineOptions { context: 600, ..EngineOptions::default() };
    Engine::load(Gguf::from_bytes(bytes).expect("a GGUF file"), &options).expect("a model")
}

fn engine() -> Engine {
    load(model("tiny-llama", "Q4_0"))
}

fn request(seed: u64, max_tokens: usize) -> Request {
    let sampler = SamplerConfig { seed, temperature: 1.2, ..SamplerConfig::default() };
    Request { max_tokens, sampler, stop_tokens: Vec::new(), ignore_eos: true }
}

fn submission(number: u64, prompt: usize, answer: usize) -> Submission {
    let prompt = (0..prompt as u64).map(|at| ((at * 37 + number * 11) % 500) as u32).collect();
    Submission::new(prompt, request(number, answer))
}

/// Steps to the end; generations and failures by ticket and choice.
fn finish(batch: &mut Batch) -> (BTreeMap<(Ticket, u32), Generation>, BTreeMap<Ticket, String>) {
    let (mut done, mut failed) = (BTreeMap::new(), BTreeMap::new());
    for step in 0.. {
        if batch.is_idle() {
            break;
        }
        let listener = &mut |ticket, happening: Happening<'_>| {
            match happening {
                Happening::Done { choice, generation } => drop(done.insert((ticket, choice), generation)),
                Happening::Failed(error) => drop(failed.insert(ticket, error.to_string())),
                _ => {}
            }
            ControlFlow::Continue(())
        };
        batch.step(Duration::from_secs(step), listener).expect("steps");
    }
    (done, failed)
}

fn bare(generation: &Generation) -> Generation {
    Generation { speculation: samebit_engine::Speculation::default(), ..generation.clone() }
}

#[test]
fn a_needle_among_a_hundred_is_one_answer() {
    let base = engine();
    let needle = submission(7, 40, 12);
    let alone = base.generate(&needle.prompt, &needle.request, &mut |_| ControlFlow::Continue(())).expect("finite");
    let limits = Limits { rows: 64, sequences: 8, pages: 16, queue: 1000, prefix_cache: true };
    let ways = [
        (1, 0, limits.clone()),
        (2, 8, limits.clone()),
        (1, 0, Limits { prefix_cache: false, ..limits.clone() }),
        (2, 0, Limits { rows: 1, ..limits.clone() }),
        (1, 4, Limits { rows: 512, sequences: 32, pages: 1, ..limits.clone() }),
    ];
    for (threads, speculation, limits) in ways {
        let options = EngineOptions { threads, speculation, ..base.options().clone() };
        let mut batch = Batch::new(&base.with_options(&options), limits.clone());
        let mut needles = Vec::new();
        for number in 0..100 {
            let other = submission(number, 3 + (number as usize * 13) % 90, (number as usize * 7) % 20);
            batch.submit(other, Duration::ZERO).expect("room in the queue");
            if number % 5 == 0 {
                needles.push(batch.submit(needle.clone(), Duration::ZERO).expect("room in the queue"));
            }
        }
        let (done, failed) = finish(&mut batch);
        assert!(failed.is_empty() && done.len() == 120, "{limits:?}: {failed:?}");
        for ticket in needles {
            assert_eq!(bare(&done[&(ticket, 0)]), bare(&alone), "{threads} threads, {limits:?}");
        }
        let counts = batch.counts();
        assert_eq!((counts.pages_used, counts.running, counts.waiting), (0, 0, 0));
        assert_eq!(counts.cached_tokens > 0, limits.prefix_cache, "{limits:?}: {counts:?}");
    }
}

#[test]
fn whoever_cannot_be_computed_fails_alone() {
    let mut bytes = model("tiny-llama", "F32");
    let gguf = Gguf::from_bytes(bytes.clone()).expect("a GGUF file");
    assert!(gguf.tensor("output.weight").is_some(), "logits have a matrix of their own");
    let info = gguf.tensor("token_embd.weight").expect("the tensor");
    let row = info.byte_len() as usize / info.shape[1] as usize;
    let bad = 450;
    let start = info.file_offset() as usize + bad * row;
    bytes[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let engine = load(bytes);
    let mut batch = Batch::new(&engine, Limits::default());
    let good: Vec<Submission> = (0..9).map(|number| submission(number, 20, 6)).collect();
    let good: Vec<Submission> = good.into_iter().filter(|one| !one.prompt.contains(&(bad as u32))).collect();
    let mut tickets = Vec::new();
    let mut poisoned = Vec::new();
    for one in &good {
        tickets.push(batch.submit(one.clone(), Duration::ZERO).expect("room"));
        let mut other = one.clone();
        other.prompt.insert(10, bad as u32);
        poisoned.push(batch.submit(other, Duration::ZERO).expect("room"));
    }
    let (done, failed) = finish(&mut batch);
    assert_eq!(failed.keys().copied().collect::<Vec<_>>(), poisoned);
    assert!(failed.values().all(|why| why.contains("token_embd.weight")), "{failed:?}");
    assert!(good.len() > 5);
    for (one, ticket) in good.iter().zip(tickets) {
        let alone = engine.generate(&one.prompt, &one.request, &mut |_| ControlFlow::Continue(())).expect("finite");
        assert_eq!(done[&(ticket, 0)], alone);
    }
    assert_eq!(batch.counts().pages_used, 0);
}

#[test]
fn a_cancelled_submission_frees_its_pages_at_once() {
    let engine = engine();
    let mut batch = Batch::new(&engine, Limits::default());
    let ticket = batch.submit(submission(1, 300, 50), Duration::ZERO).expect("room");
    let mut tokens = 0;
    for _ in 0..4 {
        let listener = &mut |_, happening: Happening<'_>| {
            tokens += usize::from(matches!(happening, Happening::Token { .. }));
            ControlFlow::Continue(())
        };
        batch.step(Duration::ZERO, listener).expect("steps");
    }
    assert_eq!(batch.counts().pages_used, 2);
    batch.cancel(ticket);
    assert_eq!((batch.counts().pages_used, batch.counts().running), (0, 0));
    assert!(!batch.is_idle(), "there is something to tell");
    let (done, _) = finish(&mut batch);
    let generation = &done[&(ticket, 0)];
    assert_eq!((generation.finish, generation.tokens.len()), (Finish::Cancelled, tokens));
}

#[test]
fn deadlines_priorities_and_choices() {
    let engine = engine();
    let limits = Limits { sequences: 1, ..Limits::default() };
    let mut batch = Batch::new(&engine, limits);
    let late = Submission { deadline: Some(Duration::from_secs(3)), ..submission(1, 20, 50) };
    let late = batch.submit(late, Duration::ZERO).expect("room");
    let patient = batch.submit(submission(2, 20, 3), Duration::ZERO).expect("room");
    let urgent = Submission { priority: 1, choices: 2, ..submission(3, 20, 10) };
    let request = urgent.request.clone();
    let prompt = urgent.prompt.clone();
    let urgent = batch.submit(urgent, Duration::ZERO).expect("room");
    let mut order = Vec::new();
    let mut generations = BTreeMap::new();
    for second in 0..100 {
        let listener = &mut |ticket, happening: Happening<'_>| {
            if let Happening::Done { choice, generation } = happening {
                order.push(ticket);
                generations.insert((ticket, choice), generation);
            }
            ControlFlow::Continue(())
        };
        batch.step(Duration::from_secs(second), listener).expect("steps");
    }
    assert_eq!(
        order,
        [late, urgent, urgent, patient],
        "the urgent one was before the late one, which had no time left"
    );
    assert_eq!(generations[&(late, 0)].finish, Finish::Deadline);
    for choice in 0..2 {
        let mut request = request.clone();
        request.sampler.sample_index = choice;
        let alone = engine.generate(&prompt, &request, &mut |_| ControlFlow::Continue(())).expect("finite");
        assert_eq!(generations[&(urgent, choice)], alone);
    }
}

#[test]
fn an_embedding_is_the_same_in_any_company() {
    let engine = engine();
    let vector = |limits: Limits, company: u64| {
        let mut batch = Batch::new(&engine, limits);
        for number in 0..company {
            batch.submit(submission(number, 50, 5), Duration::ZERO).expect("room");
        }
        let wanted = Submission { wants: Wants::Embedding, ..submission(5, 300, 0) };
        batch.submit(wanted, Duration::ZERO).expect("room");
        let mut vector = Vec::new();
        while !batch.is_idle() {
            let listener = &mut |_, happening: Happening<'_>| {
                if let Happening::Embedding(x) = happening {
                    vector = x.iter().map(|x| x.to_bits()).collect();
                }
                ControlFlow::Continue(())
            };
            batch.step(Duration::ZERO, listener).expect("steps");
        }
        vector
    };
    let alone = vector(Limits { rows: 1, ..Limits::default() }, 0);
    assert_eq!(alone.len(), engine.model().config().width);
    for rows in [7, 512] {
        assert_eq!(vector(Limits { rows, sequences: 3, ..Limits::default() }, 6), alone);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let engine = engine();
    let mut batch = Batch::new(&engine, Limits { queue: 2, ..Limits::default() });
    let mut refused = |submission| batch.submit(submission, Duration::ZERO).expect_err("refused");
    let plain = submission(1, 5, 5);
    assert!(matches!(refused(submission(1, 0, 5)), EngineError::EmptyPrompt));
    assert!(matches!(refused(submission(1, 601, 5)), EngineError::PromptTooLong { tokens: 601, context: 600 }));
    assert!(matches!(refused(Submission { choices: 0, ..plain.clone() }), EngineError::Choices { asked: 0, .. }));
    assert!(matches!(refused(Submission { choices: 1000, ..plain.clone() }), EngineError::Choices { .. }));
    assert!(matches!(refused(Submission { logprobs: Some(5000), ..plain.clone() }), EngineError::Logprobs { .. }));
    assert!(matches!(refused(Submission::new(vec![1 << 20], request(1, 1))), EngineError::Forward(_)));
    let mut wrong = plain.clone();
    wrong.request.sampler.top_p = 7.0;
    assert!(matches!(refused(wrong), EngineError::Parameter(_)));
    for _ in 0..2 {
        batch.submit(plain.clone(), Duration::ZERO).expect("room");
    }
    let full = batch.submit(plain, Duration::ZERO).expect_err("full");
    assert_eq!(full.to_string(), "2 requests wait already: try again later");
}
