//! x86-64: vectors of AVX2 and AVX-512.

mod avx2;
mod avx512;

pub(crate) use avx2::{Avx2, AvxVnni};
pub(crate) use avx512::{Avx512, Avx512Vnni};
