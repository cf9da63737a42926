//! The software fused multiply-add and square roots against the standard library's, bit for bit.
// The standard library's operations are correctly rounded by IEEE 754 and serve as the oracle.
#![allow(clippy::disallowed_methods, missing_docs)]

use samebit_numerics::arith::{Arith, Double, Float32, Single, Soft};

/// SplitMix64: plenty for choosing test cases.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

const CORNERS: [u32; 24] = [
    0x0000_0000,
    0x0000_0001,
    0x0000_0002,
    0x0000_0003,
    0x007f_fffe,
    0x007f_ffff,
    0x0080_0000,
    0x0080_0001,
    0x0100_0000,
    0x3380_0000,
    0x337f_ffff,
    0x3f7f_ffff,
    0x3f80_0000,
    0x3f80_0001,
    0x3fff_ffff,
    0x4000_0000,
    0x4b00_0000,
    0x4b7f_ffff,
    0x4b80_0001,
    0x7f00_0000,
    0x7f7f_fffe,
    0x7f7f_ffff,
    0x7f80_0000,
    0x7fc0_0000,
];

fn same(ours: f32, theirs: f32) -> bool {
    ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan())
}

#[track_caller]
fn check_fma(a: f32, b: f32, c: f32) {
    let (ours, theirs) = (Soft::fma(a, b, c), a.mul_add(b, c));
    assert!(
        same(ours, theirs),
        "fma({:08x}, {:08x}, {:08x}) = {:08x}, not {:08x}",
        a.to_bits(),
        b.to_bits(),
        c.to_bits(),
        ours.to_bits(),
        theirs.to_bits()
    );
}

/// How many random cases: a few million, or `SAMEBIT_CASES` for a long run.
fn cases() -> u64 {
    std::env::var("SAMEBIT_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4_000_000)
}

#[test]
fn fma_corners() {
    let signed: Vec<f32> = CORNERS.iter().flat_map(|&bits| [f32::from_bits(bits), -f32::from_bits(bits)]).collect();
    for &a in &signed {
        for &b in &signed {
            for &c in &signed {
                check_fma(a, b, c);
            }
        }
    }
}

#[test]
fn fma_random_bits() {
    let mut random = Random(1);
    for _ in 0..cases() {
        let (ab, c) = (random.next(), random.next());
        check_fma(f32::from_bits(ab as u32), f32::from_bits((ab >> 32) as u32), f32::from_bits(c as u32));
    }
}

/// Addends chosen where rounding is hard: near the product, near half of its last place, far below it, near cancellation,
/// and with the result subnormal.
#[test]
fn fma_adversarial() {
    let mut random = Random(2);
    for case in 0..cases() {
        let (r, s) = (random.next(), random.next());
        // Short significands make ties common.
        let keep = u32::MAX << (s % 24);
        let a = f32::from_bits((r as u32) & (keep | 0xff80_0000));
        let b_bits = (r >> 32) as u32 & ((u32::MAX << ((s >> 8) % 24)) | 0xff80_0000);
        let near_subnormal = (150 - ((a.to_bits() >> 23) & 0xff) as i32).clamp(1, 254) as u32;
        let b = if case % 4 == 0 {
            f32::from_bits((b_bits & 0x807f_ffff) | (near_subnormal << 23))
        } else {
            f32::from_bits(b_bits)
        };
        let product = (a * b).to_bits();
        let shifted = ((product >> 23) & 0xff).saturating_sub((s >> 16) as u32 % 60).min(254);
        let c = match (s >> 32) % 5 {
            0 => f32::from_bits(product.wrapping_add((s >> 40) as u32 % 5).wrapping_sub(2)),
            1 => f32::from_bits(product ^ 0x8000_0000).next_up(),
            2 => f32::from_bits((product & 0x8000_0000) | (shifted << 23)),
            3 => f32::from_bits((!product & 0x8000_0000) | (shifted << 23)),
            _ => f32::from_bits((shifted << 23) | (s >> 41) as u32),
        };
        check_fma(a, b, c);
        check_fma(a, b, -c);
    }
}

/// A multiplication and an addition are not a fused operation: the checks above could fail.
#[test]
fn unfused_differs() {
    let mut random = Random(3);
    let differing = (0..10_000)
        .filter(|_| {
            let unit = |bits: u64| f32::from_bits(0x3f80_0000 | (bits as u32 & 0x007f_ffff));
            let (a, b, c) = (unit(random.next()), unit(random.next()), -unit(random.next()));
            (a * b + c).to_bits() != Soft::fma(a, b, c).to_bits()
        })
        .count();
    assert!(differing > 1000, "{differing}");
}

/// A double rounding (through binary64 without rounding to odd) is wrong somewhere, and ours is not.
#[test]
fn double_rounding_differs() {
    let (a, b, c) = (f32::from_bits(0x3f80_0001), f32::from_bits(0x3f80_0001), f32::from_bits(0x3300_0000));
    let mut found = false;
    let mut random = Random(4);
    for _ in 0..2_000_000 {
        let c = f32::from_bits(c.to_bits() ^ (random.next() as u32 & 0x03ff_ffff));
        let b = f32::from_bits(b.to_bits() ^ (random.next() as u32 & 0x007f_ff00));
        let twice = (f64::from(a) * f64::from(b) + f64::from(c)) as f32;
        found |= !same(twice, a.mul_add(b, c));
        check_fma(a, b, c);
    }
    // A tie at 24 bits broken by an addend too small for binary64 to keep.
    let (a, b, c) = (f32::from_bits(0x3f80_0000), f32::from_bits(0x3f80_0001), f32::from_bits(0x0000_0001));
    check_fma(a, b, c);
    let (x, tail) = (1.0f32 + 1.0 / 4096.0, f32::from_bits(0x0100_0000));
    found |= !same((f64::from(x) * f64::from(x) + f64::from(tail)) as f32, x.mul_add(x, tail));
    check_fma(x, x, tail);
    assert!(found);
}

/// Every binary32 with `SAMEBIT_EXHAUSTIVE=1`, else every 997th.
#[test]
fn sqrt_single() {
    let step = if std::env::var_os("SAMEBIT_EXHAUSTIVE").is_some() { 1 } else { 997 };
    for bits in (0..=u32::MAX).step_by(step) {
        let x = f32::from_bits(bits);
        assert!(same(Soft::sqrt(x), x.sqrt()), "{bits:08x}");
    }
    for bits in CORNERS {
        let x = f32::from_bits(bits);
        assert!(same(Soft::sqrt(x), x.sqrt()) && same(Soft::sqrt(-x), (-x).sqrt()), "{bits:08x}");
    }
}

#[test]
fn sqrt_double() {
    let mut random = Random(5);
    for case in 0..cases() / 4 {
        let r = random.next();
        // Perfect squares and their neighbours, subnormals, and anything.
        let x = match case % 4 {
            0 => f64::from((r >> 38) as u32) * f64::from((r >> 38) as u32),
            1 => (f64::from((r >> 38) as u32) * f64::from((r >> 38) as u32)).next_down(),
            2 => f64::from_bits(r >> 13),
            _ => f64::from_bits(r),
        };
        let (ours, theirs) = (Double::sqrt(x), x.sqrt());
        assert!(ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()), "{x:e}");
    }
}

#[test]
fn max_is_comparison_based() {
    type S = Single<Soft>;
    assert_eq!(S::max(1.0, 2.0), 2.0);
    assert_eq!(S::max(0.0, -0.0).to_bits(), (-0.0f32).to_bits());
    assert_eq!(S::max(-0.0, 0.0).to_bits(), 0);
    assert_eq!(S::max(f32::NAN, 1.0), 1.0);
    assert!(S::max(1.0, f32::NAN).is_nan());
}

#[test]
fn nan_is_canonical() {
    for bits in [0x7f80_0001, 0xffc0_0000, 0xffff_ffff, 0x7fff_ffff] {
        assert_eq!(Single::<Soft>::to_f32(f32::from_bits(bits)).to_bits(), 0x7fc0_0000);
        assert_eq!(Double::to_f32(f64::from(f32::from_bits(bits))).to_bits(), 0x7fc0_0000);
    }
    // One rounding from binary64, ties to even, into the subnormals.
    assert_eq!(Double::to_f32(1.5 * f64::from(f32::from_bits(1))).to_bits(), 2);
    assert_eq!(Single::<Soft>::from_f64(1.0 + 1.0 / 16_777_216.0), 1.0);
}
