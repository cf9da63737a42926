//! `inspect`: the report and its JSON.

use crate::support::{answer, folder, json, keys, synth, tiny};
use serde_json::{Value, json as value};

#[test]
fn the_record_is_complete_and_adds_up() {
    let record = json(&["inspect", "-m", tiny(), "--json"]);
    let expected = [
        "architecture",
        "bits_per_weight",
        "file_bytes",
        "files",
        "histogram",
        "memory",
        "metadata",
        "parameters",
        "tensor_bytes",
        "tensors",
        "version",
    ];
    assert_eq!(keys(&record), expected);
    let sum = |rows: &Value, key: &str| -> u64 {
        rows.as_array().expect("a list").iter().map(|row| row[key].as_u64().expect("a number")).sum()
    };
    assert_eq!(sum(&record["tensors"], "elements"), record["parameters"].as_u64().expect("a number"));
    assert_eq!(sum(&record["histogram"], "bytes"), record["tensor_bytes"].as_u64().expect("a number"));
    let size = std::fs::metadata(tiny()).expect("the model").len();
    assert_eq!(record["file_bytes"], size);
    assert_eq!(record["metadata"]["llama.rope.freq_base"], 10000.0);
    assert_eq!(record["metadata"]["llama.attention.layer_norm_rms_epsilon"], 0.00001);
    assert_eq!(record["metadata"]["tokenizer.ggml.tokens"]["len"], 512);
}

#[test]
fn memory_is_reckoned_for_a_context() {
    // 2 (keys, values) · 2 layers · 1 head · 32 elements · 100 positions.
    let memory = &json(&["inspect", "-m", tiny(), "-c", "100", "--json"])["memory"];
    assert_eq!((&memory["kv_f16"], &memory["kv_f32"]), (&value!(2 * 12_800), &value!(4 * 12_800)));
    // A block of 32 bytes and its scale.
    assert_eq!(memory["kv_q8_0"], 2 * 2 * 34 * 100);
    let own = &json(&["inspect", "-m", tiny(), "--json"])["memory"];
    assert_eq!(own["context"], 1024);
}

#[test]
fn full_shows_every_token() {
    let record = json(&["inspect", "-m", tiny(), "--json", "--full"]);
    assert_eq!(record["metadata"]["tokenizer.ggml.tokens"].as_array().map(Vec::len), Some(512));
    let (short, full) = (answer(&["inspect", "-m", tiny()]), answer(&["inspect", "-m", tiny(), "--full"]));
    assert!(full.len() > short.len() + 512);
}

#[test]
fn the_report_names_tensors_types_and_sizes() {
    let folder = folder();
    let model = synth(folder.path(), "tiny-llama-256", &["--type", "Q4_K_M"]);
    let report = answer(&["inspect", "-m", &model]);
    for word in
        ["blk.1.ffn_down.weight", "256 × 512", "Q4_K", "Q6_K", "llama.block_count", "1.44 M parameters", "cache F16"]
    {
        assert!(report.contains(word), "`{word}` is missing:\n{report}");
    }
}
