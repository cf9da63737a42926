//! How fast many answers are generated at once: `many MODEL THREADS [TOKENS] [PROMPT] [LONG]`, for 1 to 16 of them, and how long
//! a prompt of LONG tokens takes that begins as an earlier one did.

use std::error::Error;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use samebit_engine::sampler::SamplerConfig;
use samebit_engine::{Batch, Engine, EngineOptions, Happening, Limits, Request, Submission};
use samebit_gguf::Gguf;

fn submission(number: usize, prompt: usize, tokens: usize) -> Submission {
    let prompt = (0..prompt).map(|at| ((at * 7919 + number * 31) % 20_000 + 100) as u32).collect();
    let sampler = SamplerConfig { seed: number as u64, ..SamplerConfig::default() };
    Submission::new(prompt, Request { max_tokens: tokens, sampler, stop_tokens: Vec::new(), ignore_eos: true })
}

/// Seconds until every answer had its first token, and from there to the end.
fn run(engine: &Engine, submissions: Vec<Submission>) -> Result<(f64, f64), Box<dyn Error>> {
    let mut batch = Batch::new(engine, Limits::default());
    time(&mut batch, submissions)
}

fn time(batch: &mut Batch, submissions: Vec<Submission>) -> Result<(f64, f64), Box<dyn Error>> {
    let started = Instant::now();
    let mut waiting = submissions.len();
    let mut first = Duration::ZERO;
    for submission in submissions {
        batch.submit(submission, Duration::ZERO)?;
    }
    let mut begun = std::collections::BTreeSet::new();
    while !batch.is_idle() {
        batch.step(Duration::ZERO, &mut |ticket, happening| {
            if matches!(happening, Happening::Token { .. }) && begun.insert(ticket) {
                waiting -= 1;
                if waiting == 0 {
                    first = started.elapsed();
                }
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok((first.as_secs_f64(), (started.elapsed() - first).as_secs_f64()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |index: usize, otherwise: usize| arguments.get(index).and_then(|a| a.parse().ok()).unwrap_or(otherwise);
    let path = arguments.first().ok_or("give a model")?;
    let (threads, tokens, prompt, length) = (number(1, 2), number(2, 64), number(3, 16), number(4, 4000));
    let options = EngineOptions { threads, context: 8192, ..EngineOptions::default() };
    let engine = Engine::load(Gguf::open(path)?, &options)?;
    engine.prepare(&mut |_, _| {});
    run(&engine, vec![submission(0, prompt, 4)])?;
    println!("answers  prompt s  tokens/s");
    for answers in [1, 2, 4, 8, 16] {
        let (first, rest) = run(&engine, (0..answers).map(|number| submission(number, prompt, tokens)).collect())?;
        println!("{answers:>7}  {first:>8.3}  {:>8.1}", (answers * (tokens - 1)) as f64 / rest);
    }
    let mut batch = Batch::new(&engine, Limits::default());
    let mut long = submission(99, length, 1);
    for name in ["a long prompt", "again", "and 20 more"].into_iter().filter(|_| length > 0) {
        let (first, _) = time(&mut batch, vec![long.clone()])?;
        println!("{name}: first token after {first:.3} s; {} tokens from the cache", batch.counts().cached_tokens);
        if name == "again" {
            long.prompt.extend(0..20);
        }
    }
    Ok(())
}
