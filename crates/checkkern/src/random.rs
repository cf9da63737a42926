//! Random choices: a function of the seed, the checked function's name and the run's number, the same on every machine.
//!
//! Knows no numbers with a fraction; those are made in `fill`.

use samebit_numerics::philox::philox4x32_10;

/// A stream of random words.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u32; 4],
    used: usize,
}

impl Random {
    /// The stream of one run of one function's check. No other run's choices change it.
    pub(crate) fn new(seed: u64, function: &str, run: u32) -> Self {
        // FNV-1a: which function it is must matter, nothing more.
        let name =
            function.bytes().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Self { key: [seed as u32, (seed >> 32) as u32], counter: [0, name, run, 0], words: [0; 4], used: 4 }
    }

    /// The next word.
    pub(crate) fn word(&mut self) -> u32 {
        if self.used == self.words.len() {
            self.words = philox4x32_10(self.counter, self.key);
            self.counter[0] += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// A number below `bound`, which must not be zero; as good as uniform.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u64::from(self.word()) * bound as u64) >> 32) as usize
    }

    /// True once in `count` times.
    pub(crate) fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_function_and_run_alone() {
        let first = |seed, function, run| Random::new(seed, function, run).word();
        assert_eq!(first(1, "add", 2), first(1, "add", 2));
        assert_ne!(first(1, "add", 2), first(2, "add", 2));
        assert_ne!(first(1, "add", 2), first(1 << 32 | 1, "add", 2));
        assert_ne!(first(1, "add", 2), first(1, "scale", 2));
        assert_ne!(first(1, "add", 2), first(1, "add", 3));
    }

    #[test]
    fn choices_are_within_their_bounds_and_reach_them() {
        let mut random = Random::new(3, "", 0);
        let mut seen = [false; 5];
        (0..1000).for_each(|_| seen[random.below(5)] = true);
        assert_eq!(seen, [true; 5]);
    }
}
