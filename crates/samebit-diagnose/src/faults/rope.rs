//! Bugs in RoPE.

use samebit_model::Model;
use samebit_model::config::{RopeConfig, RopeScalingConfig};
use samebit_model::weights::RopeFactors;
use samebit_numerics::math::double::{exp, ln};
use samebit_numerics::ops::rope::Pairing;

use super::{Fault, Number, Topic};
use crate::suspect::{Moment, Suspect};

const PAIRING: &str = "NUMERICS.md 7.5 and 16 (table of architectures)";
const TABLE: &str = "NUMERICS.md 7.1 to 7.4";
const POSITION: &str = "NUMERICS.md 7.4 and 8.2: positions are absolute, from 0";

pub(super) fn faults(model: &Model) -> Vec<Fault> {
    let rope = &model.config().rope;
    let mut faults = vec![pairing(model)];
    let right = f64::from(rope.base);
    let mut bases = vec![100.0, 1e3, 1e4, 1e5, 13e4, 15e4, 5e5, 1e6, 5e6, 1e7];
    // Exponents of i / n for 2i / n, and of a head's elements over the model's width.
    bases.extend([powf(right, 0.5), powf(right, rope.dims as f64 / model.config().width as f64)]);
    faults.extend(bases.into_iter().filter(|b| (b - right).abs() > 1e-6 * right).map(|b| base(model, b)));
    faults.extend(dimensions(model));
    faults.extend(scaling(model));
    faults.extend(windowed(rope));
    faults.extend(positions());
    faults.extend(applied());
    faults.extend(turned());
    faults
}

fn powf(base: f64, exponent: f64) -> f64 {
    exp(exponent * ln(base))
}

fn config(
    id: &'static str,
    finding: impl Into<String>,
    edit: impl Fn(&mut RopeConfig) + Send + Sync + 'static,
) -> Fault {
    Fault::new(Topic::Rope, id, finding, TABLE, move |suspect, _| {
        let before = format!("{:?}", suspect.config.rope);
        edit(&mut suspect.config.rope);
        before != format!("{:?}", suspect.config.rope)
    })
}

fn pairing(model: &Model) -> Fault {
    let finding = match model.config().architecture.pairing {
        Pairing::Normal => "RoPE turns elements i and i + n/2 (NEOX), where this model pairs neighbours 2i and 2i + 1",
        Pairing::Neox => "RoPE turns neighbours 2i and 2i + 1 (normal), where this model pairs i and i + n/2 (NEOX)",
    };
    Fault::new(Topic::Rope, "rope-pairing", finding, PAIRING, |suspect, _| {
        let pairing = &mut suspect.config.architecture.pairing;
        *pairing = match *pairing {
            Pairing::Normal => Pairing::Neox,
            Pairing::Neox => Pairing::Normal,
        };
        true
    })
}

fn base(model: &Model, guess: f64) -> Fault {
    let right = f64::from(model.config().rope.base);
    let finding = format!("RoPE's base is {}, which should be {right}", short(guess));
    config("rope-base", finding, move |rope| rope.base = guess as f32).number(Number {
        series: "rope-base",
        right,
        guess,
        refine: Some(base),
    })
}

/// Four significant digits.
pub(super) fn short(value: f64) -> String {
    if !(1e-2..1e9).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    let mut unit = 1.0;
    while value.abs() / unit >= 1e4 {
        unit *= 10.0;
    }
    while value.abs() / unit < 1e3 && unit > 1e-6 {
        unit /= 10.0;
    }
    let rounded = (value / unit).round() * unit;
    format!("{}", (rounded * 1e6).round() / 1e6)
}

fn dimensions(model: &Model) -> Vec<Fault> {
    let (right, head) = (model.config().rope.dims, model.config().head_dim);
    let mut guesses = vec![head, head / 2, head / 4, 3 * head / 4, model.config().width / model.config().heads];
    guesses.sort_unstable();
    guesses.dedup();
    guesses.retain(|&dims| dims != right && dims > 0 && dims % 2 == 0 && dims <= head);
    let fault = |dims: usize| {
        let finding = format!("RoPE turns {dims} elements of a head, which should be {right}");
        Fault::new(Topic::Rope, "rope-dimensions", finding, TABLE, move |suspect, _| {
            suspect.config.rope.dims = dims;
            fit(&mut suspect.weights.rope_factors, dims / 2);
            true
        })
        .number(Number { series: "rope-dimensions", right: right as f64, guess: dims as f64, refine: None })
    };
    guesses.into_iter().map(fault).collect()
}

/// Factors for another number of pairs.
fn fit(factors: &mut RopeFactors, pairs: usize) {
    for values in [&mut factors.all, &mut factors.short, &mut factors.long].into_iter().flatten() {
        values.resize(pairs, 1.0);
    }
}

fn scaling(model: &Model) -> Vec<Fault> {
    let factors = &model.weights().rope_factors;
    let mut faults = Vec::new();
    if factors.all.is_some() || factors.short.is_some() || factors.long.is_some() {
        let edit = |id, finding: &str, edit: fn(&mut RopeFactors)| {
            Fault::new(Topic::Rope, id, finding, TABLE, move |suspect, _| {
                edit(&mut suspect.weights.rope_factors);
                true
            })
        };
        faults.push(edit("rope-factors-missing", "RoPE's frequency factors are not applied", |f| {
            *f = RopeFactors::default()
        }));
        faults.push(edit(
            "rope-factors-inverted",
            "RoPE's frequencies are multiplied by their factors, not divided",
            |f| {
                let all = [&mut f.all, &mut f.short, &mut f.long].into_iter().flatten().flatten();
                all.for_each(|factor| *factor = 1.0 / *factor);
            },
        ));
        if factors.short.is_some() && factors.long.is_some() {
            faults.push(edit("rope-factors-long", "LongRoPE's short and long factors are taken for each other", |f| {
                std::mem::swap(&mut f.short, &mut f.long);
            }));
        }
    }
    faults.extend(frequencies(model));
    faults
}

fn frequencies(model: &Model) -> Vec<Fault> {
    let mut faults = Vec::new();
    let rope = &model.config().rope;
    match rope.scaling {
        RopeScalingConfig::Linear(factor) => {
            faults.push(config(
                "rope-scaling-missing",
                format!("RoPE's linear scaling by {factor} is left out"),
                |rope| {
                    rope.scaling = RopeScalingConfig::None;
                },
            ));
            faults.push(config(
                "rope-scaling-inverted",
                "RoPE's positions are multiplied by the scaling factor, not divided",
                move |rope| {
                    rope.scaling = RopeScalingConfig::Linear(1.0 / factor);
                },
            ));
        }
        RopeScalingConfig::Yarn { factor, extrapolation, .. } => {
            faults.push(config("rope-scaling-missing", "RoPE's YaRN scaling is left out", |rope| {
                rope.scaling = RopeScalingConfig::None
            }));
            faults.push(config("rope-yarn-linear", "YaRN is taken for linear scaling", move |rope| {
                rope.scaling = RopeScalingConfig::Linear(factor);
            }));
            let magnitude = samebit_numerics::angles::yarn_magnitude(factor, 1.0) as f32;
            if extrapolation != 0.0 {
                faults.push(config(
                    "rope-yarn-magnitude",
                    "YaRN's factor on sines and cosines is left out",
                    move |rope| {
                        rope.attention_factor /= magnitude;
                    },
                ));
            }
        }
        RopeScalingConfig::None | RopeScalingConfig::Long => {
            faults.extend([2.0, 4.0, 8.0].map(|guess| linear(model, guess)));
        }
    }
    if rope.attention_factor != 1.0 {
        faults.push(config("rope-attention-factor", "RoPE's factor on sines and cosines is left out", |rope| {
            rope.attention_factor = 1.0
        }));
    }
    faults
}

fn linear(_: &Model, guess: f64) -> Fault {
    let finding = format!("RoPE's positions are divided by {}, where this model has no scaling", short(guess));
    config("rope-scaled", finding, move |rope| rope.scaling = RopeScalingConfig::Linear(guess as f32)).number(Number {
        series: "rope-scaled",
        right: 1.0,
        guess,
        refine: Some(linear),
    })
}

fn windowed(rope: &RopeConfig) -> Vec<Fault> {
    let Some(own) = rope.window_base else { return Vec::new() };
    vec![
        config("rope-window-base-missing", "windowed layers use the RoPE base of the others", |rope| {
            rope.window_base = rope.window_base.filter(|&own| own == rope.base);
        }),
        config(
            "rope-window-base-everywhere",
            format!("all layers use the windowed layers' RoPE base of {own}"),
            move |rope| {
                rope.base = own;
            },
        ),
        config("rope-window-scaled", "windowed layers are scaled like the others", |rope| {
            rope.window_scaled = rope.scaling != RopeScalingConfig::None;
        }),
    ]
}

/// Which position a row is turned by.
type At = fn(usize, usize) -> f64;

fn positions() -> Vec<Fault> {
    let named: [(&'static str, &'static str, bool, At); 12] = [
        ("rope-position-plus-one", "RoPE's positions begin at 1", false, |p, _| p as f64 + 1.0),
        ("rope-position-minus-one", "RoPE's positions are one too small", false, |p, _| p as f64 - 1.0),
        ("rope-position-decode-plus-one", "RoPE's position is one too large for generated tokens", true, |p, n| {
            if p < n { p as f64 } else { p as f64 + 1.0 }
        }),
        ("rope-position-decode-minus-one", "RoPE's position is one too small for generated tokens", true, |p, n| {
            if p < n { p as f64 } else { p as f64 - 1.0 }
        }),
        ("rope-position-decode-plus-two", "RoPE's position is two too large for generated tokens", true, |p, n| {
            if p < n { p as f64 } else { p as f64 + 2.0 }
        }),
        ("rope-position-decode-minus-two", "RoPE's position is two too small for generated tokens", true, |p, n| {
            if p < n { p as f64 } else { p as f64 - 2.0 }
        }),
        (
            "rope-missing-decode",
            "RoPE is not applied to generated tokens, or their position is always 0",
            true,
            |p, n| {
                if p < n { p as f64 } else { 0.0 }
            },
        ),
        ("rope-position-decode-zero", "RoPE's position begins at 0 again for generated tokens", true, |p, n| {
            if p < n { p as f64 } else { (p - n) as f64 }
        }),
        ("rope-position-decode-fixed", "RoPE's position does not advance for generated tokens", true, |p, n| {
            p.min(n) as f64
        }),
        ("rope-missing", "RoPE is not applied", false, |_, _| 0.0),
        ("rope-direction", "RoPE turns the wrong way", false, |p, _| -(p as f64)),
        ("rope-twice", "RoPE is applied twice", false, |p, _| 2.0 * p as f64),
    ];
    named
        .into_iter()
        .map(|(id, finding, decode, at)| {
            Fault::new(Topic::Rope, id, finding, POSITION, move |suspect, _| {
                for tap in ["Qcur_rope", "Kcur_rope"] {
                    suspect.change(tap, move |moment, values| turn(moment, tap, values, at));
                }
                !decode || suspect.prompt < suspect.tokens.len()
            })
        })
        .collect()
}

fn applied() -> Vec<Fault> {
    let only = |id, finding: &str, tap: &'static str| {
        Fault::new(Topic::Rope, id, finding, "NUMERICS.md 16, step 2.4", move |suspect: &mut Suspect, _: &Model| {
            suspect.change(tap, move |moment, values| turn(moment, tap, values, |_, _| 0.0));
            true
        })
    };
    let off = |id, finding: &str, tap: &'static str, by: At| {
        Fault::new(Topic::Rope, id, finding, POSITION, move |suspect: &mut Suspect, _: &Model| {
            suspect.change(tap, move |moment, values| turn(moment, tap, values, by));
            true
        })
    };
    vec![
        off("rope-queries-plus-one", "queries are turned by a position one too large", "Qcur_rope", |p, _| {
            p as f64 + 1.0
        }),
        off("rope-queries-minus-one", "queries are turned by a position one too small", "Qcur_rope", |p, _| {
            p as f64 - 1.0
        }),
        off("rope-keys-plus-one", "keys are turned by a position one too large", "Kcur_rope", |p, _| p as f64 + 1.0),
        off("rope-keys-minus-one", "keys are turned by a position one too small", "Kcur_rope", |p, _| p as f64 - 1.0),
        only("rope-keys-missing", "RoPE is applied to queries only", "Kcur_rope"),
        only("rope-queries-missing", "RoPE is applied to keys only", "Qcur_rope"),
        Fault::new(
            Topic::Rope,
            "rope-before-norm",
            "RoPE comes before the heads' norm, not after",
            "NUMERICS.md 16, step 2.3",
            |suspect, model| {
                let taps = [("Qcur_rope", "Qcur"), ("Kcur_rope", "Kcur")];
                for (tap, before) in taps {
                    suspect.change(tap, move |moment, values| turn_then_norm(moment, before, values));
                }
                model.config().architecture.query_key_norm
            },
        ),
    ]
}

/// What becomes of a pair: `(a, b, cosine, sine)`.
type Spin = fn(f32, f32, f32, f32) -> (f32, f32);
const RIGHT: Spin = |a, b, cos, sin| (a * cos - b * sin, a * sin + b * cos);

/// Pairs turned by a wrong formula.
fn turned() -> Vec<Fault> {
    let named: [(&'static str, &'static str, Spin); 3] = [
        ("rope-sine-cosine", "RoPE's sines and cosines are taken for each other", |a, b, cos, sin| {
            RIGHT(a, b, sin, cos)
        }),
        (
            "rope-sign",
            "RoPE subtracts in both halves of a pair: (a·cos − b·sin, b·cos − a·sin)",
            |a, b, cos, sin| (a * cos - b * sin, b * cos - a * sin),
        ),
        ("rope-in-place", "RoPE's second element is made from the first one after it was turned", |a, b, cos, sin| {
            let first = a * cos - b * sin;
            (first, first * sin + b * cos)
        }),
    ];
    let fault = |(id, finding, spin): (&'static str, &'static str, Spin)| {
        Fault::new(Topic::Rope, id, finding, "NUMERICS.md 7.5", move |suspect, _| {
            for tap in ["Qcur_rope", "Kcur_rope"] {
                suspect.change(tap, move |moment, values| spun(moment, tap, values, |p, _| p as f64, spin));
            }
            true
        })
    };
    named.into_iter().map(fault).collect()
}

/// Turns the heads anew, by other positions.
fn turn(moment: &Moment<'_>, tap: &str, values: &mut [f32], at: At) {
    spun(moment, tap, values, at, RIGHT);
}

fn spun(moment: &Moment<'_>, tap: &str, values: &mut [f32], at: At, spin: Spin) {
    let normed = if tap == "Qcur_rope" { "Qcur_normed" } else { "Kcur_normed" };
    let plain = if tap == "Qcur_rope" { "Qcur" } else { "Kcur" };
    let before = if moment.tensors.contains_key(normed) { normed } else { plain };
    if moment.earlier(before).len() == values.len() {
        values.copy_from_slice(moment.earlier(before));
        rotate(moment, values, at, spin);
    }
}

fn turn_then_norm(moment: &Moment<'_>, before: &str, values: &mut [f32]) {
    let Some(layer) = moment.weights() else { return };
    let norm = if before == "Qcur" { &layer.query_norm } else { &layer.key_norm };
    let (Some(norm), true) = (norm, moment.earlier(before).len() == values.len()) else { return };
    values.copy_from_slice(moment.earlier(before));
    rotate(moment, values, |p, _| p as f64, RIGHT);
    for head in values.chunks_exact_mut(norm.len()) {
        let mean = head.iter().map(|v| v * v).sum::<f32>() / norm.len() as f32;
        let factor = 1.0 / (mean + moment.config().epsilon).sqrt();
        head.iter_mut().zip(norm).for_each(|(v, w)| *v *= factor * w);
    }
}

/// RoPE from the model's own tables, by any position.
fn rotate(moment: &Moment<'_>, values: &mut [f32], at: At, spin: Spin) {
    let config = moment.config();
    let windowed = moment.layer.is_some_and(|layer| config.windows[layer].is_some());
    let (frequencies, magnitude) = samebit_model::rope_frequencies(moment.model, windowed, moment.tokens.len());
    let pairs = frequencies.len();
    for (row, &position) in values.chunks_exact_mut(moment.cols).zip(moment.positions) {
        let place = at(position, moment.prompt);
        let turns: Vec<(f32, f32)> = frequencies
            .iter()
            .map(|&frequency| {
                let (cos, sin) = samebit_numerics::angles::cos_sin_f64(place.abs() as u32, frequency, magnitude);
                (cos as f32, if place < 0.0 { -sin } else { sin } as f32)
            })
            .collect();
        for head in row.chunks_exact_mut(config.head_dim) {
            for (i, &(cos, sin)) in turns.iter().enumerate() {
                let (a, b) = match config.architecture.pairing {
                    Pairing::Normal => (2 * i, 2 * i + 1),
                    Pairing::Neox => (i, i + pairs),
                };
                (head[a], head[b]) = spin(head[a], head[b], cos, sin);
            }
        }
    }
}
