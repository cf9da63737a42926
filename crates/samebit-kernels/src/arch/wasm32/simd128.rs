//! simd128: four lanes, words, and a fused multiply-add out of binary64.
//!
//! `relaxed_madd` may round once or twice, as an engine likes, and would need another build besides: it is not used.
#![allow(unsafe_code)]

use core::arch::wasm32::*;

use samebit_numerics::arith::Soft;

use crate::page8::Quads;
use crate::vector::{GROUP, Line, Vector, WordDot};

/// simd128, without which this module is not compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Simd128(());

impl Simd128 {
    /// # Safety
    /// None: the module is compiled for engines that have simd128.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

/// `a · b + c` rounded once, of the two low lanes, as binary64 rounded to odd: [`Soft`]'s way.
#[inline(always)]
fn fma_low(a: v128, b: v128, c: v128) -> v128 {
    let product = f64x2_mul(f64x2_promote_low_f32x4(a), f64x2_promote_low_f32x4(b));
    let addend = f64x2_promote_low_f32x4(c);
    let sum = f64x2_add(product, addend);
    let back = f64x2_sub(sum, product);
    let error = f64x2_add(f64x2_sub(product, f64x2_sub(sum, back)), f64x2_sub(addend, back));
    let inexact = f64x2_gt(f64x2_abs(error), f64x2_splat(0.0));
    let step = v128_and(v128_andnot(i64x2_splat(1), sum), inexact);
    let shrink = v128_and(step, u64x2_shr(v128_xor(sum, error), 63));
    let odd = i64x2_sub(i64x2_add(sum, step), i64x2_shl(shrink, 1));
    f32x4_demote_f64x2_zero(odd)
}

/// The two high lanes, as low ones.
#[inline(always)]
fn high(x: v128) -> v128 {
    i64x2_shuffle::<1, 1>(x, x)
}

/// Four binary16 numbers in the low halves of lanes, widened: subnormals by a multiplication, which is exact.
#[inline(always)]
fn widen(halves: v128) -> v128 {
    let magnitude = i32x4_shl(v128_and(halves, i32x4_splat(0x7fff)), 13);
    let number = f32x4_mul(magnitude, f32x4_splat(f32::from_bits(0x7780_0000)));
    let not_finite = i32x4_gt(magnitude, i32x4_splat(0x0f7f_ffff));
    let number = v128_or(number, v128_and(not_finite, i32x4_splat(0x7f80_0000)));
    v128_or(number, i32x4_shl(v128_and(halves, i32x4_splat(0x8000)), 16))
}

impl Vector for Simd128 {
    type Scalar = Soft;
    const LANES: usize = 4;
    const REGISTERS: usize = 16;
    type F = v128;
    type I = v128;

    #[inline(always)]
    fn splat(self, x: f32) -> v128 {
        f32x4_splat(x)
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> v128 {
        let x = &x[..4];
        // SAFETY: the slice has four floats.
        unsafe { v128_load(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn store(self, x: v128, to: &mut [f32]) {
        let to = &mut to[..4];
        // SAFETY: the slice has four floats.
        unsafe { v128_store(to.as_mut_ptr().cast(), x) }
    }
    #[inline(always)]
    fn load_half(self, x: &[u16]) -> v128 {
        let x = &x[..4];
        // SAFETY: the slice has eight bytes.
        widen(u32x4_extend_low_u16x8(unsafe { v128_load64_zero(x.as_ptr().cast()) }))
    }
    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    fn fma(self, a: v128, b: v128, c: v128) -> v128 {
        i64x2_shuffle::<0, 2>(fma_low(a, b, c), fma_low(high(a), high(b), high(c)))
    }
    #[inline(always)]
    fn splat_i(self, x: i32) -> v128 {
        i32x4_splat(x)
    }
    #[inline(always)]
    fn load_i(self, x: &[i32; GROUP], part: usize) -> v128 {
        let x = &x[part * 4..][..4];
        // SAFETY: the slice has four lanes.
        unsafe { v128_load(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn add_i(self, a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }
    #[inline(always)]
    fn mul_i(self, a: v128, b: v128) -> v128 {
        i32x4_mul(a, b)
    }
    #[inline(always)]
    fn shift_i(self, a: v128) -> v128 {
        i32x4_shl(a, 8)
    }
    #[inline(always)]
    fn to_float(self, a: v128) -> v128 {
        f32x4_convert_i32x4(a)
    }
    #[inline(always)]
    fn load_bytes(self, w: &Line, part: usize) -> v128 {
        let w = &w[part * 2..][..2];
        // SAFETY: the slice has sixteen bytes.
        unsafe { v128_load(w.as_ptr().cast()) }
    }
    #[inline(always)]
    fn load_quads(self, x: &Quads, part: usize) -> v128 {
        let x = &x.0[part * 4..][..4];
        // SAFETY: the slice has sixteen bytes.
        unsafe { v128_load(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn load_words(self, x: &[i16; 2 * GROUP], part: usize) -> v128 {
        let x = &x[part * 8..][..8];
        // SAFETY: the slice has eight words.
        unsafe { v128_load(x.as_ptr().cast()) }
    }
    #[inline(always)]
    fn dot_words(self, acc: v128, w: v128, x: v128) -> v128 {
        i32x4_add(acc, i32x4_dot_i16x8(w, x))
    }
    /// Engines have no such instruction.
    #[inline(always)]
    fn prefetch(self, _: &[u8], _: usize) {}
    #[inline(always)]
    fn look_up(self, table: &[u8; 16], line: &mut Line) {
        for quarter in line.chunks_exact_mut(2) {
            // SAFETY: table and quarter have sixteen bytes.
            unsafe {
                let table = v128_load(table.as_ptr().cast());
                let found = i8x16_swizzle(table, v128_load(quarter.as_ptr().cast()));
                v128_store(quarter.as_mut_ptr().cast(), found);
            }
        }
    }
}

impl WordDot for Simd128 {
    #[inline(always)]
    fn store_i(self, x: v128, to: &mut [i32; GROUP], part: usize) {
        let to = &mut to[part * 4..][..4];
        // SAFETY: the slice has four lanes.
        unsafe { v128_store(to.as_mut_ptr().cast(), x) }
    }
    #[inline(always)]
    fn widen_bytes(self, x: v128) -> [v128; 2] {
        [v128_and(x, i16x8_splat(255)), u16x8_shr(x, 8)]
    }
    #[inline(always)]
    fn widen_signed(self, x: v128) -> [v128; 2] {
        [i16x8_shr(i16x8_shl(x, 8), 8), i16x8_shr(x, 8)]
    }
    #[inline(always)]
    fn sub_words(self, a: v128, b: v128) -> v128 {
        i16x8_sub(a, b)
    }
    #[inline(always)]
    fn mul_words(self, a: v128, b: v128) -> v128 {
        i16x8_mul(a, b)
    }
}
