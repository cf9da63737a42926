//! The macro that makes an instance of every operation for one instruction set.
//!
//! Knows how a function is compiled for an instruction set; nothing of what it computes.

/// `instance!(name, float, ["features"])`: a module with each operation compiled under the features, and its table.
macro_rules! instance {
    ($name:ident, $float:ty, $features:tt) => {
        mod $name {
            use super::*;
            use crate::table::{Numerics, prepare_a8, prepare_float, prepare_v1};
            use samebit_numerics::activations::NonFinite;
            use samebit_numerics::blocks::Format;
            use samebit_numerics::ops::attention::{Running, Scores};
            use samebit_numerics::ops::elementwise::Gate;
            use samebit_numerics::ops::rope::Pairing;
            use samebit_numerics::ops::router::Router;

            type S = Single<$float>;
            type Scalars<'a> = &'a [f32];
            type Rows = Range<usize>;

            crate::arch::instance::op! { $features prepare(a: &mut Activations<f32>, formats: &[Format]) -> Result<(), NonFinite>;
                prepare_v1(a, formats) }
            crate::arch::instance::op! { $features matmul(w: &Matrix<'_>, rows: Rows, x: &Activations<f32>, out: &mut [f32]) -> ();
                v1::<$float>(w, rows, x, out) }
            crate::arch::instance::op! { $features matmul_dequantized(w: &Matrix<'_>, rows: Rows, x: &Activations<f32>, out: &mut [f32]) -> ();
                matmul_float::<S>(w, rows, &x.values, x.tokens, out) }
            crate::arch::instance::op! { $features matmul_eight_bit(w: &Matrix<'_>, rows: Rows, x: &Activations<f32>, out: &mut [f32]) -> ();
                a8::<$float>(w, rows, x, out) }
            crate::arch::instance::op! { $features rms_norm(x: Scalars<'_>, weight: Scalars<'_>, epsilon: f32, out: &mut [f32]) -> ();
                norm::rms_norm::<S>(x, weight, epsilon, out) }
            crate::arch::instance::op! { $features layer_norm(x: Scalars<'_>, weight: Scalars<'_>, bias: Scalars<'_>, epsilon: f32, out: &mut [f32]) -> ();
                norm::layer_norm::<S>(x, weight, bias, epsilon, out) }
            crate::arch::instance::op! { $features rotate(head: &mut [f32], pairing: Pairing, cos: Scalars<'_>, sin: Scalars<'_>) -> ();
                rope::rotate::<S>(head, pairing, cos, sin) }
            crate::arch::instance::op! { $features attend(page: PageOf<'_, f32>, how: Scores, heads: &mut Heads<'_, '_, f32>) -> ();
                attend_v1::<$float>(page, how, heads) }
            crate::arch::instance::op! { $features attend_floats(page: PageOf<'_, f32>, how: Scores, heads: &mut Heads<'_, '_, f32>) -> ();
                attend_each::<S>(page, how, heads, |x| x) }
            crate::arch::instance::op! { $features merge(chunk: Running<f32>, partial: Scalars<'_>, running: &mut Running<f32>, out: &mut [f32]) -> ();
                attention::merge::<S>(chunk, partial, running, out) }
            crate::arch::instance::op! { $features finish(running: Running<f32>, sink: Option<f32>, out: &mut [f32]) -> ();
                attention::finish::<S>(running, sink, out) }
            crate::arch::instance::op! { $features softmax(x: &mut [f32]) -> (); softmax::softmax::<S>(x) }
            crate::arch::instance::op! { $features route(kind: Router, scores: Scalars<'_>, chosen: &mut [usize], weights: &mut [f32]) -> ();
                router::route::<S>(kind, scores, chosen, weights) }
            crate::arch::instance::op! { $features gated(kind: Gate, gate: &mut [f32], up: Scalars<'_>) -> ();
                elementwise::gated::<S>(kind, gate, up) }
            crate::arch::instance::op! { $features gated_by_half_table(kind: Gate, gate: &mut [f32], up: Scalars<'_>) -> ();
                study::gated_by_half_table::<$float>(kind, gate, up) }
            crate::arch::instance::op! { $features soft_cap(x: &mut [f32], cap: f32) -> (); elementwise::soft_cap::<S>(x, cap) }
            crate::arch::instance::op! { $features add(acc: &mut [f32], x: Scalars<'_>) -> (); elementwise::add::<S>(acc, x) }
            crate::arch::instance::op! { $features add_bias(acc: &mut [f32], bias: Scalars<'_>) -> (); elementwise::add_bias::<S>(acc, bias) }
            crate::arch::instance::op! { $features add_weighted(acc: &mut [f32], weight: f32, x: Scalars<'_>) -> ();
                elementwise::add_weighted::<S>(acc, weight, x) }
            crate::arch::instance::op! { $features scale(x: &mut [f32], factor: f32) -> (); elementwise::scale::<S>(x, factor) }
            crate::arch::instance::op! { $features widen(from: &[u16], to: &mut [f32]) -> (); widen_all(from, to, |x| x) }
            crate::arch::instance::op! { $features narrow(from: Scalars<'_>, to: &mut [u16]) -> ();
                for (t, &f) in to.iter_mut().zip(from) { *t = f32_to_f16(f); } }
            crate::arch::instance::op! { $features quantize8(from: Scalars<'_>, q: &mut [i8], d: &mut [u16]) -> ();
                attention8::quantize(from, q, d) }

            /// The table of a binary32 mode.
            pub(super) fn table(isa: Isa, mode: Numerics) -> Table<f32> {
                let v1 = Table {
                    isa, prepare, matmul, rms_norm, layer_norm, rotate, attend, merge, finish, softmax, route, gated, soft_cap,
                    add, add_bias, add_weighted, scale, widen, narrow, quantize8, fast: None,
                };
                match mode {
                    Numerics::A8 => Table {
                        prepare: prepare_a8, matmul: matmul_eight_bit, gated: gated_by_half_table, attend: attend_floats, ..v1
                    },
                    Numerics::F32 => Table {
                        prepare: prepare_float, matmul: matmul_dequantized, attend: attend_floats, ..v1
                    },
                    Numerics::V1 | Numerics::F64 => v1,
                }
            }
        }
    };
}

/// `fast!(name, vector, ["features"], groups, vectors, wide)`: a module with the fast kernels compiled under the features, each
/// a function of its own. `groups` (`vectors` vectors) are done together, for a single row of floats four (`wide` vectors).
#[allow(unused_macros)] // a target may have no vector unit that is known here
macro_rules! fast {
    ($name:ident, $vector:ty, $features:tt, $groups:literal, $vectors:literal, $wide:literal) => {
        pub(super) mod $name {
            use super::*;

            type Blocks32 = <$vector as Unit>::Blocks32;
            type Blocks256 = <$vector as Unit>::Blocks256;
            type Table256 = <$vector as Unit>::Table256;

            #[allow(unsafe_code)]
            #[inline(always)]
            fn vector() -> $vector {
                // SAFETY: called under the features alone, see `op`.
                unsafe { <$vector>::assume() }
            }

            crate::arch::instance::fast! { @unpack $features
                q4_0: Blocks32 Q4_0, q4_1: Blocks32 Q4_1, q5_0: Blocks32 Q5_0, q5_1: Blocks32 Q5_1, q8_0: Blocks32 Q8_0,
                iq4_nl: Blocks32 Iq4Nl, mxfp4: Blocks32 Mxfp4, q2_k: Blocks256 Q2K, q3_k: Blocks256 Q3K,
                q4_k: Blocks256 Q4K, q5_k: Blocks256 Q5K, q6_k: Blocks256 Q6K, iq4_xs: Table256 Iq4Xs }
            crate::arch::instance::fast! { @product $features $groups $vectors
                shape_0: Blocks32 0, shape_1: Blocks32 1, shape_2: Blocks256 2, shape_3: Blocks256 3, shape_4: Table256 4,
                shape_5: Blocks256 5 }
            crate::arch::instance::op! { $features floats(call: Call<'_, '_>) -> bool;
                product::floats::<$vector, $groups, $vectors, $wide>(vector(), call) }

            crate::arch::instance::op! { $features bytes(x: &[f32], out: &mut QuantizedChunk<BytePlanes>) -> bool;
                quantize(x, out).is_some() }
            crate::arch::instance::op! { $features words(x: &[f32], out: &mut QuantizedChunk<WordPlanes>) -> bool;
                quantize(x, out).is_some() }
            crate::arch::instance::op! { $features attend(page: PageOf<'_, f32>, how: Scores, heads: &mut Heads<'_, '_, f32>) -> ();
                attention::attend::<$vector, <$vector as Unit>::Integers, $groups, $vectors>(vector(), page, how, heads) }

            /// The product of whichever shape the format has.
            fn product(call: Call<'_, '_>) -> bool {
                match call.shape() {
                    None => floats(call),
                    Some(0) => shape_0(call),
                    Some(1) => shape_1(call),
                    Some(2) => shape_2(call),
                    Some(3) => shape_3(call),
                    Some(4) => shape_4(call),
                    _ => shape_5(call),
                }
            }

            /// `table` with what is fast in v1.
            pub(in crate::arch) fn over(table: Table<f32>, mode: Numerics) -> Table<f32> {
                match mode {
                    Numerics::V1 => {
                        let fast = Fast { takes: takes::<$vector>, bytes, words, unpack: unpacker, product };
                        Table { attend, fast: Some(fast), ..table }
                    }
                    _ => table,
                }
            }
        }
    };
    (@unpack $features:tt $($name:ident: $kernel:ident $format:ident),*) => {
        $(crate::arch::instance::op! { $features $name(bytes: &[u8], tile: &mut Tile) -> ();
            unpack(vector(), Format::$format, <$kernel as Kernel>::SIGNED, bytes, tile) })*

        /// What unpacks a format; nothing for float formats, which have no tiles.
        fn unpacker(format: Format) -> Unpack {
            match format {
                $(Format::$format => $name,)*
                Format::F32 | Format::F16 | Format::Bf16 => |_, _| {},
            }
        }
    };
    (@product $features:tt $groups:literal $vectors:literal $($name:ident: $kernel:ident $shape:literal),*) => {
        $(crate::arch::instance::op! { $features $name(call: Call<'_, '_>) -> bool;
            product::integers::<$kernel, $shape, $groups, $vectors>(vector(), call) })*
    };
}

/// One operation: its body compiled under the features, behind a function of the plain type that the table holds.
macro_rules! op {
    ([] $op:ident($($arg:ident: $ty:ty),*) -> $ret:ty; $body:expr) => {
        pub(super) fn $op($($arg: $ty),*) -> $ret { $body }
    };
    ([$features:literal] $op:ident($($arg:ident: $ty:ty),*) -> $ret:ty; $body:expr) => {
        #[allow(unsafe_code)]
        pub(super) fn $op($($arg: $ty),*) -> $ret {
            #[target_feature(enable = $features)]
            fn with_features($($arg: $ty),*) -> $ret { $body }
            // SAFETY: reachable through the table alone, which is made only after the CPU was found to have the features.
            unsafe { with_features($($arg),*) }
        }
    };
}

#[allow(unused_imports)] // likewise
pub(crate) use {fast, instance, op};
