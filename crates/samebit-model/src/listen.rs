//! What attention makes on the way and never keeps: scores and their softmax, for a tap that asks.
//!
//! No bit of a result depends on it, so dot products are made in binary64, and hidden keys are written as zeros.

use samebit_kernels::PageOf;
use samebit_numerics::reduce::CHUNK;

use crate::attention::Pass;
use crate::forward::Real;
use crate::tap::Tap;

/// `kq` (the dot products, before scale and cap) and `kq_soft_max` of all rows, each `heads × keys`.
pub(crate) fn scores<R: Real>(pass: &Pass<'_, R>, tap: &mut dyn Tap<R>) {
    let (raw, weights) = (tap.wants("kq", pass.layer), tap.wants("kq_soft_max", pass.layer));
    if !raw && !weights {
        return;
    }
    let heads = pass.queries.len() / pass.rows.len() / pass.head_dim;
    let keys = pass.rows.iter().map(|row| row.position + 1).max().unwrap_or(0);
    let mut products = vec![R::default(); pass.rows.len() * heads * keys];
    for (slot, (out, query)) in
        products.chunks_exact_mut(keys).zip(pass.queries.chunks_exact(pass.head_dim)).enumerate()
    {
        dots(pass, slot / heads, slot % heads / pass.group, query, out);
    }
    if weights {
        let mut all = products.clone();
        for (slot, out) in all.chunks_exact_mut(keys).enumerate() {
            soften(pass, slot / heads, slot % heads, out);
        }
        tap.tensor("kq_soft_max", Some(pass.layer), heads * keys, &mut all);
    }
    if raw {
        tap.tensor("kq", Some(pass.layer), heads * keys, &mut products);
    }
}

/// Dot products of one query with the keys that its row sees.
fn dots<R: Real>(pass: &Pass<'_, R>, row: usize, head: usize, query: &[R], out: &mut [R]) {
    let cache = &pass.caches[pass.rows[row].cache];
    let mut widened = Vec::new();
    let visible = pass.visible(row);
    for page in visible.start / CHUNK..visible.end.div_ceil(CHUNK) {
        let keys = match cache.page(pass.layer, head, page) {
            PageOf::Full { keys, .. } => keys,
            PageOf::Half { keys, .. } => {
                widened.resize(keys.len(), R::default());
                (pass.table.widen)(keys, &mut widened);
                &widened[..]
            }
            PageOf::Q8(page) => {
                widened.clear();
                let elements = (0..CHUNK * pass.head_dim).map(|i| page.key(pass.head_dim, i % CHUNK, i / CHUNK));
                widened.extend(elements.map(R::from_f32));
                &widened[..]
            }
        };
        for position in visible.start.max(page * CHUNK)..visible.end.min((page + 1) * CHUNK) {
            let of_key = keys[position % CHUNK..].iter().step_by(CHUNK);
            let sum: f64 = query.iter().zip(of_key).map(|(q, k)| q.to_f64() * k.to_f64()).sum();
            out[position] = R::from_f64(sum);
        }
    }
}

/// From dot products to weights: scale, cap, softmax with the head's sink.
fn soften<R: Real>(pass: &Pass<'_, R>, row: usize, head: usize, out: &mut [R]) {
    let seen = &mut out[pass.visible(row)];
    (pass.table.scale)(seen, pass.scores.scale);
    if let Some(cap) = pass.scores.soft_cap {
        (pass.table.soft_cap)(seen, cap);
    }
    match pass.sinks {
        None => (pass.table.softmax)(seen),
        Some(sinks) => {
            let mut all = seen.to_vec();
            all.push(R::from_f32(sinks[head]));
            (pass.table.softmax)(&mut all);
            seen.copy_from_slice(&all[..seen.len()]);
        }
    }
}
