//! One sequence on its way through a model: its cache, and the passes that extend it.
//!
//! Knows one pass at a time; nothing of sampling. The precision of the pass ends here: logits leave as binary32.

use std::sync::Arc;

use samebit_kernels::{Numerics, Pool, Table, float_env};
use samebit_model::forward::Real;
use samebit_model::tap::NoTap;
use samebit_model::{Cache, ForwardError, KvType, Model, Row, Runner, Tap};

use crate::engine::EngineOptions;

/// Hears a tensor: name, layer, elements of a row, values as binary32.
pub type TraceFn<'a> = dyn FnMut(&str, Option<usize>, usize, &[f32]) + 'a;

/// A sequence of any precision.
pub(crate) trait Sequence {
    /// Tokens that are in the cache.
    fn len(&self) -> usize;
    /// Forgets everything from position `len` on.
    fn truncate(&mut self, len: usize);
    /// One pass over tokens that follow on; the logits of those `wanted` (indices into `tokens`), one row after the other.
    fn pass(
        &mut self,
        tokens: &[u32],
        wanted: &[usize],
        trace: Option<&mut TraceFn<'_>>,
    ) -> Result<Vec<f32>, ForwardError>;
}

struct Typed<R: 'static> {
    runner: Runner<R>,
    caches: [Cache<R>; 1],
}

impl<R: Real> Typed<R> {
    fn new(model: &Arc<Model>, table: Table<R>, kv: KvType, pool: &Pool, context: usize) -> Self {
        let config = model.config();
        let cache = Cache::new(kv, config.layers, config.kv_heads, config.head_dim);
        let runner = Runner::new(Arc::clone(model), table, pool.clone(), context);
        Self { runner, caches: [cache] }
    }
}

/// A new, empty sequence whose work is shared out over `pool`.
pub(crate) fn new(model: &Arc<Model>, options: &EngineOptions, pool: &Pool, context: usize) -> Box<dyn Sequence> {
    match options.numerics {
        // Everything in binary64, the cache too.
        Numerics::F64 => Box::new(Typed::new(model, Table::double(), KvType::F32, pool, context)),
        mode => Box::new(Typed::new(model, Table::single(options.isa, mode), options.kv, pool, context)),
    }
}

impl<R: Real> Sequence for Typed<R> {
    fn len(&self) -> usize {
        self.caches[0].len()
    }

    fn truncate(&mut self, len: usize) {
        self.caches[0].truncate(len);
    }

    fn pass(
        &mut self,
        tokens: &[u32],
        wanted: &[usize],
        trace: Option<&mut TraceFn<'_>>,
    ) -> Result<Vec<f32>, ForwardError> {
        let before = self.len();
        let rows: Vec<Row> =
            tokens.iter().enumerate().map(|(i, &token)| Row { token, position: before + i, cache: 0 }).collect();
        let logits = match trace {
            None => self.runner.run(&rows, &mut self.caches, wanted, &mut NoTap),
            Some(trace) => self.runner.run(&rows, &mut self.caches, wanted, &mut Narrowing(trace)),
        };
        if logits.is_err() {
            self.truncate(before);
        }
        float_env::with_default(|| logits.map(|rows| rows.into_iter().map(Real::to_f32).collect()))
    }
}

/// Passes tensors on as binary32.
struct Narrowing<'a, 'b>(&'a mut TraceFn<'b>);

impl<R: Real> Tap<R> for Narrowing<'_, '_> {
    fn tensor(&mut self, name: &str, layer: Option<usize>, cols: usize, values: &mut [R]) {
        let values: Vec<f32> = values.iter().map(|v| v.to_f32()).collect();
        (self.0)(name, layer, cols, &values);
    }
}
