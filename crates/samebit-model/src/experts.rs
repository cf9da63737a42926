//! The mixture of experts: each token through the experts that its router chose.
//!
//! Tokens of a batch that share an expert are multiplied together; each token's sum runs in its own order of choice.

use samebit_kernels::Activations;

use crate::error::ForwardError;
use crate::forward::{Real, Row, Runner};
use crate::tap::Tap;
use crate::weights::Linear;

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
        let experts = self.model.config().experts;
        let mut scores = Vec::new();
        self.linear([(router, 0)], x, rows, [&mut scores], activations)?;
        tap.tensor("ffn_moe_logits", Some(index), experts, &mut scores);
        let mut chosen = vec![0usize; rows.len() * used];
        let mut weights = vec![R::default(); rows.len() * used];
        let kind = self.model.config().architecture.router;
        for (row, scores) in scores.chunks_exact(experts).enumerate() {
            let slots = row * used..(row + 1) * used;
            (self.table.route)(kind, scores, &mut chosen[slots.clone()], &mut weights[slots]);
        }
        tap.tensor("ffn_moe_weights", Some(index), used, &mut weights);
        let mut outputs = vec![R::default(); chosen.len() * width];
        for expert in 0..experts {
            let slots: Vec<usize> = (0..chosen.len()).filter(|&slot| chosen[slot] == expert).collect();
            if slots.is_empty() {
                continue;
            }
            let gathered: Vec<R> =
                slots.iter().flat_map(|s| &x[s / used * width..(s / used + 1) * width]).copied().collect();
            let gathered_rows: Vec<Row> = slots.iter().map(|s| rows[s / used]).collect();
            let out = self.expert(expert, [gate, up, down], &gathered, &gathered_rows, activations)?;
            for (slot, out) in slots.into_iter().zip(out.chunks_exact(width)) {
                outputs[slot * width..(slot + 1) * width].copy_from_slice(out);
            }
        }
        sum.clear();
        sum.resize(rows.len() * width, R::default());
        for (slot, (out, &weight)) in outputs.chunks_exact(width).zip(&weights).enumerate() {
            (self.table.add_weighted)(&mut sum[slot / used * width..][..width], weight, out);
        }
        Ok(())
    }

    /// One expert's network for the rows that chose it.
    fn expert(
        &self,
        expert: usize,
        [gate, up, down]: [&Linear; 3],
        x: &[R],
        rows: &[Row],
        activations: &mut Activations<R>,
    ) -> Result<Vec<R>, ForwardError> {
        let (mut gated, mut ups, mut out) = (Vec::new(), Vec::new(), Vec::new());
        self.linear([(gate, expert), (up, expert)], x, rows, [&mut gated, &mut ups], activations)?;
        (self.table.gated)(self.model.config().architecture.gate, &mut gated, &ups);
        self.linear([(down, expert)], &gated, rows, [&mut out], activations)?;
        Ok(out)
    }
}
