//! wasm's 128-bit vectors.

mod simd128;

use crate::fast::kernel::Unit;
use crate::fast::words::ByWords;

pub(crate) use simd128::Simd128;

impl Unit for Simd128 {
    type Blocks32 = ByWords<Self>;
    type Blocks256 = ByWords<Self>;
    type Table256 = ByWords<Self>;
    type Integers = ByWords<Self>;
}
