//! Two traces, operation by operation: how far apart, what each operation adds, and which is the first to depart.
//!
//! Knows traces and judgements; how they are shown is `report`'s.

use std::sync::Arc;

use samebit_model::{ForwardError, Model};
use serde::Serialize;

use crate::align::{Common, Pair, align, common_positions};
use crate::error::TraceError;
use crate::judge::{Case, Judgement, Verdict, judge};
use crate::lens::{self, Lens};
use crate::names::{self, Kind};
use crate::record::How;
use crate::stats::{Stats, stats};
use crate::trace::{Entry, Trace};
use crate::whole::{self, Whole};

/// What to compare by.
pub struct Options<'a> {
    /// The model, to run our operations from their inputs.
    pub model: Option<(&'a Arc<Model>, &'a How)>,
    /// Without a model: the relative error beyond which a tensor departs. 0 asks for the same bits.
    pub tolerance: f64,
    /// Told how many of the passes are done.
    pub progress: &'a mut dyn FnMut(usize, usize),
}

/// One operation of both traces.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Name with the layer.
    pub label: String,
    /// Canonical name.
    pub name: String,
    /// Layer.
    pub layer: Option<usize>,
    /// What it does.
    #[serde(skip)]
    pub kind: Kind,
    /// How far the second is from the first, with all that came before.
    pub inherits: Option<Stats>,
    /// What the operation itself adds.
    pub adds: Option<Judgement>,
    /// Which of our precision modes has the tensor so, from the tokens on; where nothing can be judged by its inputs.
    pub whole: Option<Whole>,
    /// Where the largest difference of `inherits` is: position, element, first's value, second's.
    pub worst: Option<(usize, usize, f32, f32)>,
    /// The first difference in bits: position, element, first's value, second's.
    pub first_different: Option<(usize, usize, f32, f32)>,
    /// What kept them from being compared, or is to be known.
    pub note: Option<String>,
    /// It departs.
    pub departs: bool,
}

/// A comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The engines, as the traces name them.
    pub engines: [String; 2],
    /// Layers that were compared.
    pub layers: usize,
    /// Both traces are of one engine in one mode: bits are compared.
    pub same_engine: bool,
    /// The operations in order.
    pub lines: Vec<Line>,
    /// What was found, the most important first; the first is the answer.
    pub findings: Vec<String>,
    /// Index of the first line that departs.
    pub first: Option<usize>,
    /// Something departs.
    pub departs: bool,
    /// A model judged what operations add.
    pub judged: bool,
}

/// Compares two traces; the second is the one in doubt.
///
/// # Errors
/// Traces that have nothing in common; a pass that stopped.
pub fn compare(a: &Trace, b: &Trace, options: &mut Options<'_>) -> Result<Report, TraceError> {
    let limit = common_positions(a, b);
    let mut lines: Vec<Line> = Vec::new();
    for theirs in &b.entries {
        if let Some(ours) = a.entry(&theirs.name, theirs.layer) {
            lines.push(line(ours, theirs, &|position| position < limit));
        }
    }
    let same_engine = a.meta.engine.is_some()
        && (&a.meta.engine, &a.meta.numerics) == (&b.meta.engine, &b.meta.numerics)
        && a.meta.more.get("kv") == b.meta.more.get("kv");
    if let Some((model, how)) = options.model.filter(|_| !same_engine) {
        add_judgements(b, model, how, &mut lines, options.progress)?;
        if lines.iter().all(|line| line.adds.is_none()) {
            whole::add(b, model, how, &mut lines, limit)?;
        }
    }
    let judged = lines.iter().any(|line| line.adds.is_some());
    let same_engine =
        !judged && a.meta.engine.is_some() && a.meta.engine == b.meta.engine && a.meta.numerics == b.meta.numerics;
    for line in &mut lines {
        line.departs = departs(line, judged, same_engine, options.tolerance);
    }
    let first = lines.iter().position(|line| line.departs);
    let layers = lines.iter().filter_map(|line| line.layer).max().map_or(0, |last| last + 1);
    let name = |t: &Trace, other: &str| t.meta.engine.clone().unwrap_or_else(|| other.into());
    let engines = [name(a, "the first"), name(b, "the second")];
    let mut report =
        Report { engines, layers, same_engine, lines, findings: Vec::new(), first, departs: first.is_some(), judged };
    crate::findings::add(&mut report, a, b, options.tolerance)?;
    Ok(report)
}

/// One tensor of both.
pub(crate) fn line(ours: &Entry, theirs: &Entry, wanted: &dyn Fn(usize) -> bool) -> Line {
    let mut line = Line {
        label: theirs.label(),
        name: theirs.name.clone(),
        layer: theirs.layer,
        kind: names::kind(&theirs.name),
        inherits: None,
        adds: None,
        whole: None,
        worst: None,
        first_different: None,
        note: None,
        departs: false,
    };
    match align(ours, theirs, wanted) {
        Common::Values(mut pair) => {
            line.note = rescale(line.kind, &mut pair);
            measure(&mut line, &pair);
        }
        Common::Summaries(rows) => {
            let differs = rows.iter().find(|(_, a, b)| a.digest != b.digest);
            let list = |pick: fn(&crate::trace::Summary) -> [f32; 4]| -> [Vec<f32>; 2] {
                [rows.iter().flat_map(|r| pick(&r.1)).collect(), rows.iter().flat_map(|r| pick(&r.2)).collect()]
            };
            let [x, y] = list(|s| [s.rms, s.mean, s.min, s.max]);
            let mut found = stats(&x, &y, 0.0);
            found.first_different = differs.map(|_| 0);
            line.first_different = differs.map(|(position, a, b)| (*position, 0, a.rms, b.rms));
            line.inherits = Some(found);
            line.note = Some("by summaries".into());
        }
        Common::Shape(problem) => line.note = Some(format!("shapes do not fit: {problem}")),
        Common::Nothing => line.note = Some("no position in common".into()),
    }
    if let Some((position, element)) = theirs.first_not_finite() {
        line.note = Some(format!("not finite at position {position}, element {element}"));
    }
    line
}

fn measure(line: &mut Line, pair: &Pair) {
    let mut found = stats(&pair.a, &pair.b, pair.resolution);
    if let Some(rms) = pair.rms.filter(|&rms| rms > 0.0) {
        // A few values may be small ones: what counts is how far they are off beside the whole tensor.
        let known = pair.a.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() / pair.a.len().max(1) as f64;
        found.relative *= known.sqrt() / rms;
        // The sum of all stands for the values that are not known.
        if let Some((ours, theirs, count)) = pair.sums {
            found.relative = found.relative.max((ours - theirs).abs() / (count as f64 * rms));
        }
    }
    line.worst = place(pair, found.worst);
    line.first_different = found.first_different.and_then(|index| place(pair, index));
    line.inherits = Some(found);
}

/// Position, element and both values of an index into a pair.
fn place(pair: &Pair, index: usize) -> Option<(usize, usize, f32, f32)> {
    let (position, element) = *pair.places.get(index)?;
    Some((position, element, pair.a[index], pair.b[index]))
}

/// Some engines put attention's scale into the queries: their scores are ours times one number.
fn rescale(kind: Kind, pair: &mut Pair) -> Option<String> {
    if kind != Kind::Scores || pair.a.is_empty() {
        return None;
    }
    let (mut aa, mut ab) = (0.0f64, 0.0f64);
    for (&x, &y) in pair.a.iter().zip(&pair.b) {
        (aa, ab) = (aa + f64::from(x) * f64::from(x), ab + f64::from(x) * f64::from(y));
    }
    let scale = ab / aa;
    if !scale.is_finite() || scale <= 0.0 || (0.9..1.1).contains(&scale) {
        return None;
    }
    pair.b.iter_mut().for_each(|v| *v /= scale as f32);
    pair.rescaled = Some(scale as f32);
    Some("theirs are scaled already".into())
}

fn departs(line: &Line, judged: bool, same_engine: bool, tolerance: f64) -> bool {
    let broken = line.note.as_ref().is_some_and(|note| note.starts_with("shapes") || note.starts_with("not finite"));
    if broken {
        return true;
    }
    if let Some(adds) = &line.adds {
        return adds.verdict.departs();
    }
    let Some(found) = &line.inherits else { return false };
    if let Some(whole) = &line.whole {
        return whole.by.is_none();
    }
    match (judged, same_engine || tolerance == 0.0) {
        (true, _) => false,
        (false, true) => found.first_different.is_some(),
        (false, false) => found.relative.is_nan() || found.relative > tolerance,
    }
}

/// Runs our operations from their inputs and says what each of theirs adds.
fn add_judgements(
    b: &Trace,
    model: &Arc<Model>,
    how: &How,
    lines: &mut [Line],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), TraceError> {
    let tokens = &b.meta.tokens;
    if tokens.is_empty() || !b.entries.iter().any(|e| e.all().is_some() && !e.name.starts_with("result_output")) {
        return Ok(());
    }
    let mut seen: Vec<(Lens, Trace)> = Vec::new();
    let lenses = Lens::of(b);
    for (done, &lens) in lenses.iter().enumerate() {
        progress(done, lenses.len());
        match lens::rerun(model, how, b, tokens, lens) {
            Ok(entries) => seen.push((lens, Trace { entries, ..Trace::default() })),
            // Their numbers may be too large for a precision; without the exact pass nothing can be judged.
            Err(TraceError::Forward(_)) if lens != Lens::Exact => {}
            Err(TraceError::Forward(ForwardError::NonFinite { .. })) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    progress(lenses.len(), lenses.len());
    for line in lines {
        let Some(theirs) = b.entry(&line.name, line.layer) else { continue };
        line.adds = judged(b, theirs, &seen);
    }
    Ok(())
}

fn judged(b: &Trace, theirs: &Entry, seen: &[(Lens, Trace)]) -> Option<Judgement> {
    theirs.all()?;
    let mut aligned = Vec::new();
    for (lens, trace) in seen {
        let ours = trace.entry(&theirs.name, theirs.layer)?;
        let Common::Values(mut pair) = align(ours, theirs, &|_| true) else { return None };
        rescale(names::kind(&theirs.name), &mut pair);
        aligned.push((*lens, pair));
    }
    let (_, exact) = aligned.remove(0);
    let others = aligned.into_iter().map(|(lens, pair)| (lens, pair.a)).collect();
    let kind = names::kind(&theirs.name);
    let case = Case { kind, theirs: &exact.b, exact: &exact.a, others, places: &exact.places };
    let mut judgement = judge(&case);
    if !inputs_known(b, theirs) {
        judgement.verdict = Verdict::Unknown;
    }
    Some(judgement)
}

/// Whether their trace has all that an operation was made from.
fn inputs_known(trace: &Trace, entry: &Entry) -> bool {
    let Some(operation) = names::operation(&entry.name) else { return false };
    let has = |name: &str, layer: Option<usize>, positions: &[usize]| {
        trace.entry(name, layer).is_some_and(|input| positions.iter().all(|&p| input.row(p).is_some()))
    };
    let before = |positions: &[usize]| match entry.layer {
        Some(0) => has("inp_scaled", None, positions) || has("embd", None, positions),
        Some(layer) => has("l_out", Some(layer - 1), positions),
        None => {
            let last = trace.entries.iter().filter_map(|e| e.layer).max();
            last.is_some_and(|last| has("l_out", Some(last), positions))
        }
    };
    let layer = entry.layer;
    let all: Vec<usize> = (0..=entry.positions.iter().copied().max().unwrap_or(0)).collect();
    let rows = &entry.positions[..];
    let here = |name: &str| has(name, layer, rows);
    match operation.kind {
        Kind::Embedding => true,
        Kind::Scores | Kind::Softmax => here("Qcur_rope") && has("Kcur_rope", layer, &all),
        Kind::Attention => here("Qcur_rope") && has("Kcur_rope", layer, &all) && has("Vcur", layer, &all),
        Kind::Residual if entry.name == "ffn_inp" => (here("attn_post_norm") || here("attn_out")) && before(rows),
        Kind::Residual => (here("ffn_post_norm") || here("ffn_out")) && here("ffn_inp"),
        Kind::Gate => operation.inputs.iter().all(|input| here(input)),
        Kind::Other => false,
        _ => operation.inputs.iter().any(|&input| if input == "^" { before(rows) } else { here(input) }),
    }
}
