//! Products larger than a panel of groups and a block of rows are those of their parts: how work is cut for the caches shows
//! in no bit.

use samebit_kernels::packed::{PackedMatrix, pack, packed_bytes};
use samebit_kernels::{Activations, Grid, Isa, Numerics, Pool, Table};
use samebit_numerics::blocks::Format;
use samebit_numerics::ops::matmul::Matrix;

/// More than sixteen groups of sixteen rows, the last of them not whole; two chunks.
const ROWS: usize = 16 * 19 + 5;
const COLS: usize = 512;

/// Numbers from -1 to 1, of no pattern; every eleventh is large, so that scales differ.
fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = |i: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let x = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
        if i.is_multiple_of(11) { 20.0 * x } else { x }
    };
    (0..len).map(&mut next).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// All products of `x`'s rows, `tokens` at a time.
fn products(table: &Table<f32>, matrix: &PackedMatrix<'_>, x: &[f32], tokens: usize) -> Vec<u32> {
    let (pool, fast) = (Pool::new(1), table.fast.expect("a table with fast products"));
    let mut all = Vec::new();
    for x in x.chunks(tokens * COLS) {
        let mut ready = Activations::default();
        fast.activations(&pool, x, COLS, &[matrix.format], f32::is_finite, &mut ready).expect("finite");
        let mut out = vec![0.0; x.len() / COLS * ROWS];
        assert!(fast.product(matrix, &ready, None, &mut Grid::new(&mut out, ROWS).all()));
        all.extend(bits(&out));
    }
    all
}

#[test]
fn many_rows_and_groups_give_the_bits_of_few() {
    let x = noise(281 * COLS, 7);
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
        let table = Table::single(isa, Numerics::V1);
        if table.fast.is_none() {
            continue;
        }
        for format in Format::ALL {
            let mut bytes = vec![0; format.row_bytes(COLS).expect("whole blocks") * ROWS];
            format.quantize(&noise(ROWS * COLS, 3), &mut bytes);
            let matrix = Matrix::new(format, ROWS, COLS, &bytes).expect("whole rows");
            let mut packed = vec![0; packed_bytes(format, ROWS, COLS)];
            pack(&matrix, 0, &mut packed);
            let packed = PackedMatrix { format, rows: ROWS, cols: COLS, bytes: &packed };
            // A single row at a time is what every other test compares with the reference.
            let alone = products(&table, &packed, &x, 1);
            for tokens in [2, 5, 11, 12, 31, 281] {
                assert!(products(&table, &packed, &x, tokens) == alone, "{isa} {} {tokens} rows", format.name());
            }
            let mut other = x.clone();
            other[280 * COLS + 1] += 1.0;
            assert!(products(&table, &packed, &other, 281) != alone, "{isa} {}: the control", format.name());
        }
    }
}
