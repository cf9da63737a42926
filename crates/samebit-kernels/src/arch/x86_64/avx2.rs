//! AVX2 with FMA and F16C: eight lanes; with AVX-VNNI also the dot product of bytes.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use crate::arch::Fused;
use crate::page8::Quads;
use crate::vector::{ByteDot, GROUP, Line, SmallDot, Vector, WordDot};

/// AVX2, FMA and F16C.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

/// The same with AVX-VNNI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AvxVnni(());

impl Avx2 {
    /// # Safety
    /// The CPU must have AVX2, FMA and F16C.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

impl AvxVnni {
    /// # Safety
    /// The CPU must have AVX2, FMA, F16C and AVX-VNNI.
    #[inline(always)]
    pub(crate) unsafe fn assume() -> Self {
        Self(())
    }
}

/// What both share; `$dot_words` is the one method in which they differ.
macro_rules! eight_lanes {
    ($vector:ty, $dot_words:expr) => {
        // SAFETY of every block: a value of the type exists only where the CPU has the instructions; memory is touched only
        // where the line before has made sure that the slice or array reaches so far.
        impl Vector for $vector {
            type Scalar = Fused;
            const LANES: usize = 8;
            const REGISTERS: usize = 16;
            type F = __m256;
            type I = __m256i;

            #[inline(always)]
            fn splat(self, x: f32) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_set1_ps(x) }
            }
            #[inline(always)]
            fn load(self, x: &[f32]) -> __m256 {
                let x = &x[..8];
                // SAFETY: see above.
                unsafe { _mm256_loadu_ps(x.as_ptr()) }
            }
            #[inline(always)]
            fn store(self, x: __m256, to: &mut [f32]) {
                let to = &mut to[..8];
                // SAFETY: see above.
                unsafe { _mm256_storeu_ps(to.as_mut_ptr(), x) }
            }
            #[inline(always)]
            fn load_half(self, x: &[u16]) -> __m256 {
                let x = &x[..8];
                // SAFETY: see above.
                unsafe { _mm256_cvtph_ps(_mm_loadu_si128(x.as_ptr().cast())) }
            }
            #[inline(always)]
            fn add(self, a: __m256, b: __m256) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_add_ps(a, b) }
            }
            #[inline(always)]
            fn mul(self, a: __m256, b: __m256) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_mul_ps(a, b) }
            }
            #[inline(always)]
            fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_fmadd_ps(a, b, c) }
            }
            #[inline(always)]
            fn splat_i(self, x: i32) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_set1_epi32(x) }
            }
            #[inline(always)]
            fn load_i(self, x: &[i32; GROUP], part: usize) -> __m256i {
                let x = &x[part * 8..][..8];
                // SAFETY: see above.
                unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
            }
            #[inline(always)]
            fn add_i(self, a: __m256i, b: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_add_epi32(a, b) }
            }
            #[inline(always)]
            fn mul_i(self, a: __m256i, b: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_mullo_epi32(a, b) }
            }
            #[inline(always)]
            fn shift_i(self, a: __m256i) -> __m256i {
                // SAFETY: see above.
                unsafe { _mm256_slli_epi32::<8>(a) }
            }
            #[inline(always)]
            fn to_float(self, a: __m256i) -> __m256 {
                // SAFETY: see above.
                unsafe { _mm256_cvtepi32_ps(a) }
            }
            #[inline(always)]
            fn load_bytes(self, w: &Line, part: usize) -> __m256i {
                let w = &w[part * 4..][..4];
                // SAFETY: see above; the slice has 32 bytes.
                unsafe { _mm256_loadu_si256(w.as_ptr().cast()) }
            }
            #[inline(always)]
            fn load_quads(self, x: &Quads, part: usize) -> __m256i {
                let x = &x.0[part * 8..][..8];
                // SAFETY: see above; the slice has 32 bytes.
                unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
            }
            #[inline(always)]
            fn load_words(self, x: &[i16; 2 * GROUP], part: usize) -> __m256i {
                let x = &x[part * 16..][..16];
                // SAFETY: see above.
                unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
            }
            #[inline(always)]
            fn dot_words(self, acc: __m256i, w: __m256i, x: __m256i) -> __m256i {
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
                for half in line.chunks_exact_mut(4) {
                    // SAFETY: see above.
                    unsafe {
                        let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
                        let index = _mm256_loadu_si256(half.as_ptr().cast());
                        _mm256_storeu_si256(half.as_mut_ptr().cast(), _mm256_shuffle_epi8(table, index));
                    }
                }
            }
        }
    };
}

eight_lanes!(Avx2, |acc, w, x| _mm256_add_epi32(acc, _mm256_madd_epi16(w, x)));
eight_lanes!(AvxVnni, |acc, w, x| _mm256_dpwssd_avx_epi32(acc, w, x));

impl ByteDot for AvxVnni {
    const SIGNED: bool = false;
    const DEAR_PRODUCTS: bool = true;

    #[inline(always)]
    fn lift(self, x: __m256i) -> __m256i {
        // SAFETY: a value of the type exists only where the CPU has the instructions.
        unsafe { _mm256_xor_si256(x, _mm256_set1_epi8(-128)) }
    }
    #[inline(always)]
    fn dot_bytes(self, acc: __m256i, w: __m256i, x: __m256i) -> __m256i {
        // SAFETY: a value of the type exists only where the CPU has the instruction.
        unsafe { _mm256_dpbusd_avx_epi32(acc, w, x) }
    }
}

impl WordDot for Avx2 {
    #[inline(always)]
    fn store_i(self, x: __m256i, to: &mut [i32; GROUP], part: usize) {
        let to = &mut to[part * 8..][..8];
        // SAFETY: a value of the type exists only where the CPU has the instruction; the slice has eight lanes.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), x) }
    }
    #[inline(always)]
    fn widen_bytes(self, x: __m256i) -> [__m256i; 2] {
        // SAFETY: a value of the type exists only where the CPU has the instructions.
        unsafe { [_mm256_and_si256(x, _mm256_set1_epi16(255)), _mm256_srli_epi16::<8>(x)] }
    }
    #[inline(always)]
    fn widen_signed(self, x: __m256i) -> [__m256i; 2] {
        // SAFETY: a value of the type exists only where the CPU has the instructions.
        unsafe { [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x)), _mm256_srai_epi16::<8>(x)] }
    }
    #[inline(always)]
    fn sub_words(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: a value of the type exists only where the CPU has the instruction.
        unsafe { _mm256_sub_epi16(a, b) }
    }
    #[inline(always)]
    fn mul_words(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: a value of the type exists only where the CPU has the instruction.
        unsafe { _mm256_mullo_epi16(a, b) }
    }
}

impl SmallDot for Avx2 {
    type Sums = __m256i;
    const PRODUCTS: usize = 2;

    #[inline(always)]
    fn no_sums(self) -> __m256i {
        self.splat_i(0)
    }
    #[inline(always)]
    fn dot_small(self, sums: __m256i, w: __m256i, x: __m256i) -> __m256i {
        // SAFETY: a value of the type exists only where the CPU has the instructions.
        unsafe { _mm256_add_epi16(sums, _mm256_maddubs_epi16(w, x)) }
    }
    #[inline(always)]
    fn spread(self, scale: __m256i) -> __m256i {
        // SAFETY: a value of the type exists only where the CPU has the instructions.
        unsafe {
            let low = _mm256_and_si256(scale, _mm256_set1_epi32(0xffff));
            _mm256_or_si256(low, _mm256_slli_epi32::<16>(scale))
        }
    }
    #[inline(always)]
    fn fold(self, acc: __m256i, sums: __m256i, scale: __m256i) -> __m256i {
        self.dot_words(acc, sums, scale)
    }
}
