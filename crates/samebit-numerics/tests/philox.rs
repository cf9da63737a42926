//! Philox4x32-10 against the known answers of its authors' Random123.
#![allow(missing_docs)]

use samebit_numerics::philox::{philox4x32_10, uniform24};

#[test]
fn known_answers() {
    assert_eq!(philox4x32_10([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    assert_eq!(philox4x32_10([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    assert_eq!(
        philox4x32_10([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
    );
}

#[test]
fn every_word_of_counter_and_key_matters() {
    let base = philox4x32_10([1, 2, 3, 4], [5, 6]);
    for word in 0..6 {
        let mut words = [1, 2, 3, 4, 5, 6];
        words[word] ^= 1 << 31;
        let [a, b, c, d, e, f] = words;
        let changed = philox4x32_10([a, b, c, d], [e, f]);
        assert!(base.iter().zip(changed).all(|(&x, y)| x != y), "word {word}");
    }
}

#[test]
fn uniform_is_exact_and_below_one() {
    assert_eq!(uniform24(0), 0.0);
    assert_eq!(uniform24(255), 0.0);
    assert_eq!(uniform24(256), 1.0 / 16_777_216.0);
    assert_eq!(uniform24(0x8000_0000), 0.5);
    assert_eq!(uniform24(u32::MAX), 1.0 - 1.0 / 16_777_216.0);
}

#[test]
fn uniform_is_uniform() {
    let mut buckets = [0u32; 16];
    for counter in 0..40_000 {
        for word in philox4x32_10([counter, 0, 0, 0], [42, 0]) {
            buckets[(uniform24(word) * 16.0) as usize] += 1;
        }
    }
    // 10000 expected in each, standard deviation 97.
    assert!(buckets.iter().all(|&n| (9_500..10_500).contains(&n)), "{buckets:?}");
}
