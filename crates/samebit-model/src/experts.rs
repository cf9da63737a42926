//! The mixture of experts: each token through the experts that its router chose.
//!
//! Tokens of a batch that share an expert are multiplied together; each token's sum runs in its own order of choice.

use samebit_kernels::{Activations, Grid};

use crate::error::ForwardError;
use crate::forward::{Real, Row, Runner};
use crate::tap::Tap;
use crate::weights::Linear;

/// Who goes where: a slot for each expert that a row chose, row by row in the order of its choice.
struct Chosen<'a> {
    rows: &'a [Row],
    /// Slots of a row.
    used: usize,
    /// The expert of each slot, `rows × used`.
    experts: Vec<usize>,
}

impl<R: Real> Runner<R> {
    /// Output of the mixture for all rows, into `sum`; `linears` are router, gate, up and down.
    #[allow(clippy::too_many_arguments)] // parts of a layer and of the room that it works in
    pub(crate) fn experts(
        &self,
        index: usize,
        linears: [&Linear; 4],
        rows: &[Row],
        x: &[R],
        sum: &mut Vec<R>,
        activations: &mut Activations<R>,
        tap: &mut dyn Tap<R>,
    ) -> Result<(), ForwardError> {
        let [router, gate, up, down] = linears;
        let (width, used) = (self.model.config().width, self.model.config().experts_used);
        let inner = gate.weight.rows();
        let mut scores = Vec::new();
        self.linear([(router, 0)], x, rows, [&mut scores], activations)?;
        tap.tensor("ffn_moe_logits", Some(index), self.model.config().experts, &mut scores);
        let (chosen, mut weights) = self.choose(&scores, rows);
        let mut numbers: Vec<R> = chosen.experts.iter().map(|&expert| R::from_f32(expert as f32)).collect();
        tap.tensor("ffn_moe_topk", Some(index), used, &mut numbers);
        tap.tensor("ffn_moe_weights", Some(index), used, &mut weights);
        let (mut gated, mut ups, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        self.mixture(&chosen, [gate, up], x, [&mut gated, &mut ups], activations)?;
        tap.tensor("ffn_moe_gate", Some(index), used * inner, &mut gated);
        tap.tensor("ffn_moe_up", Some(index), used * inner, &mut ups);
        let act = self.model.config().architecture.gate;
        self.pool.rows([Grid::new(&mut gated, inner), Grid::new(&mut ups, inner)], |_, [gate, up]| {
            (self.table.gated)(act, gate, up);
        });
        tap.tensor("ffn_moe_gated", Some(index), used * inner, &mut gated);
        self.mixture(&chosen, [down], &gated, [&mut outputs], activations)?;
        tap.tensor("ffn_moe_down", Some(index), used * width, &mut outputs);
        sum.clear();
        sum.resize(rows.len() * width, R::default());
        for (slot, (out, &weight)) in outputs.chunks_exact(width).zip(&weights).enumerate() {
            (self.table.add_weighted)(&mut sum[slot / used * width..][..width], weight, out);
        }
        Ok(())
    }

    /// The experts of each row and their weights, from the router's scores.
    fn choose<'a>(&self, scores: &[R], rows: &'a [Row]) -> (Chosen<'a>, Vec<R>) {
        let config = self.model.config();
        let used = config.experts_used;
        let mut experts = vec![0usize; rows.len() * used];
        let mut weights = vec![R::default(); rows.len() * used];
        for (row, scores) in scores.chunks_exact(config.experts).enumerate() {
            let slots = row * used..(row + 1) * used;
            (self.table.route)(config.architecture.router, scores, &mut experts[slots.clone()], &mut weights[slots]);
        }
        (Chosen { rows, used, experts }, weights)
    }

    /// Each slot through its expert of the stacked matrices, `slots × outputs` of each; `x` has a row for each row of the batch
    /// or for each slot.
    fn mixture<const N: usize>(
        &self,
        chosen: &Chosen<'_>,
        stacks: [&Linear; N],
        x: &[R],
        mut outputs: [&mut Vec<R>; N],
        activations: &mut Activations<R>,
    ) -> Result<(), ForwardError> {
        let slots = chosen.experts.len();
        let cols = stacks[0].weight.cols();
        // Slots that share a row of `x`.
        let share = if x.len() == slots * cols { 1 } else { chosen.used };
        let widths = stacks.map(|stack| stack.weight.rows());
        for (output, width) in outputs.iter_mut().zip(widths) {
            output.resize(slots * width, R::default());
        }
        for expert in 0..self.model.config().experts {
            let concerned: Vec<usize> = (0..slots).filter(|&slot| chosen.experts[slot] == expert).collect();
            if concerned.is_empty() {
                continue;
            }
            let row_of = |slot: usize| &x[slot / share * cols..(slot / share + 1) * cols];
            let gathered: Vec<R> = concerned.iter().flat_map(|&slot| row_of(slot)).copied().collect();
            let rows: Vec<Row> = concerned.iter().map(|&slot| chosen.rows[slot / chosen.used]).collect();
            let mut parts: [Vec<R>; N] = core::array::from_fn(|_| Vec::new());
            self.linear(stacks.map(|stack| (stack, expert)), &gathered, &rows, parts.each_mut(), activations)?;
            for ((output, part), width) in outputs.iter_mut().zip(&parts).zip(widths) {
                for (&slot, values) in concerned.iter().zip(part.chunks_exact(width)) {
                    output[slot * width..(slot + 1) * width].copy_from_slice(values);
                }
            }
        }
        Ok(())
    }
}
