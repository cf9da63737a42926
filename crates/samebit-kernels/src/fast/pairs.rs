//! Sums of both planes by products of small matrices: two rows of weights by two rows of activations, eight elements deep.

use super::dot::{Chunk, planes};
use super::tile::Tile;
use crate::vector::MatrixDot;

/// See [`PlaneSums::planes`](super::dot::PlaneSums::planes). A single row of activations makes no matrix.
#[inline(always)]
pub(crate) fn planes_by_pairs<V: MatrixDot, const G: usize, const VECS: usize, const T: usize, const STEPS: usize>(
    v: V,
    tiles: &[Tile; G],
    x: &[&Chunk; T],
    step: usize,
    start: [[i32; T]; 2],
) -> [[[V::I; VECS]; T]; 2] {
    if const { !T.is_multiple_of(2) } {
        return planes::<V, G, VECS, T, STEPS>(v, tiles, x, step, start);
    }
    let mut sums = [[[v.splat_i(0); VECS]; T]; 2];
    for row in (0..T).step_by(2) {
        let mut matrices = [[[v.splat_i(0); 2]; VECS]; 2];
        for step in (step..step + STEPS).step_by(2) {
            let [a, b] = [x[row], x[row + 1]];
            let high =
                v.pair([a.planes.high[step], a.planes.high[step + 1]], [b.planes.high[step], b.planes.high[step + 1]]);
            let low =
                v.pair([a.planes.low[step], a.planes.low[step + 1]], [b.planes.low[step], b.planes.low[step + 1]]);
            for i in 0..VECS {
                let (tile, part) = (&tiles[i / V::PARTS], i % V::PARTS);
                let weights =
                    v.zip(v.load_bytes(&tile.weights[step], part), v.load_bytes(&tile.weights[step + 1], part));
                for half in 0..2 {
                    matrices[0][i][half] = v.dot_pairs(matrices[0][i][half], weights[half], high);
                    matrices[1][i][half] = v.dot_pairs(matrices[1][i][half], weights[half], low);
                }
            }
        }
        for (plane, matrices) in matrices.iter().enumerate() {
            for (i, &matrices) in matrices.iter().enumerate() {
                let [first, second] = v.unzip(matrices);
                sums[plane][row][i] = v.add_i(first, v.splat_i(start[plane][row]));
                sums[plane][row + 1][i] = v.add_i(second, v.splat_i(start[plane][row + 1]));
            }
        }
    }
    sums
}
