//! A model: a file, its configuration, and its tensors.

use samebit_gguf::Gguf;

use crate::config::Config;
use crate::error::LoadError;
use crate::weights::Weights;

/// A model whose tensors lie in a GGUF file.
#[derive(Debug)]
pub struct Model {
    gguf: Gguf,
    config: Config,
    weights: Weights,
}

impl Model {
    /// Reads configuration and tensor table; the matrices stay in the file.
    ///
    /// # Errors
    /// See [`LoadError`]: an unsupported architecture, a key or a tensor that is missing or wrong.
    pub fn load(gguf: Gguf) -> Result<Self, LoadError> {
        samebit_kernels::float_env::with_default(|| {
            let config = Config::from_metadata(gguf.metadata())?;
            let weights = Weights::load(&gguf, &config)?;
            Ok(Self { gguf, config, weights })
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

    /// Tokens that the model knows.
    pub fn vocabulary(&self) -> usize {
        self.weights.output.weight.rows()
    }
}
