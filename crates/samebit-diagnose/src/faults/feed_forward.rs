//! Bugs in the feed-forward network and in the residual stream.

use samebit_model::Model;
use samebit_model::weights::FeedForward;
use samebit_numerics::arith::{Single, Soft};
use samebit_numerics::math::double::{gelu_erf, gelu_tanh, silu};
use samebit_numerics::ops::elementwise::Gate;

use super::{Fault, Topic};
use crate::product::{remake, right_row, usual};
use crate::suspect::Moment;

const GATES: &str = "NUMERICS.md 9.2 and 16 (table of architectures)";
const STREAM: &str = "NUMERICS.md 16, steps 2.6 to 2.9";

pub(super) fn faults(model: &Model) -> Vec<Fault> {
    let mut faults = exchanged(model);
    if model.config().experts == 0 {
        faults.extend(activations(model));
    } else {
        faults.extend(experts());
    }
    faults.extend(stream(model));
    faults
}

fn exchanged(model: &Model) -> Vec<Fault> {
    let finding = "gate and up are taken for each other";
    let mut faults = vec![Fault::new(Topic::FeedForward, "gate-up-exchanged", finding, GATES, |suspect, _| {
        let mut done = false;
        for layer in &mut suspect.weights.layers {
            if let FeedForward::Gated { gate, up, .. } | FeedForward::Experts { gate, up, .. } = &mut layer.feed_forward
            {
                std::mem::swap(gate, up);
                done = true;
            }
        }
        if !done {
            for (tap, other) in [("ffn_gate", "ffn_up"), ("ffn_up", "ffn_gate")] {
                suspect.change(tap, move |moment, values| {
                    remake(other, moment, values, &|p, row, into| right_row(moment, p, row, into), usual);
                });
            }
        }
        true
    })];
    if model.config().experts == 0 {
        let finding = "the activation is applied to up, not to gate";
        let gate = model.config().architecture.gate;
        faults.push(gated("gate-on-up", finding, move |g, u| g * act(gate, u)));
    }
    faults
}

fn act(gate: Gate, x: f64) -> f64 {
    match gate {
        Gate::GeluTanh => gelu_tanh(x),
        Gate::GeluErf => gelu_erf(x),
        Gate::Silu | Gate::ClampedSwiglu => silu(x),
    }
}

/// Another product of gate and up.
fn gated(id: &'static str, finding: &str, of: impl Fn(f64, f64) -> f64 + Copy + Send + Sync + 'static) -> Fault {
    Fault::new(Topic::FeedForward, id, finding, GATES, move |suspect, _| {
        suspect.change("ffn_gated", move |moment, values| {
            let (gate, up) = (moment.earlier("ffn_gate"), moment.earlier("ffn_up"));
            for ((value, &g), &u) in values.iter_mut().zip(gate).zip(up) {
                *value = of(f64::from(g), f64::from(u)) as f32;
            }
        });
        true
    })
}

fn activations(model: &Model) -> Vec<Fault> {
    let right = model.config().architecture.gate;
    let name = match right {
        Gate::Silu => "SiLU",
        Gate::GeluTanh => "GELU (tanh)",
        Gate::GeluErf => "GELU (erf)",
        Gate::ClampedSwiglu => "the clamped SwiGLU",
    };
    let with = |id, other: &str, gate: Gate| {
        let finding = format!("the gate is {other}, which should be {name}");
        Fault::new(Topic::FeedForward, id, finding, GATES, move |suspect, _| {
            suspect.config.architecture.gate = gate;
            gate != right
        })
    };
    vec![
        with("gate-silu", "SiLU", Gate::Silu),
        with("gate-gelu-tanh", "GELU (tanh)", Gate::GeluTanh),
        with("gate-gelu-erf", "GELU (erf)", Gate::GeluErf),
        gated("gate-relu", &format!("the gate is ReLU, which should be {name}"), |g, u| g.max(0.0) * u),
        gated("gate-sigmoid", &format!("the gate is a sigmoid, which should be {name}"), |g, u| {
            if g == 0.0 { 0.5 * u } else { silu(g) / g * u }
        }),
        gated("gate-gelu-quick", &format!("the gate is x·sigmoid(1.702x), which should be {name}"), |g, u| {
            silu(1.702 * g) / 1.702 * u
        }),
        gated("gate-none", "gate and up are multiplied without an activation", |g, u| g * u),
        gated("up-missing", "the activated gate is not multiplied by up", move |g, _| act(right, g)),
        gated("gate-missing", "up passes without its gate", |_, u| u),
    ]
}

fn experts() -> Vec<Fault> {
    let reference = "NUMERICS.md 10";
    let mut faults = vec![
        Fault::new(Topic::FeedForward, "router-one-less", "one expert too few is used", reference, |suspect, _| {
            suspect.config.experts_used -= 1;
            suspect.config.experts_used > 0
        }),
        Fault::new(Topic::FeedForward, "router-one-more", "one expert too many is used", reference, |suspect, _| {
            suspect.config.experts_used += 1;
            suspect.config.experts_used <= suspect.config.experts
        }),
        Fault::new(
            Topic::FeedForward,
            "router-equal",
            "the chosen experts have equal weights",
            reference,
            |suspect, _| {
                suspect.table.route = move |kind, scores, chosen, weights| {
                    samebit_numerics::ops::router::route::<Single<Soft>>(kind, scores, chosen, weights);
                    let share = 1.0 / weights.len() as f32;
                    weights.fill(share);
                };
                true
            },
        ),
        Fault::new(
            Topic::FeedForward,
            "router-not-normalised",
            "the chosen experts' probabilities are not brought to a sum of one",
            reference,
            |suspect, _| {
                suspect.table.route = move |kind, scores, chosen, weights| {
                    samebit_numerics::ops::router::route::<Single<Soft>>(kind, scores, chosen, weights);
                    let mut all = scores.to_vec();
                    samebit_numerics::ops::softmax::softmax::<Single<Soft>>(&mut all);
                    weights.iter_mut().zip(chosen).for_each(|(weight, &mut index)| *weight = all[index]);
                };
                true
            },
        ),
    ];
    faults.push(Fault::new(
        Topic::FeedForward,
        "gate-gelu",
        "the experts' gate is GELU (tanh), which it should not be",
        GATES,
        |suspect, _| {
            suspect.config.architecture.gate = Gate::GeluTanh;
            true
        },
    ));
    faults
}

fn stream(model: &Model) -> Vec<Fault> {
    let post = model.config().architecture.post_norms;
    let (attention, network) = if post { ("attn_post_norm", "ffn_post_norm") } else { ("attn_out", "ffn_out") };
    vec![
        Fault::new(
            Topic::FeedForward,
            "residual-attention",
            "what attention makes replaces the residual stream instead of being added",
            STREAM,
            move |suspect, _| {
                suspect.change("ffn_inp", move |moment, values| values.copy_from_slice(moment.earlier(attention)));
                true
            },
        ),
        Fault::new(
            Topic::FeedForward,
            "residual-feed-forward",
            "what the feed-forward network makes replaces the residual stream instead of being added",
            STREAM,
            move |suspect, _| {
                suspect.change("l_out", move |moment, values| values.copy_from_slice(moment.earlier(network)));
                true
            },
        ),
        Fault::new(
            Topic::FeedForward,
            "residual-from-norm",
            "the feed-forward network's residual is taken after the norm",
            STREAM,
            move |suspect, _| {
                suspect.change("l_out", move |moment, values| sum(moment, network, "ffn_norm", values));
                true
            },
        ),
        Fault::new(
            Topic::FeedForward,
            "residual-attention-from-norm",
            "attention's residual is taken after the norm",
            STREAM,
            move |suspect, _| {
                suspect.change("ffn_inp", move |moment, values| sum(moment, attention, "attn_norm", values));
                true
            },
        ),
    ]
}

/// `values` = one earlier tensor and another.
fn sum(moment: &Moment<'_>, a: &str, b: &str, values: &mut [f32]) {
    for ((value, a), b) in values.iter_mut().zip(moment.earlier(a)).zip(moment.earlier(b)) {
        *value = a + b;
    }
}
