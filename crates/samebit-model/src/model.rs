//! A model: a file, its configuration, and its tensors.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use samebit_gguf::Gguf;
use samebit_kernels::{PackedMatrix, Pool, float_env};

use crate::config::Config;
use crate::error::LoadError;
use crate::packed::PackedWeights;
use crate::weights::{Weight, Weights};

/// A model whose tensors lie in a GGUF file.
#[derive(Debug)]
pub struct Model {
    gguf: Gguf,
    config: Config,
    weights: Weights,
    packed: OnceLock<PackedWeights>,
    /// Whether a pass has begun.
    used: AtomicBool,
}

impl Model {
    /// Reads configuration and tensor table; the matrices stay in the file.
    ///
    /// # Errors
    /// See [`LoadError`]: an unsupported architecture, a key or a tensor that is missing or wrong.
    pub fn load(gguf: Gguf) -> Result<Self, LoadError> {
        float_env::with_default(|| {
            let config = Config::from_metadata(gguf.metadata())?;
            let weights = Weights::load(&gguf, &config)?;
            Ok(Self { gguf, config, weights, packed: OnceLock::new(), used: AtomicBool::new(false) })
        })
    }

    /// The file.
    pub fn gguf(&self) -> &Gguf {
        &self.gguf
    }

    /// Sizes and constants.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Tensors.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Packs the matrices for the fast kernels, unless that was done before; tells `progress` how many bytes of how many are
    /// done.
    pub fn pack(&self, pool: &Pool, progress: &mut dyn FnMut(usize, usize)) {
        self.packed.get_or_init(|| {
            let (matrices, len) = (self.weights.matrices(), self.weights.packed_bytes);
            PackedWeights::new(&self.gguf, &matrices, len, pool, progress)
        });
    }

    /// To be called before each pass that likes its weights packed. The first does without: packing what is used once takes
    /// longer than it saves, and the first token waits for it. The second shows that it is worth it.
    pub(crate) fn begin_pass(&self, pool: &Pool) {
        if self.used.swap(true, Ordering::Relaxed) {
            self.pack(pool, &mut |_, _| {});
        }
    }

    /// A packed matrix of a weight's stack, once the model is packed.
    pub(crate) fn packed(&self, weight: &Weight, index: usize) -> Option<PackedMatrix<'_>> {
        Some(self.packed.get()?.matrix(weight, index))
    }

    /// Tokens that the model knows.
    pub fn vocabulary(&self) -> usize {
        self.weights.output.weight.rows()
    }
}
