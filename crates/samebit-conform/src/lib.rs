//! Conformance vectors: one digest for each operation and for each of some small models, the same on every machine.
//!
//! Knows the operations and how to feed them; nothing of files, command lines or clocks. [`operations`] computes vectors
//! by a table of functions, [`all`] those of whole models too, [`V1`] is what they must be, and [`differences`] says which are not.

mod digest;
mod functions;
mod input;
mod kernels;
mod list;
mod matrices;
mod models;

pub use list::{Difference, ListError, Vector, differences, parse, render, summary};

pub use models::ModelError;

use samebit_kernels::{Isa, Numerics, Table, float_env};

/// The vectors of numerics v1, as `conformance/v1.txt` in the repository has them.
pub const V1: &str = include_str!("../../../conformance/v1.txt");

/// The vectors of every operation of numerics v1, in a fixed order, computed by `table`.
///
/// What has no place in the table (elementary functions, angles, formats) comes from the reference itself.
pub fn operations(table: &Table<f32>) -> Vec<Vector> {
    float_env::with_default(|| [functions::vectors(), matrices::vectors(table), kernels::vectors(table)].concat())
}

/// The vectors of every operation and of small whole models, on an instruction set that this machine has.
///
/// # Errors
/// A model that could not be made or run.
pub fn all(isa: Isa) -> Result<Vec<Vector>, ModelError> {
    let mut vectors = operations(&Table::single(isa, Numerics::V1));
    vectors.extend(float_env::with_default(|| models::vectors(isa))?);
    Ok(vectors)
}
