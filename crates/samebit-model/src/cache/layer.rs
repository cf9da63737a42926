//! Keys and values of one layer of a page, in each type that a cache may have.
//!
//! Knows where a number lies and how it is rounded; nothing of sequences or of who shares a page. Keys lie element by element,
//! values position by position, so that attention's lanes run over what lies side by side; bytes have an order of their own.

use samebit_kernels::{OwnPage8, PageOf};
use samebit_numerics::ops::attention::MAX_HEAD_DIM;
use samebit_numerics::ops::attention8::{BLOCK, INFINITE, blocks};
use samebit_numerics::reduce::CHUNK;

use super::{Conversions, KvType, Layout, Overflow};
use crate::forward::Real;

/// All heads of 256 positions.
#[derive(Clone, Debug)]
pub(super) enum Layer<R> {
    /// Keys and values in binary16.
    Half([Vec<u16>; 2]),
    /// Keys and values as computed.
    Full([Vec<R>; 2]),
    /// A head after the other.
    Bytes(Vec<OwnPage8>),
}

impl<R: Real> Layer<R> {
    /// Nothing was written to it.
    pub(super) fn new(layout: &Layout) -> Self {
        let elements = layout.kv_heads * layout.head_dim * CHUNK;
        match layout.kind {
            KvType::F16 => Self::Half([(); 2].map(|()| vec![0; elements])),
            KvType::F32 => Self::Full([(); 2].map(|()| vec![R::default(); elements])),
            KvType::Q8_0 => Self::Bytes((0..layout.kv_heads).map(|_| OwnPage8::new(layout.head_dim)).collect()),
        }
    }

    /// Takes over what another layer holds.
    pub(super) fn copy_from(&mut self, other: &Self) {
        match (self, other) {
            (Self::Half(to), Self::Half(from)) => to.iter_mut().zip(from).for_each(|(to, from)| to.clone_from(from)),
            (Self::Full(to), Self::Full(from)) => to.iter_mut().zip(from).for_each(|(to, from)| to.clone_from(from)),
            (Self::Bytes(to), Self::Bytes(from)) => to.iter_mut().zip(from).for_each(|(to, from)| to.copy_from(from)),
            // Of another type: nothing that fits.
            (to, from) => *to = from.clone(),
        }
    }

    /// Writes the keys and values of position `at`, all heads of `dim` elements.
    pub(super) fn write(
        &mut self,
        dim: usize,
        at: usize,
        rows: [&[R]; 2],
        convert: Conversions<R>,
    ) -> Result<(), Overflow> {
        for (which, row) in rows.into_iter().enumerate() {
            let slot = |i| if which == 0 { i * CHUNK + at } else { (i / dim * CHUNK + at) * dim + i % dim };
            let written = match self {
                Self::Half(both) => halves(&mut both[which], row, slot, convert.narrow),
                Self::Full(both) => floats(&mut both[which], row, slot),
                Self::Bytes(heads) => {
                    heads.iter_mut().zip(row.chunks_exact(dim)).enumerate().try_for_each(|(head, (page, row))| {
                        let write = if which == 0 { OwnPage8::write_key } else { OwnPage8::write_value };
                        let written = bytes(row, convert.quantize8, |q, d| write(page, at, q, d));
                        written.map_err(|index| head * dim + index)
                    })
                }
            };
            written.map_err(|index| Overflow { of_keys: which == 0, index, only_here: row[index].is_finite() })?;
        }
        Ok(())
    }

    /// The page of one head of `dim` elements.
    pub(super) fn page(&self, dim: usize, head: usize) -> PageOf<'_, R> {
        let range = head * dim * CHUNK..(head + 1) * dim * CHUNK;
        match self {
            Self::Half([keys, values]) => PageOf::Half { keys: &keys[range.clone()], values: &values[range] },
            Self::Full([keys, values]) => PageOf::Full { keys: &keys[range.clone()], values: &values[range] },
            Self::Bytes(heads) => PageOf::Q8(heads[head].page()),
        }
    }
}

/// Puts a row's elements where they belong, or says which one is not finite.
fn floats<R: Real>(all: &mut [R], row: &[R], slot: impl Fn(usize) -> usize) -> Result<(), usize> {
    if let Some(index) = row.iter().position(|v| !v.is_finite()) {
        return Err(index);
    }
    row.iter().enumerate().for_each(|(i, &v)| all[slot(i)] = v);
    Ok(())
}

/// Likewise in binary16, or says which element is not finite there.
fn halves<R>(
    all: &mut [u16],
    row: &[R],
    slot: impl Fn(usize) -> usize,
    narrow: fn(&[R], &mut [u16]),
) -> Result<(), usize> {
    for (part, row) in row.chunks(CHUNK).enumerate() {
        let mut halves = [0u16; CHUNK];
        let halves = &mut halves[..row.len()];
        narrow(row, halves);
        // Infinity and NaN have every bit of the exponent.
        if let Some(index) = halves.iter().position(|h| h & 0x7c00 == 0x7c00) {
            return Err(part * CHUNK + index);
        }
        halves.iter().enumerate().for_each(|(i, &v)| all[slot(part * CHUNK + i)] = v);
    }
    Ok(())
}

/// Hands one head's bytes and scales on, or says which element is not finite, or has no scale.
fn bytes<R: Real>(
    row: &[R],
    quantize: fn(&[R], &mut [i8], &mut [u16]),
    write: impl FnOnce(&[i8], &[u16]),
) -> Result<(), usize> {
    // The loader bounds heads.
    let (mut q, mut d) = ([0i8; MAX_HEAD_DIM], [0u16; blocks(MAX_HEAD_DIM)]);
    let (q, d) = (&mut q[..row.len()], &mut d[..blocks(row.len())]);
    quantize(row, q, d);
    if let Some(block) = d.iter().position(|&d| d == INFINITE) {
        let elements = row.chunks(BLOCK).nth(block).unwrap_or_default();
        // The first that is not finite, or else the first of the largest.
        let magnitude = |x: &R| if x.is_finite() { x.to_f64().abs() } else { f64::INFINITY };
        let worst =
            (0..elements.len()).rev().max_by(|&a, &b| magnitude(&elements[a]).total_cmp(&magnitude(&elements[b])));
        return Err(block * BLOCK + worst.unwrap_or(0));
    }
    write(q, d);
    Ok(())
}
