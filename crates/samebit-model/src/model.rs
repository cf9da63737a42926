//! A model: a file, its configuration, and its tensors.

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
            Ok(Self { gguf: Arc::new(gguf), config, weights, packed: OnceLock::new() })
        })
    }

    /// The same file read in another way, for study: what would come out if this constant or that tensor were another?
    /// Shapes must fit together as they do in a model that was loaded; run it by a table without packed weights.
    pub fn variant(&self, edit: impl FnOnce(&mut Config, &mut Weights)) -> Self {
        let (mut config, mut weights) = (self.config.clone(), self.weights.clone());
        edit(&mut config, &mut weights);
        Self { gguf: Arc::clone(&self.gguf), config, weights, packed: OnceLock::new() }
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

    /// A packed matrix of a weight's stack, once the model is packed.
    pub(crate) fn packed(&self, weight: &Weight, index: usize) -> Option<PackedMatrix<'_>> {
        Some(self.packed.get()?.matrix(weight, index))
    }

    /// Tokens that the model knows.
    pub fn vocabulary(&self) -> usize {
        self.weights.output.weight.rows()
    }
}
