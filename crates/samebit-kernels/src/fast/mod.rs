//! The fast kernels: written once over [`Vector`](crate::vector::Vector), instantiated per instruction set by `arch`.
//!
//! Knows chunks, tiles and packed weights; nothing of CPU features, threads, models or caches. Each function equals the
//! reference's of the same operation bit for bit.
// Which kernels a target's vector units need differs; one target looks for what none needs.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

pub(crate) mod activations;
pub(crate) mod attention;
mod attention8;
#[cfg(test)]
mod attention_tests;
pub(crate) mod chains;
pub(crate) mod dot;
pub(crate) mod dot256;
#[cfg(test)]
mod emulated;
pub(crate) mod floats;
pub(crate) mod integers;
pub(crate) mod kernel;
#[cfg(any(test, target_arch = "aarch64"))]
pub(crate) mod pairs;
pub(crate) mod product;
pub(crate) mod small;
#[cfg(test)]
mod tests;
pub(crate) mod tile;
pub(crate) mod unpack;
pub(crate) mod words;

/// Whether sums may run in whatever order is handiest: for measuring what the order costs, and for nothing else.
const FREE_ORDER: bool = cfg!(feature = "free-order");

/// Rows of activations from which on work that they share pays; fewer wait for the weights, which are then read as they lie.
pub(crate) const MANY: usize = 12;
