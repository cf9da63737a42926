//! Measurements kept on disk, so that what was computed once is not computed again.
//!
//! A measurement is a small JSON and its rows of logits as little-endian f32. May not know how it is made.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What an engine gave for one prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Size of the vocabulary.
    pub(crate) vocab: usize,
    /// Tokens of the prompt.
    pub(crate) prompt: usize,
    /// Positions of the rows, the prompt's last one last.
    pub(crate) positions: Vec<usize>,
    /// The greedy continuation.
    pub(crate) greedy: Vec<u32>,
    /// Where the continuation first leaves the golden one, by how much it prefers its own token.
    pub(crate) margin: Option<f32>,
    /// Seconds it took.
    pub(crate) seconds: f64,
    /// One row of logits for each position.
    #[serde(skip)]
    pub(crate) rows: Vec<Vec<f32>>,
}

impl Measured {
    /// The logits after the whole prompt.
    pub(crate) fn last_row(&self) -> &[f32] {
        self.rows.last().map_or(&[], Vec::as_slice)
    }
}

/// The measurements of one model in one mode.
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    /// The folder is made when it is needed.
    pub(crate) fn new(root: &Path, model: &str, mode: &str) -> Self {
        Self { folder: root.join(model).join(mode) }
    }

    /// The measurement of this case, if a whole one is there.
    pub(crate) fn load(&self, case: &str) -> Option<Measured> {
        let mut measured: Measured = serde_json::from_slice(&fs::read(self.path(case, "json")).ok()?).ok()?;
        let bytes = fs::read(self.path(case, "f32")).ok()?;
        let row_bytes = measured.vocab.checked_mul(4).filter(|&bytes| bytes > 0)?;
        if measured.positions.is_empty() || Some(bytes.len()) != row_bytes.checked_mul(measured.positions.len()) {
            return None;
        }
        let float = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        measured.rows = bytes.chunks_exact(row_bytes).map(|row| row.chunks_exact(4).map(float).collect()).collect();
        Some(measured)
    }

    /// Keeps a measurement. The JSON comes last: where it is, the rows are whole.
    pub(crate) fn save(&self, case: &str, measured: &Measured) -> Result<()> {
        let context = || format!("cannot write to {}", self.folder.display());
        fs::create_dir_all(&self.folder).with_context(context)?;
        let json = self.path(case, "json");
        if json.exists() {
            fs::remove_file(&json).with_context(context)?;
        }
        let rows: Vec<u8> = measured.rows.iter().flatten().flat_map(|logit| logit.to_le_bytes()).collect();
        fs::write(self.path(case, "f32"), rows).with_context(context)?;
        fs::write(json, serde_json::to_vec_pretty(measured)?).with_context(context)
    }

    /// Forgets everything of this model in this mode.
    pub(crate) fn clear(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, case: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{case}.{extension}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_what_is_cut_short_is_not() {
        let root = std::env::temp_dir().join(format!("samebit-accuracy-{}", std::process::id()));
        let store = Store::new(&root, "model", "f32");
        assert_eq!(store.load("case"), None);
        let measured = Measured {
            vocab: 2,
            prompt: 5,
            positions: vec![3, 4],
            greedy: vec![7, 8],
            margin: None,
            seconds: 0.5,
            rows: vec![vec![1.0, -0.0], vec![f32::MIN_POSITIVE, 3.0e38]],
        };
        store.save("case", &measured).unwrap();
        assert_eq!(store.load("case"), Some(measured));
        fs::write(root.join("model/f32/case.f32"), [0; 15]).unwrap();
        assert_eq!(store.load("case"), None);
        store.clear().unwrap();
        assert!(!root.join("model/f32").exists());
        fs::remove_dir_all(root).unwrap();
    }
}
