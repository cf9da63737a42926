//! Attention of a batch: projections, norms and rotations of the heads, the cache, and one pass over its pages.
//!
//! Each row sees its own sequence's positions up to its own, whoever else is in the batch and however it was cut.

use core::ops::Range;
use std::sync::{Mutex, PoisonError};

use samebit_kernels::{Columns, Grid, Heads, Table};
use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::reduce::CHUNK;

use crate::cache::Cache;
use crate::error::ForwardError;
use crate::forward::{Real, Room, Row, Runner, check_finite, columns, place};
use crate::listen;
use crate::tap::Tap;
use crate::weights::{Layer, Projections};

/// Query heads that a unit of work has, about; one row has what it has.
const UNIT: usize = 48;
/// Query heads of a unit that need no memory of their own.
const FEW: usize = 64;

/// What every unit of a layer's attention shares.
pub(crate) struct Pass<'a, R: 'static> {
    pub(crate) layer: usize,
    pub(crate) group: usize,
    pub(crate) head_dim: usize,
    pub(crate) window: Option<usize>,
    pub(crate) scores: Scores,
    pub(crate) sinks: Option<&'a [f32]>,
    pub(crate) rows: &'a [Row],
    pub(crate) queries: &'a [R],
    pub(crate) caches: &'a [Cache<R>],
    pub(crate) table: &'a Table<R>,
}

impl<R: Real> Runner<R> {
    /// Attention of all rows, from queries, keys and values to `mixed`, `rows × heads · head size`.
    pub(crate) fn attention(
        &self,
        index: usize,
        layer: &Layer,
        rows: &[Row],
        caches: &mut [Cache<R>],
        room: &mut Room<R>,
        tap: &mut dyn Tap<R>,
    ) -> Result<(), ForwardError> {
        let config = self.model.config();
        let (key_width, query_width) = (config.kv_heads * config.head_dim, config.heads * config.head_dim);
        let Room { queries, keys, values, projected: spare, mixed, parts, .. } = room;
        tap.tensor("Qcur", Some(index), query_width, queries);
        tap.tensor("Kcur", Some(index), key_width, keys);
        tap.tensor("Vcur", Some(index), key_width, values);
        for (what, tensor, heads, norm, width) in [
            ("Qcur", "attn_q_norm", &mut *queries, &layer.query_norm, query_width),
            ("Kcur", "attn_k_norm", &mut *keys, &layer.key_norm, key_width),
        ] {
            if let Some(norm) = norm {
                self.rms_norm(heads, norm, rows, spare, || place(index, tensor))?;
                core::mem::swap(heads, spare);
                tap.tensor(&format!("{what}_normed"), Some(index), width, heads);
            }
            self.rotate(index, heads, rows, width);
            tap.tensor(&format!("{what}_rope"), Some(index), width, heads);
        }
        self.remember(index, keys, values, rows, caches)?;
        mixed.resize(queries.len(), R::default());
        let pass = Pass {
            layer: index,
            group: config.group(),
            head_dim: config.head_dim,
            window: config.windows[index],
            scores: Scores { scale: config.score_scale, soft_cap: config.score_cap },
            sinks: layer.sinks.as_deref(),
            rows,
            queries,
            caches,
            table: &self.table,
        };
        listen::scores(&pass, tap);
        self.attend(&pass, mixed, parts);
        check_finite(mixed, rows, || place(index, "attention"))?;
        tap.tensor("kqv_out", Some(index), query_width, mixed);
        Ok(())
    }

    /// Queries, keys and values of all rows.
    pub(crate) fn project(&self, layer: &Layer, rows: &[Row], room: &mut Room<R>) -> Result<(), ForwardError> {
        let Room { normed, queries, keys, values, projected, activations, .. } = room;
        match &layer.projections {
            Projections::Separate { query, key, value } => {
                self.linear([(query, 0), (key, 0), (value, 0)], normed, rows, [queries, keys, values], activations)
            }
            Projections::Fused(all) => {
                self.linear([(all, 0)], normed, rows, [projected], activations)?;
                let config = self.model.config();
                let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
                for (range, to) in [(0..q, queries), (q..q + kv, keys), (q + kv..q + 2 * kv, values)] {
                    columns(projected, q + 2 * kv, range, to);
                }
                Ok(())
            }
        }
    }

    /// RoPE of every head of every row.
    fn rotate(&self, layer: usize, heads: &mut [R], rows: &[Row], width: usize) {
        let config = self.model.config();
        let rope = self.ropes.of_layer(config.windows[layer].is_some());
        self.pool.rows([Grid::new(heads, width)], |row, [heads]| {
            let (cos, sin) = rope.at(rows[row].position);
            for head in heads.chunks_exact_mut(config.head_dim) {
                (self.table.rotate)(head, config.architecture.pairing, cos, sin);
            }
        });
    }

    /// Keys and values into the rows' caches, each cache by one thread.
    fn remember(
        &self,
        layer: usize,
        keys: &[R],
        values: &[R],
        rows: &[Row],
        caches: &mut [Cache<R>],
    ) -> Result<(), ForwardError> {
        let width = self.model.config().kv_heads * self.model.config().head_dim;
        let of_row = |row: usize| row * width..(row + 1) * width;
        let refused = Mutex::new(None);
        self.pool.fill(caches, 1, |first, caches| {
            for (index, cache) in (first..).zip(caches) {
                for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.cache == index) {
                    let (keys, values) = (&keys[of_row(at)], &values[of_row(at)]);
                    if let Err(overflow) = cache.write(layer, row.position, keys, values, self.conversions()) {
                        *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((row.position, overflow));
                        return;
                    }
                }
            }
        });
        match refused.into_inner().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some((position, overflow)) => Err(ForwardError::NonFinite {
                place: place(layer, if overflow.of_keys { "attn_k, into the cache" } else { "attn_v, into the cache" }),
                position,
                index: overflow.index,
                remedy: if overflow.only_here { "; its cache's type is too narrow: try --kv f32" } else { "" },
            }),
        }
    }

    fn attend(&self, pass: &Pass<'_, R>, out: &mut [R], parts: &mut Vec<Part<R>>) {
        if pass.rows.len() == 1 && self.pool.threads() > 1 && pass.pages(&(0..1)).len() > 1 {
            return self.attend_by_pages(pass, out, parts);
        }
        let unit = pass.group * pass.head_dim;
        let grid = Grid::new(out, self.model.config().kv_heads * unit);
        // A unit is one key/value head's queries of a few rows of one cache, which share its pages.
        let height = (UNIT / pass.group).max(1);
        let same_cache = pass.rows.chunk_by(|a, b| a.cache == b.cache);
        let heights: Vec<usize> = same_cache.flat_map(|run| run.chunks(height)).map(<[Row]>::len).collect();
        self.pool.pieces(grid, unit, &heights, |first, mut piece| {
            pass.run_of_rows(first..first + piece.rows(), &mut piece);
        });
    }

    /// Attention of a single row with threads to spare: each page on its own, then merged in their order, as they would have
    /// been one after the other.
    fn attend_by_pages(&self, pass: &Pass<'_, R>, out: &mut [R], parts: &mut Vec<Part<R>>) {
        let (dim, group, kv_heads) = (pass.head_dim, pass.group, self.model.config().kv_heads);
        let pages = pass.pages(&(0..1));
        parts.resize_with(pages.len() * kv_heads, Part::default);
        self.pool.fill(parts, 1, |index, parts| {
            for (index, part) in (index..).zip(parts) {
                part.running.clear();
                part.running.resize(group, Running::default());
                part.values.resize(group * dim, R::default());
                let (head, page) = (index % kv_heads, pages.start + index / kv_heads);
                let mut grid = Grid::new(&mut part.values, group * dim);
                pass.page(0..1, head, page, &mut part.running, &mut grid.all());
            }
        });
        for (head, out) in out.chunks_exact_mut(group * dim).enumerate() {
            for (g, out) in out.chunks_exact_mut(dim).enumerate() {
                let mut running = Running::default();
                for part in parts.iter().skip(head).step_by(kv_heads) {
                    (self.table.merge)(part.running[g], &part.values[g * dim..(g + 1) * dim], &mut running, out);
                }
                (self.table.finish)(running, pass.sink(head, g), out);
            }
        }
    }
}

/// One page's attention of one key/value head's queries, on its own.
#[derive(Debug)]
pub(crate) struct Part<R> {
    running: Vec<Running<R>>,
    values: Vec<R>,
}

impl<R> Default for Part<R> {
    fn default() -> Self {
        Self { running: Vec::new(), values: Vec::new() }
    }
}

impl<R: Real> Pass<'_, R> {
    /// The queries of one key/value head for rows of one cache, page by page.
    fn run_of_rows(&self, rows: Range<usize>, out: &mut Columns<'_, R>) {
        let dim = self.head_dim;
        let head = out.range().start / (self.group * dim);
        let (mut few, mut many) = ([Running::default(); FEW], Vec::new());
        let heads = rows.len() * self.group;
        let running = match few.get_mut(..heads) {
            Some(running) => running,
            None => {
                many.resize(heads, Running::default());
                &mut many[..]
            }
        };
        for page in self.pages(&rows) {
            self.page(rows.clone(), head, page, running, out);
        }
        for (slot, running) in running.iter().enumerate() {
            let (row, g) = (slot / self.group, slot % self.group);
            (self.table.finish)(*running, self.sink(head, g), &mut out.row(row)[g * dim..(g + 1) * dim]);
        }
    }

    /// One page for the queries of one key/value head of rows of one cache.
    fn page(&self, rows: Range<usize>, head: usize, page: usize, running: &mut [Running<R>], out: &mut Columns<'_, R>) {
        let stride = self.queries.len() / self.rows.len();
        let queries = &self.queries[rows.start * stride + head * self.group * self.head_dim..];
        let cache = &self.caches[self.rows[rows.start].cache];
        let mut visible = [const { 0..0 }; UNIT];
        let visible = &mut visible[..rows.len()];
        for (visible, row) in visible.iter_mut().zip(rows) {
            *visible = in_page(self.visible(row), page);
        }
        let mut heads = Heads { queries, stride, group: self.group, dim: self.head_dim, visible, running, out };
        (self.table.attend)(cache.page(self.layer, head, page), self.scores, &mut heads);
    }

    /// The sink of a query head, if it has one.
    fn sink(&self, head: usize, g: usize) -> Option<f32> {
        self.sinks.map(|sinks| sinks[head * self.group + g])
    }

    /// The pages that rows of one cache see.
    fn pages(&self, rows: &Range<usize>) -> Range<usize> {
        let positions = rows.clone().map(|row| self.visible(row));
        let (from, to) = positions.fold((usize::MAX, 0), |(a, b), v| (a.min(v.start), b.max(v.end)));
        from / CHUNK..to.div_ceil(CHUNK)
    }

    /// Absolute positions that a row sees.
    pub(crate) fn visible(&self, row: usize) -> Range<usize> {
        let end = self.rows[row].position + 1;
        end.saturating_sub(self.window.unwrap_or(end))..end
    }
}

/// The part of a range of positions that lies in a page, relative to it.
fn in_page(positions: Range<usize>, page: usize) -> Range<usize> {
    let relative = |position: usize| position.saturating_sub(page * CHUNK).min(CHUNK);
    relative(positions.start)..relative(positions.end)
}
