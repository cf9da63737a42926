//! What another engine computed, in this project's names and by position.
//!
//! Knows tensors' names and shapes; nothing of files, and nothing of what is right.

use std::collections::BTreeMap;

use samebit_numerics::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};

/// One tensor of the other engine's pass: rows of some positions.
#[derive(Clone, Debug)]
pub struct Seen {
    /// A tap's name: `attn_norm`, `Qcur_rope`, `result_output`, …
    pub name: String,
    /// The layer, for a layer's tensors.
    pub layer: Option<usize>,
    /// Elements of a row.
    pub cols: usize,
    /// The position of each row, ascending.
    pub positions: Vec<usize>,
    /// `positions.len() × cols`, or one for each of `known`.
    pub values: Vec<f32>,
    /// Which of the `positions.len() × cols` values are known, ascending; all where there is none.
    pub known: Option<Vec<usize>>,
    /// Half a unit of the last place that was written; 0 where the values are floats.
    pub resolution: f32,
}

/// What a trace's values were stored as, if all of a tensor's fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Single,
    Half,
    Bfloat,
}

impl Stored {
    /// Of values whose lowest bits are all zero.
    fn of(values: &[f32]) -> Self {
        let zeros = values.iter().filter(|v| **v != 0.0).map(|v| v.to_bits().trailing_zeros()).min();
        match zeros {
            Some(16..) => Self::Bfloat,
            Some(13..) => Self::Half,
            _ => Self::Single,
        }
    }

    /// A value as it would be stored.
    pub(crate) fn round(self, x: f32) -> f32 {
        match self {
            Self::Single => x,
            Self::Half => f16_to_f32(f32_to_f16(x)),
            Self::Bfloat => bf16_to_f32(f32_to_bf16(x)),
        }
    }

    /// Root mean square of the rounding, relative: about 0.42 of half the spacing at the lower end of a binade.
    fn grain(self) -> f64 {
        match self {
            Self::Single => 1e-6,
            Self::Half => 2.1e-4,
            Self::Bfloat => 1.7e-3,
        }
    }
}

impl Seen {
    pub(crate) fn stored(&self) -> Stored {
        if self.resolution == 0.0 { Stored::of(&self.values) } else { Stored::Single }
    }

    /// What writing left uncertain, relative to the values: in decimals, or in a narrow type.
    pub(crate) fn grain(&self) -> f64 {
        self.decimals().max(self.stored().grain())
    }

    fn decimals(&self) -> f64 {
        let square = self.values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        let size = (square / self.values.len().max(1) as f64).sqrt();
        if self.resolution == 0.0 || size == 0.0 { 0.0 } else { 0.6 * f64::from(self.resolution) / size }
    }

    /// Where the value number `value` lies in all rows.
    pub(crate) fn index(&self, value: usize) -> usize {
        self.known.as_ref().map_or(value, |known| known[value])
    }

    /// The name as llama.cpp would write it: `attn_norm-3`.
    pub fn label(&self) -> String {
        label(&self.name, self.layer)
    }
}

/// A tensor's name with its layer.
pub fn label(name: &str, layer: Option<usize>) -> String {
    layer.map_or_else(|| name.to_owned(), |layer| format!("{name}-{layer}"))
}

/// All that is known of the other engine's pass.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The tokens that it says it ran, those it generated at the end.
    pub tokens: Vec<u32>,
    /// How many of them are the prompt, which ran in one piece; the others ran one by one.
    pub prompt: usize,
    /// The tokens beyond the prompt are its own choice, always the highest logit.
    pub greedy: bool,
    tensors: Vec<Seen>,
    by_name: BTreeMap<(String, Option<usize>), usize>,
}

/// Why a trace cannot be examined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// A tensor's shape is not the model's.
    #[error("{tensor}: rows of {found} where this model has {expected}: another model's trace, or another layout")]
    Shape {
        /// The tensor.
        tensor: String,
        /// As found.
        found: usize,
        /// As it must be.
        expected: usize,
    },
    /// A layer that the model does not have.
    #[error("{tensor}: the model has layers 0 to {last}: another model's trace")]
    Layer {
        /// The tensor.
        tensor: String,
        /// The highest layer.
        last: usize,
    },
    /// Values that are not numbers.
    #[error(
        "{tensor}: {count} of {all} values are infinite or NaN, the first at position {position}, element {element}"
    )]
    NonFinite {
        /// The tensor.
        tensor: String,
        /// How many.
        count: usize,
        /// Of how many.
        all: usize,
        /// Where the first is.
        position: usize,
        /// Likewise.
        element: usize,
    },
    /// Rows and values do not fit.
    #[error("{tensor}: {values} values are no {rows} rows of {cols}: the trace is cut short")]
    Truncated {
        /// The tensor.
        tensor: String,
        /// Values found.
        values: usize,
        /// Rows said.
        rows: usize,
        /// Elements of a row.
        cols: usize,
    },
    /// A row of a position without a token.
    #[error("{tensor}: a row of position {position}, but there are only {tokens} tokens")]
    Position {
        /// The tensor.
        tensor: String,
        /// The position.
        position: usize,
        /// Tokens.
        tokens: usize,
    },
    /// No token is given.
    #[error("the trace names no tokens: give them in its metadata, or with --tokens")]
    NoTokens,
    /// A token that the model does not have.
    #[error("token {token} is not in the model's vocabulary of {vocabulary}: another model's trace")]
    Token {
        /// The token.
        token: u32,
        /// Tokens of the model.
        vocabulary: usize,
    },
    /// Nothing in the trace can be compared.
    #[error(
        "no tensor of the trace has a name that is known here ({found}); known are {known}, and a name map can say which is which"
    )]
    Names {
        /// Some of those found.
        found: String,
        /// Those known.
        known: String,
    },
}

impl Evidence {
    /// The tokens of a pass; tensors are added with [`Evidence::add`].
    pub fn new(tokens: Vec<u32>, prompt: usize) -> Self {
        Self { prompt: prompt.min(tokens.len()), tokens, ..Self::default() }
    }

    /// Adds a tensor, checked for what needs no model.
    ///
    /// # Errors
    /// Too few values; a position beyond the tokens; all values of a row not finite are refused as a whole tensor.
    pub fn add(&mut self, seen: Seen) -> Result<(), EvidenceError> {
        let tensor = seen.label();
        let rows = seen.positions.len();
        let expected = seen.known.as_ref().map_or(rows * seen.cols, Vec::len);
        if seen.cols == 0 || seen.values.len() != expected {
            return Err(EvidenceError::Truncated { tensor, values: seen.values.len(), rows, cols: seen.cols });
        }
        if let Some(&position) = seen.positions.iter().find(|&&p| p >= self.tokens.len()) {
            return Err(EvidenceError::Position { tensor, position, tokens: self.tokens.len() });
        }
        self.by_name.insert((seen.name.clone(), seen.layer), self.tensors.len());
        self.tensors.push(seen);
        Ok(())
    }

    /// All tensors, in the order in which they were added.
    pub fn tensors(&self) -> &[Seen] {
        &self.tensors
    }

    /// The index of a tensor.
    pub fn find(&self, name: &str, layer: Option<usize>) -> Option<usize> {
        // A key of borrowed parts would need a type of its own; there are a few hundred look-ups in a pass.
        self.by_name.get(&(name.to_owned(), layer)).copied()
    }

    /// The first tensor that holds NaN or more than a few infinities, told as an error. A few infinities are what a narrow type
    /// makes of large values: their rows are left out.
    pub fn first_non_finite(&self) -> Option<EvidenceError> {
        self.tensors.iter().find_map(|seen| {
            let first = seen.values.iter().position(|v| !v.is_finite())?;
            let count = seen.values.iter().filter(|v| !v.is_finite()).count();
            if count * 100 <= seen.values.len() && !seen.values.iter().any(|v| v.is_nan()) {
                return None;
            }
            Some(EvidenceError::NonFinite {
                tensor: seen.label(),
                count,
                all: seen.values.len(),
                position: seen.positions[seen.index(first) / seen.cols],
                element: seen.index(first) % seen.cols,
            })
        })
    }
}
