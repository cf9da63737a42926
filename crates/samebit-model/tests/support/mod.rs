//! Small models, and the logits of a batch of sequences under any schedule.

use std::sync::Arc;

use samebit_gguf::Gguf;
use samebit_kernels::{Isa, Numerics, Pool, Table};
use samebit_model::tap::NoTap;
use samebit_model::{Cache, KvType, Model, Row, Runner};
use samebit_synth::{Plan, Request};

/// A synthetic model of a shape and type, loaded.
pub(crate) fn model(shape: &str, quant: &str) -> Arc<Model> {
    let request = Request { shape, quant, pure: false, seed: 11, layers: None, vocab_from: None };
    let bytes = Plan::new(&request).expect("a known shape and type").bytes().expect("made");
    Arc::new(Model::load(Gguf::from_bytes(bytes).expect("a GGUF file")).expect("a model"))
}

/// Tokens that mean nothing, the same for the same seed.
pub(crate) fn tokens(model: &Model, len: usize, seed: u64) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 33) % model.vocabulary() as u64) as u32
    };
    (0..len).map(|_| next()).collect()
}

/// How a table is run: which, by how many threads, with which cache.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) table: Table<f32>,
    pub(crate) threads: usize,
    pub(crate) kv: KvType,
}

impl Way {
    /// The reference, one thread, binary16 cache.
    pub(crate) fn reference() -> Self {
        Self { table: Table::single(Isa::Reference, Numerics::V1), threads: 1, kv: KvType::F16 }
    }

    pub(crate) fn on(isa: Isa, threads: usize) -> Self {
        Self { table: Table::single(isa, Numerics::V1), threads, ..Self::reference() }
    }
}

/// Bits of all logits of several sequences, each sequence's rows in order. `schedule` lists passes; a pass lists
/// (sequence, how many tokens to advance it by), and its rows lie in the batch in that order.
pub(crate) fn run(
    model: &Arc<Model>,
    way: Way,
    sequences: &[Vec<u32>],
    schedule: &[Vec<(usize, usize)>],
) -> Vec<Vec<u32>> {
    let config = model.config();
    let mut runner = Runner::new(Arc::clone(model), way.table, Pool::new(way.threads), config.context);
    let cache = Cache::new(way.kv, config.layers, config.kv_heads, config.head_dim);
    let mut caches = vec![cache; sequences.len()];
    let mut bits = vec![Vec::new(); sequences.len()];
    for pass in schedule {
        let mut rows = Vec::new();
        for &(sequence, count) in pass {
            let ahead = rows.iter().filter(|r: &&Row| r.cache == sequence).count();
            let start = caches[sequence].len() + ahead;
            let end = sequences[sequence].len().min(start + count);
            rows.extend((start..end).map(|position| Row {
                token: sequences[sequence][position],
                position,
                cache: sequence,
            }));
        }
        let wanted: Vec<usize> = (0..rows.len()).collect();
        let logits = runner.run(&rows, &mut caches, &wanted, &mut NoTap).expect("finite");
        for (row, logits) in rows.iter().zip(logits.chunks(model.vocabulary())) {
            bits[row.cache].extend(logits.iter().map(|l| l.to_bits()));
        }
    }
    bits
}

/// A schedule of one sequence in pieces of `piece` tokens.
pub(crate) fn pieces(len: usize, piece: usize) -> Vec<Vec<(usize, usize)>> {
    (0..len.div_ceil(piece)).map(|_| vec![(0, piece)]).collect()
}
