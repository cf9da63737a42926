//! Attention over emulated vectors, in every size and way that a real unit has, against the reference: pages of every type, odd
//! heads and ranges, bytes at their limits. And with vectors that compute wrongly, which must be found.

use core::ops::Range;

use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::ops::attention8::blocks;
use samebit_numerics::reduce::CHUNK;

use super::emulated::*;
use super::integers::Integers;
use super::kernel::ByBytes;
use super::tests::{Random, differing};
use super::words::ByWords;
use crate::Isa;
use crate::page8::OwnPage8;
use crate::pool::Grid;
use crate::table::{Heads, Numerics, PageOf, Table};
use crate::vector::Vector;

/// Keys and values of a page in each type.
struct Pages {
    full: [Vec<f32>; 2],
    half: [Vec<u16>; 2],
    bytes: OwnPage8,
}

impl Pages {
    /// Random numbers; bytes of the largest magnitude if `extreme`, so that sums are as large as can be.
    fn new(dim: usize, extreme: bool, random: &mut Random) -> Self {
        let table = Table::single(Isa::Reference, Numerics::V1);
        let full = [(); 2].map(|()| (0..dim * CHUNK).map(|_| random.float()).collect::<Vec<_>>());
        let half = full.each_ref().map(|floats| {
            let mut halves = vec![0; floats.len()];
            (table.narrow)(floats, &mut halves);
            halves
        });
        let mut bytes = OwnPage8::new(dim);
        for at in 0..CHUNK {
            let mut row = |extreme: bool| {
                let floats: Vec<f32> = (0..dim).map(|_| random.float()).collect();
                let (mut q, mut d) = (vec![0; dim], vec![0; blocks(dim)]);
                (table.quantize8)(&floats, &mut q, &mut d);
                if extreme {
                    q.fill(if random.next() & 3 == 0 { -127 } else { 127 });
                    d.fill([0x3c00, 0x3c00, 1, 0x7bff][random.next() as usize & 3]);
                }
                (q, d)
            };
            let (key, value) = (row(extreme), row(extreme));
            bytes.write_key(at, &key.0, &key.1);
            bytes.write_value(at, &value.0, &value.1);
        }
        Self { full, half, bytes }
    }

    fn floats(&self) -> [PageOf<'_, f32>; 2] {
        let ([keys, values], [half_keys, half_values]) = (&self.full, &self.half);
        [PageOf::Full { keys, values }, PageOf::Half { keys: half_keys, values: half_values }]
    }
}

/// Heads' length, query heads of a row, and what three rows see.
fn cases() -> [(usize, usize, [Range<usize>; 3]); 5] {
    [
        (64, 3, [0..256, 100..256, 7..8]),
        (80, 2, [0..1, 3..3, 0..255]),
        (13, 7, [5..9, 6..10, 9..20]),
        (96, 1, [200..256, 0..16, 17..23]),
        (320, 1, [0..256, 1..255, 255..256]),
    ]
}

/// Several pages for all heads of some rows, by vectors and by the reference: maxima, denominators and values.
#[inline(never)]
fn wrong(
    pages: impl for<'a> Fn(&'a Pages) -> Vec<PageOf<'a, f32>>,
    attend: impl Fn(PageOf<'_, f32>, Scores, &mut Heads<'_, '_, f32>),
) -> usize {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let table = Table::single(Isa::Reference, Numerics::V1);
    let mut wrong = 0;
    for (dim, group, seen) in cases() {
        let mut queries: Vec<f32> = (0..3 * group * dim).map(|_| random.float()).collect();
        for (how, extreme) in [
            (Scores { scale: 0.11, soft_cap: None }, false),
            (Scores { scale: 1e-6, soft_cap: None }, true),
            (Scores { scale: 0.05, soft_cap: Some(30.0) }, false),
        ] {
            if extreme {
                queries.fill(-3.0);
            }
            let mut states = [(); 2].map(|()| (vec![Running::default(); 3 * group], vec![0.0f32; 3 * group * dim]));
            for made in [(); 2].map(|()| Pages::new(dim, extreme, &mut random)) {
                for page in pages(&made) {
                    for (fast, (running, out)) in [true, false].into_iter().zip(&mut states) {
                        let mut grid = Grid::new(out, group * dim);
                        let out = &mut grid.all();
                        let mut heads =
                            Heads { queries: &queries, stride: group * dim, group, dim, visible: &seen, running, out };
                        if fast {
                            attend(page, how, &mut heads);
                        } else {
                            (table.attend)(page, how, &mut heads);
                        }
                    }
                }
            }
            let [(fast, out), (slow, expected)] = &states;
            wrong += differing(out, expected);
            let numbers = |r: &Running<f32>| (r.max.map(f32::to_bits), r.denominator.to_bits(), r.overflowed);
            wrong += fast.iter().zip(slow).filter(|(a, b)| numbers(a) != numbers(b)).count();
        }
    }
    wrong
}

fn wrong_floats<V: Vector>(v: V) -> usize
where
    ByWords<V>: Integers<Vector = V>,
{
    wrong(
        |made| made.floats().into(),
        |page, how, heads| {
            super::attention::attend::<V, ByWords<V>, 1, 1>(v, page, how, heads);
        },
    )
}

fn wrong_bytes<I: Integers, const G: usize, const VECS: usize>(v: I::Vector) -> usize {
    wrong(
        |made| vec![PageOf::Q8(made.bytes.page())],
        |page, how, heads| {
            super::attention::attend::<I::Vector, I, G, VECS>(v, page, how, heads);
        },
    )
}

#[test]
fn attention_over_floats_equals_the_reference() {
    assert_eq!(wrong_floats(Emulated::<16, false, 32>(Flaw::None)), 0);
    assert_eq!(wrong_floats(Emulated::<8, false, 16>(Flaw::None)), 0);
    assert_eq!(wrong_floats(Emulated::<4, false, 32>(Flaw::None)), 0);
    assert_ne!(wrong_floats(Emulated::<8, false, 16>(Flaw::RoundsTwice)), 0);
}

#[test]
fn attention_over_bytes_equals_the_reference() {
    assert_eq!(wrong_bytes::<ByBytes<_>, 2, 2>(Emulated::<16, false, 32>(Flaw::None)), 0);
    assert_eq!(wrong_bytes::<ByBytes<_>, 1, 2>(Emulated::<8, false, 16>(Flaw::None)), 0);
    assert_eq!(wrong_bytes::<ByBytes<_>, 1, 4>(Emulated::<4, true, 32>(Flaw::None)), 0);
    assert_eq!(wrong_bytes::<ByBytes<_>, 1, 4>(EmulatedMatrix(Flaw::None)), 0);
    assert_eq!(wrong_bytes::<ByWords<_>, 2, 2>(Emulated::<16, false, 32>(Flaw::None)), 0);
    assert_eq!(wrong_bytes::<ByWords<_>, 1, 2>(Emulated::<8, false, 16>(Flaw::None)), 0);
    assert_eq!(wrong_bytes::<ByWords<_>, 1, 4>(Emulated::<4, false, 16>(Flaw::None)), 0);
}

#[test]
fn vectors_that_compute_wrongly_are_found() {
    for flaw in [Flaw::Saturates, Flaw::RoundsTwice] {
        assert_ne!(wrong_bytes::<ByBytes<_>, 1, 2>(Emulated::<8, false, 16>(flaw)), 0, "{flaw:?}");
        assert_ne!(wrong_bytes::<ByBytes<_>, 2, 2>(Emulated::<16, false, 32>(flaw)), 0, "{flaw:?}");
    }
    for flaw in [Flaw::ShortWords, Flaw::RoundsTwice] {
        assert_ne!(wrong_bytes::<ByWords<_>, 1, 2>(Emulated::<8, false, 16>(flaw)), 0, "{flaw:?}");
    }
}

#[test]
fn every_instruction_set_equals_the_reference() {
    for isa in Isa::supported() {
        let table = Table::single(isa, Numerics::V1);
        let floats = wrong(|made| made.floats().into(), table.attend);
        let bytes = wrong(|made| vec![PageOf::Q8(made.bytes.page())], table.attend);
        assert_eq!((floats, bytes), (0, 0), "{isa}");
    }
}
