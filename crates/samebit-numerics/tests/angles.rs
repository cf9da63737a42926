//! RoPE's frequencies, sines and cosines against mpmath (`tools/angle_cases.py`) and against plain formulas.
// The standard library's functions are an oracle with a tolerance here, or what must be shown to fall short.
#![allow(clippy::disallowed_methods, missing_docs)]

use samebit_numerics::angles::{RopeScaling, cos_sin, cos_sin_f64, cos_sin_scaled, frequencies, yarn_magnitude};

const CASES: &str = include_str!("data/angles.txt");

struct Angle {
    position: u32,
    frequency: f64,
    magnitude: f64,
    cos: f32,
    sin: f32,
}

fn hex64(text: &str) -> f64 {
    f64::from_bits(u64::from_str_radix(text, 16).unwrap())
}

fn hex32(text: &str) -> f32 {
    f32::from_bits(u32::from_str_radix(text, 16).unwrap())
}

fn angles() -> Vec<Angle> {
    let fields = CASES.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields
        .filter(|fields| fields[0] == "angle")
        .map(|fields| Angle {
            position: fields[1].parse().unwrap(),
            frequency: hex64(fields[2]),
            magnitude: hex64(fields[3]),
            cos: hex32(fields[4]),
            sin: hex32(fields[5]),
        })
        .collect()
}

#[test]
fn powers_are_the_nearest() {
    let mut count = 0;
    for line in CASES.lines().filter(|line| line.starts_with("power")) {
        let fields: Vec<_> = line.split(' ').collect();
        let (i, n): (usize, usize) = (fields[2].parse().unwrap(), fields[3].parse().unwrap());
        let ours = frequencies(n, hex32(fields[1]), RopeScaling::None, None)[i];
        assert_eq!(ours.to_bits(), hex64(fields[4]).to_bits(), "{line}");
        count += 1;
    }
    assert!(count > 150);
}

#[test]
fn sines_and_cosines_are_correctly_rounded() {
    assert!(angles().len() > 200);
    for case in angles() {
        let (cos, sin) = cos_sin_scaled(case.position, case.frequency, case.magnitude);
        assert_eq!(cos.to_bits(), case.cos.to_bits(), "cos({} * {:e})", case.position, case.frequency);
        assert_eq!(sin.to_bits(), case.sin.to_bits(), "sin({} * {:e})", case.position, case.frequency);
    }
}

#[test]
fn double_mode_is_close() {
    for case in angles() {
        let (cos, sin) = cos_sin_f64(case.position, case.frequency, case.magnitude);
        let close =
            |wide: f64, single: f32| (wide - f64::from(single)).abs() <= f64::from(single.abs()) * 6.1e-8 + 1e-45;
        assert!(close(cos, case.cos) && close(sin, case.sin), "{} * {:e}", case.position, case.frequency);
    }
}

/// The usual ways miss some of these cases: the fixture has teeth.
#[test]
fn usual_ways_differ() {
    let differing = |f: fn(u32, f64) -> (f32, f32)| {
        let plain = angles().into_iter().filter(|case| case.magnitude == 1.0);
        plain.filter(|case| f(case.position, case.frequency) != (case.cos, case.sin)).count()
    };
    assert_eq!(differing(cos_sin), 0);
    assert!(
        differing(|p, f| {
            let a = p as f32 * f as f32;
            (a.cos(), a.sin())
        }) > 100
    );
    assert!(
        differing(|p, f| {
            let a = f64::from(p) * f;
            (a.cos() as f32, a.sin() as f32)
        }) > 50
    );
}

/// Whole tables: binary64 is right nearly always, and its misses are one unit.
#[test]
fn tables_agree_with_binary64() {
    let table = frequencies(128, 500_000.0, RopeScaling::None, None);
    for (i, &frequency) in table.iter().enumerate() {
        let exact = 500_000f64.powf(-2.0 * i as f64 / 128.0);
        assert!((frequency - exact).abs() <= 4e-16 * exact);
        for position in (0..131_072).step_by(61) {
            let (cos, sin) = cos_sin(position, frequency);
            let angle = f64::from(position) * frequency;
            assert!((f64::from(cos) - angle.cos()).abs() < 3.1e-8 && (f64::from(sin) - angle.sin()).abs() < 3.1e-8);
        }
    }
}

#[test]
fn beginnings_and_refusals() {
    assert_eq!(cos_sin(0, 1.0), (1.0, 0.0));
    assert_eq!(cos_sin_scaled(0, 1.0, 1.5), (1.5, 0.0));
    for (position, frequency) in [(1, f64::NAN), (1, f64::INFINITY), (u32::MAX, 1e300), (1 << 31, 1e6)] {
        let (cos, sin) = cos_sin(position, frequency);
        assert_eq!((cos.to_bits(), sin.to_bits()), (0x7fc0_0000, 0x7fc0_0000));
    }
    for base in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(frequencies(8, base, RopeScaling::None, None)[1].is_nan());
    }
    assert!(frequencies(0, 10000.0, RopeScaling::None, None).is_empty());
}

#[test]
fn factors_and_linear_scaling() {
    let plain = frequencies(8, 10000.0, RopeScaling::None, None);
    let factors = [1.0, 3.0, 8.0];
    let divided = frequencies(8, 10000.0, RopeScaling::None, Some(&factors));
    assert_eq!(divided, [plain[0], plain[1] / 3.0, plain[2] / 8.0, plain[3]]);
    let linear = frequencies(8, 10000.0, RopeScaling::Linear { factor: 3.0 }, Some(&factors));
    assert_eq!(linear[1], plain[1] / 3.0 * (1.0 / 3.0));
}

fn yarn(extrapolation: f32) -> RopeScaling {
    RopeScaling::Yarn { factor: 32.0, original_context: 4096, extrapolation, beta_fast: 32.0, beta_slow: 1.0 }
}

#[test]
fn yarn_keeps_high_and_interpolates_low() {
    let (n, base) = (64, 150_000.0);
    let plain = frequencies(n, base, RopeScaling::None, None);
    let scaled = frequencies(n, base, yarn(1.0), None);
    let dim = |beta: f64| 64.0 * (4096.0 / (beta * 2.0 * std::f64::consts::PI)).ln() / (2.0 * 150_000f64.ln());
    let (start, end) = (dim(32.0).floor(), dim(1.0).ceil());
    assert_eq!((start, end), (8.0, 18.0));
    for i in 0..n / 2 {
        let mix = 1.0 - ((i as f64 - start) / (end - start)).clamp(0.0, 1.0);
        let expected = plain[i] / 32.0 * (1.0 - mix) + plain[i] * mix;
        assert!((scaled[i] - expected).abs() <= 1e-15 * expected, "{i}");
    }
    assert_eq!(scaled[8], plain[8]);
    assert_eq!(scaled[18], plain[18] / 32.0);
    assert_eq!(frequencies(n, base, yarn(0.0), None), frequencies(n, base, RopeScaling::Linear { factor: 32.0 }, None));
}

#[test]
fn yarn_magnitudes() {
    assert_eq!(yarn_magnitude(0.5, 1.0), 1.0);
    assert_eq!(yarn_magnitude(1.0, 1.0), 1.0);
    assert!((yarn_magnitude(32.0, 1.0) - 1.346_573_590_279_972_7).abs() < 4e-16);
    assert!((yarn_magnitude(40.0, 0.707) - (0.0707 * 40f64.ln() + 1.0)).abs() < 1e-8);
}
