//! The operations' inputs: a function of the vector's name, the same everywhere.

use samebit_numerics::philox::{philox4x32_10, uniform24};

/// A stream of random words keyed by a name.
pub(crate) struct Input {
    key: [u32; 2],
    counter: u32,
    words: [u32; 4],
    used: usize,
}

impl Input {
    /// The stream of this name: the key is the first 8 bytes of the name's BLAKE3.
    pub(crate) fn new(name: &str) -> Self {
        let hash = blake3::hash(name.as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
        let key = [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])];
        Self { key, counter: 0, words: [0; 4], used: 4 }
    }

    /// The next word.
    pub(crate) fn word(&mut self) -> u32 {
        if self.used == self.words.len() {
            self.words = philox4x32_10([self.counter, 0, 0, 0], self.key);
            self.counter += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// `count` numbers as activations and weights are: in (-4, 4), most of them small. Every step is exact.
    pub(crate) fn values(&mut self, count: usize) -> Vec<f32> {
        let value = |_| {
            let sign_and_size = uniform24(self.word()) - 0.5;
            // A power of two from 2^-4 to 2^3, as its bits.
            let exponent = 127 - 4 + (self.word() >> 29);
            sign_and_size * f32::from_bits(exponent << 23)
        };
        (0..count).map(value).collect()
    }

    /// `count` patterns of 32 bits, whatever they mean as numbers, after those that most often go wrong.
    pub(crate) fn patterns(&mut self, count: usize) -> Vec<f32> {
        const ODD: [u32; 16] = [
            0x0000_0000, // zeros
            0x8000_0000,
            0x0000_0001, // subnormals
            0x807f_ffff,
            0x0080_0000, // smallest normal
            0x3f80_0000, // one, and its neighbours
            0x3f7f_ffff,
            0x3f80_0001,
            0xbf80_0000,
            0x42b1_7218, // about where exp overflows
            0xc2ce_8ed0, // about where exp is subnormal
            0x7f7f_ffff, // largest
            0xff7f_ffff,
            0x7f80_0000, // infinities
            0xff80_0000,
            0xffc1_2345, // a NaN of some payload
        ];
        let odd = ODD.into_iter().take(count).map(f32::from_bits).collect::<Vec<_>>();
        let rest = count - odd.len();
        odd.into_iter().chain((0..rest).map(|_| f32::from_bits(self.word()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_functions_of_their_names() {
        assert_eq!(Input::new("a").values(9), Input::new("a").values(9));
        assert_ne!(Input::new("a").values(9), Input::new("b").values(9));
        let values = Input::new("a").values(10_000);
        assert!(values.iter().all(|value| value.abs() <= 4.0));
        assert!(values.iter().any(|value| value.abs() > 2.0));
        assert!(values.iter().any(|value| value.abs() < 1e-3));
    }
}
