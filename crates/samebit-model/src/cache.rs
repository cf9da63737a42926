//! The key/value cache: pages of 256 positions, one chunk of attention each.
//!
//! Knows layers, heads and positions; nothing of sequences' owners. Keys lie element by element, values position by
//! position, so that attention's lanes run over what lies side by side.

use std::str::FromStr;
use std::sync::Arc;

use samebit_kernels::PageOf;
use samebit_numerics::reduce::CHUNK;

use crate::config::Config;
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

/// What a page holds, whoever's it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Type of its elements.
    pub kind: KvType,
    /// Layers.
    pub layers: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
}

impl Layout {
    /// As a model's configuration has it.
    pub fn of(config: &Config, kind: KvType) -> Self {
        Self { kind, layers: config.layers, kv_heads: config.kv_heads, head_dim: config.head_dim }
    }

    /// Elements of one layer's keys, or values.
    fn elements(&self) -> usize {
        self.kv_heads * self.head_dim * CHUNK
    }

    /// Bytes of a page of a pass in binary32.
    pub fn page_bytes(&self) -> usize {
        2 * self.layers * self.elements() * self.kind.bytes()
    }
}

/// Keys or values of one page of one layer, all heads.
#[derive(Clone, Debug)]
enum Store<R> {
    Half(Vec<u16>),
    Full(Vec<R>),
}

/// 256 positions of all layers, keys and values. A page that was used before may be used again as it is: nothing that a sequence has
/// not written itself reaches a result.
#[derive(Clone, Debug)]
pub struct Page<R> {
    /// Keys and values of each layer.
    layers: Vec<[Store<R>; 2]>,
}

impl<R: Real> Page<R> {
    /// A page that nothing was written to.
    pub fn new(layout: &Layout) -> Self {
        let store = || match layout.kind {
            KvType::F16 => Store::Half(vec![0; layout.elements()]),
            KvType::F32 => Store::Full(vec![R::default(); layout.elements()]),
        };
        Self { layers: (0..layout.layers).map(|_| [store(), store()]).collect() }
    }

    /// Takes over what another page of the same layout holds.
    pub fn copy_from(&mut self, other: &Self) {
        for (to, from) in self.layers.as_flattened_mut().iter_mut().zip(other.layers.as_flattened()) {
            match (to, from) {
                (Store::Half(to), Store::Half(from)) => to.copy_from_slice(from),
                (Store::Full(to), Store::Full(from)) => to.copy_from_slice(from),
                // Another layout: nothing that fits.
                (to, from) => *to = from.clone(),
            }
        }
    }
}

/// The cache of one sequence. Pages may be shared with other sequences' caches; one that is written becomes this cache's own.
#[derive(Clone, Debug)]
pub struct Cache<R> {
    layout: Layout,
    len: usize,
    pages: Vec<Arc<Page<R>>>,
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
        Self::from_pages(Layout { kind, layers, kv_heads, head_dim }, Vec::new(), 0)
    }

    /// A cache of pages of that layout, in which the first `len` positions were written; pages beyond them are room.
    ///
    /// # Panics
    /// If there are fewer positions.
    pub fn from_pages(layout: Layout, pages: Vec<Arc<Page<R>>>, len: usize) -> Self {
        assert!(len <= pages.len() * CHUNK, "positions without a page");
        Self { layout, len, pages }
    }

    /// Its pages.
    pub fn into_pages(self) -> Vec<Arc<Page<R>>> {
        self.pages
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
        while self.pages.len() < len.div_ceil(CHUNK) {
            self.pages.push(Arc::new(Page::new(&self.layout)));
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
        let (dim, at) = (self.layout.head_dim, position % CHUNK);
        let page = &mut Arc::make_mut(&mut self.pages[position / CHUNK]).layers[layer];
        let key_slot = |i: usize| i * CHUNK + at;
        let value_slot = |i: usize| (i / dim * CHUNK + at) * dim + i % dim;
        let refused = |of_keys, row: &[R], index| Overflow { of_keys, index, only_here: row[index].is_finite() };
        scatter(&mut page[0], keys, key_slot, convert).map_err(|index| refused(true, keys, index))?;
        scatter(&mut page[1], values, value_slot, convert).map_err(|index| refused(false, values, index))
    }

    /// One page of one head.
    pub fn page(&self, layer: usize, head: usize, page: usize) -> PageOf<'_, R> {
        let elements = self.layout.head_dim * CHUNK;
        let range = head * elements..(head + 1) * elements;
        match &self.pages[page].layers[layer] {
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
