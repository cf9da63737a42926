//! One generic algorithm, an instance per instruction set: the only place where kernels are chosen.
//!
//! The instances differ in nothing but the instructions that the compiler may use and where `fma` comes from.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod instance;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm32;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use samebit_numerics::arith::{Arith, Double, Float32, Single, Soft};
use samebit_numerics::blocks::Family;
use samebit_numerics::half::{f16_to_f32, f32_to_f16};
use samebit_numerics::ops::attention::{Page, Scores};
use samebit_numerics::ops::matmul::{Matrix, matmul_float, matmul_quantized};
use samebit_numerics::ops::study::{self, matmul_a8, round_to_weights};
use samebit_numerics::ops::{attention, attention8, elementwise, norm, rope, router, softmax};
use samebit_numerics::reduce::CHUNK;

use crate::Isa;
use crate::table::{Activations, Heads, Numerics, PageOf, Table, check_finite};
use core::ops::Range;
use instance::instance;

/// [`Float32`] by the machine's own instructions; only for code compiled where those exist.
#[derive(Clone, Copy, Debug)]
pub struct Fused;

#[allow(clippy::disallowed_methods)] // the one place that owns the hardware's fused multiply-add
impl Float32 for Fused {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
    #[inline(always)]
    fn sqrt(x: f32) -> f32 {
        x.sqrt()
    }
}

instance!(reference, Soft, []);
#[cfg(target_arch = "x86_64")]
instance!(avx2, Fused, ["avx2,fma"]);
#[cfg(target_arch = "x86_64")]
instance!(avx512, Fused, ["avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"]);
#[cfg(target_arch = "aarch64")]
instance!(neon, Fused, []);

/// The kernels that are written over vectors, an instance per vector unit.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", all(target_arch = "wasm32", target_feature = "simd128")))]
mod fast_kernels {
    use samebit_numerics::blocks::Format;
    use samebit_numerics::ops::attention::Scores;

    #[cfg(target_arch = "aarch64")]
    use super::aarch64::{DotProd, I8mm, Neon};
    use super::instance::fast;
    #[cfg(target_arch = "wasm32")]
    use super::wasm32::Simd128;
    #[cfg(target_arch = "x86_64")]
    use super::x86_64::{Avx2, Avx512, Avx512Vnni, AvxVnni};
    use crate::fast::activations::{BytePlanes, QuantizedChunk, WordPlanes, quantize};
    use crate::fast::attention;
    use crate::fast::kernel::{Kernel, Unit, takes};
    use crate::fast::product::{self, Call};
    use crate::fast::tile::Tile;
    use crate::fast::unpack::unpack;
    use crate::table::{Fast, Heads, Numerics, PageOf, Table, Unpack};

    // How many groups and vectors are done together is what the registers hold: sixteen or thirty-two.
    #[cfg(target_arch = "x86_64")]
    fast!(avx2, Avx2, ["avx2,fma,f16c"], 1, 2, 8);
    #[cfg(target_arch = "x86_64")]
    fast!(avxvnni, AvxVnni, ["avx2,fma,f16c,avxvnni"], 1, 2, 8);
    #[cfg(target_arch = "x86_64")]
    fast!(avx512, Avx512, ["avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"], 2, 2, 4);
    #[cfg(target_arch = "x86_64")]
    fast!(avx512vnni, Avx512Vnni, ["avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"], 2, 2, 4);
    #[cfg(target_arch = "aarch64")]
    fast!(neon, Neon, [], 1, 4, 16);
    #[cfg(target_arch = "aarch64")]
    fast!(dotprod, DotProd, ["neon,dotprod"], 1, 4, 16);
    #[cfg(target_arch = "aarch64")]
    fast!(i8mm, I8mm, ["neon,dotprod,i8mm"], 1, 4, 16);
    #[cfg(target_arch = "wasm32")]
    fast!(simd128, Simd128, [], 1, 4, 16);
}

/// The table of a binary32 mode for an instruction set that this CPU has.
pub(crate) fn table(isa: Isa, mode: Numerics) -> Table<f32> {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => fast_kernels::avx2::over(avx2::table(isa, mode), mode),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni => fast_kernels::avxvnni::over(avx2::table(isa, mode), mode),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => fast_kernels::avx512::over(avx512::table(isa, mode), mode),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => fast_kernels::avx512vnni::over(avx512::table(isa, mode), mode),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => fast_kernels::neon::over(neon::table(isa, mode), mode),
        #[cfg(target_arch = "aarch64")]
        Isa::DotProd => fast_kernels::dotprod::over(neon::table(isa, mode), mode),
        #[cfg(target_arch = "aarch64")]
        Isa::I8mm => fast_kernels::i8mm::over(neon::table(isa, mode), mode),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Isa::Simd128 => fast_kernels::simd128::over(reference::table(isa, mode), mode),
        _ => reference::table(isa, mode),
    }
}

/// v1: the weights' format chooses the product.
#[inline(always)]
fn v1<F: Float32>(w: &Matrix<'_>, rows: Range<usize>, x: &Activations<f32>, out: &mut [f32]) {
    match w.format.family() {
        Family::Float => matmul_float::<Single<F>>(w, rows, &x.values, x.tokens, out),
        Family::Block32 | Family::Block256 => matmul_quantized::<F>(w, rows, &x.quantized, out),
    }
}

/// a8: 8-bit activations for quantised weights, 16-bit floats for 16-bit float weights.
#[inline(always)]
fn a8<F: Float32>(w: &Matrix<'_>, rows: Range<usize>, x: &Activations<f32>, out: &mut [f32]) {
    match w.format.family() {
        Family::Float => {
            let mut values = x.values.clone();
            round_to_weights(w.format, &mut values);
            matmul_float::<Single<F>>(w, rows, &values, x.tokens, out);
        }
        Family::Block32 => matmul_a8::<F>(w, rows, &x.eight_bit[0], out),
        Family::Block256 => matmul_a8::<F>(w, rows, &x.eight_bit[1], out),
    }
}

/// v1: pages of bytes by integers, others by floats.
#[inline(always)]
fn attend_v1<F: Float32>(page: PageOf<'_, f32>, how: Scores, heads: &mut Heads<'_, '_, f32>) {
    let PageOf::Q8(page) = page else {
        return attend_each::<Single<F>>(page, how, heads, |x| x);
    };
    let rows = page.rows(heads.dim);
    for index in 0..heads.count() {
        let (query, visible) = (heads.query(index), heads.visible(index));
        let mut running = *heads.running(index);
        attention8::attend::<F>(query, rows.page(), visible, how, &mut running, heads.out(index));
        *heads.running(index) = running;
    }
}

/// Each head on its own, over a page in the pass's precision.
#[inline(always)]
fn attend_each<A: Arith>(
    page: PageOf<'_, A::R>,
    how: Scores,
    heads: &mut Heads<'_, '_, A::R>,
    convert: impl Fn(f32) -> A::R + Copy,
) {
    let mut buffers = [Vec::new(), Vec::new()];
    let page = match page {
        PageOf::Full { keys, values } => Page { keys, values },
        PageOf::Half { keys, values } => {
            for (buffer, halves) in buffers.iter_mut().zip([keys, values]) {
                buffer.resize(halves.len(), A::ZERO);
                widen_all(halves, buffer, convert);
            }
            Page { keys: &buffers[0], values: &buffers[1] }
        }
        PageOf::Q8(page) => {
            let dim = heads.dim;
            buffers[0].extend((0..dim * CHUNK).map(|i| convert(page.key(dim, i % CHUNK, i / CHUNK))));
            buffers[1].extend((0..dim * CHUNK).map(|i| convert(page.value(i / dim, i % dim))));
            Page { keys: &buffers[0], values: &buffers[1] }
        }
    };
    for index in 0..heads.count() {
        let (query, visible) = (heads.query(index), heads.visible(index));
        let mut running = *heads.running(index);
        attention::attend::<A>(query, page, visible, how, &mut running, heads.out(index));
        *heads.running(index) = running;
    }
}

#[inline(always)]
fn widen_all<R>(from: &[u16], to: &mut [R], convert: impl Fn(f32) -> R) {
    for (t, &f) in to.iter_mut().zip(from) {
        *t = convert(f16_to_f32(f));
    }
}

/// The binary64 study table: the reference's operations in double, for any format.
pub(crate) fn double_table() -> Table<f64> {
    type D = Double;
    Table {
        isa: Isa::Reference,
        prepare: |a, _| check_finite(a, f64::is_finite),
        matmul: |w, rows, x, out| matmul_float::<D>(w, rows, &x.values, x.tokens, out),
        rms_norm: norm::rms_norm::<D>,
        layer_norm: norm::layer_norm::<D>,
        rotate: rope::rotate::<D>,
        attend: |page, how, heads| attend_each::<D>(page, how, heads, f64::from),
        merge: attention::merge::<D>,
        finish: attention::finish::<D>,
        softmax: softmax::softmax::<D>,
        route: router::route::<D>,
        gated: elementwise::gated::<D>,
        soft_cap: elementwise::soft_cap::<D>,
        add: elementwise::add::<D>,
        add_bias: elementwise::add_bias::<D>,
        add_weighted: elementwise::add_weighted::<D>,
        scale: elementwise::scale::<D>,
        widen: |from, to| widen_all(from, to, f64::from),
        narrow: |from, to| {
            for (t, &f) in to.iter_mut().zip(from) {
                *t = f32_to_f16(D::to_f32(f));
            }
        },
        quantize8: |from, q, d| {
            let singles: Vec<f32> = from.iter().map(|&x| D::to_f32(x)).collect();
            attention8::quantize(&singles, q, d);
        },
        fast: None,
    }
}
