//! The numerics of samebit, executable: the slow and obvious reference for every operation.
#![no_std]

extern crate alloc;

pub mod arith;
pub mod blocks;
pub mod half;
