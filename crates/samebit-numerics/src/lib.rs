//! The numerics of samebit, executable: the slow and obvious reference for every operation.
#![no_std]

extern crate alloc;

pub mod activations;
pub mod angles;
pub mod arith;
pub mod blocks;
mod double_double;
pub mod half;
pub mod math;
pub mod ops;
pub mod philox;
pub mod reduce;
