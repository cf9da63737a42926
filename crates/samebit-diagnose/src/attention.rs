//! Attention of a whole sequence, slowly and with every known mistake on request.
//!
//! Works from the rows' own queries, keys and values, and keeps a cache that may lie. Knows nothing of pages or kernels.

use samebit_model::Config;
use samebit_numerics::blocks::Format;
use samebit_numerics::half::{f16_to_f32, f32_to_f16};
use samebit_numerics::math::double::{exp, tanh};

/// Which keys a query of the prompt is allowed to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mask {
    /// Those up to its own position.
    #[default]
    Causal,
    /// All of the batch.
    Missing,
    /// One too many, within the prompt.
    OneAhead,
    /// One too many, always; beyond what is written the slot is empty.
    OneAheadInCache,
    /// All of the prompt, later ones with a score of 0 in place of −∞.
    Zeroed,
    /// Those up to its own position but the first.
    FirstHidden,
    /// All but its own, always or from the first generated token on.
    CurrentMissing {
        /// Only after the prompt.
        in_decode: bool,
    },
}

/// Which key/value head serves a query head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadMap {
    /// floor(g / (G / K)).
    #[default]
    Grouped,
    /// g mod K.
    Interleaved,
    /// The first, for all.
    First,
    /// ⌊g / K⌋, the last for those beyond.
    ByCount,
    /// The right one, counted from the end.
    Reversed,
}

/// Slots without a key that take part in the softmax, with a score of 0 and values of 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Empty {
    /// None.
    #[default]
    None,
    /// One, always or for generated tokens alone.
    One {
        /// Only after the prompt.
        in_decode: bool,
    },
    /// All those of a cache of so many slots.
    UpTo(usize),
}

/// What lies in the cache after the prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Each position in its own slot.
    #[default]
    Right,
    /// Everything one slot too late: slot 0 is empty, and a query's own key is beyond what it sees.
    AllLate,
    /// Generated tokens one slot too late.
    DecodeLate,
    /// Generated tokens one slot too early, over the one before; the last slot seen is empty.
    DecodeEarly,
    /// Likewise, and the length is one short too.
    DecodeEarlyShort,
    /// Generated tokens are never stored.
    DecodeUnwritten,
    /// A generated token is stored only after it was attended to: its slot is empty then.
    WrittenAfter,
    /// A generated token's slot still holds what the position before has.
    CopyOfPrevious,
    /// Every generated token goes to the same slot.
    NotAdvanced,
    /// The prompt is forgotten when generation starts.
    PromptForgotten,
    /// Generated tokens go to slots from 0 on, over the prompt.
    FromZero,
    /// Nothing is ever written to slot 0.
    FirstEmpty,
}

/// How exact attention is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exactness {
    /// In floats throughout.
    #[default]
    Full,
    /// Keys and values are stored as binary16.
    HalfCache,
    /// Keys and values are stored as Q8_0.
    ByteCache,
    /// Queries and weights are rounded to binary16 too, as products of binary16 matrices take them.
    HalfProducts,
    /// Flash attention as llama.cpp's CPU code has it: binary16 cache and queries, one key after the other, and the sum over
    /// values kept in binary16; prompts of [`TILE`] rows and more have a binary16 cache alone.
    HalfSums,
}

/// Rows from which on llama.cpp's flash attention works in tiles, with sums in binary32.
const TILE: usize = 64;

/// One way to do attention.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attention {
    /// Who sees what.
    pub mask: Mask,
    /// Slots of nothing among them.
    pub empty: Empty,
    /// Who shares what.
    pub heads: HeadMap,
    /// What is stored where.
    pub store: Store,
    /// The mistakes in storing concern only keys (`Some(true)`) or only values (`Some(false)`).
    pub only_keys: Option<bool>,
    /// Precision.
    pub exactness: Exactness,
    /// Keys serve as values and values as keys.
    pub swapped: bool,
    /// The soft-cap comes before the scale.
    pub cap_first: bool,
    /// Scores are used as weights, without a softmax.
    pub no_softmax: bool,
    /// Heads' outputs are laid out element by element.
    pub transposed: bool,
}

/// A layer's rows: `rows × heads · dim` queries, `rows × kv_heads · dim` keys and values, for positions from 0.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Queries.
    pub queries: &'a [f32],
    /// Keys.
    pub keys: &'a [f32],
    /// Values.
    pub values: &'a [f32],
    /// How many rows are the prompt.
    pub prompt: usize,
    /// A sink per query head.
    pub sinks: Option<&'a [f32]>,
}

/// The row that a slot holds; nothing is zeros.
type Slot = Option<usize>;

impl Attention {
    /// Attention of all rows in a layer, into `out`, `rows × heads · dim`.
    pub fn run(&self, config: &Config, layer: usize, rows: Rows<'_>, out: &mut [f32]) {
        let (dim, heads) = (config.head_dim, config.heads);
        let count = rows.queries.len() / (heads * dim);
        let rounded;
        let rows = match self.exactness {
            Exactness::Full => rows,
            exactness => {
                let store = if exactness == Exactness::ByteCache { bytes } else { halves };
                rounded = [store(rows.keys), store(rows.values)];
                Rows { keys: &rounded[0], values: &rounded[1], ..rows }
            }
        };
        let rows = if self.swapped { Rows { keys: rows.values, values: rows.keys, ..rows } } else { rows };
        for position in 0..count {
            let keys = self.slots(position, count, rows.prompt, config.windows[layer], true);
            let values = self.slots(position, count, rows.prompt, config.windows[layer], false);
            for head in 0..heads {
                let mixed = self.head(config, rows, (position, head), (&keys, &values));
                for (i, value) in mixed.into_iter().enumerate() {
                    let place = if self.transposed { i * heads + head } else { head * dim + i };
                    out[position * heads * dim + place] = value;
                }
            }
        }
    }

    /// What the query at `position` finds in the slots that it looks into.
    fn slots(&self, position: usize, rows: usize, prompt: usize, window: Option<usize>, keys: bool) -> Vec<Slot> {
        let generated = position >= prompt;
        let mut end = match self.mask {
            Mask::Causal => position + 1,
            Mask::Missing if !generated => prompt.min(rows),
            Mask::Zeroed if !generated => prompt.min(rows),
            Mask::OneAhead if !generated => (position + 2).min(prompt),
            Mask::OneAheadInCache => position + 2,
            Mask::CurrentMissing { in_decode } if generated || !in_decode => position.max(1),
            _ => position + 1,
        };
        let mut first = (position + 1).saturating_sub(window.unwrap_or(position + 1));
        if self.mask == Mask::FirstHidden {
            first = first.max(1).min(position);
        }
        let store = match self.only_keys {
            Some(only) if only != keys => Store::Right,
            _ => self.store,
        };
        if self.store == Store::DecodeEarlyShort && generated {
            end = position;
        }
        let from = if self.store == Store::PromptForgotten && generated { prompt } else { 0 };
        (first.max(from)..end).map(|slot| content(store, slot, position, prompt)).collect()
    }

    /// One query head's output at a position.
    fn head(
        &self,
        config: &Config,
        rows: Rows<'_>,
        (position, head): (usize, usize),
        slots: (&[Slot], &[Slot]),
    ) -> Vec<f32> {
        let (dim, kv_heads) = (config.head_dim, config.kv_heads);
        let at = (position * config.heads + head) * dim;
        let shared = match self.heads {
            HeadMap::Grouped => head / config.group(),
            HeadMap::Interleaved => head % kv_heads,
            HeadMap::First => 0,
            HeadMap::ByCount => (head / kv_heads).min(kv_heads - 1),
            HeadMap::Reversed => kv_heads - 1 - head / config.group(),
        };
        let part = |row: usize| (row * kv_heads + shared) * dim..(row * kv_heads + shared + 1) * dim;
        let exactness = match self.exactness {
            Exactness::HalfSums if rows.prompt >= TILE && position < rows.prompt => Exactness::HalfCache,
            exactness => exactness,
        };
        let half = matches!(exactness, Exactness::HalfProducts | Exactness::HalfSums);
        let query: Vec<f32> = rows.queries[at..at + dim].iter().map(|&q| if half { to_half(q) } else { q }).collect();
        let mut scores: Vec<f64> = Vec::with_capacity(slots.0.len());
        let seen = |row: &usize| self.mask != Mask::Zeroed || *row <= position;
        for slot in slots.0 {
            let dot = slot.filter(seen).map_or(0.0, |row| dot(&query, &rows.keys[part(row)]));
            scores.push(self.score(config, f64::from(dot)));
        }
        let empty = match self.empty {
            Empty::None => 0,
            Empty::One { in_decode } => usize::from(!in_decode || position >= rows.prompt),
            Empty::UpTo(slots) => slots.saturating_sub(scores.len()),
        };
        let sink = rows.sinks.map(|sinks| f64::from(sinks[head]));
        let value = |slot: Slot| slot.map(|row| &rows.values[part(row)]);
        if exactness == Exactness::HalfSums && !self.no_softmax {
            return flash(&scores, slots.1.iter().map(|&slot| value(slot)), sink, empty, dim);
        }
        let weights = self.weights(scores, sink, empty);
        let mut out = vec![0.0f32; dim];
        for (&slot, &weight) in slots.1.iter().zip(&weights) {
            let Some(values) = value(slot) else { continue };
            let weight = if exactness == Exactness::HalfProducts { to_half(weight as f32) } else { weight as f32 };
            out.iter_mut().zip(values).for_each(|(o, &v)| *o += weight * v);
        }
        out
    }

    /// A dot product, scaled and capped.
    fn score(&self, config: &Config, dot: f64) -> f64 {
        let scale = f64::from(config.score_scale);
        match config.score_cap.map(f64::from) {
            None => dot * scale,
            Some(cap) if self.cap_first => cap * tanh(dot / cap) * scale,
            Some(cap) => cap * tanh(dot * scale / cap),
        }
    }

    fn weights(&self, mut scores: Vec<f64>, sink: Option<f64>, empty: usize) -> Vec<f64> {
        if self.no_softmax {
            return scores;
        }
        let nothing = (empty > 0).then_some(0.0);
        let max = scores.iter().copied().chain(sink).chain(nothing).fold(f64::NEG_INFINITY, f64::max);
        scores.iter_mut().for_each(|score| *score = exp(*score - max));
        let beside = sink.map_or(0.0, |sink| exp(sink - max)) + nothing.map_or(0.0, |_| empty as f64 * exp(-max));
        let sum: f64 = scores.iter().sum::<f64>() + beside;
        scores.iter_mut().for_each(|score| *score /= sum);
        scores
    }
}

/// A softmax and the sum over values in one go, in binary16: what was summed is scaled down whenever a larger score comes.
fn flash<'a>(
    scores: &[f64],
    values: impl Iterator<Item = Option<&'a [f32]>>,
    sink: Option<f64>,
    empty: usize,
    dim: usize,
) -> Vec<f32> {
    let mut acc = vec![0.0f32; dim];
    let (mut sum, mut most) = (0.0f32, f64::NEG_INFINITY);
    for (&score, values) in scores.iter().zip(values) {
        // Scores are binary32 there.
        let score = f64::from(score as f32);
        let mut weight = 1.0;
        if score > most {
            let less = exp(most - score) as f32;
            acc.iter_mut().for_each(|a| *a = to_half(*a * less));
            (sum, most) = (sum * less, score);
        } else {
            weight = exp(score - most) as f32;
        }
        if let Some(values) = values {
            acc.iter_mut().zip(values).for_each(|(a, &v)| *a = to_half(*a + v * weight));
        }
        sum += weight;
    }
    let mut sum = f64::from(sum);
    let mut scale = 1.0;
    for (score, count) in sink.map(|sink| (sink, 1)).into_iter().chain((empty > 0).then_some((0.0, empty))) {
        let less = exp((most - score).min(0.0));
        (sum, scale, most) = (sum * less, scale * less, most.max(score));
        sum += count as f64 * exp(score - most);
    }
    acc.iter().map(|&a| (f64::from(a) * scale / sum) as f32).collect()
}

/// What a slot holds when the query at `position` looks.
fn content(store: Store, slot: usize, position: usize, prompt: usize) -> Slot {
    if store == Store::AllLate {
        return slot.checked_sub(1);
    }
    if store == Store::FirstEmpty {
        return Some(slot).filter(|&slot| slot > 0);
    }
    if store == Store::FromZero && position >= prompt {
        return Some(prompt + slot).filter(|&row| row <= position).or((slot < prompt).then_some(slot));
    }
    if position < prompt || slot + 1 < prompt {
        return Some(slot).filter(|&slot| slot < prompt);
    }
    if slot > position {
        return None;
    }
    let right = Some(slot);
    let first = slot < prompt;
    match store {
        Store::DecodeLate => right.filter(|_| first).or((slot > prompt).then(|| slot - 1)),
        Store::DecodeEarly | Store::DecodeEarlyShort => (slot < position).then_some(slot + 1),
        Store::DecodeUnwritten => right.filter(|_| first),
        Store::WrittenAfter => right.filter(|_| slot < position),
        Store::CopyOfPrevious if slot == position => slot.checked_sub(1),
        Store::NotAdvanced if slot == prompt => Some(position),
        Store::NotAdvanced => right.filter(|_| first),
        _ => right,
    }
}

/// In eight lanes, which is fast, and as good an order as any other engine's.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Rounded to binary16.
pub(crate) fn to_half(x: f32) -> f32 {
    f16_to_f32(f32_to_f16(x))
}

/// As Q8_0 has them: 32 values share a scale.
fn bytes(x: &[f32]) -> Vec<f32> {
    let format = Format::Q8_0;
    let mut block = vec![0; format.block_bytes()];
    let mut out = vec![0.0; x.len()];
    for (x, out) in x.chunks(format.block_len()).zip(out.chunks_mut(format.block_len())) {
        match x.len() == format.block_len() {
            true => {
                format.quantize(x, &mut block);
                format.dequantize(&block, out);
            }
            // A head that blocks do not divide is stored otherwise.
            false => out.copy_from_slice(x),
        }
    }
    out
}

fn halves(x: &[f32]) -> Vec<f32> {
    x.iter().map(|&v| to_half(v)).collect()
}
