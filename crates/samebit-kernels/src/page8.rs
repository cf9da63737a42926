//! Pages of keys and values as bytes (Q8_0): where each byte and scale of a head's 256 positions lies.
//!
//! Knows the layout alone, nothing of how it came or what is done with it. A lane of a vector takes four bytes at a time:
//! of a key, four elements that follow each other, with sixteen positions side by side; of values, four positions that
//! follow each other, with sixteen elements side by side. What a kernel reads one after the other lies so.

use samebit_numerics::half::f16_to_f32;
use samebit_numerics::ops::attention8::{self, BLOCK, blocks};
use samebit_numerics::reduce::CHUNK;

use crate::vector::GROUP;

/// Four bytes of each of sixteen lanes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Quads(pub [[i8; 4]; GROUP]);

/// [`Quads`] of a block of elements of sixteen keys, and of as many positions of sixteen elements of values: a kernel's step.
pub(crate) const QUADS: usize = BLOCK / 4;

impl Quads {
    /// All zero.
    pub const ZERO: Self = Self([[0; 4]; GROUP]);
}

/// One page of one head.
#[derive(Clone, Copy, Debug)]
pub struct Page8<'a> {
    /// `[256 / 16 positions][blocks][32 / 4 elements][16 positions][4 elements]`; elements beyond the head are of no account.
    pub keys: &'a [Quads],
    /// Binary16, `[256 / 16 positions][blocks][16 positions]`.
    pub key_scales: &'a [u16],
    /// `[blocks][32 / 16 elements][256 / 4 positions][16 elements][4 positions]`; likewise.
    pub values: &'a [Quads],
    /// Binary16, `[blocks][256 positions]`.
    pub value_scales: &'a [u16],
}

/// [`Quads`] of the keys of a page of a head of `dim` elements.
const fn key_quads(dim: usize) -> usize {
    CHUNK / GROUP * blocks(dim) * QUADS
}

/// [`Quads`] of its values: whole blocks of elements.
const fn value_quads(dim: usize) -> usize {
    blocks(dim) * (BLOCK / GROUP) * (CHUNK / 4)
}

/// Where an element of the key at a position lies: which quads, lane and byte.
const fn of_key(dim: usize, at: usize, element: usize) -> (usize, usize, usize) {
    (at / GROUP * blocks(dim) * QUADS + element / 4, at % GROUP, element % 4)
}

/// Where an element of the value at a position lies.
const fn of_value(at: usize, element: usize) -> (usize, usize, usize) {
    (element / GROUP * (CHUNK / 4) + at / 4, element % GROUP, at % 4)
}

const fn of_key_scale(dim: usize, at: usize, block: usize) -> usize {
    (at / GROUP * blocks(dim) + block) * GROUP + at % GROUP
}

const fn of_value_scale(at: usize, block: usize) -> usize {
    block * CHUNK + at
}

/// A page that is being written.
#[derive(Clone, Debug)]
pub struct OwnPage8 {
    dim: usize,
    keys: Vec<Quads>,
    key_scales: Vec<u16>,
    values: Vec<Quads>,
    value_scales: Vec<u16>,
}

impl OwnPage8 {
    /// A page of a head of `dim` elements; all is zero.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            keys: vec![Quads::ZERO; key_quads(dim)],
            key_scales: vec![0; blocks(dim) * CHUNK],
            values: vec![Quads::ZERO; value_quads(dim)],
            value_scales: vec![0; blocks(dim) * CHUNK],
        }
    }

    /// Takes over what another page holds.
    pub fn copy_from(&mut self, other: &Self) {
        self.dim = other.dim;
        self.keys.clone_from(&other.keys);
        self.key_scales.clone_from(&other.key_scales);
        self.values.clone_from(&other.values);
        self.value_scales.clone_from(&other.value_scales);
    }

    /// Writes the key of position `at`: its bytes and its blocks' scales.
    ///
    /// # Panics
    /// If it has more elements or blocks than a head of the page.
    pub fn write_key(&mut self, at: usize, q: &[i8], d: &[u16]) {
        for (element, &q) in q.iter().enumerate() {
            let (quads, lane, byte) = of_key(self.dim, at, element);
            self.keys[quads].0[lane][byte] = q;
        }
        for (block, &d) in d.iter().enumerate() {
            self.key_scales[of_key_scale(self.dim, at, block)] = d;
        }
    }

    /// Writes the value of position `at`.
    ///
    /// # Panics
    /// If it has more elements or blocks than a head of the page.
    pub fn write_value(&mut self, at: usize, q: &[i8], d: &[u16]) {
        for (element, &q) in q.iter().enumerate() {
            let (quads, lane, byte) = of_value(at, element);
            self.values[quads].0[lane][byte] = q;
        }
        for (block, &d) in d.iter().enumerate() {
            self.value_scales[of_value_scale(at, block)] = d;
        }
    }

    /// What was written.
    pub fn page(&self) -> Page8<'_> {
        let Self { keys, key_scales, values, value_scales, .. } = self;
        Page8 { keys, key_scales, values, value_scales }
    }
}

/// A page as plain rows, position by position: what the reference takes.
#[derive(Clone, Debug)]
pub struct Rows {
    keys: Vec<i8>,
    key_scales: Vec<f32>,
    values: Vec<i8>,
    value_scales: Vec<f32>,
}

impl Rows {
    /// As the reference's own type.
    pub fn page(&self) -> attention8::Page<'_> {
        let Self { keys, key_scales, values, value_scales } = self;
        attention8::Page { keys, key_scales, values, value_scales }
    }
}

impl Page8<'_> {
    /// The whole page as plain rows of heads of `dim` elements.
    pub fn rows(&self, dim: usize) -> Rows {
        let elements = || (0..CHUNK * dim).map(|i| (i / dim, i % dim));
        let scales = || (0..CHUNK * blocks(dim)).map(|i| (i / blocks(dim), i % blocks(dim)));
        let byte = |all: &[Quads], (quads, lane, of_lane): (usize, usize, usize)| all[quads].0[lane][of_lane];
        Rows {
            keys: elements().map(|(at, i)| byte(self.keys, of_key(dim, at, i))).collect(),
            key_scales: scales().map(|(at, b)| f16_to_f32(self.key_scales[of_key_scale(dim, at, b)])).collect(),
            values: elements().map(|(at, i)| byte(self.values, of_value(at, i))).collect(),
            value_scales: scales().map(|(at, b)| f16_to_f32(self.value_scales[of_value_scale(at, b)])).collect(),
        }
    }

    /// What an element of the key at a position means.
    pub fn key(&self, dim: usize, at: usize, element: usize) -> f32 {
        let (quads, lane, byte) = of_key(dim, at, element);
        f32::from(self.keys[quads].0[lane][byte]) * f16_to_f32(self.key_scales[of_key_scale(dim, at, element / BLOCK)])
    }

    /// What an element of the value at a position means.
    pub fn value(&self, at: usize, element: usize) -> f32 {
        let (quads, lane, byte) = of_value(at, element);
        f32::from(self.values[quads].0[lane][byte]) * f16_to_f32(self.value_scales[of_value_scale(at, element / BLOCK)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for dim in [1, 4, 13, 32, 64, 80, 320] {
            let mut own = OwnPage8::new(dim);
            let byte = |at: usize, i: usize, odd: usize| ((at * 83 + i * odd) % 255) as u8 as i8;
            let half = |at: usize, b: usize, odd: usize| (0x2000 + at * odd + b) as u16;
            for at in 0..CHUNK {
                let row = |odd| (0..dim).map(|i| byte(at, i, odd)).collect::<Vec<_>>();
                let d = |odd| (0..blocks(dim)).map(|b| half(at, b, odd)).collect::<Vec<_>>();
                own.write_key(at, &row(7), &d(16));
                own.write_value(at, &row(11), &d(17));
            }
            let page = own.page();
            let rows = page.rows(dim);
            for (at, i) in (0..CHUNK).flat_map(|at| (0..dim).map(move |i| (at, i))) {
                let (b, key, value) = (i / BLOCK, byte(at, i, 7), byte(at, i, 11));
                let [d_key, d_value] = [16, 17].map(|odd| f16_to_f32(half(at, b, odd)));
                assert_eq!((rows.keys[at * dim + i], rows.values[at * dim + i]), (key, value), "{dim}: {at}, {i}");
                assert_eq!(rows.key_scales[at * blocks(dim) + b], d_key);
                assert_eq!(rows.value_scales[at * blocks(dim) + b], d_value);
                assert_eq!(page.key(dim, at, i), f32::from(key) * d_key);
                assert_eq!(page.value(at, i), f32::from(value) * d_value);
            }
        }
    }
}
