//! The negative control: functions that are wrong on purpose, in the ways that kernels are wrong, through the same checks.
//!
//! A check that passes one of them could not have found the mistake in a kernel either.

mod mistakes;
mod mistakes8;

use samebit_kernels::{Isa, Numerics, Table};

use crate::functions::{self, Subject};
use crate::{first_failure, pools};

/// Cases among which the mistake should show many times over.
const RUNS: u32 = 2000;

/// One mistake: in which function, what it is, and how it is made.
struct Control(&'static str, &'static str, fn(&mut Subject<'_>));

const CONTROLS: [Control; 36] = [
    Control("rms_norm", "the sum from left to right", |s| s.table.rms_norm = mistakes::sum_from_left_to_right),
    Control("rms_norm", "chunks of 128", |s| s.table.rms_norm = mistakes::sum_in_chunks_of_128),
    Control("layer_norm", "the mean by a reciprocal", |s| s.table.layer_norm = mistakes::mean_by_reciprocal),
    Control("softmax", "the sum in reverse", |s| s.table.softmax = mistakes::softmax_in_reverse),
    Control("route", "the last of equals", |s| s.table.route = mistakes::last_of_equals),
    Control("rotate", "products not fused", |s| s.table.rotate = mistakes::rotation_not_fused),
    Control("gated", "the last element left out", |s| s.table.gated = mistakes::gate_without_the_last),
    Control("gated", "another gelu", |s| s.table.gated = mistakes::another_gelu),
    Control("soft_cap", "divides by the cap", |s| s.table.soft_cap = mistakes::cap_by_division),
    Control("add", "subnormals flushed", |s| s.table.add = mistakes::flushed_sum),
    Control("add_bias", "whole vectors alone", |s| s.table.add_bias = mistakes::bias_without_the_tail),
    Control("add_weighted", "not fused", |s| s.table.add_weighted = mistakes::share_not_fused),
    Control("scale", "subnormals flushed", |s| s.table.scale = mistakes::flushed_scaling),
    Control("widen", "subnormals flushed", |s| s.table.widen = mistakes::flushed_halves),
    Control("narrow", "ties away from zero", |s| s.table.narrow = mistakes::halves_away_from_zero),
    Control("activations", "ties away from zero", |s| s.table.prepare = mistakes::steps_away_from_zero),
    Control("activations", "the last integer left out", |s| s.table.prepare = mistakes::steps_without_the_last),
    Control("matmul", "chains in reverse", |s| s.table.matmul = mistakes::chains_in_reverse),
    Control("matmul", "chunks of 128", |s| s.table.matmul = mistakes::chains_of_128),
    Control("matmul", "products not fused", |s| s.table.matmul = mistakes::chains_not_fused),
    Control("matmul", "8-bit activations", |s| {
        let eight_bit = Table::single(Isa::Reference, Numerics::A8);
        (s.table.prepare, s.table.matmul) = (eight_bit.prepare, eight_bit.matmul);
    }),
    // The packed product cannot be taken apart; it must not agree with a reference that is wrong.
    Control("product", "chains in reverse", |s| s.reference.matmul = mistakes::chains_in_reverse),
    Control("attend", "chunks of 128", |s| s.table.attend = mistakes::attention_in_chunks_of_128),
    Control("attend", "a key too many", |s| s.table.attend = mistakes::attention_to_a_key_too_many),
    Control("attend_half", "the first key left out", |s| s.table.attend = mistakes::attention_without_the_first_key),
    Control("attend_bytes", "a key too many", |s| s.table.attend = mistakes::attention_to_a_key_too_many),
    Control("attend_bytes", "the first key left out", |s| s.table.attend = mistakes::attention_without_the_first_key),
    Control("attend_bytes", "over the floats", |s| {
        s.table.attend = Table::single(Isa::Reference, Numerics::F32).attend
    }),
    Control("attend_bytes", "chunks of 128", |s| s.table.attend = mistakes::attention_in_chunks_of_128),
    Control("attend_bytes", "a neighbour's scale", |s| s.table.attend = mistakes8::attention_by_a_neighbour_s_scale),
    Control("attend_bytes", "8-bit queries", |s| s.table.attend = mistakes8::attention_by_one_plane),
    Control("quantize8", "ties away from zero", |s| s.table.quantize8 = mistakes8::bytes_away_from_zero),
    Control("quantize8", "steps of a scale not rounded", |s| s.table.quantize8 = mistakes8::bytes_of_another_scale),
    Control("merge", "the other way round", |s| s.table.merge = mistakes::merged_the_other_way_round),
    Control("finish", "divides by the denominator", |s| s.table.finish = mistakes::finished_by_division),
    Control("finish", "the sink forgotten", |s| s.table.finish = mistakes::finished_without_the_sink),
];

/// Runs every mistake through its function's check; whether each was found.
pub(crate) fn run(seed: u64) -> bool {
    let (pools, isa) = (pools(), Isa::native());
    let mut missed = 0;
    for Control(name, mistake, spoil) in CONTROLS {
        let table = Table::single(isa, Numerics::V1);
        let mut subject = Subject { table, reference: Table::single(Isa::Reference, Numerics::V1), pools: &pools };
        let Some(function) = functions::ALL.iter().find(|function| function.name == name) else {
            println!("{name}, {mistake}: no such function");
            missed += 1;
            continue;
        };
        if !(function.is_in)(&subject.table) {
            println!("{name}, {mistake}: {isa} has no such function");
            continue;
        }
        spoil(&mut subject);
        match first_failure(function, &subject, seed, RUNS) {
            Some((run, _)) => println!("{name}, {mistake}: found in case {run}"),
            None => {
                println!("{name}, {mistake}: NOT FOUND in {RUNS} cases");
                missed += 1;
            }
        }
    }
    println!("{isa}: {missed} of {} mistakes were not found", CONTROLS.len());
    missed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_control() {
        for function in functions::ALL {
            assert!(CONTROLS.iter().any(|Control(name, ..)| *name == function.name), "{}", function.name);
        }
    }
}
