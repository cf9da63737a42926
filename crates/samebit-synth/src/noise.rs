//! The numbers inside: noise from a counter, so that any element can be made without those before it, in parallel, the same everywhere.
//!
//! Knows nothing of models. Integers and single f32 operations only; no platform's mathematics.

use samebit_numerics::philox::philox4x32_10;

/// Random numbers of one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    key: [u32; 2],
    stream: [u32; 2],
}

/// Standard deviation of [`raw`]: four bytes, each uniform over 0 to 255, have the variance 4·(256² − 1)/12; in units of 2^-16.
const DEVIATION: f32 = 147.800_54 * 65536.0;

impl Noise {
    /// The noise of the tensor `name` under `seed`.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let hash = fnv1a(name.as_bytes());
        Self { key: halves(seed), stream: halves(hash) }
    }

    /// Elements `start`, `start + 1`, … of `mean + deviation · (nearly normal noise)` into `out`. `start` is a multiple of 4.
    pub(crate) fn fill(&self, start: u64, mean: f32, deviation: f32, out: &mut [f32]) {
        debug_assert!(start.is_multiple_of(4), "words come in fours");
        let factor = deviation / DEVIATION;
        for (counter, group) in (start / 4..).zip(out.chunks_mut(4)) {
            let [low, high] = halves(counter);
            let words = philox4x32_10([low, high, self.stream[0], self.stream[1]], self.key);
            for (value, word) in group.iter_mut().zip(words) {
                *value = raw(word) as f32 * factor + mean;
            }
        }
    }
}

/// The sum of a word's bytes, centred: nearly normal (Irwin–Hall of four), within 3.5 deviations. Sixteen further bits below it, from a hash
/// of the word, so that elements use all of a float's significand.
fn raw(word: u32) -> i32 {
    let sum: i32 = word.to_le_bytes().into_iter().map(i32::from).sum();
    let below = (word.wrapping_mul(0x9e37_79b9) >> 16) as i32;
    (sum - 510) * 65536 + (below - 32768)
}

fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// Fowler–Noll–Vo 1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_normal() {
        let mut values = vec![0.0f32; 1 << 18];
        Noise::new(3, "a tensor").fill(0, 2.0, 0.5, &mut values);
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let moment = |k: i32| {
            let powers = values.iter().map(|&v| (0..k).fold(1.0, |p, _| p * (f64::from(v) - mean)));
            powers.sum::<f64>() / n
        };
        assert!((mean - 2.0).abs() < 0.005, "{mean}");
        assert!((moment(2) - 0.25).abs() < 0.005, "{}", moment(2));
        let kurtosis = moment(4) / (moment(2) * moment(2));
        // Irwin–Hall of four has 3 − 0.3.
        assert!((kurtosis - 2.7).abs() < 0.05, "{kurtosis}");
    }

    #[test]
    fn any_part_can_be_made_alone() {
        let noise = Noise::new(1, "w");
        let (mut whole, mut part) = (vec![0.0; 100], vec![0.0; 30]);
        noise.fill(0, 0.0, 1.0, &mut whole);
        noise.fill(40, 0.0, 1.0, &mut part);
        assert_eq!(whole[40..70], part);
    }

    #[test]
    fn seeds_and_names_matter() {
        let first = |seed, name| {
            let mut values = [0.0; 8];
            Noise::new(seed, name).fill(0, 0.0, 1.0, &mut values);
            values
        };
        assert_ne!(first(0, "a"), first(1, "a"));
        assert_ne!(first(0, "a"), first(0, "b"));
        assert_ne!(first(0, "a"), first(1 << 40, "a"));
    }
}
