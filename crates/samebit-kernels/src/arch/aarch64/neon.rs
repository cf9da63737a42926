//! NEON, which every AArch64 has: four lanes, words and small bytes.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use crate::arch::Fused;
use crate::page8::Quads;
use crate::vector::{GROUP, Line, SmallDot, Vector, WordDot};

/// NEON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon(());

/// NEON with the dot product of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DotProd(());

/// The same with products of matrices of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct I8mm(());

impl Neon {
    /// # Safety
    /// None: NEON is part of the target.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

impl DotProd {
    /// # Safety
    /// The CPU must have dotprod.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

impl I8mm {
    /// # Safety
    /// The CPU must have dotprod and i8mm.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

/// Four binary16 numbers widened; the intrinsic is not stable.
#[inline(always)]
fn widen(halves: uint16x4_t) -> float32x4_t {
    let floats: float32x4_t;
    // SAFETY: an instruction of the target's baseline, which touches no memory.
    unsafe {
        asm!("fcvtl {floats:v}.4s, {halves:v}.4h", floats = lateout(vreg) floats, halves = in(vreg) halves,
             options(pure, nomem, nostack, preserves_flags));
    }
    floats
}

/// The low words of each lane, and the high ones.
#[inline(always)]
fn split(x: int32x4_t) -> [int16x4_t; 2] {
    // SAFETY: NEON is part of the target.
    unsafe { [vmovn_s32(x), vshrn_n_s32::<16>(x)] }
}

/// What all three share.
macro_rules! four_lanes {
    ($vector:ty) => {
        impl Vector for $vector {
            type Scalar = Fused;
            const LANES: usize = 4;
            const REGISTERS: usize = 32;
            type F = float32x4_t;
            type I = int32x4_t;

            #[inline(always)]
            fn splat(self, x: f32) -> float32x4_t {
                // SAFETY: NEON is part of the target.
                unsafe { vdupq_n_f32(x) }
            }
            #[inline(always)]
            fn load(self, x: &[f32]) -> float32x4_t {
                let x = &x[..4];
                // SAFETY: the slice has four floats.
                unsafe { vld1q_f32(x.as_ptr()) }
            }
            #[inline(always)]
            fn store(self, x: float32x4_t, to: &mut [f32]) {
                let to = &mut to[..4];
                // SAFETY: the slice has four floats.
                unsafe { vst1q_f32(to.as_mut_ptr(), x) }
            }
            #[inline(always)]
            fn load_half(self, x: &[u16]) -> float32x4_t {
                let x = &x[..4];
                // SAFETY: the slice has four halves.
                widen(unsafe { vld1_u16(x.as_ptr()) })
            }
            #[inline(always)]
            fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
                // SAFETY: NEON is part of the target.
                unsafe { vaddq_f32(a, b) }
            }
            #[inline(always)]
            fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
                // SAFETY: NEON is part of the target.
                unsafe { vmulq_f32(a, b) }
            }
            #[inline(always)]
            fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
                // SAFETY: NEON is part of the target.
                unsafe { vfmaq_f32(c, a, b) }
            }
            #[inline(always)]
            fn splat_i(self, x: i32) -> int32x4_t {
                // SAFETY: NEON is part of the target.
                unsafe { vdupq_n_s32(x) }
            }
            #[inline(always)]
            fn load_i(self, x: &[i32; GROUP], part: usize) -> int32x4_t {
                let x = &x[part * 4..][..4];
                // SAFETY: the slice has four lanes.
                unsafe { vld1q_s32(x.as_ptr()) }
            }
            #[inline(always)]
            fn add_i(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
                // SAFETY: NEON is part of the target.
                unsafe { vaddq_s32(a, b) }
            }
            #[inline(always)]
            fn mul_i(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
                // SAFETY: NEON is part of the target.
                unsafe { vmulq_s32(a, b) }
            }
            #[inline(always)]
            fn shift_i(self, a: int32x4_t) -> int32x4_t {
                // SAFETY: NEON is part of the target.
                unsafe { vshlq_n_s32::<8>(a) }
            }
            #[inline(always)]
            fn to_float(self, a: int32x4_t) -> float32x4_t {
                // SAFETY: NEON is part of the target.
                unsafe { vcvtq_f32_s32(a) }
            }
            #[inline(always)]
            fn load_bytes(self, w: &Line, part: usize) -> int32x4_t {
                let w = &w[part * 2..][..2];
                // SAFETY: the slice has sixteen bytes.
                unsafe { vld1q_s32(w.as_ptr().cast()) }
            }
            #[inline(always)]
            fn load_quads(self, x: &Quads, part: usize) -> int32x4_t {
                let x = &x.0[part * 4..][..4];
                // SAFETY: the slice has sixteen bytes.
                unsafe { vld1q_s32(x.as_ptr().cast()) }
            }
            #[inline(always)]
            fn load_words(self, x: &[i16; 2 * GROUP], part: usize) -> int32x4_t {
                let x = &x[part * 8..][..8];
                // SAFETY: the slice has eight words.
                unsafe { vld1q_s32(x.as_ptr().cast()) }
            }
            #[inline(always)]
            fn dot_words(self, acc: int32x4_t, w: int32x4_t, x: int32x4_t) -> int32x4_t {
                // SAFETY: NEON is part of the target.
                unsafe {
                    let ([w0, w1], [x0, x1]) = (split(w), split(x));
                    vmlal_s16(vmlal_s16(acc, w0, x0), w1, x1)
                }
            }
            #[inline(always)]
            fn prefetch(self, bytes: &[u8], at: usize) {
                let address = bytes.as_ptr().wrapping_add(at);
                // SAFETY: the instruction takes any address and changes nothing that a program sees.
                unsafe { asm!("prfm pldl1keep, [{}]", in(reg) address, options(readonly, nostack, preserves_flags)) };
            }
            #[inline(always)]
            fn look_up(self, table: &[u8; 16], line: &mut Line) {
                for quarter in line.chunks_exact_mut(2) {
                    // SAFETY: table and quarter have sixteen bytes.
                    unsafe {
                        let found = vqtbl1q_u8(vld1q_u8(table.as_ptr()), vld1q_u8(quarter.as_ptr().cast()));
                        vst1q_u8(quarter.as_mut_ptr().cast(), found);
                    }
                }
            }
        }
    };
}

four_lanes!(Neon);
four_lanes!(DotProd);
four_lanes!(I8mm);

impl WordDot for Neon {
    #[inline(always)]
    fn store_i(self, x: int32x4_t, to: &mut [i32; GROUP], part: usize) {
        let to = &mut to[part * 4..][..4];
        // SAFETY: the slice has four lanes.
        unsafe { vst1q_s32(to.as_mut_ptr(), x) }
    }
    #[inline(always)]
    fn widen_bytes(self, x: int32x4_t) -> [int32x4_t; 2] {
        // SAFETY: NEON is part of the target.
        unsafe {
            let words = vreinterpretq_u16_s32(x);
            let (even, odd) = (vandq_u16(words, vdupq_n_u16(255)), vshrq_n_u16::<8>(words));
            [vreinterpretq_s32_u16(even), vreinterpretq_s32_u16(odd)]
        }
    }
    #[inline(always)]
    fn widen_signed(self, x: int32x4_t) -> [int32x4_t; 2] {
        // SAFETY: NEON is part of the target.
        unsafe {
            let words = vreinterpretq_s16_s32(x);
            let (even, odd) = (vshrq_n_s16::<8>(vshlq_n_s16::<8>(words)), vshrq_n_s16::<8>(words));
            [vreinterpretq_s32_s16(even), vreinterpretq_s32_s16(odd)]
        }
    }
    #[inline(always)]
    fn sub_words(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vreinterpretq_s32_s16(vsubq_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b))) }
    }
    #[inline(always)]
    fn mul_words(self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vreinterpretq_s32_s16(vmulq_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b))) }
    }
}

/// Of two lanes each element's own 16-bit sum.
impl SmallDot for Neon {
    type Sums = [int16x8_t; 2];
    const PRODUCTS: usize = 1;

    #[inline(always)]
    fn no_sums(self) -> [int16x8_t; 2] {
        // SAFETY: NEON is part of the target.
        unsafe { [vdupq_n_s16(0); 2] }
    }
    #[inline(always)]
    fn dot_small(self, [first, second]: [int16x8_t; 2], w: int32x4_t, x: int32x4_t) -> [int16x8_t; 2] {
        // SAFETY: NEON is part of the target.
        unsafe {
            let (w, x) = (vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(x));
            [vmlal_s8(first, vget_low_s8(w), vget_low_s8(x)), vmlal_high_s8(second, w, x)]
        }
    }
    #[inline(always)]
    fn spread(self, scale: int32x4_t) -> int32x4_t {
        scale
    }
    #[inline(always)]
    fn fold(self, acc: int32x4_t, [first, second]: [int16x8_t; 2], scale: int32x4_t) -> int32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vmlaq_s32(acc, vpaddq_s32(vpaddlq_s16(first), vpaddlq_s16(second)), scale) }
    }
}
