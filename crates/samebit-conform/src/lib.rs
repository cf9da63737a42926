//! Conformance vectors: one digest for each operation, to be the same on every machine.
//!
//! Knows the operations and how to feed them; nothing of files, command lines or clocks. [`operations`] computes vectors
//! by a table of functions, [`V1`] is what they must be, and [`differences`] says which are not.

mod digest;
mod functions;
mod input;
mod kernels;
mod list;
mod matrices;

pub use list::{Difference, ListError, Vector, differences, parse, render, summary};

use samebit_kernels::{Table, float_env};

/// The vectors of numerics v1, as `conformance/v1.txt` in the repository has them.
pub const V1: &str = include_str!("../../../conformance/v1.txt");

/// The vectors of every operation of numerics v1, in a fixed order, computed by `table`.
///
/// What has no place in the table (elementary functions, angles, formats) comes from the reference itself.
pub fn operations(table: &Table<f32>) -> Vec<Vector> {
    float_env::with_default(|| [functions::vectors(), matrices::vectors(table), kernels::vectors(table)].concat())
}
