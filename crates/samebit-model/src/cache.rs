//! The key/value cache: pages of 256 positions, one chunk of attention each.
//!
//! Knows layers, heads and positions; nothing of sequences' owners. Keys lie element by element, values position by
//! position, so that attention's lanes run over what lies side by side.

use std::str::FromStr;

use samebit_kernels::PageOf;
use samebit_numerics::reduce::CHUNK;

use crate::forward::Real;

/// How keys and values are stored; part of the numerics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KvType {
    /// binary16, rounded to nearest even.
    #[default]
    F16,
    /// As computed: binary32, or binary64 in that mode.
    F32,
}

impl KvType {
    /// The name that `--kv` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

impl FromStr for KvType {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        [Self::F16, Self::F32]
            .into_iter()
            .find(|kv| kv.name() == name)
            .ok_or_else(|| format!("unknown cache type `{name}`: use f16 or f32"))
    }
}

/// Keys or values of one page of one layer, all heads.
#[derive(Clone, Debug)]
enum Store<R> {
    Half(Vec<u16>),
    Full(Vec<R>),
}

/// The cache of one sequence.
#[derive(Clone, Debug)]
pub struct Cache<R> {
    kind: KvType,
    layers: usize,
    kv_heads: usize,
    head_dim: usize,
    len: usize,
    /// `pages[page · layers + layer]`: keys and values.
    pages: Vec<[Store<R>; 2]>,
}

/// From the pass's precision to binary16, from the table of functions.
#[derive(Clone, Copy, Debug)]
pub struct Conversions<R> {
    /// To binary16.
    pub narrow: fn(&[R], &mut [u16]),
}

/// A value that the cache cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// Of the keys, else of the values.
    pub of_keys: bool,
    /// Which element of the row.
    pub index: usize,
    /// The value is a number, only too large for the cache's type.
    pub only_here: bool,
}

impl<R: Real> Cache<R> {
    /// An empty cache for `layers` layers of `kv_heads` heads of `head_dim` elements.
    pub fn new(kind: KvType, layers: usize, kv_heads: usize, head_dim: usize) -> Self {
        Self { kind, layers, kv_heads, head_dim, len: 0, pages: Vec::new() }
    }

    /// Positions that every layer has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no position.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all positions from `len` on; the pages stay for what comes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes room for positions below `len`, and counts them as there: the pass that asks also writes them.
    pub fn grow(&mut self, len: usize) {
        let elements = self.kv_heads * self.head_dim * CHUNK;
        while self.pages.len() < len.div_ceil(CHUNK) * self.layers {
            let store = || match self.kind {
                KvType::F16 => Store::Half(vec![0; elements]),
                KvType::F32 => Store::Full(vec![R::default(); elements]),
            };
            self.pages.push([store(), store()]);
        }
        self.len = self.len.max(len);
    }

    /// Writes the keys and values (`kv_heads · head_dim` each) of one position.
    ///
    /// # Errors
    /// A value that the cache's type cannot hold.
    pub fn write(
        &mut self,
        layer: usize,
        position: usize,
        keys: &[R],
        values: &[R],
        convert: Conversions<R>,
    ) -> Result<(), Overflow> {
        let (dim, at) = (self.head_dim, position % CHUNK);
        let page = &mut self.pages[position / CHUNK * self.layers + layer];
        let key_slot = |i: usize| i * CHUNK + at;
        let value_slot = |i: usize| (i / dim * CHUNK + at) * dim + i % dim;
        let refused = |of_keys, row: &[R], index| Overflow { of_keys, index, only_here: row[index].is_finite() };
        scatter(&mut page[0], keys, key_slot, convert).map_err(|index| refused(true, keys, index))?;
        scatter(&mut page[1], values, value_slot, convert).map_err(|index| refused(false, values, index))
    }

    /// One page of one head.
    pub fn page(&self, layer: usize, head: usize, page: usize) -> PageOf<'_, R> {
        let elements = self.head_dim * CHUNK;
        let range = head * elements..(head + 1) * elements;
        match &self.pages[page * self.layers + layer] {
            [Store::Half(keys), Store::Half(values)] => {
                PageOf::Half { keys: &keys[range.clone()], values: &values[range] }
            }
            [Store::Full(keys), Store::Full(values)] => {
                PageOf::Full { keys: &keys[range.clone()], values: &values[range] }
            }
            _ => unreachable!("keys and values of a page are of one kind"),
        }
    }
}

/// Puts a row's elements where they belong, or says which one is not finite there.
fn scatter<R: Real>(
    store: &mut Store<R>,
    row: &[R],
    slot: impl Fn(usize) -> usize,
    convert: Conversions<R>,
) -> Result<(), usize> {
    match store {
        Store::Full(all) => {
            if let Some(index) = row.iter().position(|v| !v.is_finite()) {
                return Err(index);
            }
            row.iter().enumerate().for_each(|(i, &v)| all[slot(i)] = v);
        }
        Store::Half(all) => {
            for (part, row) in row.chunks(CHUNK).enumerate() {
                let mut halves = [0u16; CHUNK];
                let halves = &mut halves[..row.len()];
                (convert.narrow)(row, halves);
                // Infinity and NaN have every bit of the exponent.
                if let Some(index) = halves.iter().position(|h| h & 0x7c00 == 0x7c00) {
                    return Err(part * CHUNK + index);
                }
                halves.iter().enumerate().for_each(|(i, &v)| all[slot(part * CHUNK + i)] = v);
            }
        }
    }
    Ok(())
}
