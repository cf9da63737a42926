//! Sums of a plane by products of small matrices: two rows of weights by two rows of activations, eight elements deep.

use super::dot::Chunk;
use super::tile::Tile;
use crate::vector::MatrixDot;

/// See [`PlaneSums::plane`](super::dot::PlaneSums::plane); the rows are
/// even in number (it panics otherwise).
#[inline(always)]
pub(crate) fn plane_by_pairs<
    V: MatrixDot,
    const G: usize,
    const VECS: usize,
    const T: usize,
    const STEPS: usize,
    const HIGH: bool,
>(
    v: V,
    tiles: &[Tile; G],
    x: &[&Chunk; T],
    step: usize,
    start: [[V::I; VECS]; T],
) -> [[V::I; VECS]; T] {
    let mut sums = start;
    for row in (0..T).step_by(2) {
        let mut matrices = [[v.splat_i(0); 2]; VECS];
        for step in (step..step + STEPS).step_by(2) {
            let [a, b] = [x[row], x[row + 1]];
            let [a, b] = if HIGH { [&a.planes.high, &b.planes.high] } else { [&a.planes.low, &b.planes.low] };
            let pair = v.pair([a[step], a[step + 1]], [b[step], b[step + 1]]);
            for (i, matrices) in matrices.iter_mut().enumerate() {
                let (tile, part) = (&tiles[i / V::PARTS], i % V::PARTS);
                let [first, second] = [&tile.weights[step], &tile.weights[step + 1]];
                let weights = v.zip(v.load_bytes(first, part), v.load_bytes(second, part));
                for (matrix, weights) in matrices.iter_mut().zip(weights) {
                    *matrix = v.dot_pairs(*matrix, weights, pair);
                }
            }
        }
        for (i, &matrices) in matrices.iter().enumerate() {
            let [first, second] = v.unzip(matrices);
            sums[row][i] = v.add_i(sums[row][i], first);
            sums[row + 1][i] = v.add_i(sums[row + 1][i], second);
        }
    }
    sums
}
