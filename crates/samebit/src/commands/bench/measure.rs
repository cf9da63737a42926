//! Our own runs: tokens through a session, and the time that takes.

use super::plan::Test;
use crate::progress::{Progress, Unit};
use samebit_engine::{Engine, EngineError, Session};
use samebit_numerics::philox::philox4x32_10;
use std::time::{Duration, Instant};

/// How long each repetition of a test takes.
///
/// # Errors
/// A pass that stopped.
pub(super) fn run(
    engine: &Engine,
    test: &Test,
    repetitions: usize,
    warm_up: bool,
    quiet: bool,
) -> Result<Vec<Duration>, EngineError> {
    let vocabulary = engine.vocab_size();
    let tokens: Vec<u32> = (0..test.context()).map(|at| token(at, vocabulary)).collect();
    let (before, timed) = tokens.split_at(test.depth);
    let (prompt, generated) = timed.split_at(test.prompt);
    let mut progress = Progress::new(test.name(), Unit::Repetitions, quiet);
    let mut session = engine.session();
    if !before.is_empty() {
        session.prefill(before)?;
    }
    if warm_up {
        once(&mut session, prompt, &generated[..generated.len().min(1)])?;
    }
    let mut times = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        progress.at(times.len() as u64, repetitions as u64);
        // What was before has not changed; only what the last run added is forgotten.
        session.truncate(before.len());
        times.push(once(&mut session, prompt, generated)?);
    }
    Ok(times)
}

fn once(session: &mut Session, prompt: &[u32], generated: &[u32]) -> Result<Duration, EngineError> {
    let started = Instant::now();
    if !prompt.is_empty() {
        std::hint::black_box(session.prefill(prompt)?);
    }
    for &token in generated {
        std::hint::black_box(session.decode(token)?);
    }
    Ok(started.elapsed())
}

/// Tokens without a pattern, which experts share evenly; the same in every run.
fn token(at: usize, vocabulary: usize) -> u32 {
    let [word, ..] = philox4x32_10([at as u32, 0, 0, 0], [0, 0]);
    (u64::from(word) % vocabulary.max(1) as u64) as u32
}
