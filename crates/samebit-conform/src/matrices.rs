//! Vectors of the weight formats: to f32 and back, and the product with activations.

use samebit_kernels::packed::{pack, packed_bytes};
use samebit_kernels::{Activations, Fast, Grid, PackedMatrix, Pool, Table};
use samebit_numerics::blocks::{Family, Format};
use samebit_numerics::ops::matmul::Matrix;

use crate::digest::Digest;
use crate::input::Input;
use crate::list::Vector;

/// Rows of weights: no multiple of any tile.
const ROWS: usize = 37;
/// Rows of activations.
const TOKENS: usize = 5;

pub(crate) fn vectors(table: &Table<f32>) -> Vec<Vector> {
    let mut vectors = vec![activations(table)];
    for format in Format::ALL {
        vectors.extend(of_format(table, format));
    }
    vectors
}

/// Row lengths that end within a chunk wherever the format's blocks allow it.
fn columns(format: Format) -> usize {
    match format.family() {
        Family::Float => 599,
        Family::Block32 => 544,
        Family::Block256 => 768,
    }
}

fn of_format(table: &Table<f32>, format: Format) -> [Vector; 3] {
    let (name, cols) = (format.name(), columns(format));
    let mut input = Input::new(&format!("format/{name}"));
    let row_bytes = format.row_bytes(cols).unwrap_or(0);
    let mut bytes = vec![0; ROWS * row_bytes];
    let mut weights = vec![0.0; ROWS * cols];
    for (row, values) in bytes.chunks_exact_mut(row_bytes).zip(weights.chunks_exact_mut(cols)) {
        format.quantize(&input.values(cols), row);
        format.dequantize(row, values);
    }
    let x = input.values(TOKENS * cols);
    let mut prepared = Activations::default();
    let mut out = vec![0.0; ROWS * TOKENS];
    let finite = table.activations(&x, TOKENS, cols, &[format], &mut prepared).is_ok();
    if let (true, Some(matrix)) = (finite, Matrix::new(format, ROWS, cols, &bytes)) {
        match &table.fast {
            Some(fast) => packed(fast, &matrix, &x, &mut out),
            None => {
                // In two parts, as threads would have it.
                let (first, second) = out.split_at_mut(20 * TOKENS);
                (table.matmul)(&matrix, 0..20, &prepared, first);
                (table.matmul)(&matrix, 20..ROWS, &prepared, second);
            }
        }
    }
    [
        Digest::new(format!("quantize/{name}")).raw(&bytes).finish(),
        Digest::new(format!("dequantize/{name}")).floats(&weights).finish(),
        Digest::new(format!("matmul/{name}")).floats(&out).finish(),
    ]
}

/// The product with packed weights, outputs in the reference's order.
fn packed(fast: &Fast<f32>, matrix: &Matrix<'_>, x: &[f32], out: &mut [f32]) {
    let Matrix { format, rows, cols, .. } = *matrix;
    let mut bytes = vec![0; packed_bytes(format, rows, cols)];
    pack(matrix, 0, &mut bytes);
    let weights = PackedMatrix { format, rows, cols, bytes: &bytes };
    let pool = Pool::new(1);
    let mut prepared = Activations::default();
    let ready = fast.activations(&pool, x, cols, &[format], f32::is_finite, &mut prepared);
    let mut by_token = vec![0.0; out.len()];
    if ready.is_ok() {
        pool.columns([Grid::new(&mut by_token, rows)], 16, |_, mut columns| {
            fast.product(&weights, &prepared, None, &mut columns);
        });
    }
    let tokens = by_token.len() / rows;
    for (output, values) in out.chunks_exact_mut(tokens).enumerate() {
        values.iter_mut().enumerate().for_each(|(token, value)| *value = by_token[token * rows + output]);
    }
}

/// The 16-bit activations: scales, and the integers as they are.
fn activations(table: &Table<f32>) -> Vector {
    let name = "activations/16-bit";
    let mut input = Input::new(name);
    let cols = 700;
    let mut x = input.values(3 * cols);
    // A chunk of zeros, and one so small that its scale is the smallest.
    x[..256].fill(0.0);
    x[cols..cols + 256].fill(f32::from_bits(3));
    let mut prepared = Activations::default();
    let mut digest = Digest::new(name);
    if table.activations(&x, 3, cols, &[Format::Q8_0], &mut prepared).is_ok() {
        let quantized = &prepared.quantized;
        let integers: Vec<u32> = quantized
            .high
            .iter()
            .zip(&quantized.low)
            .map(|(&h, &l)| (i32::from(h) * 256 + i32::from(l)) as u32)
            .collect();
        digest = digest.floats(&quantized.scale).words(&integers);
    }
    digest.finish()
}
