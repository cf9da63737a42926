//! `fma` chains side by side: the one loop of float weights, of attention's scores and of its weighted values.
//!
//! `sum[row][lane] = fma(a[row][k], b[k][lane], sum[row][lane])` for k in order. Knows nothing of chunks: the caller cuts.

use samebit_numerics::half::f16_to_f32;

use crate::vector::{GROUP, Vector};

/// What lanes are read from.
pub(crate) trait Lanes {
    /// A number as it lies.
    type Raw: Copy;
    /// The first lanes of a slice.
    fn load<V: Vector>(v: V, x: &[Self::Raw]) -> V::F;
    /// One number.
    fn widen(x: Self::Raw) -> f32;
}

impl Lanes for f32 {
    type Raw = f32;
    #[inline(always)]
    fn load<V: Vector>(v: V, x: &[f32]) -> V::F {
        v.load(x)
    }
    #[inline(always)]
    fn widen(x: f32) -> f32 {
        x
    }
}

/// Binary16.
impl Lanes for u16 {
    type Raw = u16;
    #[inline(always)]
    fn load<V: Vector>(v: V, x: &[u16]) -> V::F {
        v.load_half(x)
    }
    #[inline(always)]
    fn widen(x: u16) -> f32 {
        f16_to_f32(x)
    }
}

/// Binary16 as bytes.
pub(crate) enum PackedHalf {}
/// bfloat16 as bytes.
pub(crate) enum PackedBrain {}
/// Binary32 as bytes.
pub(crate) enum PackedSingle {}

impl Lanes for PackedHalf {
    type Raw = [u8; 2];
    #[inline(always)]
    fn load<V: Vector>(v: V, x: &[[u8; 2]]) -> V::F {
        let mut halves = [0; GROUP];
        for (half, bytes) in halves[..V::LANES].iter_mut().zip(&x[..V::LANES]) {
            *half = u16::from_le_bytes(*bytes);
        }
        v.load_half(&halves)
    }
    #[inline(always)]
    fn widen(x: [u8; 2]) -> f32 {
        f16_to_f32(u16::from_le_bytes(x))
    }
}

impl Lanes for PackedBrain {
    type Raw = [u8; 2];
    #[inline(always)]
    fn load<V: Vector>(v: V, x: &[[u8; 2]]) -> V::F {
        let mut floats = [0.0; GROUP];
        for (float, bytes) in floats[..V::LANES].iter_mut().zip(&x[..V::LANES]) {
            *float = Self::widen(*bytes);
        }
        v.load(&floats)
    }
    #[inline(always)]
    fn widen(x: [u8; 2]) -> f32 {
        f32::from_bits(u32::from(u16::from_le_bytes(x)) << 16)
    }
}

impl Lanes for PackedSingle {
    type Raw = [u8; 4];
    #[inline(always)]
    fn load<V: Vector>(v: V, x: &[[u8; 4]]) -> V::F {
        let mut floats = [0.0; GROUP];
        for (float, bytes) in floats[..V::LANES].iter_mut().zip(&x[..V::LANES]) {
            *float = f32::from_le_bytes(*bytes);
        }
        v.load(&floats)
    }
    #[inline(always)]
    fn widen(x: [u8; 4]) -> f32 {
        f32::from_le_bytes(x)
    }
}

/// Goes on with `T` rows' chains over `VECS` vectors: `G` runs of lanes, in each of which row k begins at `k · stride`.
#[inline(always)]
pub(crate) fn chains<V: Vector, B: Lanes, const G: usize, const VECS: usize, const T: usize>(
    v: V,
    a: [&[f32]; T],
    b: [&[B::Raw]; G],
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
