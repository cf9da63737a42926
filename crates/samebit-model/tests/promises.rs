//! The promises R, T, B, C, K and I on whole models: every schedule, thread count and instruction set gives the bits of
//! "alone, the reference, one thread, one token at a time". And the controls: orders broken on purpose are noticed.

mod support;

use core::ops::Range;
use std::sync::Arc;

use proptest::prelude::*;
use samebit_kernels::{Activations, Heads, Isa, Numerics, Table};
use samebit_model::{KvType, Model};
use samebit_numerics::arith::{Float32, Soft};
use samebit_numerics::blocks::Format;
use samebit_numerics::ops::matmul::Matrix;
use support::{Way, model, pieces, run, tokens};

/// Each architecture with rows that 256 divides and rows that it does not, over all the formats.
const MODELS: [(&str, &str); 14] = [
    ("tiny-llama", "Q4_1"),
    ("tiny-llama-256", "Q4_K_M"),
    ("tiny-llama-rope-288", "Q8_0"),
    ("tiny-mixtral-256", "Q5_K_M"),
    ("tiny-qwen2-288", "Q5_0"),
    ("tiny-qwen2-256", "IQ4_XS"),
    ("tiny-qwen3-256", "Q6_K"),
    ("tiny-qwen3moe", "Q4_0"),
    ("tiny-gemma2-256", "Q3_K"),
    ("tiny-gemma3", "Q5_1"),
    ("tiny-gemma3-256", "Q2_K"),
    ("tiny-phi3", "IQ4_NL"),
    ("tiny-gpt-oss-288", "MXFP4"),
    ("tiny-phi3-288", "BF16"),
];

/// Crosses a page boundary, which is also a chunk of attention, and every tiny model's window.
const LENGTH: usize = 261;

fn alone(model: &Arc<Model>, sequence: &[u32]) -> Vec<u32> {
    alone_with(KvType::F16, model, sequence)
}

fn alone_with(kv: KvType, model: &Arc<Model>, sequence: &[u32]) -> Vec<u32> {
    let mut bits = run(model, Way { kv, ..Way::reference() }, &[sequence.to_vec()], &pieces(sequence.len(), 1));
    bits.swap_remove(0)
}

/// What every check of this file comes down to: does this way, in pieces of each of these sizes, give these bits?
fn agrees(model: &Arc<Model>, way: Way, sequence: &[u32], cuts: &[usize], wanted: &[u32]) -> bool {
    cuts.iter().all(|&cut| run(model, way, &[sequence.to_vec()], &pieces(sequence.len(), cut))[0] == wanted)
}

#[test]
fn cutting_threads_and_instruction_sets_change_no_bit() {
    for (shape, quant) in MODELS {
        let model = model(shape, quant);
        let sequence = tokens(&model, LENGTH, 1);
        let wanted = alone(&model, &sequence);
        assert_eq!(wanted.len(), LENGTH * model.vocabulary());
        for isa in Isa::supported() {
            let way = Way::on(isa, 1);
            assert!(agrees(&model, way, &sequence, &[7, 64, 512], &wanted), "{shape} {quant} {isa}");
        }
        for threads in [2, 3, 8] {
            let way = Way::on(Isa::native(), threads);
            // Token by token for two: a pass of one row shares out its pages.
            let cuts: &[usize] = if threads == 2 { &[1, 64, 512] } else { &[64, 512] };
            assert!(agrees(&model, way, &sequence, cuts, &wanted), "{shape} {quant} {threads} threads");
        }
    }
}

#[test]
fn a_full_cache_changes_no_bit_either_and_is_another_numerics() {
    let model = model("tiny-llama-288", "Q4_1");
    let sequence = tokens(&model, LENGTH, 2);
    let full = Way { kv: KvType::F32, ..Way::reference() };
    let wanted = run(&model, full, std::slice::from_ref(&sequence), &pieces(LENGTH, 1)).swap_remove(0);
    assert!(agrees(&model, full, &sequence, &[1, 7, 512], &wanted));
    assert_ne!(wanted, alone(&model, &sequence));
}

/// Of different heads, with windows, caps and sinks.
#[test]
fn a_cache_of_bytes_changes_no_bit_either_and_is_another_numerics() {
    let kv = KvType::Q8_0;
    for (shape, quant) in [
        ("tiny-llama-288", "Q4_1"),
        ("tiny-gemma2-256", "Q3_K"),
        ("tiny-phi3", "IQ4_NL"),
        ("tiny-gpt-oss-288", "MXFP4"),
    ] {
        let model = model(shape, quant);
        let sequence = tokens(&model, LENGTH, 9);
        let wanted = alone_with(kv, &model, &sequence);
        assert_ne!(wanted, alone(&model, &sequence), "{shape}");
        for isa in Isa::supported() {
            let way = Way { kv, ..Way::on(isa, 1) };
            assert!(agrees(&model, way, &sequence, &[7, 64, 512], &wanted), "{shape} {isa}");
        }
        let way = |threads| Way { kv, ..Way::on(Isa::native(), threads) };
        assert!(agrees(&model, way(2), &sequence, &[1, 64], &wanted), "{shape}, two threads");
        assert!(agrees(&model, way(8), &sequence, &[64, 512], &wanted), "{shape}, eight threads");
    }
}

#[test]
fn study_modes_read_a_cache_of_bytes_as_the_numbers_it_means() {
    let model = model("tiny-llama-288", "Q4_1");
    let sequence = tokens(&model, 60, 10);
    for numerics in [Numerics::F32, Numerics::A8] {
        let way = |kv| Way { kv, ..Way { table: Table::single(Isa::Reference, numerics), ..Way::reference() } };
        let logits = |kv| -> Vec<f32> {
            let bits = run(&model, way(kv), std::slice::from_ref(&sequence), &pieces(60, 60)).swap_remove(0);
            bits.into_iter().map(f32::from_bits).collect()
        };
        let (bytes, full) = (logits(KvType::Q8_0), logits(KvType::F32));
        let apart = bytes.iter().zip(&full).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let size = full.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert!(apart > 0.0 && apart < size / 20.0, "{numerics:?}: {apart} of {size}");
    }
}

#[test]
fn pages_shared_out_among_threads_are_merged_as_ever() {
    let model = model("tiny-gemma3", "Q5_1");
    let sequence = tokens(&model, LENGTH, 8);
    let wanted = alone(&model, &sequence);
    let sound = Way::on(Isa::Reference, 2);
    assert!(agrees(&model, sound, &sequence, &[1], &wanted));
    // The control: the same sum with the earlier pages' product fused in, instead of the later one's.
    let table = Table {
        merge: |chunk, partial, running, out| {
            let (Some(now), Some(before)) = (chunk.max, running.max) else {
                return (Way::reference().table.merge)(chunk, partial, running, out);
            };
            let max = now.max(before);
            let [old, new] = [before - max, now - max].map(samebit_numerics::math::exp::<Soft>);
            for (o, &p) in out.iter_mut().zip(partial) {
                *o = Soft::fma(*o, old, p * new);
            }
            let denominator = Soft::fma(running.denominator, old, chunk.denominator * new);
            (running.max, running.denominator) = (Some(max), denominator);
        },
        ..sound.table
    };
    assert!(
        agrees(&model, Way { table, threads: 1, ..sound }, &sequence, &[1], &wanted),
        "alone, pages follow each other"
    );
    assert!(!agrees(&model, Way { table, ..sound }, &sequence, &[1], &wanted), "another rounding of a merge");
}

/// Whether a cache that was filled, cut and filled anew gives the bits of a fresh one, by the same table.
fn forgets(model: &Arc<Model>, table: Table<f32>, kv: KvType) -> bool {
    use samebit_kernels::Pool;
    use samebit_model::{Cache, Row, Runner, tap::NoTap};
    let (first, second) = (tokens(model, LENGTH, 3), tokens(model, LENGTH, 4));
    let config = model.config();
    let mut runner = Runner::new(Arc::clone(model), table, Pool::new(1), config.context);
    let mut caches = [Cache::new(kv, config.layers, config.kv_heads, config.head_dim)];
    let rows = |tokens: &[u32], start: usize| -> Vec<Row> {
        tokens.iter().zip(start..).map(|(&token, position)| Row { token, position, cache: 0 }).collect()
    };
    runner.run(&rows(&first, 0), &mut caches, &[], &mut NoTap).expect("finite");
    [0, 5, 256, 258].into_iter().all(|kept| {
        caches[0].truncate(kept);
        let mut sequence = first[..kept].to_vec();
        sequence.extend_from_slice(&second[..LENGTH - kept]);
        let wanted: Vec<usize> = (0..LENGTH - kept).collect();
        let logits = runner.run(&rows(&sequence[kept..], kept), &mut caches, &wanted, &mut NoTap).expect("finite");
        let bits: Vec<u32> = logits.iter().map(|l| l.to_bits()).collect();
        caches[0].truncate(kept);
        runner.run(&rows(&first[kept..], kept), &mut caches, &[], &mut NoTap).expect("finite");
        let way = Way { table, kv, ..Way::reference() };
        let fresh = run(model, way, std::slice::from_ref(&sequence), &pieces(LENGTH, 64));
        bits == fresh[0][kept * model.vocabulary()..]
    })
}

#[test]
fn a_truncated_cache_remembers_nothing_of_what_was_cut() {
    let model = model("tiny-gemma3", "Q8_0");
    let sound = Way::reference().table;
    assert!(forgets(&model, sound, KvType::F16));
    assert!(forgets(&model, sound, KvType::Q8_0));
    assert!(forgets(&model, Table::single(Isa::native(), Numerics::V1), KvType::Q8_0));
    // The control: attention that looks one position too far, at what a reused page still holds.
    let too_far = Table {
        attend: |page, how, heads| {
            let further = |v: &Range<usize>| v.start..(v.end + 1).min(256);
            let visible: Vec<_> = heads.visible.iter().map(further).collect();
            let (queries, stride, group, dim) = (heads.queries, heads.stride, heads.group, heads.dim);
            let (running, out) = (&mut *heads.running, &mut *heads.out);
            let mut heads = Heads { queries, stride, group, dim, visible: &visible, running, out };
            (Way::reference().table.attend)(page, how, &mut heads);
        },
        ..sound
    };
    for kv in [KvType::F16, KvType::Q8_0] {
        assert!(!forgets(&model, too_far, kv), "old data in a reused page must show");
    }
}

#[test]
fn a_second_run_gives_the_bits_of_the_first() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let model = model("tiny-llama-288", "Q8_0");
    let sequence = [tokens(&model, 20, 6)];
    let twice = |way| run(&model, way, &sequence, &pieces(20, 7)) == run(&model, way, &sequence, &pieces(20, 7));
    assert!(twice(Way::on(Isa::native(), 3)));
    // The control: a product that remembers how often it was called.
    let matmul: fn(&Matrix<'_>, Range<usize>, &Activations<f32>, &mut [f32]) =
        |w, rows, x, out| match CALLS.fetch_add(1, Ordering::Relaxed) {
            0..5 => chunks_backwards(w, rows, x, out),
            _ => (Way::reference().table.matmul)(w, rows, x, out),
        };
    let table = Table { matmul, ..Table::single(Isa::Reference, Numerics::V1) };
    assert!(!twice(Way { table, ..Way::reference() }), "state between runs must show");
}

/// A schedule: passes of (sequence, tokens), until every sequence is done.
fn schedules(lengths: [usize; 3]) -> impl Strategy<Value = Vec<Vec<(usize, usize)>>> {
    let pass = prop::collection::vec((0usize..3, 1usize..40), 1..5);
    prop::collection::vec(pass, 1..12).prop_map(move |mut passes| {
        // Whatever is left at the end goes in one pass, the last sequence first.
        passes.push((0..3).rev().map(|s| (s, lengths[s])).collect());
        passes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn a_batch_changes_no_bit(
        which in 0..MODELS.len(),
        schedule in schedules([40, 61, 23]),
        threads in 1usize..5,
        isa in prop::sample::select(Isa::supported().collect::<Vec<_>>()),
        kv in prop::sample::select(vec![KvType::F16, KvType::Q8_0]),
    ) {
        let (shape, quant) = MODELS[which];
        let model = model(shape, quant);
        let sequences = [40, 61, 23].map(|len| tokens(&model, len, len as u64)).to_vec();
        let together = run(&model, Way { kv, ..Way::on(isa, threads) }, &sequences, &schedule);
        for (sequence, bits) in sequences.iter().zip(together) {
            let wanted = alone_with(kv, &model, sequence);
            prop_assert!(bits == wanted, "{} {} {} threads {} {}", shape, quant, threads, isa, kv.name());
        }
    }
}

// The controls. Each breaks one order on purpose, in the way that engines do, and the check above must say no.

/// v1's product with the chunks added from the last to the first.
fn chunks_backwards(w: &Matrix<'_>, rows: Range<usize>, x: &Activations<f32>, out: &mut [f32]) {
    use samebit_numerics::blocks::{Family, IntChunk, decode_chunk};
    use samebit_numerics::ops::matmul::{dot_block32, dot_block256};
    let mut weights = IntChunk::default();
    for (row, y) in rows.zip(out.chunks_mut(x.tokens)) {
        y.fill(0.0);
        for chunk in (0..w.cols.div_ceil(256)).rev() {
            decode_chunk(w.format, w.row(row), chunk, w.cols, &mut weights);
            for (t, y) in y.iter_mut().enumerate() {
                let a = x.quantized.chunk(t, chunk);
                let term = match w.format.family() {
                    Family::Block256 => dot_block256::<Soft>(&weights, &a, w.format.has_offset()),
                    _ => dot_block32::<Soft>(&weights, &a, w.format.has_offset()),
                };
                *y = Soft::fma(a.scale, term, *y);
            }
        }
    }
}

/// A product whose order depends on how many rows are in the batch.
fn order_by_batch(w: &Matrix<'_>, rows: Range<usize>, x: &Activations<f32>, out: &mut [f32]) {
    match x.tokens {
        1 => (Way::reference().table.matmul)(w, rows, x, out),
        _ => chunks_backwards(w, rows, x, out),
    }
}

/// A product whose order depends on how the outputs were divided.
fn order_by_division(w: &Matrix<'_>, rows: Range<usize>, x: &Activations<f32>, out: &mut [f32]) {
    match rows.start {
        0 => (Way::reference().table.matmul)(w, rows, x, out),
        _ => chunks_backwards(w, rows, x, out),
    }
}

#[test]
fn broken_orders_are_noticed() {
    let model = model("tiny-llama-288", "Q8_0");
    assert!(model.weights().embedding.format() != Format::F32, "the control must meet quantised weights");
    let sequence = tokens(&model, 64, 5);
    let wanted = alone(&model, &sequence);
    let broken = |matmul| Table { matmul, ..Table::single(Isa::Reference, Numerics::V1) };
    let way = |matmul, threads| Way { table: broken(matmul), threads, ..Way::reference() };

    let sound = way(Way::reference().table.matmul, 1);
    assert!(agrees(&model, sound, &sequence, &[1, 7, 64], &wanted), "the control's own scaffold is sound");
    assert!(!agrees(&model, way(chunks_backwards, 1), &sequence, &[1], &wanted), "another order of chunks");
    assert!(agrees(&model, way(order_by_batch, 1), &sequence, &[1], &wanted));
    assert!(!agrees(&model, way(order_by_batch, 1), &sequence, &[7], &wanted), "an order by the batch");
    assert!(agrees(&model, way(order_by_division, 1), &sequence, &[7], &wanted));
    assert!(!agrees(&model, way(order_by_division, 3), &sequence, &[7], &wanted), "an order by the threads");
}
