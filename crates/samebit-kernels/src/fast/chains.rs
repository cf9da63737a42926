//! `fma` chains side by side: the one loop of float weights, of attention's scores and of its weighted values.
//!
//! `sum[row][lane] = fma(a[row][k], b[k][lane], sum[row][lane])` for k in order. Knows nothing of chunks: the caller cuts.

use samebit_numerics::half::f16_to_f32;

use crate::vector::Vector;

/// What lanes are read from: binary32 or binary16.
pub(crate) trait Lanes: Copy {
    /// The first lanes of a slice.
    fn load<V: Vector>(v: V, x: &[Self]) -> V::F;
    /// One of them.
    fn widen(self) -> f32;
}

impl Lanes for f32 {
    #[inline(always)]
    fn load<V: Vector>(v: V, x: &[f32]) -> V::F {
        v.load(x)
    }
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
}

/// Binary16.
impl Lanes for u16 {
    #[inline(always)]
    fn load<V: Vector>(v: V, x: &[u16]) -> V::F {
        v.load_half(x)
    }
    #[inline(always)]
    fn widen(self) -> f32 {
        f16_to_f32(self)
    }
}

/// Goes on with `T` rows' chains over `VECS` vectors: `G` runs of lanes, in each of which row k begins at `k · stride`.
#[inline(always)]
pub(crate) fn chains<V: Vector, B: Lanes, const G: usize, const VECS: usize, const T: usize>(
    v: V,
    a: [&[f32]; T],
    b: [&[B]; G],
    stride: usize,
    sums: &mut [[V::F; VECS]; T],
) {
    let (len, width) = (a[0].len(), VECS / G * V::LANES);
    assert!(a.iter().all(|row| row.len() == len), "chains: rows of one length");
    for k in 0..len {
        let mut lanes = [v.splat(0.0); VECS];
        for (run, b) in b.iter().enumerate() {
            let row = &b[k * stride..][..width];
            for i in 0..VECS / G {
                lanes[run * (VECS / G) + i] = B::load(v, &row[i * V::LANES..]);
            }
        }
        for (a, sums) in a.iter().zip(sums.iter_mut()) {
            let a = v.splat(a[k]);
            for (sum, &b) in sums.iter_mut().zip(&lanes) {
                *sum = v.fma(a, b, *sum);
            }
        }
    }
}
