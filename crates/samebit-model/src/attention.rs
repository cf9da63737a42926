//! Attention of a batch: projections, norms and rotations of the heads, the cache, and one pass over its pages.
//!
//! Each row sees its own sequence's positions up to its own, whoever else is in the batch and however it was cut.

use core::ops::Range;

use samebit_kernels::Table;
use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::reduce::CHUNK;

use crate::cache::{Cache, Conversions, PageBuffer};
use crate::error::ForwardError;
use crate::forward::{Real, Row, Runner, check_finite, place};
use crate::tap::Tap;
use crate::weights::{Layer, Projections};

/// What every unit of a layer's attention shares.
struct Pass<'a, R: 'static> {
    layer: usize,
    group: usize,
    head_dim: usize,
    window: Option<usize>,
    scores: Scores,
    sinks: Option<&'a [f32]>,
    rows: &'a [Row],
    queries: &'a [R],
    caches: &'a [Cache<R>],
    table: &'a Table<R>,
    convert: Conversions<R>,
}

impl<R: Real> Runner<R> {
    /// Attention of all rows, `rows × heads · head size`, before the output matrix.
    pub(crate) fn attention(
        &mut self,
        index: usize,
        layer: &Layer,
        x: &[R],
        rows: &[Row],
        caches: &mut [Cache<R>],
        tap: &mut dyn Tap<R>,
    ) -> Result<Vec<R>, ForwardError> {
        let [mut queries, mut keys, values] = self.project(layer, x, rows)?;
        let config = self.model.config();
        let (key_width, query_width) = (config.kv_heads * config.head_dim, config.heads * config.head_dim);
        tap.tensor("Qcur", Some(index), query_width, &queries);
        tap.tensor("Kcur", Some(index), key_width, &keys);
        tap.tensor("Vcur", Some(index), key_width, &values);
        for (what, tensor, heads, norm, width) in [
            ("Qcur", "attn_q_norm", &mut queries, &layer.query_norm, query_width),
            ("Kcur", "attn_k_norm", &mut keys, &layer.key_norm, key_width),
        ] {
            if let Some(norm) = norm {
                *heads = self.rms_norm(heads, norm, rows, || place(index, tensor))?;
                tap.tensor(&format!("{what}_normed"), Some(index), width, heads);
            }
            self.rotate(index, heads, rows, width);
            tap.tensor(&format!("{what}_rope"), Some(index), width, heads);
        }
        self.remember(index, &keys, &values, rows, caches)?;
        let out = self.attend(index, layer, &queries, rows, caches);
        check_finite(&out, rows, || place(index, "attention"))?;
        tap.tensor("kqv_out", Some(index), query_width, &out);
        Ok(out)
    }

    /// Queries, keys and values of all rows.
    fn project(&mut self, layer: &Layer, x: &[R], rows: &[Row]) -> Result<[Vec<R>; 3], ForwardError> {
        match &layer.projections {
            Projections::Separate { query, key, value } => self.linear([(query, 0), (key, 0), (value, 0)], x, rows),
            Projections::Fused(all) => {
                let [all] = self.linear([(all, 0)], x, rows)?;
                let config = self.model.config();
                let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
                let columns = |range: Range<usize>| -> Vec<R> {
                    all.chunks_exact(q + 2 * kv).flat_map(|row| &row[range.clone()]).copied().collect()
                };
                Ok([columns(0..q), columns(q..q + kv), columns(q + kv..q + 2 * kv)])
            }
        }
    }

    /// RoPE of every head of every row.
    fn rotate(&self, layer: usize, heads: &mut [R], rows: &[Row], width: usize) {
        let config = self.model.config();
        let rope = self.ropes.of_layer(config.windows[layer].is_some());
        for (row, heads) in rows.iter().zip(heads.chunks_exact_mut(width)) {
            let (cos, sin) = rope.at(row.position);
            for head in heads.chunks_exact_mut(config.head_dim) {
                (self.table.rotate)(head, config.architecture.pairing, cos, sin);
            }
        }
    }

    /// Keys and values into the rows' caches.
    fn remember(
        &self,
        layer: usize,
        keys: &[R],
        values: &[R],
        rows: &[Row],
        caches: &mut [Cache<R>],
    ) -> Result<(), ForwardError> {
        let width = self.model.config().kv_heads * self.model.config().head_dim;
        for ((row, keys), values) in rows.iter().zip(keys.chunks_exact(width)).zip(values.chunks_exact(width)) {
            let cache = &mut caches[row.cache];
            let written = cache.write(layer, row.position, keys, values, self.conversions());
            written.map_err(|overflow| ForwardError::NonFinite {
                place: place(layer, if overflow.of_keys { "attn_k, into the cache" } else { "attn_v, into the cache" }),
                position: row.position,
                index: overflow.index,
                remedy: if overflow.only_here { "; its binary16 cache is too narrow: try --kv f32" } else { "" },
            })?;
        }
        Ok(())
    }

    fn attend(&self, index: usize, layer: &Layer, queries: &[R], rows: &[Row], caches: &[Cache<R>]) -> Vec<R> {
        let config = self.model.config();
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
            convert: self.conversions(),
        };
        // A unit is one key/value head's queries of one row; units of one head lie together and share its pages.
        let unit = pass.group * pass.head_dim;
        let mut by_head = vec![R::default(); queries.len()];
        self.pool.fill(&mut by_head, unit, |first, part| pass.units(first, part));
        let mut out = vec![R::default(); queries.len()];
        for (slot, values) in by_head.chunks_exact(unit).enumerate() {
            let (head, row) = (slot / rows.len(), slot % rows.len());
            out[(row * config.kv_heads + head) * unit..][..unit].copy_from_slice(values);
        }
        out
    }
}

impl<R: Real> Pass<'_, R> {
    /// Fills a run of units, cut where the key/value head or the cache changes.
    fn units(&self, first: usize, out: &mut [R]) {
        let unit = self.group * self.head_dim;
        let (mut slot, end) = (first, first + out.len() / unit);
        while slot < end {
            let (head, row) = (slot / self.rows.len(), slot % self.rows.len());
            let same = |&next: &usize| {
                next / self.rows.len() == head && self.rows[next % self.rows.len()].cache == self.rows[row].cache
            };
            let count = (slot..end).take_while(same).count();
            self.run_of_rows(head, row..row + count, &mut out[(slot - first) * unit..(slot - first + count) * unit]);
            slot += count;
        }
    }

    /// The queries of one key/value head for rows of one cache: page by page, so that each is widened once.
    fn run_of_rows(&self, head: usize, rows: Range<usize>, out: &mut [R]) {
        let (dim, unit) = (self.head_dim, self.group * self.head_dim);
        let cache = &self.caches[self.rows[rows.start].cache];
        let mut buffer = PageBuffer::default();
        let mut running = vec![Running::<R>::default(); rows.len() * self.group];
        let positions = rows.clone().map(|r| self.visible(r));
        let (from, to) = positions.fold((usize::MAX, 0), |(a, b), v| (a.min(v.start), b.max(v.end)));
        for page in from / CHUNK..to.div_ceil(CHUNK) {
            let chunk = cache.page(self.layer, head, page, self.convert, &mut buffer);
            for (i, row) in rows.clone().enumerate() {
                let visible = in_page(self.visible(row), page);
                let query = &self.queries[row * self.query_width() + head * unit..][..unit];
                for g in 0..self.group {
                    let out = &mut out[i * unit + g * dim..][..dim];
                    let running = &mut running[i * self.group + g];
                    (self.table.attend)(&query[g * dim..][..dim], chunk, visible.clone(), self.scores, running, out);
                }
            }
        }
        for (slot, (running, out)) in running.into_iter().zip(out.chunks_exact_mut(dim)).enumerate() {
            let sink = self.sinks.map(|s| s[head * self.group + slot % self.group]);
            (self.table.finish)(running, sink, out);
        }
    }

    fn query_width(&self) -> usize {
        self.queries.len() / self.rows.len()
    }

    /// Absolute positions that a row sees.
    fn visible(&self, row: usize) -> Range<usize> {
        let end = self.rows[row].position + 1;
        end.saturating_sub(self.window.unwrap_or(end))..end
    }
}

/// The part of a range of positions that lies in a page, relative to it.
fn in_page(positions: Range<usize>, page: usize) -> Range<usize> {
    let relative = |position: usize| position.saturating_sub(page * CHUNK).min(CHUNK);
    relative(positions.start)..relative(positions.end)
}
