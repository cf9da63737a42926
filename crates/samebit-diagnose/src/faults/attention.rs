//! Bugs in attention and in the key/value cache.

use samebit_model::Model;
use samebit_model::weights::Layer;

use super::rope::short;
use super::{Fault, Number, Topic};
use crate::attention::{Attention, Empty, HeadMap, Mask, Store};

const SCALE: &str = "NUMERICS.md 8.3 and 16 (table of architectures)";
const VISIBLE: &str = "NUMERICS.md 8.2";

pub(super) fn faults(model: &Model) -> Vec<Fault> {
    let mut faults = scales(model);
    faults.extend(caps(model));
    faults.extend(masks());
    faults.extend(empty());
    faults.extend(heads(model));
    faults.extend(windows(model));
    faults.extend(stores());
    faults.extend(functions(model));
    faults
}

fn edit(
    topic: Topic,
    id: &'static str,
    finding: &str,
    reference: &'static str,
    decode: bool,
    edit: impl Fn(&mut Attention) + Send + Sync + 'static,
) -> Fault {
    Fault::new(topic, id, finding, reference, move |suspect, _| {
        edit(suspect.attention());
        !decode || suspect.prompt < suspect.tokens.len()
    })
}

fn scales(model: &Model) -> Vec<Fault> {
    let config = model.config();
    let (right, dim) = (f64::from(config.score_scale), config.head_dim as f64);
    let mut guesses = vec![
        1.0,
        1.0 / dim,
        1.0 / (config.width as f64).sqrt(),
        1.0 / (config.width as f64 / config.heads as f64).sqrt(),
        1.0 / ((config.head_dim * config.kv_heads) as f64).sqrt(),
        1.0 / dim.sqrt(),
        1.0 / (2.0 * dim).sqrt(),
        1.0 / (dim / 2.0).sqrt(),
    ];
    guesses.sort_by(f64::total_cmp);
    guesses.dedup_by(|a, b| (*a / *b - 1.0).abs() < 1e-6);
    guesses.retain(|guess| (guess / right - 1.0).abs() > 1e-6);
    guesses.into_iter().map(|guess| scale(model, guess)).collect()
}

fn scale(model: &Model, guess: f64) -> Fault {
    let right = f64::from(model.config().score_scale);
    let (id, finding) = if guess == 1.0 {
        ("attention-scale-missing", format!("attention scores are not scaled (by {})", short(right)))
    } else {
        (
            "attention-scale",
            format!("attention scores are scaled by {}, which should be {}", short(guess), short(right)),
        )
    };
    Fault::new(Topic::Attention, id, finding, SCALE, move |suspect, _| {
        suspect.config.score_scale = guess as f32;
        true
    })
    .number(Number { series: "attention-scale", right, guess, refine: Some(scale) })
}

fn caps(model: &Model) -> Vec<Fault> {
    if model.config().score_cap.is_none() {
        return Vec::new();
    }
    vec![
        Fault::new(
            Topic::Attention,
            "attention-cap-missing",
            "attention scores are not soft-capped",
            "NUMERICS.md 8.3 and 9.3",
            |suspect, _| {
                suspect.config.score_cap = None;
                true
            },
        ),
        edit(
            Topic::Attention,
            "attention-cap-before-scale",
            "attention scores are soft-capped before they are scaled",
            "NUMERICS.md 8.3",
            false,
            |attention| attention.cap_first = true,
        ),
    ]
}

fn masks() -> Vec<Fault> {
    let mask = |id, finding: &str, decode, mask| {
        edit(Topic::Attention, id, finding, VISIBLE, decode, move |attention| attention.mask = mask)
    };
    vec![
        mask(
            "mask-missing",
            "there is no causal mask: tokens of the prompt see those after them",
            false,
            Mask::Missing,
        ),
        mask(
            "mask-one-ahead",
            "the causal mask is one position off: tokens of the prompt see the next one",
            false,
            Mask::OneAhead,
        ),
        mask(
            "mask-one-ahead-in-cache",
            "attention reads one position too many, always: the next token of the prompt, or an empty slot",
            false,
            Mask::OneAheadInCache,
        ),
        mask(
            "mask-zero",
            "hidden scores are set to 0, not to −∞: tokens of the prompt see those after them",
            false,
            Mask::Zeroed,
        ),
        mask("mask-first-hidden", "position 0 is left out of attention", false, Mask::FirstHidden),
        mask(
            "mask-current-missing",
            "a token does not see itself: the current key and value are left out of attention",
            false,
            Mask::CurrentMissing { in_decode: false },
        ),
        mask(
            "cache-current-missing",
            "a generated token does not see itself: the current key and value are left out of attention",
            true,
            Mask::CurrentMissing { in_decode: true },
        ),
    ]
}

/// Slots without a key that take part in the softmax.
fn empty() -> Vec<Fault> {
    let one = |id, finding: &str, in_decode| {
        edit(Topic::Cache, id, finding, VISIBLE, in_decode, move |a| a.empty = Empty::One { in_decode })
    };
    let mut faults = vec![
        one("cache-one-beyond", "a generated token reads one slot too many, an empty one", true),
        one("softmax-plus-one", "one is added to the softmax's sum, as if there were one more score, of 0", false),
    ];
    faults.extend([32.0, 128.0, 512.0, 2048.0, 8192.0].map(slots));
    faults
}

fn slots(guess: f64) -> Fault {
    let count = guess.round() as usize;
    let finding = format!("empty slots take part in the softmax, with scores of 0: the cache has about {count}");
    edit(Topic::Cache, "cache-empty-slots", &finding, VISIBLE, false, move |a| a.empty = Empty::UpTo(count))
        .number(Number { series: "cache-empty-slots", right: 1.0, guess, refine: Some(|_, guess| slots(guess)) })
}

fn heads(model: &Model) -> Vec<Fault> {
    let config = model.config();
    let mut faults = Vec::new();
    let map = |id, finding: &str, map| {
        edit(Topic::Attention, id, finding, "NUMERICS.md 8.8", false, move |attention| attention.heads = map)
    };
    if config.kv_heads > 1 {
        if config.group() > 1 {
            faults.push(map(
                "heads-interleaved",
                "query head g takes key/value head g mod K, not ⌊g / (G / K)⌋",
                HeadMap::Interleaved,
            ));
        }
        faults.push(map("heads-first", "all query heads take the first key/value head", HeadMap::First));
        faults.push(map("heads-reversed", "key/value heads are counted from the end", HeadMap::Reversed));
        if config.group() != config.kv_heads {
            let finding = "query head g takes key/value head ⌊g / K⌋, not ⌊g / (G / K)⌋";
            faults.push(map("heads-by-count", finding, HeadMap::ByCount));
        }
    }
    faults.push(edit(
        Topic::Attention,
        "heads-transposed",
        "the heads' outputs are laid out element by element, not head by head",
        "NUMERICS.md 16, step 2.5",
        false,
        |attention| attention.transposed = true,
    ));
    faults
}

fn windows(model: &Model) -> Vec<Fault> {
    let windows = &model.config().windows;
    let Some(right) = windows.iter().flatten().next().copied() else { return Vec::new() };
    let fault = |id, finding: String, change: fn(&mut Vec<Option<usize>>, usize)| {
        Fault::new(
            Topic::Attention,
            id,
            finding,
            "NUMERICS.md 8.2 and 16 (table of architectures)",
            move |suspect, _| {
                let before = suspect.config.windows.clone();
                change(&mut suspect.config.windows, right);
                // Only attention's own look at it: the layers keep their RoPE.
                before != suspect.config.windows && suspect.tokens.len() > right.saturating_sub(2)
            },
        )
    };
    vec![
        windows_of_attention(
            "window-missing",
            format!("the sliding window of {right} is off: all layers see everything"),
            |windows, _| {
                windows.iter_mut().for_each(|window| *window = window.map(|_| usize::MAX >> 1));
            },
        ),
        windows_of_attention(
            "window-plus-one",
            format!("the sliding window is one too wide: {} for {right}", right + 1),
            |windows, n| {
                windows.iter_mut().flatten().for_each(|window| *window = n + 1);
            },
        ),
        windows_of_attention(
            "window-minus-one",
            format!("the sliding window is one too narrow: {} for {right}", right - 1),
            |windows, n| {
                windows.iter_mut().flatten().for_each(|window| *window = n - 1);
            },
        ),
        fault("window-everywhere", format!("all layers have the sliding window of {right}"), |windows, n| {
            windows.fill(Some(n))
        }),
        fault("window-layers-inverted", "windowed and full layers are taken for each other".into(), |windows, n| {
            windows.iter_mut().for_each(|window| *window = if window.is_some() { None } else { Some(n) });
        }),
        fault("window-layers-shifted", "the pattern of windowed layers is one layer off".into(), |windows, _| {
            windows.rotate_left(1)
        }),
    ]
}

fn windows_of_attention(id: &'static str, finding: String, change: fn(&mut Vec<Option<usize>>, usize)) -> Fault {
    Fault::new(Topic::Attention, id, finding, VISIBLE, move |suspect, model| {
        // Windowed layers stay windowed, so that RoPE and the pattern are as before.
        let right = model.config().windows.iter().flatten().next().copied().unwrap_or(0);
        change(&mut suspect.config.windows, right);
        suspect.tokens.len() > right.saturating_sub(2)
    })
}

/// Mistakes in storing: id, finding, what is stored, and whether keys or values alone are concerned.
#[rustfmt::skip]
const STORES: [(&str, &str, Store, Option<bool>); 15] = [
    ("cache-first-empty", "slot 0 of the cache is read empty: its key and value were never written, or were lost", Store::FirstEmpty, None),
    ("cache-from-zero", "generated tokens' keys and values are written from slot 0 on, over the prompt's", Store::FromZero, None),
    ("cache-late", "keys and values are written one position too late: slot 0 stays empty", Store::AllLate, None),
    ("cache-late-decode", "generated tokens' keys and values are written one position too late", Store::DecodeLate, None),
    ("cache-early-decode", "generated tokens' keys and values are written one position too early, over the one before; the last slot read is empty",
        Store::DecodeEarly, None),
    ("cache-early-decode-short", "generated tokens' keys and values are written one position too early, over the one before",
        Store::DecodeEarlyShort, None),
    ("cache-unwritten", "generated tokens' keys and values are never written: their slots are read empty", Store::DecodeUnwritten, None),
    ("cache-unwritten-keys", "generated tokens' keys are never written: their slots are read empty", Store::DecodeUnwritten, Some(true)),
    ("cache-unwritten-values", "generated tokens' values are never written: their slots are read empty", Store::DecodeUnwritten, Some(false)),
    ("cache-written-after", "a generated token's key and value are written only after attention has read the slot", Store::WrittenAfter, None),
    ("cache-stale", "the current slot is stale: it still holds the key and value of the position before", Store::CopyOfPrevious, None),
    ("cache-stale-keys", "the current slot is stale: it still holds the key of the position before", Store::CopyOfPrevious, Some(true)),
    ("cache-stale-values", "the current slot is stale: it still holds the value of the position before", Store::CopyOfPrevious, Some(false)),
    ("cache-not-advanced", "the cache's position does not advance: every generated token is written to the same slot", Store::NotAdvanced, None),
    ("cache-prompt-forgotten", "the prompt's keys and values are lost when generation starts", Store::PromptForgotten, None),
];

fn stores() -> Vec<Fault> {
    let fault = |(id, finding, store, only_keys): (&'static str, &str, Store, Option<bool>)| {
        let decode = !matches!(store, Store::AllLate | Store::FirstEmpty);
        edit(Topic::Cache, id, finding, "NUMERICS.md 8.1, 8.2 and 16, step 2.4", decode, move |attention| {
            (attention.store, attention.only_keys) = (store, only_keys);
        })
    };
    STORES.into_iter().map(fault).collect()
}

fn functions(model: &Model) -> Vec<Fault> {
    let mut faults = vec![
        edit(
            Topic::Attention,
            "k-v-exchanged",
            "keys serve as values and values as keys",
            "NUMERICS.md 8.3 and 8.4",
            false,
            |a| a.swapped = true,
        ),
        edit(
            Topic::Attention,
            "softmax-missing",
            "attention has no softmax: scores are the weights",
            "NUMERICS.md 8.4 to 8.7",
            false,
            |a| {
                a.no_softmax = true;
            },
        ),
    ];
    if model.config().architecture.sinks {
        faults.push(Fault::new(
            Topic::Attention,
            "sinks-missing",
            "the heads' sinks do not take part in the softmax",
            "NUMERICS.md 8.6",
            |suspect, _| {
                suspect.each_layer(|layer: &mut Layer| layer.sinks = None);
                true
            },
        ));
    }
    faults
}
