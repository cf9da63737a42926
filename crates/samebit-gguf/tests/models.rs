//! Real models open, quickly, and are what they are known to be.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use samebit_gguf::{Gguf, TensorType, report};

fn open(name: &str) -> Gguf {
    let dir = match std::env::var_os("SAMEBIT_TEST_MODELS") {
        Some(dir) => PathBuf::from(dir),
        None => std::env::home_dir().unwrap_or_default().join(".cache/samebit/test-models"),
    };
    let path = dir.join(name);
    assert!(path.is_file(), "{} is missing: run cargo xtask models", path.display());
    match Gguf::open(&path) {
        Ok(gguf) => gguf,
        Err(e) => panic!("{e}"),
    }
}

/// Type, number of tensors and bytes, the largest first.
fn histogram(gguf: &Gguf) -> Vec<(TensorType, usize, u64)> {
    report::type_histogram(gguf).into_iter().map(|row| (row.ty, row.tensors, row.bytes)).collect()
}

#[test]
fn smollm2() {
    let gguf = open("SmolLM2-135M-Instruct.Q4_1.gguf");
    assert_eq!((gguf.version(), gguf.metadata().len(), gguf.tensors().len()), (3, 33, 272));
    assert_eq!(gguf.metadata().u32("llama.block_count").ok().flatten(), Some(30));
    assert_eq!(
        histogram(&gguf),
        [(TensorType::Q4_1, 210, 66_355_200), (TensorType::Q8_0, 1, 30_081_024), (TensorType::F32, 61, 140_544)]
    );
    let embd = gguf.tensor("token_embd.weight").map(|t| (t.shape.clone(), t.file_offset()));
    assert_eq!(embd, Some((vec![576, 49_152], 1_785_664)));
    assert_eq!(report::totals(&gguf).elements, 134_515_008);
}

#[test]
fn gemma3() {
    let gguf = open("gemma-3-270m-q4_k_m.gguf");
    assert_eq!((gguf.version(), gguf.metadata().len(), gguf.tensors().len()), (3, 33, 236));
    let tokens = gguf.metadata().array_str("tokenizer.ggml.tokens").ok().flatten();
    assert_eq!(tokens.map(|t| (t.len(), t.get_str(2))), Some((262_144, Some("<bos>"))));
    assert_eq!(
        histogram(&gguf),
        [
            (TensorType::Q8_0, 10, 179_824_640),
            (TensorType::Q5_0, 81, 43_591_680),
            (TensorType::Q4K, 27, 13_271_040),
            (TensorType::Q6K, 9, 9_676_800),
            (TensorType::F32, 109, 223_744)
        ]
    );
    assert_eq!(report::totals(&gguf).elements, 268_098_176);
}

#[test]
fn qwen2() {
    let gguf = open("qwen2.5-0.5b.gguf");
    assert_eq!((gguf.version(), gguf.metadata().len(), gguf.tensors().len()), (3, 26, 291));
    assert_eq!(
        histogram(&gguf),
        [
            (TensorType::Q5_0, 133, 266_742_784),
            (TensorType::Q8_0, 13, 146_105_344),
            (TensorType::Q6K, 12, 42_900_480),
            (TensorType::Q4K, 12, 29_417_472),
            (TensorType::F32, 121, 286_208)
        ]
    );
    assert_eq!(report::totals(&gguf).elements, 630_167_424);
}

#[test]
fn opening_takes_milliseconds() {
    for name in ["SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m-q4_k_m.gguf", "qwen2.5-0.5b.gguf"] {
        let best = (0..5).map(|_| {
            let start = Instant::now();
            drop(open(name));
            start.elapsed()
        });
        let best = best.min().unwrap_or_default();
        println!("{name}: {best:?}");
        assert!(best < Duration::from_millis(250), "{name} took {best:?} to open");
    }
}
