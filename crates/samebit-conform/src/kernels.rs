//! Vectors of the table's other operations: norms, rotation, attention, softmax, what goes element by element.

use samebit_kernels::{Grid, Heads, OwnPage8, PageOf, Table};
use samebit_numerics::ops::attention::{Running, Scores};
use samebit_numerics::ops::attention8::blocks;
use samebit_numerics::ops::elementwise::Gate;
use samebit_numerics::ops::rope::Pairing;
use samebit_numerics::ops::router::Router;
use samebit_numerics::reduce::CHUNK;

use crate::digest::Digest;
use crate::input::Input;
use crate::list::Vector;

/// Row lengths: within a chunk, a chunk, a few and a part.
const LENGTHS: [usize; 5] = [1, 37, 256, 576, 1031];

pub(crate) fn vectors(table: &Table<f32>) -> Vec<Vector> {
    [
        norms(table),
        vec![rotation(table)],
        attention(table),
        rows(table),
        gates(table),
        router(table),
        attention_over_bytes(table),
    ]
    .concat()
}

fn norms(table: &Table<f32>) -> Vec<Vector> {
    let mut rms = Digest::new("norm/rms");
    let mut layer = Digest::new("norm/layer");
    let mut input = Input::new("norm");
    for length in LENGTHS {
        let [x, weight, bias] = [(); 3].map(|()| input.values(length));
        let mut out = vec![0.0; length];
        (table.rms_norm)(&x, &weight, 1e-5, &mut out);
        rms = rms.floats(&out);
        (table.layer_norm)(&x, &weight, &bias, 1e-6, &mut out);
        layer = layer.floats(&out);
    }
    vec![rms.finish(), layer.finish()]
}

fn rotation(table: &Table<f32>) -> Vector {
    let mut input = Input::new("rope");
    let mut digest = Digest::new("rope/rotate");
    for pairing in [Pairing::Normal, Pairing::Neox] {
        for (head_dim, pairs) in [(64, 32), (80, 20), (256, 128)] {
            let mut head = input.values(head_dim);
            let [cos, sin] = [(); 2].map(|()| input.values(pairs));
            (table.rotate)(&mut head, pairing, &cos, &sin);
            digest = digest.floats(&head);
        }
    }
    digest.finish()
}

fn attention(table: &Table<f32>) -> Vec<Vector> {
    let plain = Scores { scale: 0.125, soft_cap: None };
    let capped = Scores { scale: 0.0625, soft_cap: Some(50.0) };
    let cases = [
        ("attention/plain", 64, 0..611, plain, None),
        ("attention/one-key", 64, 300..301, plain, None),
        ("attention/window", 80, 200..712, plain, None),
        ("attention/soft-cap", 256, 0..300, capped, None),
        ("attention/sink", 64, 0..400, plain, Some(0.75)),
        ("attention/long-head", 320, 0..270, plain, None),
    ];
    let floats = |keys: &[f32], values: &[f32], attend: &mut dyn FnMut(PageOf<'_, f32>)| {
        attend(PageOf::Full { keys, values });
    };
    cases.into_iter().map(|case| attended(table, case, floats)).collect()
}

fn attention_over_bytes(table: &Table<f32>) -> Vec<Vector> {
    let plain = Scores { scale: 0.125, soft_cap: None };
    let capped = Scores { scale: 0.0625, soft_cap: Some(50.0) };
    let cases = [
        ("attention-q8_0/plain", 64, 0..611, plain, None),
        ("attention-q8_0/one-key", 128, 300..301, plain, None),
        ("attention-q8_0/window", 80, 200..712, plain, None),
        ("attention-q8_0/soft-cap", 256, 0..300, capped, None),
        ("attention-q8_0/sink", 64, 0..400, plain, Some(0.75)),
        ("attention-q8_0/long-head", 320, 0..270, plain, None),
    ];
    let mut rounded = Digest::new("rows/quantize-q8_0");
    let round = |row: &[f32]| {
        let (mut q, mut d) = (vec![0; row.len()], vec![0; blocks(row.len())]);
        (table.quantize8)(row, &mut q, &mut d);
        (q, d)
    };
    let mut vectors = Vec::new();
    for case in cases {
        let dim = case.1;
        vectors.push(attended(table, case, |keys, values, attend| {
            let mut page = OwnPage8::new(dim);
            for (at, value) in values.chunks_exact(dim).enumerate() {
                let key: Vec<f32> = keys.iter().skip(at).step_by(CHUNK).copied().collect();
                let (key, value) = (round(&key), round(value));
                page.write_key(at, &key.0, &key.1);
                page.write_value(at, &value.0, &value.1);
            }
            attend(PageOf::Q8(page.page()));
        }));
    }
    let mut input = Input::new("quantize-q8_0");
    for length in LENGTHS {
        let (q, d) = round(&input.values(length));
        let bytes: Vec<u8> = q.into_iter().map(i8::cast_unsigned).collect();
        rounded = rounded.raw(&bytes).halves(&d);
    }
    vectors.push(rounded.finish());
    vectors
}

/// A vector's name, its head's elements, what the query sees, how scores are made, the sink.
type Attention = (&'static str, usize, std::ops::Range<usize>, Scores, Option<f32>);

/// One query over several pages, which `page` makes of keys element by element and of values position by position.
fn attended(
    table: &Table<f32>,
    (name, head_dim, visible, how, sink): Attention,
    mut page: impl FnMut(&[f32], &[f32], &mut dyn FnMut(PageOf<'_, f32>)),
) -> Vector {
    let mut input = Input::new(name);
    let query = input.values(head_dim);
    let (mut running, mut out) = (Running::default(), vec![0.0; head_dim]);
    for chunk in 0..visible.end.div_ceil(CHUNK) {
        let [keys, values] = [(); 2].map(|()| input.values(head_dim * CHUNK));
        let start = visible.start.saturating_sub(chunk * CHUNK).min(CHUNK);
        let end = (visible.end - chunk * CHUNK).min(CHUNK);
        let visible = start..end;
        page(&keys, &values, &mut |page| {
            let mut grid = Grid::new(&mut out, head_dim);
            let mut heads = Heads {
                queries: &query,
                stride: head_dim,
                group: 1,
                dim: head_dim,
                visible: core::slice::from_ref(&visible),
                running: core::slice::from_mut(&mut running),
                out: &mut grid.all(),
            };
            (table.attend)(page, how, &mut heads);
        });
    }
    (table.finish)(running, sink, &mut out);
    Digest::new(name).floats(&out).finish()
}

fn rows(table: &Table<f32>) -> Vec<Vector> {
    let mut softmax = Digest::new("rows/softmax");
    let mut soft_cap = Digest::new("rows/soft-cap");
    let mut add = Digest::new("rows/add");
    let mut add_bias = Digest::new("rows/add-bias");
    let mut add_weighted = Digest::new("rows/add-weighted");
    let mut scale = Digest::new("rows/scale");
    let mut narrow = Digest::new("rows/narrow");
    let mut widen = Digest::new("rows/widen");
    let mut input = Input::new("rows");
    for length in LENGTHS {
        let [x, y] = [(); 2].map(|()| input.values(length));
        let changed = |work: &dyn Fn(&mut [f32])| {
            let mut row = x.clone();
            work(&mut row);
            row
        };
        softmax = softmax.floats(&changed(&|row| (table.softmax)(row)));
        soft_cap = soft_cap.floats(&changed(&|row| (table.soft_cap)(row, 2.5)));
        add = add.floats(&changed(&|row| (table.add)(row, &y)));
        add_bias = add_bias.floats(&changed(&|row| (table.add_bias)(row, &y)));
        add_weighted = add_weighted.floats(&changed(&|row| (table.add_weighted)(row, 0.3, &y)));
        scale = scale.floats(&changed(&|row| (table.scale)(row, 0.7)));
        let mut halves = vec![0; length];
        (table.narrow)(&x, &mut halves);
        let mut wide = vec![0.0; length];
        (table.widen)(&halves, &mut wide);
        narrow = narrow.halves(&halves);
        widen = widen.floats(&wide);
    }
    [softmax, soft_cap, add, add_bias, add_weighted, scale, narrow, widen].map(Digest::finish).to_vec()
}

fn gates(table: &Table<f32>) -> Vec<Vector> {
    let gates = [
        ("gate/silu", Gate::Silu),
        ("gate/gelu-tanh", Gate::GeluTanh),
        ("gate/gelu-erf", Gate::GeluErf),
        ("gate/clamped-swiglu", Gate::ClampedSwiglu),
    ];
    let vector = |(name, gate)| {
        let mut input = Input::new(name);
        let (mut gates, ups) = (input.values(2000), input.values(2000));
        // Wide enough for the clamps and the functions' tails.
        gates.iter_mut().for_each(|gate| *gate *= 8.0);
        (table.gated)(gate, &mut gates, &ups);
        Digest::new(name).floats(&gates).finish()
    };
    gates.into_iter().map(vector).collect()
}

fn router(table: &Table<f32>) -> Vec<Vector> {
    let routers = [
        ("router/softmax-then-normalise", Router::SoftmaxThenNormalise),
        ("router/softmax-of-chosen", Router::SoftmaxOfChosen),
    ];
    let vector = |(name, router)| {
        let mut input = Input::new(name);
        let mut digest = Digest::new(name);
        for (experts, used) in [(8, 2), (128, 8), (32, 4)] {
            let mut scores = input.values(experts);
            // A tie, which the lower index wins.
            scores[5] = scores[2];
            let (mut chosen, mut weights) = (vec![0; used], vec![0.0; used]);
            (table.route)(router, &scores, &mut chosen, &mut weights);
            let indices: Vec<u32> = chosen.iter().map(|&expert| expert as u32).collect();
            digest = digest.words(&indices).floats(&weights);
        }
        digest.finish()
    };
    routers.into_iter().map(vector).collect()
}
