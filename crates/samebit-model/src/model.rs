//! A model: a file, its configuration, and its tensors.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use samebit_gguf::Gguf;
use samebit_kernels::{PackedMatrix, Pool, float_env};

use crate::config::Config;
use crate::error::LoadError;
use crate::packed::PackedWeights;
use crate::weights::{Weight, Weights};

/// A model whose tensors lie in a GGUF file.
#[derive(Debug)]
pub struct Model {
    gguf: Arc<Gguf>,
    config: Config,
    weights: Weights,
    packed: OnceLock<PackedWeights>,
    /// Whether a pass has begun.
    used: AtomicBool,
}

impl Model {
    /// Reads configuration and tensor table; the matrices stay in the file. The metadata are let go: whoever wants a tokenizer
    /// makes it before.
    ///
    /// # Errors
    /// See [`LoadError`]: an unsupported architecture, a key or a tensor that is missing or wrong.
    pub fn load(mut gguf: Gguf) -> Result<Self, LoadError> {
        float_env::with_default(|| {
            let config = Config::from_metadata(gguf.metadata())?;
            let weights = Weights::load(&gguf, &config)?;
            gguf.forget_metadata();
            Ok(Self { gguf: Arc::new(gguf), config, weights, packed: OnceLock::new(), used: AtomicBool::new(false) })
        })
    }

    /// The same file read in another way, for study: what would come out if this constant or that tensor were another?
    /// Shapes must fit together as they do in a model that was loaded; run it by a table without packed weights.
    pub fn variant(&self, edit: impl FnOnce(&mut Config, &mut Weights)) -> Self {
        let (mut config, mut weights) = (self.config.clone(), self.weights.clone());
        edit(&mut config, &mut weights);
        let gguf = Arc::clone(&self.gguf);
        Self { gguf, config, weights, packed: OnceLock::new(), used: AtomicBool::new(false) }
    }

    /// The file, less its metadata.
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

    /// Gives back the pages of the embedding that were read for `tokens`, if the model is packed: what long texts look up
    /// would add up to a second copy of it.
    pub(crate) fn release_embeddings(&self, tokens: impl Iterator<Item = u32> + Clone) {
        let (Some(first), Some(last), true) = (tokens.clone().min(), tokens.max(), self.packed.get().is_some()) else {
            return;
        };
        let embedding = &self.weights.embedding;
        let row = embedding.info().byte_len() as usize / embedding.rows();
        self.gguf.release(embedding.info(), first as usize * row..(last as usize + 1) * row);
    }

    /// Tokens that the model knows.
    pub fn vocabulary(&self) -> usize {
        self.weights.output.weight.rows()
    }
}
