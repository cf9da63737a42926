//! `logits`: rows, places and their bits.

use crate::support::{answer, json, keys, tiny};

#[test]
fn the_record_has_bits_that_are_the_logits() {
    let record = json(&["logits", "-m", tiny(), "-p", "hello", "--top", "512", "--json"]);
    assert_eq!(keys(&record), ["position", "prompt_tokens", "top"]);
    let count = record["prompt_tokens"].as_array().expect("a list").len();
    assert_eq!(record["position"], count - 1);
    let top = record["top"].as_array().expect("a list");
    assert_eq!(top.len(), 512);
    let mut before = f64::INFINITY;
    let mut total = 0.0;
    for entry in top {
        assert_eq!(keys(entry), ["bits", "id", "logit", "logprob", "piece"]);
        let logit = entry["logit"].as_f64().expect("a number");
        let bits = entry["bits"].as_str().and_then(|bits| bits.strip_prefix("0x")).expect("hexadecimal");
        let from_bits = f32::from_bits(u32::from_str_radix(bits, 16).expect("hexadecimal"));
        assert_eq!(logit as f32, from_bits, "{entry}");
        assert!(logit <= before);
        before = logit;
        // An oracle for statistics: the platform's exp is near enough.
        #[allow(clippy::disallowed_methods)]
        let p = entry["logprob"].as_f64().expect("a number").exp();
        total += p;
    }
    assert!((total - 1.0).abs() < 1e-4, "{total}");
}

#[test]
fn a_position_in_the_middle_is_the_end_of_a_shorter_prompt() {
    let whole = json(&["logits", "-m", tiny(), "--tokens", "5,6,7,8", "--position", "1", "--json"]);
    let short = json(&["logits", "-m", tiny(), "--tokens", "5,6", "--json", "-ub", "1", "--isa", "reference"]);
    assert_eq!(whole["top"], short["top"]);
    assert_eq!(whole["position"], 1);
}

#[test]
fn the_table_has_a_line_for_each() {
    let table = answer(&["logits", "-m", tiny(), "-p", "hello", "--top", "3"]);
    assert_eq!(table.lines().count(), 4);
}
