//! Buffers that begin anywhere and lie between guard zones: what is written beyond them is seen, what is read there is NaN.

use crate::random::Random;

/// Elements of a guard zone; longer than any vector.
const ZONE: usize = 80;

/// What a guard zone is filled with.
pub(crate) trait Cell: Copy {
    /// A pattern that no result is likely to have.
    const GUARD: Self;
    /// Its bits.
    fn bits(self) -> u64;
}

impl Cell for f32 {
    const GUARD: Self = f32::from_bits(0x7fc5_1a5b);
    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }
}

impl Cell for u16 {
    const GUARD: Self = 0x7e5b; // a NaN in binary16
    fn bits(self) -> u64 {
        u64::from(self)
    }
}

impl Cell for u8 {
    const GUARD: Self = 0xff; // of a NaN in any float
    fn bits(self) -> u64 {
        u64::from(self)
    }
}

impl Cell for usize {
    const GUARD: Self = 0x5a5a_5a5b;
    fn bits(self) -> u64 {
        self as u64
    }
}

/// Elements between two guard zones, at any alignment that their type allows.
#[derive(Clone, Debug)]
pub(crate) struct Guarded<T> {
    cells: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Cell> Guarded<T> {
    /// A buffer that holds `values`.
    pub(crate) fn new(values: &[T], random: &mut Random) -> Self {
        let start = ZONE + random.below(17);
        let mut cells = vec![T::GUARD; start + values.len() + ZONE];
        cells[start..start + values.len()].copy_from_slice(values);
        Self { cells, start, len: values.len() }
    }

    /// A buffer for results: what it holds must not matter.
    pub(crate) fn stale(len: usize, random: &mut Random) -> Self {
        Self::new(&vec![T::GUARD; len], random)
    }

    /// The elements.
    pub(crate) fn get(&self) -> &[T] {
        &self.cells[self.start..self.start + self.len]
    }

    /// The elements.
    pub(crate) fn get_mut(&mut self) -> &mut [T] {
        &mut self.cells[self.start..self.start + self.len]
    }

    /// Whether both zones are as they were.
    pub(crate) fn is_intact(&self) -> bool {
        let (before, rest) = self.cells.split_at(self.start);
        let zones = before.iter().chain(&rest[self.len..]);
        zones.map(|cell| cell.bits()).all(|bits| bits == T::GUARD.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_beyond_the_buffer_are_seen_and_those_within_are_not() {
        let mut random = Random::new(1, "guarded", 0);
        let mut buffer = Guarded::new(&[1.0f32, 2.0, 3.0], &mut random);
        buffer.get_mut().fill(9.0);
        assert!(buffer.is_intact());
        assert_eq!(buffer.get(), [9.0; 3]);
        for beyond in [buffer.start - 1, buffer.start + 3] {
            let mut spoiled = buffer.clone();
            spoiled.cells[beyond] = 0.0;
            assert!(!spoiled.is_intact());
        }
    }
}
