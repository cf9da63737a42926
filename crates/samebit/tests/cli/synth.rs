//! `synth`: the same bytes everywhere, written whole or not at all.

use crate::support::{assert_fails, folder, json, output, smollm2, stderr, synth};
use std::fs;

fn digest(path: &str) -> String {
    blake3::hash(&fs::read(path).expect("the model")).to_hex().to_string()
}

/// The same on every machine and in every version: other measurements and vectors rest on these files.
#[test]
fn the_bytes_are_known() {
    let folder = folder();
    for (shape, quant, expected) in [
        ("tiny-llama", "F32", "579f41a6392d027754983d9f62eebfce67fd06a0a6a523ca8fc0804d7b956880"),
        ("tiny-llama-256", "Q4_K_M", "4ce37c3d0207c43ab23a1853aa5be14d00cbbf2f9bd797a6e353b7afa0983456"),
        ("tiny-gpt-oss", "MXFP4", "200ede32fa1dff13dfad8df4e6658576dc3bca19fc3adeb70824dd01cf8926a5"),
    ] {
        let path = synth(folder.path(), shape, &["--type", quant]);
        assert_eq!(digest(&path), expected, "{shape} {quant}");
    }
}

#[test]
fn threads_do_not_matter_and_seeds_do() {
    let folder = folder();
    let made = |more: &[&str]| digest(&synth(folder.path(), "tiny-qwen3-288", &[&["--type", "Q5_K_M"], more].concat()));
    let one = made(&["-t", "1"]);
    assert_eq!(made(&["-t", "3"]), one);
    assert_ne!(made(&["-s", "1"]), one);
}

#[test]
fn files_are_not_overwritten_unasked() {
    let folder = folder();
    let path = synth(folder.path(), "tiny-llama", &[]);
    let before = digest(&path);
    let args = ["synth", "tiny-llama", "-o", &path, "--seed", "1"];
    assert_fails(&output(&args), 3, &[&path, "--force"]);
    assert_eq!(digest(&path), before);
    let forced = output(&[&args[..], &["--force"]].concat());
    assert!(forced.status.success(), "{}", stderr(&forced));
    assert_ne!(digest(&path), before);
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "nothing temporary is left");
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let folder = folder();
    let path = folder.path().join("no/such/folder/x.gguf");
    let path = path.to_str().expect("UTF-8 path");
    assert_fails(&output(&["synth", "tiny-llama", "-o", path]), 3, &[path]);
}

#[test]
fn layers_and_vocabulary_can_be_chosen() {
    let folder = folder();
    let path = folder.path().join("x.gguf");
    let path = path.to_str().expect("UTF-8 path");
    let made = output(&["synth", "tiny-llama", "-o", path, "--layers", "1", "--vocab-from", &smollm2()]);
    assert!(made.status.success(), "{}", stderr(&made));
    let record = json(&["inspect", "-m", path, "--json"]);
    assert_eq!(record["metadata"]["llama.block_count"], 1);
    assert_eq!(record["metadata"]["llama.vocab_size"], 49152);
    let record = json(&["tokenize", "-m", path, "-p", "Hello", "--json"]);
    assert_eq!(record["tokens"], serde_json::json!([19556]));
}
