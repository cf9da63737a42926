//! Numbers of twice binary64's precision, as unevaluated sums of two, in plain binary64 operations.
//!
//! Knows nothing but `+ - * /`. Dekker, "A floating-point technique for extending the available precision" (1971);
//! Knuth's TwoSum. Valid where nothing overflows or comes near the subnormals: the callers see to that.

/// `high + low`, with `high` the binary64 nearest to the sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

impl Pair {
    /// A constant from the bits of its parts.
    pub(crate) const fn from_bits(high: u64, low: u64) -> Self {
        Self {
            high: f64::from_bits(high),
            low: f64::from_bits(low),
        }
    }

    /// Relative error below 2^-103.
    pub(crate) fn add(self, other: Self) -> Self {
        let sum = two_sum(self.high, other.high);
        let rest = two_sum(self.low, other.low);
        let first = fast_two_sum(sum.high, sum.low + rest.high);
        fast_two_sum(first.high, first.low + rest.low)
    }

    /// Relative error below 2^-101.
    pub(crate) fn mul(self, other: Self) -> Self {
        let product = two_prod(self.high, other.high);
        fast_two_sum(
            product.high,
            product.low + (self.high * other.low + self.low * other.high),
        )
    }

    pub(crate) fn neg(self) -> Self {
        Self {
            high: -self.high,
            low: -self.low,
        }
    }

    /// Rounded to binary32 once, unless the number lies within the pair's own error of the middle of two neighbours.
    pub(crate) fn to_f32(self) -> f32 {
        // Round to odd, as in the fused multiply-add: binary64 keeps 29 bits more than binary32 needs.
        let bits = self.high.to_bits();
        let step = u64::from(self.low != 0.0) & !bits & 1;
        let shrink = step & ((bits ^ self.low.to_bits()) >> 63);
        f64::from_bits(bits.wrapping_add(step).wrapping_sub(shrink << 1)) as f32
    }
}

/// `a + b`, exactly.
pub(crate) fn two_sum(a: f64, b: f64) -> Pair {
    let high = a + b;
    let back = high - a;
    Pair {
        high,
        low: (a - (high - back)) + (b - back),
    }
}

/// `a + b`, exactly, if `|a| >= |b|`.
pub(crate) fn fast_two_sum(a: f64, b: f64) -> Pair {
    let high = a + b;
    Pair {
        high,
        low: b - (high - a),
    }
}

/// `a * b`, exactly.
pub(crate) fn two_prod(a: f64, b: f64) -> Pair {
    let high = a * b;
    let ((a1, a0), (b1, b0)) = (split(a), split(b));
    Pair {
        high,
        low: ((a1 * b1 - high) + a1 * b0 + a0 * b1) + a0 * b0,
    }
}

/// Two halves of 26 bits, whose products are exact (Veltkamp).
fn split(a: f64) -> (f64, f64) {
    let c = 134_217_729.0 * a;
    let high = c - (c - a);
    (high, a - high)
}
