//! The mixture of experts: each token through the experts that its router chose.
//!
//! Tokens of a batch that share an expert are multiplied together; each token's sum runs in its own order of choice.

use crate::error::ForwardError;
use crate::forward::{Real, Row, Runner};
use crate::tap::Tap;
use crate::weights::Linear;

impl<R: Real> Runner<R> {
    /// Output of the mixture for all rows; `linears` are router, gate, up and down.
    pub(crate) fn experts(
        &mut self,
        index: usize,
        linears: [&Linear; 4],
        x: &[R],
        rows: &[Row],
        tap: &mut dyn Tap<R>,
    ) -> Result<Vec<R>, ForwardError> {
        let [router, gate, up, down] = linears;
        let (width, used) = (self.model.config().width, self.model.config().experts_used);
        let experts = self.model.config().experts;
        let [scores] = self.linear([(router, 0)], x, rows)?;
        tap.tensor("ffn_moe_logits", Some(index), experts, &scores);
        let mut chosen = vec![0usize; rows.len() * used];
        let mut weights = vec![R::default(); rows.len() * used];
        let kind = self.model.config().architecture.router;
        for (row, scores) in scores.chunks_exact(experts).enumerate() {
            let slots = row * used..(row + 1) * used;
            (self.table.route)(kind, scores, &mut chosen[slots.clone()], &mut weights[slots]);
        }
        tap.tensor("ffn_moe_weights", Some(index), used, &weights);
        let mut outputs = vec![R::default(); chosen.len() * width];
        for expert in 0..experts {
            let slots: Vec<usize> = (0..chosen.len()).filter(|&slot| chosen[slot] == expert).collect();
            if slots.is_empty() {
                continue;
            }
            let gathered: Vec<R> =
                slots.iter().flat_map(|s| &x[s / used * width..(s / used + 1) * width]).copied().collect();
            let gathered_rows: Vec<Row> = slots.iter().map(|s| rows[s / used]).collect();
            let out = self.expert(expert, [gate, up, down], &gathered, &gathered_rows)?;
            for (slot, out) in slots.into_iter().zip(out.chunks_exact(width)) {
                outputs[slot * width..(slot + 1) * width].copy_from_slice(out);
            }
        }
        let mut sum = vec![R::default(); rows.len() * width];
        for (slot, (out, &weight)) in outputs.chunks_exact(width).zip(&weights).enumerate() {
            (self.table.add_weighted)(&mut sum[slot / used * width..][..width], weight, out);
        }
        Ok(sum)
    }

    /// One expert's network for the rows that chose it.
    fn expert(
        &mut self,
        expert: usize,
        [gate, up, down]: [&Linear; 3],
        x: &[R],
        rows: &[Row],
    ) -> Result<Vec<R>, ForwardError> {
        let [mut gated, up] = self.linear([(gate, expert), (up, expert)], x, rows)?;
        (self.table.gated)(self.model.config().architecture.gate, &mut gated, &up);
        let [out] = self.linear([(down, expert)], &gated, rows)?;
        Ok(out)
    }
}
