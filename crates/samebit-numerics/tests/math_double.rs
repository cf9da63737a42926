//! The binary64 functions against mpmath (`tools/double_cases.py`), and their special values.
#![allow(missing_docs)]

use samebit_numerics::math::double;

type Function = fn(f64) -> f64;

/// Largest relative error allowed. The tails of the gelus and of sigmoid's kin magnify the rounding of an exponent.
const BOUNDS: [(&str, Function, f64); 9] = [
    ("exp", double::exp, 2.3e-16),
    ("ln", double::ln, 2.3e-16),
    ("tanh", double::tanh, 5e-16),
    ("sigmoid", double::sigmoid, 5e-16),
    ("silu", double::silu, 5e-16),
    ("gelu_tanh", double::gelu_tanh, 2e-14),
    ("gelu_erf", double::gelu_erf, 1.2e-15),
    ("softplus", double::softplus, 7e-16),
    ("erf", double::erf, 5e-16),
];

#[test]
fn against_mpmath() {
    let parse = |text: &str| f64::from_bits(u64::from_str_radix(text, 16).unwrap());
    for (name, function, bound) in BOUNDS {
        let mut worst = (0.0, 0.0);
        for line in include_str!("data/double.txt").lines() {
            let fields: Vec<_> = line.split(' ').collect();
            if fields[0] == name {
                let (x, exact) = (parse(fields[1]), parse(fields[2]));
                let error = ((function(x) - exact) / exact).abs();
                if error > worst.0 {
                    worst = (error, x);
                }
            }
        }
        println!("{name}: {:e} at {:e}", worst.0, worst.1);
        assert!(worst.0 > 0.0 && worst.0 <= bound, "{name}: {:e} at {:e}", worst.0, worst.1);
    }
}

#[test]
fn special_values() {
    let (infinity, nan) = (f64::INFINITY, f64::NAN);
    assert_eq!((double::exp(-infinity), double::exp(infinity), double::exp(0.0)), (0.0, infinity, 1.0));
    assert_eq!(double::exp(-745.0), 5e-324);
    assert_eq!((double::ln(0.0), double::ln(infinity), double::ln(1.0)), (-infinity, infinity, 0.0));
    assert!(double::ln(-1.0).is_nan());
    assert_eq!(double::ln(5e-324), -744.440_071_921_381_2);
    assert_eq!((double::tanh(-infinity), double::tanh(infinity)), (-1.0, 1.0));
    assert_eq!((double::erf(-infinity), double::erf(infinity)), (-1.0, 1.0));
    assert_eq!((double::softplus(-infinity), double::softplus(infinity)), (0.0, infinity));
    for function in [double::silu, double::gelu_tanh, double::gelu_erf] {
        assert_eq!(function(-infinity).to_bits(), (-0.0f64).to_bits());
        assert_eq!(function(infinity), infinity);
    }
    for function in [double::tanh, double::erf, double::silu, double::gelu_tanh, double::gelu_erf] {
        assert_eq!(function(-0.0).to_bits(), (-0.0f64).to_bits());
    }
    for (name, function, _) in BOUNDS {
        assert!(function(nan).is_nan(), "{name}");
    }
}
