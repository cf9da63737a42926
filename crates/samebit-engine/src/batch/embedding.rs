//! One vector for a prompt: the mean of its states, of length 1. NUMERICS.md, section 12, "Embeddings".
//!
//! Knows states in the order of their positions, however many come at a time.

use samebit_kernels::float_env;
use samebit_numerics::arith::{Float32, Single, Soft};
use samebit_numerics::reduce::{CHUNK, row_sum_of_squares};

/// Sums of the states so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mean {
    total: Vec<f32>,
    chunk: Vec<f32>,
    positions: usize,
}

impl Mean {
    /// How many states it has.
    pub(crate) fn positions(&self) -> usize {
        self.positions
    }

    /// Adds the states of the next positions, each of `width` elements.
    pub(crate) fn add(&mut self, states: &[f32], width: usize) {
        self.total.resize(width, 0.0);
        self.chunk.resize(width, 0.0);
        float_env::with_default(|| {
            for state in states.chunks_exact(width) {
                if self.positions > 0 && self.positions.is_multiple_of(CHUNK) {
                    self.close();
                }
                self.chunk.iter_mut().zip(state).for_each(|(sum, x)| *sum += x);
                self.positions += 1;
            }
        });
    }

    /// A chunk is complete.
    fn close(&mut self) {
        for (total, chunk) in self.total.iter_mut().zip(&mut self.chunk) {
            *total += *chunk;
            *chunk = 0.0;
        }
    }

    /// The vector. Where all is zero, it stays so.
    pub(crate) fn finish(mut self) -> Vec<f32> {
        float_env::with_default(|| {
            self.close();
            let count = self.positions as f32;
            self.total.iter_mut().for_each(|x| *x /= count);
            let squares = row_sum_of_squares::<Single<Soft>>(&self.total);
            if squares > 0.0 {
                let inverse = 1.0 / Soft::sqrt(squares);
                self.total.iter_mut().for_each(|x| *x *= inverse);
            }
            self.total
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(positions: usize) -> Vec<f32> {
        (0..positions * 3).map(|i| (i * 7919 % 1013) as f32 / 37.0 - 9.0).collect()
    }

    fn bits(x: &[f32]) -> Vec<u32> {
        x.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn portions_do_not_matter_and_the_order_does() {
        let all = states(600);
        let mut once = Mean::default();
        once.add(&all, 3);
        let once = once.finish();
        for piece in [1, 7, 256, 300] {
            let mut mean = Mean::default();
            all.chunks(piece * 3).for_each(|states| mean.add(states, 3));
            assert_eq!(mean.positions(), 600);
            assert_eq!(bits(&mean.finish()), bits(&once), "{piece}");
        }
        let length: f32 = once.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-6);
        // The control: one uncut sum.
        let mut uncut = [0.0f32; 3];
        all.chunks(3).for_each(|state| uncut.iter_mut().zip(state).for_each(|(sum, x)| *sum += x));
        let mut cut = Mean::default();
        cut.add(&all, 3);
        cut.close();
        assert_ne!(bits(&cut.total), bits(&uncut));
    }

    #[test]
    fn nothing_has_no_direction() {
        let mut mean = Mean::default();
        mean.add(&[0.0; 4], 2);
        assert_eq!(mean.finish(), [0.0; 2]);
    }
}
