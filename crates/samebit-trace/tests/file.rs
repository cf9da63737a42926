//! Traces written and read again, filtered, and damaged.

mod support;

use std::path::Path;

use samebit_kernels::Numerics;
use samebit_trace::{Filter, Trace, Values};
use support::{model, trace};

const PROMPT: [u32; 5] = [1, 40, 7, 99, 12];

fn there_and_back(trace: &Trace) -> Trace {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.safetensors");
    trace.write(&path).expect("written");
    Trace::read(&path).expect("read")
}

#[test]
fn a_trace_survives_its_file() {
    for shape in ["tiny-llama", "tiny-qwen2", "tiny-gemma3", "tiny-qwen3moe"] {
        let model = model(shape, "F32");
        let trace = trace(&model, Numerics::V1, &PROMPT, 3, Filter::default());
        assert_eq!(trace.meta.tokens.len(), 7, "the last token is not run");
        assert_eq!(there_and_back(&trace), trace, "{shape}");
        for name in ["attn_norm", "Qcur", "Qcur_rope", "kq", "kq_soft_max", "kqv_out", "attn_out", "ffn_inp", "l_out"] {
            let entry = trace.entry(name, Some(0)).unwrap_or_else(|| panic!("{shape} has no {name}"));
            assert_eq!(entry.positions, [0, 1, 2, 3, 4, 5, 6]);
            assert_eq!(entry.all().map(<[f32]>::len), Some(7 * entry.width()));
        }
        assert_eq!(trace.entry("result_output", None).map(|e| e.positions.clone()), Some(vec![4, 5, 6]));
    }
}

#[test]
fn softmax_is_one_over_what_is_seen_and_nothing_beyond() {
    let trace = trace(&model("tiny-llama", "F32"), Numerics::F32, &PROMPT, 2, Filter::default());
    let weights = trace.entry("kq_soft_max", Some(1)).expect("there");
    let (heads, keys) = (weights.shape[0], weights.shape[1]);
    assert_eq!(keys, 6);
    for (slot, row) in weights.all().expect("values").chunks_exact(keys).enumerate() {
        let position = weights.positions[slot / heads];
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(row[position + 1..].iter().all(|&w| w == 0.0));
    }
}

#[test]
fn a_summary_tells_what_the_values_would() {
    let model = model("tiny-llama", "Q4_K_M");
    let full = trace(&model, Numerics::V1, &PROMPT, 2, Filter::default());
    let summary = trace(&model, Numerics::V1, &PROMPT, 2, Filter { summary: true, ..Filter::default() });
    let bits = |trace: &Trace| -> Vec<_> {
        let mut trace = trace.clone();
        trace.entries.retain(|e| !e.name.starts_with("kq"));
        trace.entries.iter_mut().for_each(samebit_trace::Entry::summarise);
        trace.entries.iter().flat_map(|e| e.summaries.iter().map(|s| (e.label(), s.digest))).collect()
    };
    assert_eq!(bits(&summary), bits(&full));
    let read = there_and_back(&summary);
    assert_eq!(bits(&read), bits(&summary));
    assert!(read.entries.iter().all(|e| e.values == Values::None));
}

#[test]
fn filters_keep_what_they_say() {
    let filter = Filter {
        layers: [1].into(),
        names: ["l_out".to_owned(), "Qcur".to_owned(), "result_norm".to_owned()].into(),
        positions: [4].into(),
        ..Filter::default()
    };
    let trace = trace(&model("tiny-llama", "F32"), Numerics::V1, &PROMPT, 0, filter);
    let labels: Vec<_> = trace.entries.iter().map(|e| (e.label(), e.positions.clone())).collect();
    let expected = ["Qcur-1", "l_out-1", "result_norm"].map(|name| (name.to_owned(), vec![4]));
    assert_eq!(labels, expected);
}

fn error(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.safetensors");
    std::fs::write(&path, bytes).expect("written");
    let line = Trace::read(Path::new(&path)).expect_err("no trace").to_string();
    assert!(!line.contains('\n') && line.contains("t.safetensors"), "{line}");
    line
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn damaged_files_are_told_in_a_line() {
    let whole = {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("w.safetensors");
        trace(&model("tiny-llama", "F32"), Numerics::V1, &PROMPT, 0, Filter::default()).write(&path).expect("written");
        std::fs::read(&path).expect("read")
    };
    for cut in [0, 3, 8, 100, whole.len() / 2, whole.len() - 1] {
        error(&whole[..cut]);
    }
    assert!(error(&whole[..whole.len() - 1]).contains("truncated"));
    assert!(error(&[0xff; 64]).contains("belongs to no trace"));
    let one = |tensor: &str| safetensors(&format!("{{\"attn_norm-0\":{tensor}}}"), &[0; 16]);
    assert!(error(&one(r#"{"dtype":"F32","shape":[2,2],"data_offsets":[0,12]}"#)).contains("does not fit"));
    assert!(error(&one(r#"{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,0]}"#)).contains("fit"));
    assert!(error(&one(r#"{"dtype":"F32","shape":[2,2],"data_offsets":[16,0]}"#)).contains("does not fit"));
    assert!(error(&one(r#"{"dtype":"Q4","shape":[2,2],"data_offsets":[0,16]}"#)).contains("type `Q4`"));
    assert!(error(&one(r#"{"dtype":"F32","shape":[],"data_offsets":[0,4]}"#)).contains("single number"));
    assert!(error(&one(r#"{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]}"#)).contains("holds nothing"));
    let unknown = safetensors(r#"{"foo":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#, &[0; 16]);
    assert!(error(&unknown).contains("--names"));
    let over = r#"{"l_out-0":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"l_out-1":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]}}"#;
    assert!(error(&safetensors(over, &[0; 16])).contains("lies over another"));
    let rows = r#"{"__metadata__":{"positions":"0-4"},"l_out-0":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
    assert!(error(&safetensors(rows, &[0; 16])).contains("2 rows for 5 positions"));
}
