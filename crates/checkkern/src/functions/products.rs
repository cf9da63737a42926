//! Checks of products: activations made ready, the product as the reference lays it out, and the one with packed weights.

use std::sync::atomic::{AtomicBool, Ordering};

use samebit_kernels::packed::{PackedMatrix, pack, packed_bytes};
use samebit_kernels::{Activations, Grid, Table};
use samebit_numerics::activations::NonFinite;
use samebit_numerics::blocks::Format;
use samebit_numerics::ops::matmul::Matrix;

use super::{Input, Subject};
use crate::fill::Fill;
use crate::guarded::Guarded;
use crate::outcome::{Failure, Outcome};
use crate::random::Random;
use crate::weights;

/// Rows of activations: one, and around what kernels do together.
const TOKENS: [usize; 13] = [1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 13, 17, 33];

/// A matrix and rows of activations.
struct Case {
    format: Format,
    rows: usize,
    cols: usize,
    tokens: usize,
    fill: Fill,
    weights: Guarded<u8>,
    x: Input,
}

impl Case {
    fn new(random: &mut Random) -> Self {
        let format = random.pick(&Format::ALL);
        let cols = weights::cols(format, random);
        let rows = random.pick(&[1, 2, 15, 16, 17, 31, 32, 33, 48, 50, 70]);
        let tokens = random.pick(&TOKENS);
        let fill = Fill::random(random);
        let bytes = weights::rows(format, rows, cols, fill, random);
        let mut x = Input::new(random, tokens * cols);
        if random.once_in(10) {
            let at = random.below(tokens * cols);
            x.buffer.get_mut()[at] = random.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        }
        Self { format, rows, cols, tokens, fill, weights: Guarded::new(&bytes, random), x }
    }

    fn matrix(&self) -> Matrix<'_> {
        Matrix { format: self.format, rows: self.rows, cols: self.cols, bytes: self.weights.get() }
    }

    fn shape(&self) -> String {
        let Self { format, rows, cols, tokens, fill, x, .. } = self;
        format!("{} {rows} × {cols}, weights {fill}, {tokens} tokens, x {}", format.name(), x.fill)
    }

    fn activations(&self, table: &Table<f32>) -> (Activations<f32>, Result<(), NonFinite>) {
        let mut made = Activations::default();
        let result = table.activations(self.x.get(), self.tokens, self.cols, &[self.format], &mut made);
        (made, result)
    }
}

/// Which value was refused, if any.
fn refusal(outcome: Outcome, result: Result<(), NonFinite>) -> Outcome {
    let place = result.err().map(|NonFinite { row, index }| [row as u64, index as u64]);
    outcome.bits("refused", place.into_iter().flatten())
}

pub(super) fn activations(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let case = Case::new(random);
    subject.compare(
        || case.shape(),
        |table| {
            let (made, result) = case.activations(table);
            let quantized = &made.quantized;
            let outcome = refusal(Outcome::default(), result);
            if result.is_err() {
                return outcome;
            }
            outcome
                .bits("high", quantized.high.iter().map(|&h| h as u64))
                .bits("low", quantized.low.iter().map(|&l| l as u64))
                .numbers("scale", &quantized.scale)
                .bits("high_sum", quantized.high_sum.iter().map(|&sum| sum as u64))
                .bits("low_sum", quantized.low_sum.iter().map(|&sum| sum as u64))
        },
    )
}

pub(super) fn matmul(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let case = Case::new(random);
    let first = random.below(case.rows);
    let range = first..first + 1 + random.below(case.rows - first);
    let stale = Guarded::stale(range.len() * case.tokens, random);
    let shape = || format!("{}, rows {range:?}", case.shape());
    subject.compare(shape, |table| {
        let (made, result) = case.activations(table);
        let mut out = stale.clone();
        if result.is_ok() {
            (table.matmul)(&case.matrix(), range.clone(), &made, out.get_mut());
        }
        refusal(Outcome::default(), result).floats("out", &out)
    })
}

/// The product with packed weights against the reference's, whose outputs lie the other way round.
pub(super) fn product(subject: &Subject<'_>, random: &mut Random) -> Result<(), Failure> {
    let case = Case::new(random);
    let bias = random.once_in(2).then(|| Input::new(random, case.rows));
    let stale = Guarded::stale(case.tokens * case.rows, random);
    let expected = plain_product(&case, &subject.reference, bias.as_ref(), &stale);
    let found = packed_product(&case, subject, bias.as_ref(), stale, random);
    expected.compare(&found, || {
        let bias = bias.as_ref().map_or("no bias".to_owned(), |bias| format!("bias {}", bias.fill));
        format!("{}, {bias}", case.shape())
    })
}

fn plain_product(case: &Case, table: &Table<f32>, bias: Option<&Input>, stale: &Guarded<f32>) -> Outcome {
    let (made, result) = case.activations(table);
    let mut out = stale.clone();
    let mut finite = true;
    if result.is_ok() {
        let mut by_output = vec![0.0; case.rows * case.tokens];
        (table.matmul)(&case.matrix(), 0..case.rows, &made, &mut by_output);
        for (token, row) in out.get_mut().chunks_exact_mut(case.rows).enumerate() {
            row.iter_mut().enumerate().for_each(|(output, to)| *to = by_output[output * case.tokens + token]);
            if let Some(bias) = bias {
                (table.add_bias)(row, bias.get());
            }
            finite &= row.iter().all(|value| value.is_finite());
        }
    }
    refusal(Outcome::default(), result).bits("finite", [u64::from(finite)]).floats("out", &out)
}

fn packed_product(
    case: &Case,
    subject: &Subject<'_>,
    bias: Option<&Input>,
    mut out: Guarded<f32>,
    random: &mut Random,
) -> Outcome {
    let Some(fast) = &subject.table.fast else {
        return Outcome::default();
    };
    let pool = &subject.pools[random.below(subject.pools.len())];
    // Other matrices may meet the same activations.
    let formats = [case.format, random.pick(&Format::ALL)];
    let formats = if random.once_in(2) { &formats[..] } else { &formats[..1] };
    let mut made = Activations::default();
    let result = fast.activations(pool, case.x.get(), case.cols, formats, f32::is_finite, &mut made);
    let finite = AtomicBool::new(true);
    if result.is_ok() {
        let Case { format, rows, cols, .. } = *case;
        let mut bytes = vec![0; packed_bytes(format, rows, cols)];
        pack(&case.matrix(), 0, &mut bytes);
        let bytes = Guarded::new(&bytes, random);
        let matrix = PackedMatrix { format, rows, cols, bytes: bytes.get() };
        pool.columns([Grid::new(out.get_mut(), rows)], 16, |_, mut columns| {
            if !fast.product(&matrix, &made, bias.map(Input::get), &mut columns) {
                finite.store(false, Ordering::Relaxed);
            }
        });
    }
    refusal(Outcome::default(), result).bits("finite", [u64::from(finite.into_inner())]).floats("out", &out)
}
