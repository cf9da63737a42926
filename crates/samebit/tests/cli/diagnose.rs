//! `diagnose`: right engines, wrong tokens, other names, and files that are no good.

use std::path::Path;

use crate::support::{answer, assert_fails, folder, output, stderr, synth, tiny};
use serde_json::{Value, json as object};

/// A trace of the program's own pass.
fn traced(folder: &Path, more: &[&str]) -> String {
    let path = folder.join("trace").display().to_string();
    let args = ["trace", "-m", tiny(), "--tokens", "1,5,60,200", "-n", "2", "--numerics", "f32", "-o", &path];
    answer(&[&args[..], more].concat());
    path
}

/// A safetensors file of one tensor of binary32 values.
fn write(path: &Path, name: &str, shape: &[usize], values: &[f32], meta: Value) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let header =
        object!({name: {"dtype": "F32", "shape": shape, "data_offsets": [0, bytes.len()]}, "__metadata__": meta});
    let header = header.to_string();
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes].concat();
    std::fs::write(path, file).expect("written");
    path.display().to_string()
}

fn diagnose(trace: &str, more: &[&str]) -> std::process::Output {
    output(&[&["diagnose", "-q", "-t", "1", "-m", tiny(), "--trace", trace], more].concat())
}

#[test]
fn a_right_engine_has_no_bug() {
    let folder = folder();
    let trace = traced(folder.path(), &[]);
    let told = diagnose(&trace, &[]);
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(told.status.code(), Some(0), "{text}{}", stderr(&told));
    assert!(text.contains("No bug found"), "{text}");
    assert!(answer(&["diagnose", "--list", "-m", tiny()]).contains("rope-pairing"));
}

#[test]
fn tokens_are_looked_at_too() {
    let folder = folder();
    let model = synth(folder.path(), "tiny-llama", &[]);
    let ids = |text: &str| answer(&["tokenize", "-m", &model, "-p", text, "--ids"]).trim().replace(' ', ",");
    let right = ids("Hello there you");
    let (bos, rest) = right.split_once(',').expect("several");
    let path = folder.path().join("t").display().to_string();
    let told = |tokens: &str, more: &[&str]| {
        answer(&["trace", "-m", &model, "--tokens", tokens, "-o", &path, "--layers", "0"]);
        let args = ["diagnose", "-q", "-t", "1", "-m", &model, "--trace", &path];
        let told = output(&[&args[..], more].concat());
        (told.status.code(), String::from_utf8_lossy(&told.stdout).into_owned())
    };
    assert_eq!(told(&right, &[]).0, Some(0), "nothing is wrong with {right}: {}", told(&right, &[]).1);
    let (code, text) = told(rest, &[]);
    assert!(code == Some(1) && text.contains("bos-missing"), "{text}");
    let (code, text) = told(&format!("{bos},{right}"), &[]);
    assert!(code == Some(1) && text.contains("bos-twice"), "{text}");
    let (code, text) = told(&ids(" Hello there you"), &["-p", "Hello there you"]);
    assert!(code == Some(1) && text.contains("space"), "{text}");
}

#[test]
fn other_names_are_translated() {
    let folder = folder();
    let path = write(&folder.path().join("t"), "h/0/out", &[1, 96], &[0.5; 96], object!({"tokens": "1"}));
    assert_fails(&diagnose(&path, &[]), 3, &["h/0/out", "--names"]);
    let map = folder.path().join("map.json");
    std::fs::write(&map, r#"{"h/{}/out": "l_out-{}"}"#).expect("written");
    let told = diagnose(&path, &["--names", &map.display().to_string()]);
    assert_eq!(told.status.code(), Some(1), "{}", stderr(&told));
    std::fs::write(&map, r#"["h"]"#).expect("written");
    assert_fails(&diagnose(&path, &["--names", &map.display().to_string()]), 3, &["map.json"]);
}

#[test]
fn what_is_no_trace_of_this_model_is_told_in_a_line() {
    let folder = folder();
    let at = folder.path().join("t");
    let meta = || object!({"tokens": "5,6"});
    let nan = [[0.5; 96], [f32::NAN; 96]].concat();
    type Case = (&'static str, &'static str, &'static [usize], Vec<f32>, Value, &'static [&'static str]);
    let cases: [Case; 9] = [
        ("rows too wide", "l_out-0", &[2, 97], vec![0.5; 194], meta(), &["97", "96"]),
        ("no such layer", "l_out-9", &[2, 96], vec![0.5; 192], meta(), &["l_out-9", "layers 0 to 1"]),
        ("not finite", "l_out-0", &[2, 96], nan, meta(), &["l_out-0", "NaN", "position 1"]),
        ("no tokens", "l_out-0", &[2, 96], vec![0.5; 192], object!({}), &["tokens"]),
        ("too many rows", "l_out-0", &[3, 96], vec![0.5; 288], meta(), &["l_out-0"]),
        ("no such token", "l_out-0", &[2, 96], vec![0.5; 192], object!({"tokens": "5,512"}), &["512"]),
        ("tokens that are none", "l_out-0", &[2, 96], vec![0.5; 192], object!({"tokens": "5,x"}), &["tokens"]),
        ("fewer values than the shape", "l_out-0", &[2, 96], vec![0.5; 190], meta(), &["l_out-0"]),
        ("no known name", "banana", &[2, 96], vec![0.5; 192], meta(), &["banana", "--names"]),
    ];
    for (what, name, shape, values, meta, words) in cases {
        let told = diagnose(&write(&at, name, shape, &values, meta), &[]);
        assert_eq!(told.status.code(), Some(3), "{what}: {}{}", String::from_utf8_lossy(&told.stdout), stderr(&told));
        assert_fails(&told, 3, words);
    }
    let whole = std::fs::read(traced(folder.path(), &[])).expect("read");
    let huge = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    let deep = "[".repeat(100_000).into_bytes();
    for bytes in [&whole[..whole.len() / 2], &whole[..9], &huge, &deep, b"", b"\0\0\0", b"hello", b"{\"tokens\": []}"] {
        std::fs::write(&at, bytes).expect("written");
        assert_fails(&diagnose(&at.display().to_string(), &[]), 3, &["/t"]);
    }
    assert_fails(&diagnose("nowhere", &[]), 3, &["nowhere"]);
    assert_fails(&diagnose(&folder.path().display().to_string(), &[]), 3, &[]);
}
