//! What a cache and a file hold besides activations: keys and values by position, weights by their statistics.

use samebit_kernels::PageOf;
use samebit_model::forward::Real;
use samebit_model::weights::format_of;
use samebit_model::{Cache, Config, Model};
use samebit_numerics::half::f16_to_f32;
use samebit_numerics::reduce::CHUNK;

use crate::trace::{Entry, Summing, Values};

/// Keys and values of a layer, each `positions × kv heads · head size`.
pub(crate) fn contents<R: Real>(
    cache: &Cache<R>,
    layer: usize,
    positions: usize,
    config: &Config,
) -> (Vec<f32>, Vec<f32>) {
    let (dim, heads) = (config.head_dim, config.kv_heads);
    let (mut keys, mut values) = (vec![0.0; positions * heads * dim], vec![0.0; positions * heads * dim]);
    for position in 0..positions {
        for head in 0..heads {
            let page = cache.page(layer, head, position / CHUNK);
            let at = position % CHUNK;
            for element in 0..dim {
                let (of_key, of_value) = (element * CHUNK + at, at * dim + element);
                let (key, value) = match page {
                    PageOf::Full { keys, values } => (keys[of_key].to_f32(), values[of_value].to_f32()),
                    PageOf::Half { keys, values } => (f16_to_f32(keys[of_key]), f16_to_f32(values[of_value])),
                    PageOf::Q8(page) => (page.key(dim, at, element), page.value(at, element)),
                };
                let to = (position * heads + head) * dim + element;
                (keys[to], values[to]) = (key, value);
            }
        }
    }
    (keys, values)
}

/// Statistics of every tensor of the file, dequantised.
pub fn weights(model: &Model, progress: &mut dyn FnMut(usize, usize)) -> Vec<Entry> {
    let tensors = model.gguf().tensors();
    let mut entries = Vec::new();
    for (done, tensor) in tensors.iter().enumerate() {
        progress(done, tensors.len());
        let Some(format) = format_of(tensor.ty) else { continue };
        let shape: Vec<usize> = tensor.shape.iter().rev().map(|&n| n as usize).collect();
        let cols = shape.last().copied().unwrap_or(1);
        let Some(row) = format.row_bytes(cols).filter(|&n| n > 0) else { continue };
        let (mut summing, mut values) = (Summing::default(), vec![0.0; cols]);
        for bytes in model.gguf().data(tensor).chunks_exact(row) {
            format.dequantize(bytes, &mut values);
            summing.add(&values);
        }
        entries.push(Entry {
            name: tensor.name.clone(),
            layer: None,
            positions: vec![0],
            shape,
            values: Values::None,
            summaries: vec![summing.finish()],
        });
    }
    entries
}
