//! A trace: what an engine computed for a list of tokens, tensor by tensor. Knows no file format and no model.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::TraceError;
use crate::names;

/// First values of a row that a summary keeps.
pub const FIRST: usize = 8;

/// A trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Who computed what.
    pub meta: Meta,
    /// The tensors, in the order in which they were made where that is known.
    pub entries: Vec<Entry>,
    /// Names of tensors that were left out, since no operation of that name is known.
    pub unknown: Vec<String>,
}

/// Who computed what. All may be missing from a foreign trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// The engine and its version.
    pub engine: Option<String>,
    /// BLAKE3 of the model's file, in hexadecimal.
    pub model_digest: Option<String>,
    /// GGUF's `general.architecture`.
    pub architecture: Option<String>,
    /// samebit's precision mode, or whatever the engine calls its own.
    pub numerics: Option<String>,
    /// The tokens by position: prompt and, but for the last of them, generated ones.
    pub tokens: Vec<u32>,
    /// Tokens that were generated after the prompt, as far as known.
    pub generated: Vec<u32>,
    /// Whatever else the writer said.
    pub more: BTreeMap<String, String>,
}

/// One tensor: a row for each of some positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The canonical name without the layer: `attn_norm`.
    pub name: String,
    /// The layer, if it is a layer's.
    pub layer: Option<usize>,
    /// The position in the sequence of each row.
    pub positions: Vec<usize>,
    /// Shape of a row: `[width]`, or `[heads, keys]` for scores.
    pub shape: Vec<usize>,
    /// The values, as far as known.
    pub values: Values,
    /// One for each row; empty where they are not known.
    pub summaries: Vec<Summary>,
}

/// What is known of a tensor's values.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// All, `rows × width`.
    All(Vec<f32>),
    /// Some: index into `rows × width` and value, in ascending order of the index; and perhaps the sum of all.
    Some {
        /// Index and value.
        known: Vec<(usize, f32)>,
        /// Sum of all values.
        sum: Option<f64>,
        /// Half a unit of the last place that was written: a value is known to within this.
        resolution: f32,
    },
    /// None: the summaries are all there is.
    None,
}

/// A row in a few numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Root of the mean square.
    pub rms: f32,
    /// Mean.
    pub mean: f32,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// The first values; NaN beyond the row's end.
    pub first: [f32; FIRST],
    /// The first half of BLAKE3 over the row's little-endian bits.
    pub digest: [u8; 16],
}

/// Makes a summary of a row that comes in parts.
#[derive(Debug)]
pub struct Summing {
    count: usize,
    sum: f64,
    squares: f64,
    min: f32,
    max: f32,
    first: [f32; FIRST],
    hasher: blake3::Hasher,
}

impl Default for Summing {
    fn default() -> Self {
        let (min, max) = (f32::INFINITY, f32::NEG_INFINITY);
        Self { count: 0, sum: 0.0, squares: 0.0, min, max, first: [f32::NAN; FIRST], hasher: blake3::Hasher::new() }
    }
}

impl Summing {
    /// Takes the next part.
    pub fn add(&mut self, row: &[f32]) {
        let mut bytes = [0u8; 4096];
        self.first.iter_mut().skip(self.count).zip(row).for_each(|(to, from)| *to = *from);
        for part in row.chunks(bytes.len() / 4) {
            for (value, bytes) in part.iter().zip(bytes.chunks_exact_mut(4)) {
                self.sum += f64::from(*value);
                self.squares += f64::from(*value) * f64::from(*value);
                (self.min, self.max) = (self.min.min(*value), self.max.max(*value));
                bytes.copy_from_slice(&value.to_le_bytes());
            }
            self.hasher.update(&bytes[..part.len() * 4]);
        }
        self.count += row.len();
    }

    /// The summary of all parts.
    pub fn finish(self) -> Summary {
        let n = self.count.max(1) as f64;
        let mut digest = [0; 16];
        digest.copy_from_slice(&self.hasher.finalize().as_bytes()[..16]);
        let Self { min, max, first, .. } = self;
        Summary { rms: (self.squares / n).sqrt() as f32, mean: (self.sum / n) as f32, min, max, first, digest }
    }
}

impl Summary {
    /// Of a row.
    pub fn of(row: &[f32]) -> Self {
        let mut summing = Summing::default();
        summing.add(row);
        summing.finish()
    }
}

impl Entry {
    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.positions.len()
    }

    /// The name with the layer, as it is on disk: `attn_norm-3`.
    pub fn label(&self) -> String {
        names::label(&self.name, self.layer)
    }

    /// All values, if they are known.
    pub fn all(&self) -> Option<&[f32]> {
        match &self.values {
            Values::All(values) => Some(values),
            _ => None,
        }
    }

    /// The row of a position, if its values are known.
    pub fn row(&self, position: usize) -> Option<&[f32]> {
        let row = self.positions.iter().position(|&p| p == position)?;
        let width = self.width();
        self.all()?.get(row * width..(row + 1) * width)
    }

    /// Keeps only what a summary says.
    pub fn summarise(&mut self) {
        if let Values::All(values) = &self.values {
            self.summaries = values.chunks_exact(self.width().max(1)).map(Summary::of).collect();
            self.values = Values::None;
        }
    }

    /// The place of the first value that is infinite or NaN: position and index in its row.
    pub fn first_not_finite(&self) -> Option<(usize, usize)> {
        let width = self.width().max(1);
        let at = match &self.values {
            Values::All(values) => values.iter().position(|v| !v.is_finite()),
            Values::Some { known, .. } => known.iter().find(|(_, v)| !v.is_finite()).map(|(at, _)| *at),
            Values::None => self.summaries.iter().position(|s| !s.rms.is_finite()).map(|row| row * width),
        }?;
        Some((*self.positions.get(at / width)?, at % width))
    }
}

impl Trace {
    /// Reads a trace of any kind: see [`crate::read`].
    ///
    /// # Errors
    /// A file that is none, or a damaged one.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        crate::read::read(path, None)
    }

    /// Writes it as a safetensors file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TraceError> {
        crate::file::write(self, path)
    }

    /// The tensor of a canonical name.
    pub fn entry(&self, name: &str, layer: Option<usize>) -> Option<&Entry> {
        self.entries.iter().find(|e| e.name == name && e.layer == layer)
    }

    /// Puts the tensors in the order of the computation: by layer, then as [`names::OPERATIONS`] has them.
    pub fn sort(&mut self) {
        self.entries.sort_by_key(|e| names::order(&e.name, e.layer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_tells_rows_apart() {
        let (a, b) = (Summary::of(&[3.0, -4.0]), Summary::of(&[3.0, -4.000001]));
        assert!((a.rms - 12.5f32.sqrt()).abs() < 1e-6 && a.mean == -0.5 && a.min == -4.0 && a.max == 3.0);
        assert!(a.first[1] == -4.0 && a.first[2].is_nan());
        assert_ne!(a.digest, b.digest);
        let long: Vec<f32> = (0..5000).map(|i| i as f32).collect();
        let bytes: Vec<u8> = long.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(Summary::of(&long).digest, blake3::hash(&bytes).as_bytes()[..16]);
    }

    #[test]
    fn what_is_not_finite_is_placed() {
        let mut entry = Entry {
            name: "l_out".into(),
            layer: Some(2),
            positions: vec![4, 5],
            shape: vec![3],
            values: Values::All(vec![0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0]),
            summaries: Vec::new(),
        };
        assert_eq!(entry.first_not_finite(), Some((5, 1)));
        entry.summarise();
        assert_eq!(entry.first_not_finite(), Some((5, 0)));
        assert_eq!(entry.label(), "l_out-2");
    }
}
