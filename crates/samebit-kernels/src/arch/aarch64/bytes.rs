//! Dot products and products of matrices of signed bytes; their intrinsics are not stable.
#![allow(unsafe_code)]

use core::arch::aarch64::*;
use core::arch::asm;

use super::neon::{DotProd, I8mm};
use crate::vector::{ByteDot, MatrixDot};

/// Each lane plus the dot product of four bytes.
#[inline]
#[target_feature(enable = "dotprod")]
fn sdot(mut acc: int32x4_t, w: int32x4_t, x: int32x4_t) -> int32x4_t {
    // SAFETY: the instruction is there, by the function's feature, and touches no memory.
    unsafe {
        asm!("sdot {acc:v}.4s, {w:v}.16b, {x:v}.16b", acc = inlateout(vreg) acc, w = in(vreg) w, x = in(vreg) x,
             options(pure, nomem, nostack, preserves_flags));
    }
    acc
}

/// A matrix plus the product of two rows of eight bytes and two columns of eight.
#[inline]
#[target_feature(enable = "i8mm")]
fn smmla(mut acc: int32x4_t, w: int32x4_t, x: int32x4_t) -> int32x4_t {
    // SAFETY: the instruction is there, by the function's feature, and touches no memory.
    unsafe {
        asm!("smmla {acc:v}.4s, {w:v}.16b, {x:v}.16b", acc = inlateout(vreg) acc, w = in(vreg) w, x = in(vreg) x,
             options(pure, nomem, nostack, preserves_flags));
    }
    acc
}

/// Eight bytes as they lie.
#[inline(always)]
fn eight([[a, b, c, d], [e, f, g, h]]: [[i8; 4]; 2]) -> u64 {
    u64::from_ne_bytes([a, b, c, d, e, f, g, h].map(i8::cast_unsigned))
}

impl ByteDot for DotProd {
    const SIGNED: bool = true;

    /// They are.
    #[inline(always)]
    fn lift(self, x: int32x4_t) -> int32x4_t {
        x
    }
    #[inline(always)]
    fn dot_bytes(self, acc: int32x4_t, w: int32x4_t, x: int32x4_t) -> int32x4_t {
        // SAFETY: a value of the type exists only where the CPU has the instruction.
        unsafe { sdot(acc, w, x) }
    }
}

impl ByteDot for I8mm {
    const SIGNED: bool = true;

    /// They are.
    #[inline(always)]
    fn lift(self, x: int32x4_t) -> int32x4_t {
        x
    }
    #[inline(always)]
    fn dot_bytes(self, acc: int32x4_t, w: int32x4_t, x: int32x4_t) -> int32x4_t {
        // SAFETY: a value of the type exists only where the CPU has the instruction.
        unsafe { sdot(acc, w, x) }
    }
}

impl MatrixDot for I8mm {
    #[inline(always)]
    fn zip(self, first: int32x4_t, second: int32x4_t) -> [int32x4_t; 2] {
        // SAFETY: NEON is part of the target.
        unsafe { [vzip1q_s32(first, second), vzip2q_s32(first, second)] }
    }
    #[inline(always)]
    fn pair(self, first: [[i8; 4]; 2], second: [[i8; 4]; 2]) -> int32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vreinterpretq_s32_u64(vcombine_u64(vcreate_u64(eight(first)), vcreate_u64(eight(second)))) }
    }
    #[inline(always)]
    fn dot_pairs(self, acc: int32x4_t, w: int32x4_t, x: int32x4_t) -> int32x4_t {
        // SAFETY: a value of the type exists only where the CPU has the instruction.
        unsafe { smmla(acc, w, x) }
    }
    #[inline(always)]
    fn unzip(self, [first, second]: [int32x4_t; 2]) -> [int32x4_t; 2] {
        // SAFETY: NEON is part of the target.
        unsafe { [vuzp1q_s32(first, second), vuzp2q_s32(first, second)] }
    }
}
