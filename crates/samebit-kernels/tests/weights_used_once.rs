//! The product of a matrix as the file has it is that of the packed one, bit for bit.

use samebit_kernels::packed::{PackedMatrix, pack, packed_bytes};
use samebit_kernels::{Activations, Grid, Isa, Numerics, Pool, Table};
use samebit_numerics::blocks::Format;
use samebit_numerics::ops::matmul::Matrix;

/// Numbers from -1 to 1, of no pattern.
fn noise(len: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn weights_used_once_give_the_bits_of_packed_ones() {
    let pool = Pool::new(1);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
        let Some(fast) = Table::single(isa, Numerics::V1).fast else { continue };
        for (format, (rows, cols), tokens) in cases() {
            let values = noise(rows * cols);
            let mut bytes = vec![0; format.row_bytes(cols).unwrap() * rows];
            format.quantize(&values, &mut bytes);
            let matrix = Matrix::new(format, rows, cols, &bytes).unwrap();
            let mut packed = vec![0; packed_bytes(format, rows, cols)];
            pack(&matrix, 0, &mut packed);
            let packed = PackedMatrix { format, rows, cols, bytes: &packed };
            let mut x = Activations::default();
            fast.activations(&pool, &noise(tokens * cols), cols, &[format], f32::is_finite, &mut x).unwrap();
            let bias = noise(rows);
            let (mut expected, mut found) = (vec![0.0; tokens * rows], vec![1.0; tokens * rows]);
            assert!(fast.product(&packed, &x, Some(&bias), &mut Grid::new(&mut expected, rows).all()));
            pool.columns([Grid::new(&mut found, rows)], 32, |_, mut out| {
                assert!(fast.product_of_file(&matrix, &x, Some(&bias), &mut out));
            });
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&expected), "{isa} {} {rows}×{cols} {tokens}", format.name());
        }
    }
}

/// Formats, sizes of which none or some are whole groups, rows of activations.
fn cases() -> impl Iterator<Item = (Format, (usize, usize), usize)> {
    let sizes = [(16, 256), (37, 512), (100, 768)];
    Format::ALL
        .into_iter()
        .flat_map(move |format| sizes.into_iter().flat_map(move |size| [1, 3, 20].map(|tokens| (format, size, tokens))))
}
