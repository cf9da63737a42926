//! Our pass made from another engine's inputs: what each operation gives for what *they* fed it, in several precisions.
//!
//! A tap keeps what we computed and puts their tensor in its place, so the next operation starts from theirs. One pass
//! judges every operation, whatever the architecture.

use std::collections::BTreeMap;
use std::sync::Arc;

use samebit_kernels::Numerics;
use samebit_model::forward::Real;
use samebit_model::{KvType, Model, Tap};
use samebit_numerics::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use serde::Serialize;

use crate::error::TraceError;
use crate::judge::Stored;
use crate::names::{self, Kind};
use crate::record::{self, Filter, How, Listener, Recorder, Script};
use crate::trace::{Entry, Trace};

/// A precision in which an operation may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lens {
    /// Everything in binary64: what is right.
    Exact,
    /// Weights dequantised, binary32.
    F32,
    /// samebit's own arithmetic, 16-bit activations.
    V1,
    /// 8-bit activations.
    A8,
    /// Inputs rounded to binary16, binary32 arithmetic.
    F16,
    /// Inputs rounded to bfloat16, binary32 arithmetic.
    Bf16,
    /// Inputs moved by what the trace's own type, where it is a narrow one, left out of them; binary32 arithmetic.
    Written,
}

impl Lens {
    /// All, the right one first, then from fine to coarse.
    pub const ALL: [Self; 6] = [Self::Exact, Self::F32, Self::V1, Self::A8, Self::F16, Self::Bf16];

    /// What a difference that it explains is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::F32 => "binary32 rounding",
            Self::V1 => "16-bit activations",
            Self::A8 => "8-bit activations",
            Self::F16 => "binary16",
            Self::Bf16 => "bfloat16",
            Self::Written => "the trace's own rounding",
        }
    }

    /// Those that a trace is looked at through.
    pub(crate) fn of(theirs: &Trace) -> Vec<Self> {
        let narrow = theirs.entries.iter().filter_map(|e| e.all()).any(|values| Stored::of(values) != Stored::Single);
        Self::ALL.into_iter().chain(narrow.then_some(Self::Written)).collect()
    }

    fn numerics(self) -> Numerics {
        match self {
            Self::Exact => Numerics::F64,
            Self::V1 => Numerics::V1,
            Self::A8 => Numerics::A8,
            Self::F32 | Self::F16 | Self::Bf16 | Self::Written => Numerics::F32,
        }
    }

    /// A value of theirs as an operation of this precision takes it in.
    fn round(self, x: f32) -> f32 {
        match self {
            Self::F16 => f16_to_f32(f32_to_f16(x)),
            Self::Bf16 => bf16_to_f32(f32_to_bf16(x)),
            _ => x,
        }
    }
}

/// Keeps ours, puts theirs.
struct Imposer<'a> {
    lens: Lens,
    theirs: BTreeMap<(&'a str, Option<usize>), &'a Entry>,
    positions: Vec<usize>,
    logits: Vec<usize>,
    ours: Recorder,
}

impl<R: Real> Tap<R> for Imposer<'_> {
    fn tensor(&mut self, name: &str, layer: Option<usize>, cols: usize, values: &mut [R]) {
        let Some((base, layer)) = names::canonical(&names::label(name, layer)) else { return };
        let Some(entry) = self.theirs.get(&(base.as_str(), layer)) else { return };
        self.ours.tensor(&base, layer, cols, values);
        if entry.width() != cols || matches!(names::kind(&base), Kind::Scores | Kind::Softmax) {
            return;
        }
        // The residual stream is summed as it is; what an operation takes in is rounded as its precision says.
        let exact = matches!(names::kind(&base), Kind::Residual | Kind::Embedding | Kind::Scale);
        let positions = if base.starts_with("result_") { &self.logits } else { &self.positions };
        let written = entry.all().filter(|_| self.lens == Lens::Written).map(Stored::of);
        for (row, &position) in values.chunks_exact_mut(cols).zip(positions) {
            for (element, (to, &from)) in row.iter_mut().zip(entry.row(position).unwrap_or_default()).enumerate() {
                let rounded = match written {
                    Some(stored) => stored.moved(from, position * cols + element),
                    None if exact => from,
                    None => self.lens.round(from),
                };
                // What is not finite would end the pass here, and is told elsewhere.
                if rounded.is_finite() {
                    *to = R::from_f32(rounded);
                }
            }
        }
    }

    fn wants(&self, name: &str, layer: usize) -> bool {
        self.theirs.contains_key(&(name, Some(layer)))
    }
}

impl Listener for Imposer<'_> {
    fn begin(&mut self, positions: &[usize], logits: &[usize]) {
        (self.positions, self.logits) = (positions.to_vec(), logits.to_vec());
        self.ours.begin(positions, logits);
    }
}

/// What every operation of `theirs` gives from their inputs, seen through a lens; `tokens` are theirs, up to `count`.
///
/// # Errors
/// A pass that stopped.
pub fn rerun(
    model: &Arc<Model>,
    how: &How,
    theirs: &Trace,
    tokens: &[u32],
    lens: Lens,
) -> Result<Vec<Entry>, TraceError> {
    let entries = theirs.entries.iter().filter(|e| e.all().is_some());
    let mut imposer = Imposer {
        lens,
        theirs: entries.map(|e| ((e.name.as_str(), e.layer), e)).collect(),
        positions: Vec::new(),
        logits: Vec::new(),
        ours: Recorder::new(Filter::default()),
    };
    let kv = if lens == Lens::F16 { KvType::F16 } else { KvType::F32 };
    let all_logits = theirs.entries.iter().any(|e| e.name.starts_with("result_") && e.rows() > 1);
    let script = Script { prompt: tokens, decode: 0, all_logits };
    record::run(model, &how.mode(lens.numerics(), kv), &script, &mut imposer)?;
    Ok(imposer.ours.finish())
}
