//! Golden outputs: what another engine computed from the same files and prompts, as JSON.
//!
//! Knows the files' form; nothing of engines.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Larger files are no golden outputs.
const MAX_BYTES: u64 = 16 << 20;

/// One model's outputs.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Golden {
    /// Size of the vocabulary.
    pub(crate) n_vocab: usize,
    /// One per prompt.
    pub(crate) cases: Vec<Case>,
}

/// One prompt and what came of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Case {
    /// The prompt's name.
    pub(crate) name: String,
    /// The prompt.
    pub(crate) ids: Vec<u32>,
    /// The highest logits after the prompt, as (token, logit), highest first.
    pub(crate) top20: Vec<(u32, f32)>,
    /// The greedy continuation, the end token included if there was one.
    pub(crate) greedy_ids: Vec<u32>,
}

/// One model's activations for one prompt.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Layers {
    /// The prompt.
    pub(crate) ids: Vec<u32>,
    /// In the order in which they were computed.
    pub(crate) tensors: Vec<Tensor>,
}

/// A few numbers of one tensor.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Tensor {
    /// `l_out-3`: the third layer's output; a further tensor of the same name is `….1`, `….2`.
    pub(crate) name: String,
    /// The operation that made it, as the other engine calls it.
    pub(crate) op: String,
    /// Row length first.
    pub(crate) shape: Vec<usize>,
    /// Mean of all elements.
    pub(crate) mean: f64,
    /// Root of the mean square of all elements.
    pub(crate) rms: f64,
    /// The first 8 elements of the first row.
    pub(crate) first8_row0: Vec<f32>,
    /// The first 8 elements of the last row.
    pub(crate) first8_lastrow: Vec<f32>,
}

/// Length of the golden continuations, but for those that an end token ends.
pub(crate) const CONTINUATION: usize = 64;

impl Golden {
    /// The tokens that ended a continuation.
    pub(crate) fn ends(&self) -> Vec<u32> {
        let ended = self.cases.iter().filter(|case| case.greedy_ids.len() < CONTINUATION);
        let mut ends: Vec<u32> = ended.filter_map(|case| case.greedy_ids.last().copied()).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// Reads a file and checks what the comparison relies on.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let golden: Self = read(path)?;
        for case in &golden.cases {
            let known = |&id: &u32| (id as usize) < golden.n_vocab;
            let all_known = case.ids.iter().all(known)
                && case.greedy_ids.iter().all(known)
                && case.top20.iter().all(|(id, _)| known(id));
            ensure!(!case.ids.is_empty(), "{}: case {} has no prompt", path.display(), case.name);
            ensure!(all_known, "{}: case {} has a token outside the vocabulary", path.display(), case.name);
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            ensure!(case.name.chars().all(plain), "{}: case name {:?} is odd", path.display(), case.name);
        }
        Ok(golden)
    }
}

impl Layers {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let layers: Self = read(path)?;
        ensure!(!layers.ids.is_empty(), "{} has no prompt", path.display());
        Ok(layers)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let context = || format!("cannot read {}", path.display());
    let bytes = fs::metadata(path).with_context(context)?.len();
    ensure!(bytes <= MAX_BYTES, "{} has {bytes} bytes: no golden output is so large", path.display());
    let text = fs::read(path).with_context(context)?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not a golden output", path.display()))
}
