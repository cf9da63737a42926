//! AVX-512: sixteen lanes; with VNNI also the dot product of bytes.
#![allow(unsafe_code)]

use core::arch::asm;
use core::arch::x86_64::*;

use crate::arch::Fused;
use crate::page8::Quads;
use crate::vector::{ByteDot, GROUP, Line, SmallDot, Vector, WordDot};

/// AVX-512 F, BW, DQ and VL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

/// The same with VNNI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Vnni(());

impl Avx512 {
    /// # Safety
    /// The CPU must have AVX-512 F, BW, DQ and VL.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

impl Avx512Vnni {
    /// # Safety
    /// The CPU must have AVX-512 F, BW, DQ, VL and VNNI.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

/// What both share; `$dot_words` is the one method in which they differ.
macro_rules! sixteen_lanes {
    ($vector:ty, $dot_words:expr) => {
        // SAFETY of every block: a value of the type exists only where the CPU has the instructions; memory is touched only
        // where the line before has made sure that the slice or array reaches so far.
        impl Vector for $vector {
            type Scalar = Fused;
            const LANES: usize = 16;
            const REGISTERS: usize = 32;
            type F = __m512;
            type I = __m512i;

            #[inline(always)]
            fn splat(self, x: f32) -> __m512 {
                // SAFETY: see above.
                unsafe { _mm512_set1_ps(x) }
            }
            #[inline(always)]
            fn load(self, x: &[f32]) -> __m512 {
                let x = &x[..16];
                // SAFETY: see above.
                unsafe { _mm512_loadu_ps(x.as_ptr()) }
            }
            #[inline(always)]
            fn store(self, x: __m512, to: &mut [f32]) {
                let to = &mut to[..16];
                // SAFETY: see above.
                unsafe { _mm512_storeu_ps(to.as_mut_ptr(), x) }
            }
            #[inline(always)]
            fn load_half(self, x: &[u16]) -> __m512 {
                let x = &x[..16];
                // SAFETY: see above.
                unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())) }
            }
            #[inline(always)]
            fn add(self, a: __m512, b: __m512) -> __m512 {
                // SAFETY: see above.
                unsafe { _mm512_add_ps(a, b) }
            }
            #[inline(always)]
            fn mul(self, a: __m512, b: __m512) -> __m512 {
                // SAFETY: see above.
                unsafe { _mm512_mul_ps(a, b) }
            }
            #[inline(always)]
            fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
                // SAFETY: see above.
                unsafe { _mm512_fmadd_ps(a, b, c) }
            }
            #[inline(always)]
            fn splat_i(self, x: i32) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_set1_epi32(x) }
            }
            #[inline(always)]
            fn load_i(self, x: &[i32; GROUP], _: usize) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
            }
            #[inline(always)]
            fn add_i(self, a: __m512i, b: __m512i) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_add_epi32(a, b) }
            }
            #[inline(always)]
            fn mul_i(self, a: __m512i, b: __m512i) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_mullo_epi32(a, b) }
            }
            #[inline(always)]
            fn shift_i(self, a: __m512i) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_slli_epi32::<8>(a) }
            }
            #[inline(always)]
            fn to_float(self, a: __m512i) -> __m512 {
                // SAFETY: see above.
                unsafe { _mm512_cvtepi32_ps(a) }
            }
            #[inline(always)]
            fn load_bytes(self, w: &Line, _: usize) -> __m512i {
                // SAFETY: see above; a line has 64 bytes.
                unsafe { _mm512_loadu_si512(w.as_ptr().cast()) }
            }
            #[inline(always)]
            fn load_quads(self, x: &Quads, _: usize) -> __m512i {
                // SAFETY: see above; quads have 64 bytes.
                unsafe { _mm512_loadu_si512(x.0.as_ptr().cast()) }
            }
            #[inline(always)]
            fn load_words(self, x: &[i16; 2 * GROUP], _: usize) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
            }
            #[inline(always)]
            fn dot_words(self, acc: __m512i, w: __m512i, x: __m512i) -> __m512i {
                // SAFETY: see above.
                unsafe { $dot_words(acc, w, x) }
            }
            #[inline(always)]
            fn prefetch(self, bytes: &[u8], at: usize) {
                // SAFETY: see above; the instruction takes any address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(at).cast()) };
            }
            #[inline(always)]
            fn look_up(self, table: &[u8; 16], line: &mut Line) {
                // SAFETY: see above.
                unsafe {
                    let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()));
                    let index = _mm512_loadu_si512(line.as_ptr().cast());
                    _mm512_storeu_si512(line.as_mut_ptr().cast(), _mm512_shuffle_epi8(table, index));
                }
            }
        }
    };
}

sixteen_lanes!(Avx512, |acc, w, x| _mm512_add_epi32(acc, _mm512_madd_epi16(w, x)));
sixteen_lanes!(Avx512Vnni, dpwssd);

/// Each lane plus the dot product of two words. Not the intrinsic, of which the compiler makes two instructions.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn dpwssd(mut acc: __m512i, w: __m512i, x: __m512i) -> __m512i {
    // SAFETY: the instruction is there, by the function's feature, and touches no memory.
    unsafe {
        asm!("vpdpwssd {acc}, {w}, {x}", acc = inout(zmm_reg) acc, w = in(zmm_reg) w, x = in(zmm_reg) x,
             options(pure, nomem, nostack, preserves_flags));
    }
    acc
}

/// Each lane plus the dot product of four bytes, unsigned and signed. Not the intrinsic: the compiler would put one row's
/// products after another's, so that their sums wait for each other.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn dpbusd(mut acc: __m512i, w: __m512i, x: __m512i) -> __m512i {
    // SAFETY: the instruction is there, by the function's feature, and touches no memory.
    unsafe {
        asm!("vpdpbusd {acc}, {w}, {x}", acc = inout(zmm_reg) acc, w = in(zmm_reg) w, x = in(zmm_reg) x,
             options(nomem, nostack, preserves_flags));
    }
    acc
}

impl ByteDot for Avx512Vnni {
    const SIGNED: bool = false;
    const DEAR_PRODUCTS: bool = true;

    #[inline(always)]
    fn lift(self, x: __m512i) -> __m512i {
        // SAFETY: a value of the type exists only where the CPU has the instructions.
        unsafe { _mm512_xor_si512(x, _mm512_set1_epi8(-128)) }
    }
    #[inline(always)]
    fn dot_bytes(self, acc: __m512i, w: __m512i, x: __m512i) -> __m512i {
        // SAFETY: a value of the type exists only where the CPU has the instruction.
        unsafe { dpbusd(acc, w, x) }
    }
}

impl WordDot for Avx512 {
    #[inline(always)]
    fn store_i(self, x: __m512i, to: &mut [i32; GROUP], _: usize) {
        // SAFETY: a value of the type exists only where the CPU has the instruction; the array has sixteen lanes.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), x) }
    }
    #[inline(always)]
    fn widen_bytes(self, x: __m512i) -> [__m512i; 2] {
        // SAFETY: a value of the type exists only where the CPU has the instructions.
        unsafe { [_mm512_and_si512(x, _mm512_set1_epi16(255)), _mm512_srli_epi16::<8>(x)] }
    }
    #[inline(always)]
    fn widen_signed(self, x: __m512i) -> [__m512i; 2] {
        // SAFETY: a value of the type exists only where the CPU has the instructions.
        unsafe { [_mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(x)), _mm512_srai_epi16::<8>(x)] }
    }
    #[inline(always)]
    fn sub_words(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: a value of the type exists only where the CPU has the instruction.
        unsafe { _mm512_sub_epi16(a, b) }
    }
    #[inline(always)]
    fn mul_words(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: a value of the type exists only where the CPU has the instruction.
        unsafe { _mm512_mullo_epi16(a, b) }
    }
}

impl SmallDot for Avx512 {
    type Sums = __m512i;
    const PRODUCTS: usize = 2;

    #[inline(always)]
    fn no_sums(self) -> __m512i {
        self.splat_i(0)
    }
    #[inline(always)]
    fn dot_small(self, sums: __m512i, w: __m512i, x: __m512i) -> __m512i {
        // SAFETY: a value of the type exists only where the CPU has the instructions.
        unsafe { _mm512_add_epi16(sums, _mm512_maddubs_epi16(w, x)) }
    }
    #[inline(always)]
    fn spread(self, scale: __m512i) -> __m512i {
        // SAFETY: a value of the type exists only where the CPU has the instructions.
        unsafe {
            let low = _mm512_and_si512(scale, _mm512_set1_epi32(0xffff));
            _mm512_or_si512(low, _mm512_slli_epi32::<16>(scale))
        }
    }
    #[inline(always)]
    fn fold(self, acc: __m512i, sums: __m512i, scale: __m512i) -> __m512i {
        self.dot_words(acc, sums, scale)
    }
}
