//! The key/value cache: pages of 256 positions, one chunk of attention each.
//!
//! Knows layers, heads and positions; nothing of sequences' owners. Where in a page a number lies is `layer`'s.

mod layer;

use std::str::FromStr;
use std::sync::Arc;

use samebit_kernels::PageOf;
use samebit_numerics::ops::attention8::{BLOCK, blocks};
use samebit_numerics::reduce::CHUNK;

use layer::Layer;

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
    /// Bytes, in blocks of 32 with a binary16 scale; in v1 with integer attention.
    Q8_0,
}

impl KvType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F16, Self::F32, Self::Q8_0];

    /// The name that `--kv` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::Q8_0 => "q8_0",
        }
    }

    /// Bytes of one position's key, or value, of a head of `dim` elements, in a pass in binary32.
    pub fn head_bytes(self, dim: usize) -> usize {
        match self {
            Self::F16 => 2 * dim,
            Self::F32 => 4 * dim,
            // Whole blocks.
            Self::Q8_0 => blocks(dim) * (BLOCK + 2),
        }
    }
}

impl FromStr for KvType {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kv| kv.name() == name)
            .ok_or_else(|| format!("unknown cache type `{name}`: use f16, f32 or q8_0"))
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

    /// Bytes of a page of a pass in binary32.
    pub fn page_bytes(&self) -> usize {
        2 * self.layers * self.kv_heads * CHUNK * self.kind.head_bytes(self.head_dim)
    }
}

/// 256 positions of all layers, keys and values. A page that was used before may be used again as it is: nothing that a sequence has
/// not written itself reaches a result.
#[derive(Clone, Debug)]
pub struct Page<R> {
    layers: Vec<Layer<R>>,
}

impl<R: Real> Page<R> {
    /// A page that nothing was written to.
    pub fn new(layout: &Layout) -> Self {
        Self { layers: (0..layout.layers).map(|_| Layer::new(layout)).collect() }
    }

    /// Takes over what another page of the same layout holds.
    pub fn copy_from(&mut self, other: &Self) {
        for (to, from) in self.layers.iter_mut().zip(&other.layers) {
            to.copy_from(from);
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

/// From the pass's precision to the cache's types, from the table of functions.
#[derive(Clone, Copy, Debug)]
pub struct Conversions<R> {
    /// To binary16.
    pub narrow: fn(&[R], &mut [u16]),
    /// One head's to bytes and scales.
    pub quantize8: fn(&[R], &mut [i8], &mut [u16]),
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
        let page = &mut Arc::make_mut(&mut self.pages[position / CHUNK]).layers[layer];
        page.write(self.layout.head_dim, position % CHUNK, [keys, values], convert)
    }

    /// One page of one head.
    pub fn page(&self, layer: usize, head: usize, page: usize) -> PageOf<'_, R> {
        self.pages[page].layers[layer].page(self.layout.head_dim, head)
    }
}
