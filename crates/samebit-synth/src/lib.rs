//! Models of random weights: a shape by name, a type, and the same bytes everywhere. For tests, conformance and measurements.
//!
//! [`shapes`] has the sizes, [`tensors`] what follows from them, [`mix`] the types, [`noise`] the numbers, [`vocab`] the tokenizer.
//! Knows nothing of running models.

mod mix;
mod noise;
mod shapes;
mod tensors;
mod vocab;

use mix::Mix;
use noise::Noise;
use rayon::prelude::*;
use samebit_gguf::{GgufError, GgufWriter, Metadata, TensorType};
use samebit_numerics::arith::{Float32, Soft};
use samebit_numerics::blocks::Format;
use shapes::Shape;
use std::cell::RefCell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tensors::{Role, Tensor};

/// Elements made before they are written: bounds the memory, and gives the threads enough to do.
const BATCH: u64 = 1 << 22;

/// Why a model could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// No shape of that name.
    #[error("no shape is called `{0}`: see `samebit synth --list`")]
    Shape(String),
    /// No type of that name.
    #[error("no type is called `{0}`: see `samebit synth --list`")]
    Type(String),
    /// Fewer tokens than the byte alphabet and its special tokens need.
    #[error("a vocabulary of {size} tokens is too small: {least} are the fewest")]
    SmallVocabulary {
        /// Asked for.
        size: usize,
        /// Needed.
        least: usize,
    },
    /// The model whose vocabulary was asked for has none.
    #[error("{}: has no vocabulary; give a model that has `tokenizer.ggml.tokens`", .0.display())]
    NoVocabulary(PathBuf),
    /// Reading or writing failed.
    #[error(transparent)]
    Gguf(#[from] GgufError),
}

/// Elements done, and who is told.
type Progress<'p> = RefCell<(u64, &'p mut dyn FnMut(u64) -> io::Result<()>)>;

/// A model to be made.
#[derive(Debug)]
pub struct Plan {
    shape: Shape,
    mix: Mix,
    pure: bool,
    seed: u64,
    metadata: Metadata,
    tensors: Vec<Tensor>,
}

/// What to make; see the command's flags.
#[derive(Debug)]
pub struct Request<'a> {
    /// A shape's name; see [`listing`].
    pub shape: &'a str,
    /// A type's name; see [`listing`].
    pub quant: &'a str,
    /// Every matrix in that one type.
    pub pure: bool,
    /// Seed of the weights.
    pub seed: u64,
    /// Layers, instead of the shape's own.
    pub layers: Option<u32>,
    /// The model whose vocabulary to take, instead of a made-up one.
    pub vocab_from: Option<&'a Path>,
}

impl Plan {
    /// Looks up names and lays out the model; makes no number yet.
    ///
    /// # Errors
    /// An unknown shape or type, or a vocabulary that cannot be read.
    pub fn new(request: &Request<'_>) -> Result<Self, SynthError> {
        let mut shape = shapes::find(request.shape).ok_or_else(|| SynthError::Shape(request.shape.to_owned()))?;
        let mix = mix::find(request.quant).ok_or_else(|| SynthError::Type(request.quant.to_owned()))?;
        shape.layers = request.layers.unwrap_or(shape.layers);
        let vocabulary = match request.vocab_from {
            None => vocab::made_up(shape.vocab as usize)?,
            Some(path) => {
                let (vocabulary, size) = vocab::from_model(path)?;
                shape.vocab = u32::try_from(size).map_err(|_| SynthError::NoVocabulary(path.to_owned()))?;
                vocabulary
            }
        };
        let mut metadata = tensors::metadata(&shape, request.shape, mix.file_type);
        for (key, value) in vocabulary.iter() {
            metadata.insert(key, value.clone());
        }
        let tensors = tensors::tensors(&shape);
        Ok(Self { shape, mix, pure: request.pure, seed: request.seed, metadata, tensors })
    }

    /// The number of elements of all tensors.
    pub fn elements(&self) -> u64 {
        self.tensors.iter().map(Tensor::elements).sum()
    }

    /// Writes the model, whole or not at all. `progress` is told how many elements are done, and may stop the work with an error.
    /// Returns the file's size in bytes.
    ///
    /// # Errors
    /// Writing failed, or `progress` said so.
    pub fn write(&self, path: &Path, progress: &mut dyn FnMut(u64) -> io::Result<()>) -> Result<u64, SynthError> {
        let state = RefCell::new((0, progress));
        Ok(self.writer(&state).write(path)?)
    }

    /// The model's bytes; for small ones.
    ///
    /// # Errors
    /// Never for lack of a disk; only for what [`GgufWriter`] refuses.
    pub fn bytes(&self) -> Result<Vec<u8>, SynthError> {
        let mut bytes = Vec::new();
        let progress: &mut dyn FnMut(u64) -> io::Result<()> = &mut |_| Ok(());
        let state = RefCell::new((0, progress));
        self.writer(&state).write_to(&mut bytes)?;
        Ok(bytes)
    }

    fn writer<'a, 'p: 'a>(&'a self, state: &'a Progress<'p>) -> GgufWriter<'a> {
        let mut writer = GgufWriter::new().metadata(&self.metadata);
        for tensor in &self.tensors {
            let format = self.mix.format(&self.shape, tensor, self.pure);
            writer = writer.tensor_with(tensor.name.as_str(), &tensor.dims, tensor_type(format), move |out| {
                self.write_tensor(tensor, format, out, &mut |elements| {
                    let (done, progress) = &mut *state.borrow_mut();
                    *done += elements;
                    progress(*done)
                })
            });
        }
        writer
    }

    /// Makes a tensor batch by batch, rows in parallel.
    fn write_tensor(
        &self,
        tensor: &Tensor,
        format: Format,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let row = tensor.dims[0];
        let rows = tensor.elements() / row;
        // `Mix::format` gives types whose blocks divide the rows.
        let row_bytes = format.row_bytes(row as usize).ok_or(io::ErrorKind::InvalidData)?;
        let noise = Noise::new(self.seed, &tensor.name);
        let batch = (BATCH / row).max(1);
        let mut bytes = Vec::new();
        for first in (0..rows).step_by(batch as usize) {
            let count = batch.min(rows - first);
            bytes.resize(count as usize * row_bytes, 0);
            bytes.par_chunks_mut(row_bytes).enumerate().for_each_init(
                || vec![0.0f32; row as usize],
                |values, (index, bytes)| {
                    fill_row(tensor, &noise, (first + index as u64) * row, values);
                    format.quantize(values, bytes);
                },
            );
            out.write_all(&bytes)?;
            progress(count * row)?;
        }
        Ok(())
    }
}

/// The values of the row that starts at element `start`.
///
/// Matrices have the deviation 1/√(row length), so that products keep the size of their inputs.
fn fill_row(tensor: &Tensor, noise: &Noise, start: u64, values: &mut [f32]) {
    let (mean, deviation) = match tensor.role {
        Role::RopeFactors(last) => return rope_factors(last, values),
        Role::Norm => (1.0, 0.1),
        Role::Bias => (0.0, 0.1),
        Role::Sinks => (0.0, 1.0),
        _ => (0.0, 1.0 / Soft::sqrt(values.len() as f32)),
    };
    // Rows that are no multiple of four share a counter with their neighbour: start at the counter and drop what is before.
    let lead = (start % 4) as usize;
    if lead == 0 {
        return noise.fill(start, mean, deviation, values);
    }
    let mut wider = vec![0.0; values.len() + lead];
    noise.fill(start - lead as u64, mean, deviation, &mut wider);
    values.copy_from_slice(&wider[lead..]);
}

/// From 1 to `last` in equal steps.
fn rope_factors(last: f32, values: &mut [f32]) {
    let steps = values.len().saturating_sub(1).max(1) as f32;
    for (index, value) in values.iter_mut().enumerate() {
        *value = 1.0 + (last - 1.0) * (index as f32 / steps);
    }
}

/// GGUF's name for a format: they are spelled alike.
fn tensor_type(format: Format) -> TensorType {
    TensorType::from_name(format.name()).unwrap_or(TensorType::F32)
}

/// The shapes and types, for a person to read.
pub fn listing() -> String {
    let mut text =
        String::from("shape                   architecture   parameters  layers  width    ffn  heads  vocabulary\n");
    for (name, shape) in shapes::all() {
        let elements: u64 = tensors::tensors(&shape).iter().map(Tensor::elements).sum();
        let heads = format!("{}/{}", shape.heads, shape.kv_heads);
        text.push_str(&format!(
            "{name:<24}{:<12}{elements:>13}{:>8}{:>7}{:>7}{heads:>7}{:>12}\n",
            shape.architecture.name, shape.layers, shape.width, shape.ffn, shape.vocab
        ));
    }
    let types: Vec<&str> = mix::MIXES.iter().map(|mix| mix.name).collect();
    text.push_str(&format!("\ntypes: {}\n", types.join(" ")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_tensor_type() {
        for format in Format::ALL {
            assert_eq!(tensor_type(format).name(), format.name());
            assert_eq!(tensor_type(format).block_bytes(), format.block_bytes() as u64);
        }
    }

    #[test]
    fn rows_of_any_length_follow_one_another() {
        let noise = Noise::new(5, "w");
        let tensor = |cols: u64| Tensor { name: "w".into(), dims: vec![cols, 60 / cols], role: Role::Sinks, layer: 0 };
        let values = |cols: u64| {
            let mut all = vec![0.0; 60];
            for (index, row) in all.chunks_mut(cols as usize).enumerate() {
                fill_row(&tensor(cols), &noise, index as u64 * cols, row);
            }
            all
        };
        assert_eq!(values(60), values(3));
        assert_eq!(values(60), values(5));
    }

    #[test]
    fn factors_go_from_one_to_the_last() {
        let mut values = [0.0; 5];
        rope_factors(9.0, &mut values);
        assert_eq!(values, [1.0, 3.0, 5.0, 7.0, 9.0]);
    }
}
