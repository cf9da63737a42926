//! Numbers that kernels go wrong on: exact ties, subnormals, sums that cancel, and ordinary ones.
//!
//! Knows no operation. Everything made here is finite.

use core::fmt;

use crate::random::Random;

/// What a buffer is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// About normally distributed, as activations and weights are.
    Normal,
    /// Any finite pattern of bits.
    Bits,
    /// The largest, the smallest, one and its neighbours.
    Extremes,
    /// Subnormals.
    Subnormals,
    /// Half-way between two steps of a quantised chunk, or between two binary16 numbers.
    Ties,
    /// Zeros of both signs.
    Zeros,
    /// Normal magnitudes, every other negative.
    Alternating,
    /// Neighbours that leave little of each other.
    Cancelling,
    /// Zeros with here and there a number.
    Sparse,
    /// Magnitudes over the whole range of exponents.
    Range,
}

impl Fill {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Normal,
        Self::Bits,
        Self::Extremes,
        Self::Subnormals,
        Self::Ties,
        Self::Zeros,
        Self::Alternating,
        Self::Cancelling,
        Self::Sparse,
        Self::Range,
    ];

    /// One of them, the ordinary one half of the time: extremes drown what they meet.
    pub(crate) fn random(random: &mut Random) -> Self {
        if random.once_in(2) { Self::Normal } else { random.pick(&Self::ALL) }
    }

    /// `count` numbers.
    pub(crate) fn values(self, random: &mut Random, count: usize) -> Vec<f32> {
        let size = power_of_two(random.below(13) as i32 - 6);
        let halves = random.once_in(2);
        (0..count).map(|index| self.value(random, index, size, halves)).collect()
    }

    fn value(self, random: &mut Random, index: usize, size: f32, halves: bool) -> f32 {
        let sign = if random.once_in(2) { 1.0 } else { -1.0 };
        match self {
            Self::Normal => size * normal(random),
            Self::Bits => finite(random),
            Self::Extremes => sign * random.pick(&EXTREMES),
            Self::Subnormals => f32::from_bits(random.word() & 0x807f_ffff),
            Self::Ties if halves => half_way(random),
            // The chunk's scale becomes 1 and its steps the integers.
            Self::Ties if index.is_multiple_of(256) => sign * 32512.0,
            Self::Ties => sign * (random.below(32511) as f32 + 0.5),
            Self::Zeros => sign * 0.0,
            Self::Alternating => size * normal(random).abs() * if index.is_multiple_of(2) { 1.0 } else { -1.0 },
            Self::Cancelling => {
                // Nearly the same number again and again, in turns with its negative.
                let small = normal(random) * power_of_two(-14);
                (size + small) * if index.is_multiple_of(2) { 1.0 } else { -1.0 }
            }
            Self::Sparse if random.once_in(20) => size * normal(random),
            Self::Sparse => 0.0,
            Self::Range => sign * power_of_two(random.below(240) as i32 - 120) * (1.0 + fraction(random)),
        }
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// Where formats and functions end.
const EXTREMES: [f32; 12] = [
    f32::MAX,
    f32::MIN_POSITIVE,
    f32::from_bits(1),
    f32::from_bits(0x007f_ffff),
    1.0,
    1.0 + f32::EPSILON,
    1.0 - f32::EPSILON / 2.0,
    65504.0,
    65520.0,
    88.722_84,
    103.97,
    0.0,
];

/// 2 to a power that a normal number can have.
fn power_of_two(exponent: i32) -> f32 {
    f32::from_bits(((127 + exponent) as u32) << 23)
}

/// In [0, 1).
fn fraction(random: &mut Random) -> f32 {
    samebit_numerics::philox::uniform24(random.word())
}

/// The sum of four uniform numbers, about zero, its deviation 0.58.
fn normal(random: &mut Random) -> f32 {
    fraction(random) + fraction(random) + fraction(random) + fraction(random) - 2.0
}

fn finite(random: &mut Random) -> f32 {
    let bits = random.word();
    // An exponent of all ones is made a smaller one.
    f32::from_bits(if bits & 0x7f80_0000 == 0x7f80_0000 { bits & !0x0080_0000 } else { bits })
}

/// Exactly between two neighbouring binary16 numbers, subnormal ones too.
fn half_way(random: &mut Random) -> f32 {
    let word = random.word();
    let sign = word & 0x8000_0000;
    if word & 1 == 0 {
        let exponent = 113 + random.below(30) as u32;
        return f32::from_bits(sign | exponent << 23 | (word & 0x007f_e000) | 0x1000);
    }
    // A binary16 subnormal is a multiple of 2^-24.
    let odd_half = (random.below(1024) as f32 + 0.5) * power_of_two(-24);
    f32::from_bits(sign | odd_half.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebit_numerics::half::{f16_to_f32, f32_to_f16};

    fn values(fill: Fill) -> Vec<f32> {
        (0..8).flat_map(|run| fill.values(&mut Random::new(1, "fill", run), 600)).collect()
    }

    #[test]
    fn everything_is_finite() {
        for fill in Fill::ALL {
            assert!(values(fill).iter().all(|value| value.is_finite()), "{fill}");
        }
    }

    #[test]
    fn fills_are_what_they_say() {
        assert!(values(Fill::Subnormals).iter().all(|x| x.abs() < f32::MIN_POSITIVE));
        assert!(values(Fill::Zeros).iter().any(|x| x.to_bits() == 0x8000_0000));
        let range = values(Fill::Range);
        assert!(range.iter().any(|x| x.abs() > 1e30) && range.iter().any(|x| x.abs() < 1e-30));
        let (zeros, rest): (Vec<f32>, Vec<f32>) = values(Fill::Sparse).into_iter().partition(|x| *x == 0.0);
        assert!(zeros.len() > 10 * rest.len() && !rest.is_empty());
    }

    #[test]
    fn ties_are_exact() {
        let mut random = Random::new(5, "ties", 0);
        for _ in 0..1000 {
            let x = half_way(&mut random);
            let nearest = f16_to_f32(f32_to_f16(x));
            let error = x - nearest;
            // The other neighbour is as far: going there and back finds it.
            let other = x + error;
            assert_eq!(f16_to_f32(f32_to_f16(other)), other, "{x:e} lies between {nearest:e} and {other:e}");
        }
    }
}
