//! Softmax of one row, in place. NUMERICS.md, "Softmax".
//!
//! For routers and reports; attention has its own, chunk by chunk.

use crate::arith::Arith;
use crate::reduce::{row_max, row_sum};

/// `x[i] = e[i] / Σe`, e[i] = exp(x[i] − max x), the sum a row sum. An empty row stays empty.
#[inline(always)]
pub fn softmax<A: Arith>(x: &mut [A::R]) {
    let Some(max) = row_max::<A>(x) else { return };
    for value in x.iter_mut() {
        *value = A::exp(A::sub(*value, max));
    }
    let sum = row_sum::<A>(x);
    for value in x.iter_mut() {
        *value = A::div(*value, sum);
    }
}
