//! x86-64: vectors of AVX2 and AVX-512.

mod avx2;
mod avx512;

use crate::fast::dot::PlaneSums;
use crate::fast::kernel::{ByBytes, Unit};
use crate::fast::small::BySmall;
use crate::fast::words::ByWords;

pub(crate) use avx2::{Avx2, AvxVnni};
pub(crate) use avx512::{Avx512, Avx512Vnni};

impl Unit for Avx2 {
    type Blocks32 = ByWords<Self>;
    type Blocks256 = BySmall<Self>;
    type Table256 = ByWords<Self>;
    type Integers = ByWords<Self>;
}

impl PlaneSums for AvxVnni {}

impl Unit for AvxVnni {
    type Blocks32 = ByBytes<Self>;
    type Blocks256 = ByBytes<Self>;
    type Table256 = ByBytes<Self>;
    type Integers = ByBytes<Self>;
}

impl Unit for Avx512 {
    type Blocks32 = ByWords<Self>;
    type Blocks256 = BySmall<Self>;
    type Table256 = ByWords<Self>;
    type Integers = ByWords<Self>;
}

impl PlaneSums for Avx512Vnni {}

impl Unit for Avx512Vnni {
    type Blocks32 = ByBytes<Self>;
    type Blocks256 = ByBytes<Self>;
    type Table256 = ByBytes<Self>;
    type Integers = ByBytes<Self>;
}
