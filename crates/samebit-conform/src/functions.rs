//! Vectors of what is the reference's alone: elementary functions, angles, random numbers, half precision.

use samebit_numerics::angles::{RopeScaling, cos_sin_scaled, frequencies};
use samebit_numerics::arith::{Float32, Soft};
use samebit_numerics::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use samebit_numerics::math;
use samebit_numerics::philox::philox4x32_10;

use crate::digest::Digest;
use crate::input::Input;
use crate::list::Vector;

/// Arguments of each elementary function.
const ARGUMENTS: usize = 8192;

pub(crate) fn vectors() -> Vec<Vector> {
    [elementary(), conversions(), angles(), vec![philox()]].concat()
}

fn elementary() -> Vec<Vector> {
    type Function = fn(f32) -> f32;
    let functions: [(&str, Function); 11] = [
        ("sqrt", Soft::sqrt),
        ("exp", math::exp::<Soft>),
        ("exp-nonpositive", |x| math::exp_nonpositive::<Soft>(-x.abs())),
        ("ln", math::ln::<Soft>),
        ("tanh", math::tanh::<Soft>),
        ("sigmoid", math::sigmoid::<Soft>),
        ("silu", math::silu::<Soft>),
        ("gelu-tanh", math::gelu_tanh::<Soft>),
        ("gelu-erf", math::gelu_erf::<Soft>),
        ("erf", math::erf::<Soft>),
        ("softplus", math::softplus::<Soft>),
    ];
    let vector = |(name, function): (&str, Function)| {
        let name = format!("math/{name}");
        let mut input = Input::new(&name);
        // As they come, and where the functions bend.
        let arguments = [input.patterns(ARGUMENTS), input.values(ARGUMENTS)].concat();
        let results: Vec<f32> = arguments.into_iter().map(function).collect();
        Digest::new(name).floats(&results).finish()
    };
    let fma = {
        let mut input = Input::new("math/fma");
        let [a, b, c] = [(); 3].map(|()| [input.patterns(ARGUMENTS), input.values(ARGUMENTS)].concat());
        let results: Vec<f32> = a.iter().zip(&b).zip(&c).map(|((&a, &b), &c)| Soft::fma(a, b, c)).collect();
        let canonical: Vec<f32> = results.into_iter().map(samebit_numerics::arith::canonical).collect();
        Digest::new("math/fma").floats(&canonical).finish()
    };
    std::iter::once(fma).chain(functions.into_iter().map(vector)).collect()
}

fn conversions() -> Vec<Vector> {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let widened = |function: fn(u16) -> f32| all.iter().map(|&half| function(half)).collect::<Vec<_>>();
    let arguments = {
        let mut input = Input::new("half");
        [input.patterns(ARGUMENTS), input.values(ARGUMENTS)].concat()
    };
    let narrowed = |function: fn(f32) -> u16| arguments.iter().map(|&x| function(x)).collect::<Vec<_>>();
    vec![
        Digest::new("half/f16-to-f32").floats(&widened(f16_to_f32)).finish(),
        Digest::new("half/bf16-to-f32").floats(&widened(bf16_to_f32)).finish(),
        Digest::new("half/f32-to-f16").halves(&narrowed(f32_to_f16)).finish(),
        Digest::new("half/f32-to-bf16").halves(&narrowed(f32_to_bf16)).finish(),
    ]
}

fn angles() -> Vec<Vector> {
    let yarn =
        RopeScaling::Yarn { factor: 32.0, original_context: 4096, extrapolation: 1.0, beta_fast: 32.0, beta_slow: 1.0 };
    let cases = [
        ("angles/plain", 64, 10_000.0, RopeScaling::None),
        ("angles/linear", 256, 1_000_000.0, RopeScaling::Linear { factor: 8.0 }),
        ("angles/yarn", 64, 150_000.0, yarn),
    ];
    let vector = |(name, dims, base, scaling): (&str, usize, f32, RopeScaling)| {
        let mut input = Input::new(name);
        let mut digest = Digest::new(name);
        for frequency in frequencies(dims, base, scaling, None) {
            for position in [0, 1, 255, 511, 4095, input.word() >> 15] {
                let (cos, sin) = cos_sin_scaled(position, frequency, 1.0);
                digest = digest.floats(&[cos, sin]);
            }
        }
        digest.finish()
    };
    cases.into_iter().map(vector).collect()
}

fn philox() -> Vector {
    let mut digest = Digest::new("philox/4x32-10");
    for counter in 0..1024 {
        digest = digest.words(&philox4x32_10([counter, !counter, 7, counter << 20], [counter, 42]));
    }
    digest.finish()
}
