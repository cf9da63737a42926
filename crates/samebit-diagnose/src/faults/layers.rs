//! Bugs in which layer's weights stand where.

use samebit_model::Model;

use super::{Fault, Topic};

const REFERENCE: &str = "NUMERICS.md 16, step 2: layers in the order of their numbers";

pub(super) fn faults(model: &Model) -> Vec<Fault> {
    let layers = model.config().layers;
    let mut by_text: Vec<usize> = (0..layers).collect();
    by_text.sort_by_key(usize::to_string);
    let order = |id, finding: &str, order: Vec<usize>| {
        Fault::new(Topic::Layers, id, finding, REFERENCE, move |suspect, model| {
            let right = &model.weights().layers;
            // What is special to a place (windows, RoPE) stays there.
            suspect.weights.layers = order.iter().filter_map(|&from| right.get(from).cloned()).collect();
            order.iter().enumerate().any(|(to, &from)| to != from)
        })
    };
    let next: Vec<usize> = (0..layers).map(|layer| (layer + 1).min(layers - 1)).collect();
    vec![
        order("layers-by-text", "layers are sorted as text: 0, 1, 10, 11, …, 2", by_text),
        order("layers-first", "all layers have the first one's weights", vec![0; layers]),
        order("layers-next", "each layer has the weights of the next", next),
        Fault::new(Topic::Layers, "layers-last-missing", "the last layer is left out", REFERENCE, |suspect, model| {
            let last = model.config().layers - 1;
            // Attention and the feed-forward network add nothing there.
            for tap in ["ffn_inp", "l_out"] {
                suspect.change(tap, move |moment, values| {
                    if moment.layer == Some(last) {
                        values.copy_from_slice(moment.stream);
                    }
                });
            }
            last > 0
        }),
    ]
}
