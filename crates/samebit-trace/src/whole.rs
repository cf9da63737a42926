//! Traces of which no operation can be judged by its inputs: logits alone, or a few values of each tensor. They are held
//! against whole passes of ours, one in each precision.

use std::sync::Arc;

use samebit_kernels::Numerics;
use samebit_model::{KvType, Model};
use serde::Serialize;

use crate::compare::{Line, line};
use crate::error::TraceError;
use crate::judge::{LEFT, ORDERS, SIZES, UNITS};
use crate::record::{Filter, How, Script, record};
use crate::trace::Trace;

/// Passes from the tokens on: what a difference that they explain is called.
const MODES: [(&str, Numerics, KvType); 5] = [
    ("binary32", Numerics::F32, KvType::F32),
    ("16-bit activations and a binary16 cache", Numerics::V1, KvType::F16),
    ("8-bit activations", Numerics::A8, KvType::F32),
    ("8-bit activations and a binary16 cache", Numerics::A8, KvType::F16),
    ("a binary16 cache", Numerics::F32, KvType::F16),
];

/// How a tensor stands to our passes.
#[derive(Clone, Debug, Serialize)]
pub struct Whole {
    /// Its distance from the exact pass.
    pub relative: f64,
    /// For each mode: what it leaves of the distance, and how far it is from the exact pass itself.
    pub modes: Vec<(&'static str, f64, f64)>,
    /// The one that explains it, if one does.
    pub by: Option<&'static str>,
    /// That mode's values are theirs, but for little.
    pub reproduced: bool,
}

/// Says of each line which mode explains it.
///
/// # Errors
/// A pass that stopped.
pub(crate) fn add(
    theirs: &Trace,
    model: &Arc<Model>,
    how: &How,
    lines: &mut [Line],
    limit: usize,
) -> Result<(), TraceError> {
    let tokens = &theirs.meta.tokens;
    if tokens.is_empty() || theirs.entries.is_empty() {
        return Ok(());
    }
    let names = theirs.entries.iter().map(|e| e.name.clone()).collect();
    let all_logits = theirs.entries.iter().any(|e| e.name.starts_with("result_") && e.rows() > 1);
    let filter = Filter { names, ..Filter::default() };
    let run = |numerics, kv| {
        let script = Script { prompt: tokens, decode: 0, all_logits };
        record(model, &how.mode(numerics, kv), &script, filter.clone())
    };
    let exact = run(Numerics::F64, KvType::F32)?;
    let mut modes = Vec::new();
    for (name, numerics, kv) in MODES {
        // A binary16 cache may be too narrow for a model.
        match run(numerics, kv) {
            Err(TraceError::Forward(_)) => {}
            ours => modes.push((name, ours?)),
        }
    }
    let apart = |a: &Trace, b: &Trace, of: &Line| -> Option<f64> {
        let (x, y) = (a.entry(&of.name, of.layer)?, b.entry(&of.name, of.layer)?);
        Some(line(x, y, &|position| position < limit).inherits?.relative)
    };
    for line in lines {
        let Some(relative) = apart(&exact, theirs, line) else { continue };
        let of_mode = |(name, ours): &(&'static str, Trace)| {
            Some((*name, apart(ours, theirs, line)?, apart(&exact, ours, line)?))
        };
        let count = line.inherits.as_ref().map_or(0, |found| found.count);
        line.whole = Some(judge(relative, count, modes.iter().filter_map(of_mode).collect()));
    }
    Ok(())
}

/// The finest mode that explains a distance: it does so much by itself, or leaves little of it. The fewer values it was
/// measured on, the more it scatters.
fn judge(relative: f64, count: usize, modes: Vec<(&'static str, f64, f64)>) -> Whole {
    let rounding = modes.first().map_or(0.0, |&(_, _, size)| ORDERS * size).max(UNITS);
    let sizes = SIZES * (1.0 + 4.0 / (count.max(1) as f64).sqrt());
    let best = modes.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let large = modes.iter().filter(|(_, _, size)| relative <= sizes * size).min_by(|a, b| a.2.total_cmp(&b.2));
    let (by, reproduced) = match (best, large) {
        _ if relative <= rounding => (Some("binary32 rounding"), false),
        (Some(&(name, left, _)), _) if left <= LEFT * relative => (Some(name), true),
        (_, Some(&(name, ..))) => (Some(name), false),
        _ => (None, false),
    };
    Whole { relative, modes, by, reproduced }
}
