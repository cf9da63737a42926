//! How a comparison is shown: for a terminal, as a picture, as a page.

pub mod html;
pub mod svg;
pub mod terminal;

use crate::compare::{Line, Report};
use crate::stats::rough_log2;

/// One row per name over all its layers.
#[derive(Clone, Debug)]
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) lines: Vec<&'a Line>,
}

/// The lines by name, in the order of the computation.
pub(crate) fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for line in &report.lines {
        match groups.iter_mut().find(|group| group.name == line.name) {
            Some(group) => group.lines.push(line),
            None => groups.push(Group { name: &line.name, lines: vec![line] }),
        }
    }
    // Names may first appear out of order, where a layer lacks some.
    groups.sort_by_key(|group| {
        let (part, _, index) = crate::names::order(group.name, group.lines[0].layer.map(|_| 0));
        (part, index)
    });
    groups
}

impl Group<'_> {
    /// The largest of a measure.
    pub(crate) fn most(&self, measure: impl Fn(&Line) -> Option<f64>) -> Option<f64> {
        self.lines.iter().filter_map(|line| measure(line)).max_by(f64::total_cmp)
    }
}

/// Relative error with all that came before.
pub(crate) fn inherited(line: &Line) -> Option<f64> {
    line.inherits.as_ref().map(|s| s.relative)
}

/// Relative error that the operation adds.
pub(crate) fn added(line: &Line) -> Option<f64> {
    line.adds.as_ref().map(|a| a.relative)
}

/// For each layer the error of its output, and the most that one of its operations adds.
pub(crate) fn growth(report: &Report) -> Vec<(Option<f64>, Option<f64>)> {
    let of_layer = |layer: usize| report.lines.iter().filter(move |line| line.layer == Some(layer));
    let last = |layer| of_layer(layer).filter_map(inherited).next_back();
    (0..report.layers).map(|layer| (last(layer), of_layer(layer).filter_map(added).max_by(f64::total_cmp))).collect()
}

/// Where a relative error lies between 2⁻²⁵ (nothing) and 1, on a logarithmic scale from 0 to 1.
pub(crate) fn height(error: f64) -> f64 {
    if error.is_nan() { 1.0 } else { ((rough_log2(error) + 25.0) / 25.0).clamp(0.0, 1.0) }
}
