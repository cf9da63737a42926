//! A matrix product made anew where its result passes a tap, from rows of weights that a mistake may have spoilt.
//!
//! Knows which tensor is whose product; nothing of what the mistakes are.

use core::ops::Range;

use samebit_model::weights::{FeedForward, Linear, Projections};
use samebit_numerics::blocks::Format;
use samebit_numerics::math::double::tanh;
use samebit_numerics::ops::matmul::Matrix;

use crate::attention::dot;
use crate::suspect::Moment;

/// Every tap that hears a product of the right input.
pub(crate) const PRODUCTS: [&str; 11] = [
    "Qcur",
    "Kcur",
    "Vcur",
    "attn_out",
    "ffn_gate",
    "ffn_up",
    "ffn_out",
    "ffn_moe_gate",
    "ffn_moe_up",
    "ffn_moe_down",
    "result_output",
];

/// What a tensor is the product of.
pub(crate) struct Product<'a> {
    /// `rows × cols`.
    pub(crate) input: &'a [f32],
    /// The matrix and its bias.
    pub(crate) linear: &'a Linear,
    /// Which of its rows.
    pub(crate) rows: Range<usize>,
    /// Which of a stack of matrices.
    pub(crate) index: usize,
    /// For stacks: the expert of each slot. Rows of input serve one slot each, or as many as there are of it.
    pub(crate) experts: Option<&'a [f32]>,
}

impl<'a> Product<'a> {
    fn plain(input: &'a [f32], linear: &'a Linear, rows: Range<usize>) -> Self {
        Self { input, linear, rows, index: 0, experts: None }
    }

    /// The matrix as the file has it.
    pub(crate) fn matrix<'m>(&self, moment: &'m Moment<'_>) -> Matrix<'m> {
        self.linear.weight.matrix(moment.model.gguf(), self.index)
    }

    /// An expert's share: its slots, and the product of their rows.
    fn of_expert<'g>(&self, expert: usize, gathered: &'g mut Vec<f32>) -> Option<(Vec<usize>, Product<'g>)>
    where
        'a: 'g,
    {
        let experts = self.experts?;
        let slots: Vec<usize> = (0..experts.len()).filter(|&slot| experts[slot] as usize == expert).collect();
        let cols = self.linear.weight.cols();
        let share = (experts.len() * cols / self.input.len().max(1)).max(1);
        gathered.clear();
        for &slot in &slots {
            gathered.extend_from_slice(self.input.get(slot / share * cols..(slot / share + 1) * cols)?);
        }
        let product =
            Product { input: gathered, linear: self.linear, rows: self.rows.clone(), index: expert, experts: None };
        (!slots.is_empty()).then_some((slots, product))
    }
}

/// The product that the tensor `name` is.
pub(crate) fn product<'a>(name: &str, moment: &Moment<'a>) -> Option<Product<'a>> {
    let config = moment.config();
    if name == "result_output" {
        let linear = &moment.model.weights().output;
        return Some(Product::plain(moment.earlier("result_norm"), linear, 0..linear.weight.rows()));
    }
    let layer = moment.weights()?;
    let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let inner = config.feed_forward;
    let (input, linear, rows) = match (name, &layer.projections, &layer.feed_forward) {
        ("Qcur", Projections::Separate { query, .. }, _) => ("attn_norm", query, 0..q),
        ("Kcur", Projections::Separate { key, .. }, _) => ("attn_norm", key, 0..kv),
        ("Vcur", Projections::Separate { value, .. }, _) => ("attn_norm", value, 0..kv),
        ("Qcur", Projections::Fused(all), _) => ("attn_norm", all, 0..q),
        ("Kcur", Projections::Fused(all), _) => ("attn_norm", all, q..q + kv),
        ("Vcur", Projections::Fused(all), _) => ("attn_norm", all, q + kv..q + 2 * kv),
        ("attn_out", ..) => ("kqv_out", &layer.output, 0..config.width),
        ("ffn_gate", _, FeedForward::Gated { gate, .. }) => ("ffn_norm", gate, 0..inner),
        ("ffn_up", _, FeedForward::Gated { up, .. }) => ("ffn_norm", up, 0..inner),
        ("ffn_gate", _, FeedForward::Fused { gate_up, .. }) => ("ffn_norm", gate_up, 0..inner),
        ("ffn_up", _, FeedForward::Fused { gate_up, .. }) => ("ffn_norm", gate_up, inner..2 * inner),
        ("ffn_out", _, FeedForward::Gated { down, .. } | FeedForward::Fused { down, .. }) => {
            ("ffn_gated", down, 0..config.width)
        }
        (_, _, FeedForward::Experts { gate, up, down, .. }) => {
            let (input, linear) = match name {
                "ffn_moe_gate" => ("ffn_norm", gate),
                "ffn_moe_up" => ("ffn_norm", up),
                "ffn_moe_down" => ("ffn_moe_gated", down),
                _ => return None,
            };
            let experts = Some(moment.earlier("ffn_moe_topk"));
            let plain = Product::plain(moment.earlier(input), linear, 0..linear.weight.rows());
            return Some(Product { experts, ..plain });
        }
        _ => return None,
    };
    Some(Product::plain(moment.earlier(input), linear, rows))
}

/// A row's weights: `(product, row, into)`.
pub(crate) type RowOf<'r> = dyn Fn(&Product<'_>, usize, &mut Vec<f32>) + Sync + 'r;
/// How a row of weights meets a row of activations.
pub(crate) type Sum = fn(&[f32], &[f32]) -> f32;

/// Makes the product again, its rows as `row_of` gives them and summed by `sum`; bias and cap as they should be.
pub(crate) fn remake(name: &str, moment: &Moment<'_>, values: &mut [f32], row_of: &RowOf<'_>, sum: Sum) {
    let Some(product) = product(name, moment) else { return };
    let outputs = product.rows.len();
    if product.input.is_empty() || !moment.cols.is_multiple_of(outputs) {
        return;
    }
    let how = (moment.threads, row_of, sum);
    if product.experts.is_none() {
        let made = multiply(&product, how);
        if made.len() == values.len() {
            values.copy_from_slice(&made);
        }
        cap(name, moment, values);
        return;
    }
    let mut gathered = Vec::new();
    for expert in 0..moment.config().experts {
        let Some((slots, share)) = product.of_expert(expert, &mut gathered) else { continue };
        for (slot, made) in slots.into_iter().zip(multiply(&share, how).chunks_exact(outputs)) {
            if let Some(row) = values.get_mut(slot * outputs..(slot + 1) * outputs) {
                row.copy_from_slice(made);
            }
        }
    }
}

/// `input rows × outputs`, bias included.
fn multiply(product: &Product<'_>, (threads, row_of, sum): (usize, &RowOf<'_>, Sum)) -> Vec<f32> {
    let (cols, outputs) = (product.linear.weight.cols(), product.rows.len());
    let share = outputs.div_ceil(threads.max(1)).max(1);
    let parts: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..outputs)
            .step_by(share)
            .map(|from| scope.spawn(move || part(product, from..(from + share).min(outputs), cols, row_of, sum)))
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_default()).collect()
    });
    let tokens = product.input.len() / cols;
    let by_output: Vec<f32> = parts.concat();
    let first = product.index * product.linear.weight.rows() + product.rows.start;
    let mut values = vec![0.0; tokens * outputs];
    for (token, row) in values.chunks_exact_mut(outputs).enumerate() {
        for (output, value) in row.iter_mut().enumerate() {
            *value = by_output.get(output * tokens + token).copied().unwrap_or(f32::NAN);
            if let Some(bias) = &product.linear.bias {
                *value += bias[first + output];
            }
        }
    }
    values
}

/// Some outputs for all tokens, output by output.
fn part(product: &Product<'_>, outputs: Range<usize>, cols: usize, row_of: &RowOf<'_>, sum: Sum) -> Vec<f32> {
    let mut row = Vec::new();
    let mut out = Vec::new();
    for output in outputs {
        row_of(product, product.rows.start + output, &mut row);
        out.extend(product.input.chunks_exact(cols).map(|x| sum(&row, x)));
    }
    out
}

/// The row as it should be.
pub(crate) fn right_row(moment: &Moment<'_>, product: &Product<'_>, row: usize, into: &mut Vec<f32>) {
    let matrix = product.matrix(moment);
    into.resize(matrix.cols, 0.0);
    matrix.format.dequantize(matrix.row(row), into);
}

/// Makes the product again from the matrix read column by column: element (row, col) from where element (col, row) of a matrix of
/// turned shape lies.
pub(crate) fn remake_transposed(name: &str, moment: &Moment<'_>, values: &mut [f32]) {
    let Some(product) = product(name, moment) else { return };
    let matrix = product.matrix(moment);
    let (cols, outputs) = (matrix.cols, product.rows.len());
    if product.input.is_empty() || outputs != moment.cols {
        return;
    }
    values.fill(0.0);
    let mut line = Vec::new();
    for col in 0..cols {
        let start = col * matrix.rows + product.rows.start;
        stretch(matrix.format, matrix.bytes, start..start + outputs, &mut line);
        for (out, x) in values.chunks_exact_mut(outputs).zip(product.input.chunks_exact(cols)) {
            let x = x[col];
            out.iter_mut().zip(&line).for_each(|(o, w)| *o += w * x);
        }
    }
    if let Some(bias) = &product.linear.bias {
        for out in values.chunks_exact_mut(outputs) {
            out.iter_mut().zip(&bias[product.rows.clone()]).for_each(|(o, b)| *o += b);
        }
    }
    cap(name, moment, values);
}

/// Elements of a matrix counted through all its rows.
fn stretch(format: Format, bytes: &[u8], elements: Range<usize>, into: &mut Vec<f32>) {
    let (block, size) = (format.block_len(), format.block_bytes());
    let (first, last) = (elements.start / block, elements.end.div_ceil(block));
    into.resize((last - first) * block, 0.0);
    format.dequantize(&bytes[first * size..last * size], into);
    into.drain(..elements.start - first * block);
    into.truncate(elements.len());
}

/// The logits' soft-cap.
fn cap(name: &str, moment: &Moment<'_>, values: &mut [f32]) {
    if name == "result_output"
        && let Some(cap) = moment.config().logit_cap
    {
        values.iter_mut().for_each(|v| *v = (f64::from(cap) * tanh(f64::from(*v / cap))) as f32);
    }
}

/// The usual sum.
pub(crate) fn usual(w: &[f32], x: &[f32]) -> f32 {
    dot(w, x)
}
