//! The tap that makes mistakes, compares, and goes on from the other engine's values.
//!
//! At each tensor, in this order: the changes, the comparison, the other engine's values where the pass is forced.

use std::collections::BTreeMap;

use samebit_model::{Model, Tap};

use crate::attention::{Attention, Rows};
use crate::evidence::Evidence;
use crate::residual::Residual;
use crate::suspect::{Change, How, Moment, Outcome};

/// One pass's listener.
pub(crate) struct Probe<'a> {
    model: &'a Model,
    evidence: &'a Evidence,
    tokens: &'a [u32],
    prompt: usize,
    changes: Vec<(&'static str, Change)>,
    attention: Option<Attention>,
    how: How,
    positions: Vec<usize>,
    wanted: Vec<usize>,
    /// Where the evidence's position 0 is among the rows: token lists of other lengths are laid end to end.
    shift: isize,
    layer: Option<usize>,
    stream: Vec<f32>,
    tensors: BTreeMap<String, Vec<f32>>,
    outcome: Outcome,
}

impl<'a> Probe<'a> {
    pub(crate) fn new(
        model: &'a Model,
        evidence: &'a Evidence,
        tokens: &'a [u32],
        prompt: usize,
        changes: Vec<(&'static str, Change)>,
        attention: Option<Attention>,
        how: How,
    ) -> Self {
        let shift = tokens.len() as isize - evidence.tokens.len() as isize;
        let mut probe = Self {
            model,
            evidence,
            tokens,
            prompt: prompt.saturating_add_signed(shift),
            changes,
            attention,
            how,
            positions: (0..tokens.len()).collect(),
            wanted: Vec::new(),
            shift,
            layer: None,
            stream: Vec::new(),
            tensors: BTreeMap::new(),
            outcome: Outcome { residuals: vec![None; evidence.tensors().len()], ..Outcome::default() },
        };
        probe.wanted = probe.wanted_rows();
        probe
    }

    /// Rows whose logits are asked for.
    pub(crate) fn wanted(&self) -> Vec<usize> {
        self.wanted.clone()
    }

    fn wanted_rows(&self) -> Vec<usize> {
        let output = |name| self.evidence.find(name, None).map(|index| &self.evidence.tensors()[index].positions);
        let mut wanted: Vec<usize> = ["result_norm", "result_output"]
            .into_iter()
            .filter_map(output)
            .flatten()
            .filter_map(|&position| self.row(position))
            .chain(self.choices().map(|(row, _)| row))
            .collect();
        if self.how.keep {
            wanted.extend(0..self.tokens.len());
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// The row of a position of the evidence.
    fn row(&self, position: usize) -> Option<usize> {
        position.checked_add_signed(self.shift).filter(|&row| row < self.tokens.len())
    }

    /// Rows that a token was chosen from, and the token.
    fn choices(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let chosen = if self.evidence.greedy { self.evidence.prompt.max(1)..self.evidence.tokens.len() } else { 0..0 };
        chosen.filter_map(|position| Some((self.row(position - 1)?, self.evidence.tokens[position])))
    }

    pub(crate) fn finish(self) -> Outcome {
        self.outcome
    }

    fn changed(&self, name: &str, cols: usize, values: &mut [f32]) {
        let moment = Moment {
            model: self.model,
            layer: self.layer,
            cols,
            positions: if name.starts_with("result_") { &self.wanted } else { &self.positions },
            tokens: self.tokens,
            prompt: self.prompt,
            threads: self.how.threads,
            stream: &self.stream,
            tensors: &self.tensors,
        };
        for (_, change) in self.changes.iter().filter(|(at, _)| *at == name) {
            change(&moment, values);
        }
    }

    fn attend(&self, attention: &Attention, out: &mut [f32]) {
        let (Some(layer), Some(queries), Some(keys), Some(values)) =
            (self.layer, self.tensors.get("Qcur_rope"), self.tensors.get("Kcur_rope"), self.tensors.get("Vcur"))
        else {
            return;
        };
        let sinks = self.model.weights().layers[layer].sinks.as_deref();
        attention.run(self.model.config(), layer, Rows { queries, keys, values, prompt: self.prompt, sinks }, out);
    }

    /// Compares with the other engine's tensor, and takes its values where the pass is forced.
    fn compare(&mut self, name: &str, cols: usize, values: &mut [f32]) {
        let Some(index) = self.evidence.find(name, self.layer) else { return };
        let seen = &self.evidence.tensors()[index];
        if seen.cols != cols {
            return;
        }
        if seen.known.is_some() {
            self.outcome.residuals[index] = Some(self.compare_known(index, name, values));
            return;
        }
        let mut sum = Residual::default();
        for (row, &position) in seen.values.chunks_exact(cols).zip(&seen.positions) {
            let Some(at) = self.row(position).filter(|_| row.iter().all(|v| v.is_finite())) else { continue };
            let at = match name.starts_with("result_") {
                true => self.wanted.binary_search(&at).ok(),
                false => Some(at),
            };
            let Some(ours) = at.and_then(|at| values.get_mut(at * cols..(at + 1) * cols)) else { continue };
            sum = sum.plus(Residual::of(row, ours));
            if self.how.forced && name != "result_output" {
                ours.copy_from_slice(row);
            }
        }
        self.outcome.residuals[index] = Some(sum);
    }

    /// Compares the few values that are known; too few to go on from.
    fn compare_known(&self, index: usize, name: &str, values: &[f32]) -> Residual {
        let seen = &self.evidence.tensors()[index];
        let mut sum = Residual::default();
        for (value, theirs) in seen.values.iter().enumerate() {
            let (row, col) = (seen.index(value) / seen.cols, seen.index(value) % seen.cols);
            let at = seen.positions.get(row).and_then(|&position| self.row(position));
            let at = match name.starts_with("result_") {
                true => at.and_then(|at| self.wanted.binary_search(&at).ok()),
                false => at,
            };
            if let Some(ours) = at.and_then(|at| values.get(at * seen.cols + col)) {
                sum = sum.plus(Residual::of(&[*theirs], &[*ours]));
            }
        }
        sum
    }

    /// How far below the highest logit the other engine's choices lie, in deviations of the row, on average.
    fn choose(&mut self, cols: usize, logits: &[f32]) {
        let (mut sum, mut count) = (0.0, 0);
        for (row, token) in self.choices() {
            let Ok(at) = self.wanted.binary_search(&row) else { continue };
            let row = &logits[at * cols..(at + 1) * cols];
            let Some(&chosen) = row.get(token as usize) else { continue };
            let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / cols as f64;
            let square = row.iter().map(|&v| (f64::from(v) - mean) * (f64::from(v) - mean)).sum::<f64>();
            sum += f64::from(highest - chosen) / (square / cols as f64).sqrt().max(1e-9);
            count += 1;
        }
        if count > 0 {
            self.outcome.choices = Some(sum / f64::from(count));
        }
    }
}

impl Tap<f32> for Probe<'_> {
    fn tensor(&mut self, name: &str, layer: Option<usize>, cols: usize, values: &mut [f32]) {
        // Two names for the stream between attention and the feed-forward network.
        let name = if name == "sa_out" { "ffn_inp" } else { name };
        if layer != self.layer {
            self.layer = layer;
            self.tensors.clear();
        }
        if name == "kqv_out"
            && let Some(attention) = self.attention
        {
            self.attend(&attention, values);
        }
        self.changed(name, cols, values);
        if self.how.keep {
            self.outcome.kept.push((name.to_owned(), layer, cols, values.to_vec()));
        }
        if name == "result_output" {
            self.choose(cols, values);
        }
        self.compare(name, cols, values);
        if matches!(name, "embd" | "inp_scaled" | "ffn_inp" | "l_out") {
            self.stream = values.to_vec();
        }
        self.tensors.insert(name.to_owned(), values.to_vec());
    }
}
