//! Values that are no computation's: leftovers of other tensors, sums onto leftovers, zeros and rubbish.
//!
//! Looks at one departing tensor, given the right one made from the other engine's own inputs. Knows no bugs of arithmetic.

use samebit_model::Model;

use crate::baseline::{Setting, whole};
use crate::evidence::{Evidence, Seen};
use crate::residual::Residual;
use crate::suspect::{How, Suspect, run};

/// Elements that count as a stretch.
const LEAST: usize = 8;

/// What the wrong part of a tensor looks like, in a sentence; `suspect` is the pass as it is known so far.
pub(crate) fn look(
    model: &Model,
    evidence: &Evidence,
    index: usize,
    suspect: Suspect,
    setting: Setting,
) -> Option<String> {
    let seen = evidence.tensors().get(index).filter(|seen| seen.known.is_none())?;
    let how = How { keep: true, ..whole(model, setting) };
    let outcome = run(model, suspect, evidence, how).ok()?;
    let (_, _, cols, ours) =
        outcome.kept.iter().find(|(name, layer, ..)| *name == seen.name && *layer == seen.layer)?;
    let rows = seen.positions.iter().filter_map(|&position| ours.get(position * cols..(position + 1) * cols));
    let ours: Vec<f32> = rows.flatten().copied().collect();
    if ours.len() != seen.values.len() {
        return None;
    }
    describe(evidence, seen, &ours)
}

fn describe(evidence: &Evidence, seen: &Seen, ours: &[f32]) -> Option<String> {
    let size =
        (ours.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>() / ours.len().max(1) as f64).sqrt() as f32;
    let wrong: Vec<usize> =
        (0..ours.len()).filter(|&i| (seen.values[i] - ours[i]).abs() > 0.05 * size + 0.05 * ours[i].abs()).collect();
    let (first, last) = (*wrong.first()?, *wrong.last()?);
    let share = 100.0 * wrong.len() as f64 / ours.len() as f64;
    let place = format!(
        "{share:.0}% of its values are wrong, from position {}, element {} to position {}, element {}",
        seen.positions[first / seen.cols],
        first % seen.cols,
        seen.positions[last / seen.cols],
        last % seen.cols
    );
    let values: Vec<f32> = wrong.iter().map(|&i| seen.values[i]).collect();
    if values.iter().all(|v| *v == 0.0) {
        return Some(format!("{place}: they are zeros, as if never written"));
    }
    if values.iter().any(|v| v.abs() > 1e4 * size.max(1e-3)) {
        return Some(format!("{place}: some are absurd, as in memory that nobody initialised"));
    }
    if wrong.len() >= LEAST
        && let Some(source) = source(evidence, seen, &wrong, ours)
    {
        return Some(format!("{place}: {source}"));
    }
    (share < 90.0).then(|| format!("{place}; the others are right"))
}

/// The tensor whose old values lie there, as they are or under a sum.
fn source(evidence: &Evidence, seen: &Seen, wrong: &[usize], ours: &[f32]) -> Option<String> {
    let found: Vec<f32> = wrong.iter().map(|&i| seen.values[i]).collect();
    let excess: Vec<f32> = wrong.iter().map(|&i| seen.values[i] - ours[i]).collect();
    let spread = found.iter().any(|v| *v != found[0]);
    for other in
        evidence.tensors().iter().filter(|other| spread && other.known.is_none() && !std::ptr::eq(*other, seen))
    {
        // The same memory under another shape begins at the same place.
        let at: Option<Vec<f32>> = wrong.iter().map(|&i| other.values.get(i).copied()).collect();
        let Some(old) = at else { continue };
        let near = |values: &[f32]| Residual::of(values, &old).distance() < 0.02;
        if near(&found) {
            return Some(format!(
                "they are the values of {}: the operation was not done there, or a buffer was handed out again and not written",
                other.label()
            ));
        }
        if near(&excess) {
            return Some(format!(
                "they are too large by the values of {}: sums began in a buffer that was not cleared",
                other.label()
            ));
        }
    }
    for shift in 1..seen.positions.len() {
        let at: Option<Vec<f32>> =
            wrong.iter().map(|&i| seen.values.get(i.checked_sub(shift * seen.cols)?).copied()).collect();
        if at.is_some_and(|old| Residual::of(&found, &old).distance() < 1e-3) {
            return Some(format!("they are those of {shift} position(s) before: the rows were not written anew"));
        }
    }
    None
}
