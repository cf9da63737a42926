//! What precision alone explains: the right pass in every precision, and how far these are from one another.
//!
//! Knows nothing of bugs.

use samebit_kernels::{Isa, Numerics};
use samebit_model::Model;
use samebit_numerics::math::double::ln;

use crate::attention::Exactness;
use crate::evidence::{Evidence, Seen};
use crate::suspect::{How, Outcome, Precision, Suspect, run};

/// Machine and bounds of a search.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Instruction set of the passes.
    pub isa: Isa,
    /// Threads.
    pub threads: usize,
}

/// Distances of one pass, tensor by tensor; the last is that of the choices of tokens.
pub(crate) type Distances = Vec<Option<f64>>;

/// A distance below which choices of tokens count as the same: a fraction of the logits' deviation.
const CHOICE_GRAIN: f64 = 0.02;

/// Every precision, the most exact first.
const EXACTNESSES: [Exactness; 5] =
    [Exactness::Full, Exactness::HalfCache, Exactness::HalfProducts, Exactness::HalfSums, Exactness::ByteCache];

/// The precision that the other engine seems to have, and what it leaves.
#[derive(Clone, Debug)]
pub(crate) struct Baseline {
    pub(crate) precision: Precision,
    pub(crate) distances: Distances,
    /// Distances in floats throughout.
    pub(crate) exact: Distances,
}

/// All tensors' distances, and that of the choices where there are no logits.
pub(crate) fn distances(evidence: &Evidence, outcome: &Outcome) -> Distances {
    let mut all: Distances =
        outcome.residuals.iter().map(|r| r.filter(|r| r.count > 0).map(|r| r.distance())).collect();
    let logits = evidence.find("result_output", None).is_some();
    all.push(outcome.choices.filter(|_| !logits));
    all
}

/// The distance below which a tensor counts as equal.
pub(crate) fn grain(evidence: &Evidence, index: usize) -> f64 {
    evidence.tensors().get(index).map_or(CHOICE_GRAIN, Seen::grain)
}

/// Nats of all distances; lower is nearer.
fn total(evidence: &Evidence, distances: &Distances) -> f64 {
    let nats = |(index, d): (usize, &Option<f64>)| {
        d.map(|d| {
            let grain = grain(evidence, index);
            0.5 * ln(d * d + grain * grain)
        })
    };
    distances.iter().enumerate().filter_map(nats).sum()
}

/// Finds the precision; `guilty` makes the bugs that are known already.
pub(crate) fn find(
    model: &Model,
    evidence: &Evidence,
    setting: Setting,
    guilty: &dyn Fn(&mut Suspect),
    passes: &mut dyn FnMut(),
) -> Option<Baseline> {
    let mut best: Option<(f64, Baseline)> = None;
    let mut exact = None;
    let mut attempt = |precision: Precision, best: &mut Option<(f64, Baseline)>| {
        passes();
        let mut suspect = Suspect::innocent(model, evidence, setting.isa, precision);
        guilty(&mut suspect);
        let Ok(outcome) = run(model, suspect, evidence, whole(model, setting)) else { return };
        let found = distances(evidence, &outcome);
        let exact = exact.get_or_insert_with(|| found.clone()).clone();
        let total = total(evidence, &found);
        // Less exact only where it explains something.
        if best.as_ref().is_none_or(|(before, _)| total < before - 0.01) {
            *best = Some((total, Baseline { precision, distances: found, exact }));
        }
    };
    for numerics in [Numerics::F32, Numerics::A8] {
        attempt(Precision { numerics, exactness: Exactness::Full }, &mut best);
    }
    let numerics = best.as_ref()?.1.precision.numerics;
    for exactness in &EXACTNESSES[1..] {
        attempt(Precision { numerics, exactness: *exactness }, &mut best);
    }
    best.map(|(_, baseline)| baseline)
}

/// A forced pass through all layers.
pub(crate) fn whole(model: &Model, setting: Setting) -> How {
    How { forced: true, layers: model.config().layers, keep: false, threads: setting.threads }
}

/// How far apart the precisions themselves are, tensor by tensor, where a trace has these tensors: two passes of ours.
pub(crate) fn spread(model: &Model, evidence: &Evidence, setting: Setting) -> Distances {
    let none = vec![None; evidence.tensors().len() + 1];
    let exact = Precision { numerics: Numerics::F32, exactness: Exactness::Full };
    let coarse = Precision { numerics: Numerics::A8, exactness: Exactness::HalfSums };
    let keep = How { keep: true, forced: false, ..whole(model, setting) };
    let Ok(kept) = run(model, Suspect::innocent(model, evidence, setting.isa, exact), evidence, keep) else {
        return none;
    };
    let Some(mirror) = mirror(evidence, kept) else { return none };
    let suspect = Suspect::innocent(model, evidence, setting.isa, coarse);
    run(model, suspect, &mirror, whole(model, setting)).map_or(none, |outcome| distances(&mirror, &outcome))
}

/// What a right pass in the same precision would leave of a trace in its type: the noise that rounding alone makes, tensor by tensor.
pub(crate) fn floor(model: &Model, evidence: &Evidence, precision: Precision, setting: Setting) -> Distances {
    let none = vec![None; evidence.tensors().len() + 1];
    let suspect = || Suspect::innocent(model, evidence, setting.isa, precision);
    let keep = How { keep: true, forced: false, ..whole(model, setting) };
    let Ok(mut kept) = run(model, suspect(), evidence, keep) else { return none };
    for (name, layer, _, values) in &mut kept.kept {
        if let Some(index) = evidence.find(name, *layer) {
            let stored = evidence.tensors()[index].stored();
            values.iter_mut().for_each(|v| *v = stored.round(*v));
        }
    }
    let Some(mirror) = mirror(evidence, kept) else { return none };
    run(model, suspect(), &mirror, whole(model, setting)).map_or(none, |outcome| distances(&mirror, &outcome))
}

/// Our own values in the places of the other engine's.
fn mirror(evidence: &Evidence, kept: Outcome) -> Option<Evidence> {
    let mut mirror = Evidence::new(evidence.tokens.clone(), evidence.prompt);
    mirror.greedy = evidence.greedy;
    for seen in evidence.tensors() {
        let (_, _, cols, values) =
            kept.kept.iter().find(|(name, layer, ..)| *name == seen.name && *layer == seen.layer)?;
        let row = |&position: &usize| values.get(position * cols..(position + 1) * cols);
        let all: Vec<f32> = seen.positions.iter().filter_map(row).flatten().copied().collect();
        let values = match &seen.known {
            None => all,
            Some(known) => known.iter().filter_map(|&index| all.get(index).copied()).collect(),
        };
        mirror.add(Seen { values, cols: *cols, ..seen.clone() }).ok()?;
    }
    Some(mirror)
}
