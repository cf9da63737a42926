//! Philox4x32-10: random numbers as a function of a key and a counter, with no state to share or advance.
//!
//! Knows nothing but integers. Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
//! All arithmetic is modulo 2^32, but for the products, which are taken in full.

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// The Weyl increments of the key: the golden ratio, and sqrt(3) - 1.
const INCREMENTS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: u32 = 10;

/// Four random words for one counter under one key; each pair of arguments gives its own, whatever was asked before.
///
/// A round with key `k` maps the counter `c` to `[hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)]`,
/// `M0 = 0xd2511f53`, `M1 = 0xcd9e8d57`. There are ten rounds, and between two of them `k0 += 0x9e3779b9`, `k1 += 0xbb67ae85`.
#[must_use]
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let (mut c, mut k) = (counter, key);
    for round in 0..ROUNDS {
        if round > 0 {
            k = [k[0].wrapping_add(INCREMENTS[0]), k[1].wrapping_add(INCREMENTS[1])];
        }
        let (high0, low0) = wide_product(MULTIPLIERS[0], c[0]);
        let (high1, low1) = wide_product(MULTIPLIERS[1], c[2]);
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0];
    }
    c
}

/// The high and the low word of a product.
fn wide_product(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

/// A random word as a number in [0, 1): its high 24 bits times 2^-24, exactly. Never 1.
#[must_use]
pub fn uniform24(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}
