//! The engine under study: one model in one mode, asked for rows of logits and greedy continuations.
//!
//! Works on samebit-model's forward pass itself, since it wants several rows of one pass and the tensors inside it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics, Pool, Table};
use samebit_model::forward::Real;
use samebit_model::tap::NoTap;
use samebit_model::{Cache, KvType, Model, Row, Runner, Tap};

use crate::layers::Taken;
use crate::mode::Mode;
use crate::stats::argmax;

/// Rows of a prompt computed at once.
const BATCH: usize = 128;

/// What runs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Instruction set; the binary64 mode has only the reference.
    pub(crate) isa: Isa,
    /// Threads.
    pub(crate) threads: usize,
}

/// A model file, open.
pub(crate) struct Opened {
    model: Arc<Model>,
    ends: Vec<u32>,
}

/// A greedy continuation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Continuation {
    /// The tokens, the end token included if there was one.
    pub(crate) tokens: Vec<u32>,
    /// Where it first leaves the expected one: how much higher its token's logit is than the expected one's.
    pub(crate) margin: Option<f32>,
}

/// The rows asked for, and the continuation after the prompt.
pub(crate) type Answer = (Vec<Vec<f32>>, Continuation);

impl Opened {
    /// Opens the file. Continuations end with one of `ends`.
    pub(crate) fn open(path: &Path, ends: Vec<u32>) -> Result<Self> {
        let model = Model::load(Gguf::open(path)?).with_context(|| path.display().to_string())?;
        Ok(Self { model: Arc::new(model), ends })
    }

    /// The rows after the prompt's tokens from position `first` on, and the greedy continuation of up to `expected.1`
    /// tokens beside the expected one.
    pub(crate) fn answer(
        &self,
        mode: Mode,
        machine: Machine,
        prompt: &[u32],
        first: usize,
        expected: (&[u32], usize),
    ) -> Result<Answer> {
        if mode.numerics == Numerics::F64 {
            let table = Table::double();
            return self.subject(table, machine, mode.kv).answer(prompt, first, expected);
        }
        let table = Table::single(machine.isa, mode.numerics);
        self.subject(table, machine, mode.kv).answer(prompt, first, expected)
    }

    /// Every tensor of the prompt's pass.
    pub(crate) fn tensors(&self, mode: Mode, machine: Machine, prompt: &[u32]) -> Result<Vec<Taken>> {
        let mut taken = Vec::new();
        let last = prompt.len() - 1;
        if mode.numerics == Numerics::F64 {
            let mut subject = self.subject(Table::double(), machine, mode.kv);
            subject.run(prompt, 0, &[last], &mut Recorder(&mut taken))?;
        } else {
            let table = Table::single(machine.isa, mode.numerics);
            let mut subject = self.subject(table, machine, mode.kv);
            subject.run(prompt, 0, &[last], &mut Recorder(&mut taken))?;
        }
        Ok(taken)
    }

    fn subject<R: Real>(&self, table: Table<R>, machine: Machine, kv: KvType) -> Subject<'_, R> {
        let config = self.model.config();
        let cache = Cache::new(kv, config.layers, config.kv_heads, config.head_dim);
        let context = config.context;
        let pool = Pool::new(machine.threads);
        let runner = Runner::new(Arc::clone(&self.model), table, pool, context);
        Subject { runner, cache, vocabulary: self.model.vocabulary(), ends: &self.ends }
    }
}

/// One sequence in one mode.
struct Subject<'a, R: 'static> {
    runner: Runner<R>,
    cache: Cache<R>,
    vocabulary: usize,
    ends: &'a [u32],
}

impl<R: Real> Subject<'_, R> {
    fn answer(mut self, prompt: &[u32], first: usize, expected: (&[u32], usize)) -> Result<Answer> {
        let mut rows = Vec::new();
        for (index, batch) in prompt.chunks(BATCH).enumerate() {
            let start = index * BATCH;
            let wanted: Vec<usize> = (0..batch.len()).filter(|row| start + row >= first).collect();
            rows.extend(self.run(batch, start, &wanted, &mut NoTap)?);
        }
        let last = rows.last().context("a prompt without tokens has no logits")?.clone();
        let continuation = self.greedy(prompt.len(), last, expected)?;
        Ok((rows, continuation))
    }

    /// Always the highest logit, until a token that ends the answer.
    fn greedy(
        &mut self,
        mut position: usize,
        mut row: Vec<f32>,
        (expected, count): (&[u32], usize),
    ) -> Result<Continuation> {
        let mut continuation = Continuation { tokens: Vec::new(), margin: None };
        while continuation.tokens.len() < count {
            let token = argmax(&row) as u32;
            let step = continuation.tokens.len();
            let as_expected = continuation.tokens[..] == expected[..step.min(expected.len())];
            if let Some(&other) = expected.get(step)
                && as_expected
                && other != token
            {
                continuation.margin = Some(row[token as usize] - row[other as usize]);
            }
            continuation.tokens.push(token);
            if self.ends.contains(&token) || continuation.tokens.len() == count {
                break;
            }
            row = self.run(&[token], position, &[0], &mut NoTap)?.remove(0);
            position += 1;
        }
        Ok(continuation)
    }

    /// Runs tokens from `position` on; the logits of the wanted ones.
    fn run(
        &mut self,
        tokens: &[u32],
        position: usize,
        wanted: &[usize],
        tap: &mut dyn Tap<R>,
    ) -> Result<Vec<Vec<f32>>> {
        let row = |(index, &token)| Row { token, position: position + index, cache: 0 };
        let rows: Vec<Row> = tokens.iter().enumerate().map(row).collect();
        let logits = self.runner.run(&rows, std::slice::from_mut(&mut self.cache), wanted, tap)?;
        let to_f32 = |row: &[R]| row.iter().map(|logit| logit.to_f32()).collect();
        Ok(logits.chunks_exact(self.vocabulary).map(to_f32).collect())
    }
}

/// Keeps every tensor.
struct Recorder<'a>(&'a mut Vec<Taken>);

impl<R: Real> Tap<R> for Recorder<'_> {
    fn tensor(&mut self, name: &str, layer: Option<usize>, _: usize, values: &mut [R]) {
        let name = layer.map_or_else(|| name.to_owned(), |layer| format!("{name}-{layer}"));
        self.0.push(Taken { name, values: values.iter().map(|value| value.to_f32()).collect() });
    }
}
