//! The binary32 functions: accuracy within the stated bounds, special values to the bit, and the bits themselves.
// The standard library's fused operation is here as a second implementation of the arithmetic.
#![allow(clippy::disallowed_methods, missing_docs)]

#[path = "support/oracle.rs"]
mod oracle;

use oracle::{CASES, measure};
use samebit_numerics::arith::{Float32, Soft};
use samebit_numerics::math;

type Function = fn(f32) -> f32;

fn functions<F: Float32>() -> [(&'static str, Function); 9] {
    [
        ("exp", math::exp::<F>),
        ("ln", math::ln::<F>),
        ("softplus", math::softplus::<F>),
        ("sigmoid", math::sigmoid::<F>),
        ("silu", math::silu::<F>),
        ("tanh", math::tanh::<F>),
        ("gelu_tanh", math::gelu_tanh::<F>),
        ("gelu_erf", math::gelu_erf::<F>),
        ("erf", math::erf::<F>),
    ]
}

/// A stride through all arguments; `examples/accuracy.rs` looks at every one.
#[test]
fn accuracy_is_within_the_stated_bounds() {
    for case in &CASES {
        let worst = measure(case, 0..1 << 32, 10_007);
        assert!(worst.ulps <= case.ulps, "{}: {worst:?}", case.name);
        assert!(worst.absolute <= case.absolute, "{}: {worst:?}", case.name);
        // The bound has not been left far behind.
        assert!(worst.ulps > 0.5 * case.ulps, "{}: {worst:?}", case.name);
    }
}

const INFINITY: u32 = 0x7f80_0000;
const MINUS_INFINITY: u32 = 0xff80_0000;
const MINUS_ZERO: u32 = 0x8000_0000;
const ONE: u32 = 0x3f80_0000;
const MINUS_ONE: u32 = 0xbf80_0000;
const LARGEST: u32 = 0x7f7f_ffff;
const NAN: u32 = 0x7fc0_0000;

/// Arguments and results of each function, bit for bit.
const SPECIAL_VALUES: [(&str, &[(u32, u32)]); 9] = [
    (
        "exp",
        &[
            (0, ONE),
            (MINUS_ZERO, ONE),
            (INFINITY, INFINITY),
            (MINUS_INFINITY, 0),
            (LARGEST, INFINITY),
            (0xff7f_ffff, 0),
            // The last finite result and the first infinite one; the last subnormal one and the first zero.
            (0x42b1_7217, 0x7f7f_ff84),
            (0x42b1_7218, INFINITY),
            (0xc2cf_f1b4, 1),
            (0xc2cf_f1b5, 0),
            (1, ONE),
            (0x8000_0001, ONE),
        ],
    ),
    (
        "ln",
        &[
            (ONE, 0),
            (0, MINUS_INFINITY),
            (MINUS_ZERO, MINUS_INFINITY),
            (INFINITY, INFINITY),
            (MINUS_INFINITY, NAN),
            (MINUS_ONE, NAN),
            (0x8000_0001, NAN),
            (1, 0xc2ce_8ed0),
            (LARGEST, 0x42b1_7218),
        ],
    ),
    (
        "softplus",
        &[
            (0, 0x3f31_7218),
            (MINUS_ZERO, 0x3f31_7218),
            (INFINITY, INFINITY),
            (MINUS_INFINITY, 0),
            (LARGEST, LARGEST),
            (0xff7f_ffff, 0),
        ],
    ),
    (
        "sigmoid",
        &[
            (0, 0x3f00_0000),
            (MINUS_ZERO, 0x3f00_0000),
            (INFINITY, ONE),
            (MINUS_INFINITY, 0),
            (LARGEST, ONE),
            (0xff7f_ffff, 0),
        ],
    ),
    (
        "silu",
        &[
            (0, 0),
            (MINUS_ZERO, MINUS_ZERO),
            (INFINITY, INFINITY),
            (MINUS_INFINITY, MINUS_ZERO),
            (LARGEST, LARGEST),
            (0xff7f_ffff, MINUS_ZERO),
        ],
    ),
    (
        "tanh",
        &[
            (0, 0),
            (MINUS_ZERO, MINUS_ZERO),
            (INFINITY, ONE),
            (MINUS_INFINITY, MINUS_ONE),
            (LARGEST, ONE),
            (1, 1),
            (0x8000_0001, 0x8000_0001),
        ],
    ),
    (
        "gelu_tanh",
        &[
            (0, 0),
            (MINUS_ZERO, MINUS_ZERO),
            (INFINITY, INFINITY),
            (MINUS_INFINITY, MINUS_ZERO),
            (LARGEST, LARGEST),
            (0xff7f_ffff, MINUS_ZERO),
        ],
    ),
    (
        "gelu_erf",
        &[
            (0, 0),
            (MINUS_ZERO, MINUS_ZERO),
            (INFINITY, INFINITY),
            (MINUS_INFINITY, MINUS_ZERO),
            (LARGEST, LARGEST),
            (0xff7f_ffff, MINUS_ZERO),
        ],
    ),
    (
        "erf",
        &[
            (0, 0),
            (MINUS_ZERO, MINUS_ZERO),
            (INFINITY, ONE),
            (MINUS_INFINITY, MINUS_ONE),
            (LARGEST, ONE),
            (1, 1),
            (0x8000_0001, 0x8000_0001),
        ],
    ),
];

#[test]
fn special_values() {
    for ((name, pairs), (same_name, function)) in SPECIAL_VALUES.into_iter().zip(functions::<Soft>()) {
        assert_eq!(name, same_name);
        for &(x, expected) in pairs {
            let y = function(f32::from_bits(x)).to_bits();
            assert_eq!(y, expected, "{name}({x:08x}) = {y:08x}, not {expected:08x}");
        }
        for x in [0x7f80_0001, 0x7fc0_0000, 0x7fff_ffff, 0xff80_0001, 0xffc0_0000, 0xffff_ffff] {
            assert_eq!(function(f32::from_bits(x)).to_bits(), NAN, "{name}({x:08x})");
        }
    }
}

/// The standard library's fused multiply-add; `Unfused` is the negative control.
#[derive(Clone, Copy)]
struct Std;

impl Float32 for Std {
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
    fn sqrt(x: f32) -> f32 {
        x.sqrt()
    }
}

#[derive(Clone, Copy)]
struct Unfused;

impl Float32 for Unfused {
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
    fn sqrt(x: f32) -> f32 {
        x.sqrt()
    }
}

fn arguments(step: usize) -> impl Iterator<Item = f32> {
    (0..=u32::MAX).step_by(step).map(f32::from_bits)
}

fn differing(a: Function, b: Function) -> usize {
    arguments(50_021).filter(|&x| a(x).to_bits() != b(x).to_bits()).count()
}

#[test]
fn bits_do_not_depend_on_who_fuses_but_on_fusing() {
    for (((name, soft), (_, std)), (_, unfused)) in
        functions::<Soft>().into_iter().zip(functions::<Std>()).zip(functions::<Unfused>())
    {
        assert_eq!(differing(soft, std), 0, "{name}");
        assert!(differing(soft, unfused) > 10, "{name}");
    }
}

/// Every argument with `SAMEBIT_EXHAUSTIVE=1`, else every 997th.
#[test]
fn exp_nonpositive_is_exp() {
    let step = if std::env::var_os("SAMEBIT_EXHAUSTIVE").is_some() { 1 } else { 997 };
    for bits in (0x8000_0000..=MINUS_INFINITY).step_by(step).chain([0, MINUS_INFINITY, 0xc2cf_f1b4, 0xc2cf_f1b5]) {
        let x = f32::from_bits(bits);
        assert_eq!(math::exp_nonpositive::<Soft>(x).to_bits(), math::exp::<Soft>(x).to_bits(), "{x:e}");
    }
    assert!(math::exp_nonpositive::<Soft>(f32::NAN).is_nan());
}

/// The bits of every function at a stride, folded: a change of any is a change of the numerics.
#[test]
fn bits_are_those_of_v1() {
    let digest = |function: Function| {
        arguments(65_537).fold(0xcbf2_9ce4_8422_2325u64, |hash, x| {
            (hash ^ u64::from(function(x).to_bits())).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    let digests = functions::<Soft>().map(|(name, function)| format!("{name} {:016x}", digest(function)));
    assert_eq!(digests.join("\n"), include_str!("data/math_v1.txt").trim_end());
}
