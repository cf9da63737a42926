//! `trace` and `compare`: files, answers and exit codes.

use std::path::Path;

use crate::support::{answer, json, output, stderr, tiny};

/// A trace of a prompt in a folder.
fn traced(folder: &Path, name: &str, more: &[&str]) -> String {
    let path = folder.join(name).display().to_string();
    let mut args = vec!["trace", "-m", tiny(), "--tokens", "5,6,7,8", "-n", "2", "-o", &path];
    args.extend(more);
    assert_eq!(answer(&args), "", "nothing but the file is the answer");
    path
}

#[test]
fn two_runs_have_the_same_bits_and_another_precision_has_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let a = traced(folder.path(), "a", &["-t", "1"]);
    let b = traced(folder.path(), "b", &["-t", "2"]);
    assert!(answer(&["compare", &a, &b]).contains("same bits"));
    let other = traced(folder.path(), "c", &["--kv", "f32"]);
    let compared = output(&["compare", &a, &other, "--tolerance", "0"]);
    assert_eq!(compared.status.code(), Some(1), "{}", stderr(&compared));
    assert_eq!(stderr(&compared), "", "the answer is on stdout, and no is no error");
}

#[test]
fn filters_summaries_and_what_else_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let some = traced(folder.path(), "some", &["--layers", "0", "--only", "Qcur,l_out", "--positions", "1-2"]);
    let report = json(&["compare", &some, &some, "--json"]);
    let labels: Vec<_> = report["lines"].as_array().expect("lines").iter().map(|l| l["label"].clone()).collect();
    assert_eq!(labels, ["Qcur-0", "l_out-0"]);
    let all = traced(folder.path(), "all", &["--tables", "--cache", "--weights"]);
    let labels = json(&["compare", &all, &all, "--json"])["lines"].to_string();
    for name in ["rope_cos", "cache_k-0", "blk.0.attn_q.weight"] {
        assert!(labels.contains(name), "{name}");
    }
    let (a, b) =
        (traced(folder.path(), "x", &["--summary"]), traced(folder.path(), "y", &["--summary", "--isa", "reference"]));
    assert!(answer(&["compare", &a, &b]).contains("same bits"));
    let none = output(&["trace", "-m", tiny(), "--tokens", "5", "-o", &a, "--only", "nonsense"]);
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn a_record_is_compared_with_what_we_would_have_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("r.json");
    let said = answer(&["run", "-m", tiny(), "--tokens", "5,6,7", "-n", "6", "--temp", "0", "--ignore-eos", "--json"]);
    std::fs::write(&record, &said).expect("written");
    let path = record.display().to_string();
    let same = answer(&["compare", &path, "-m", tiny(), "--numerics", "v1"]);
    assert!(same.contains("6 generated tokens are the same"), "{same}");
    let mut other: serde_json::Value = serde_json::from_str(&said).expect("a record");
    other["tokens"][3] = 1.into();
    std::fs::write(&record, other.to_string()).expect("written");
    let part = output(&["compare", &path, "-m", tiny(), "--numerics", "v1"]);
    assert_eq!(part.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&part.stdout).contains("step 3"));
}

#[test]
fn pages_and_pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    let a = traced(folder.path(), "a", &[]);
    let b = traced(folder.path(), "b", &["--numerics", "f32"]);
    let (page, picture) = (folder.path().join("p.html"), folder.path().join("p.svg"));
    let (page, picture) = (page.display().to_string(), picture.display().to_string());
    // Another mode is another engine: operation by operation it is explained.
    let judged = output(&["compare", &a, &b, "-m", tiny(), "--html", &page, "--svg", &picture]);
    assert_eq!(judged.status.code(), Some(0), "{}", String::from_utf8_lossy(&judged.stdout));
    assert!(std::fs::read_to_string(page).expect("a page").contains("</html>"));
    assert!(std::fs::read_to_string(picture).expect("a picture").ends_with("</svg>"));
}

#[test]
fn bad_traces_are_told_in_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let a = traced(folder.path(), "a", &[]);
    let whole = std::fs::read(&a).expect("read");
    let bad = folder.path().join("bad");
    let path = bad.display().to_string();
    for bytes in [&whole[..whole.len() - 5], &whole[..5], b"hello", b"", b"{\"tokens\": 3}"] {
        std::fs::write(&bad, bytes).expect("written");
        let told = output(&["compare", &a, &path]);
        assert_eq!(told.status.code(), Some(3));
        assert_eq!(stderr(&told).lines().count(), 1);
        assert!(stderr(&told).contains("bad"), "{}", stderr(&told));
    }
    assert_eq!(output(&["compare", &a]).status.code(), Some(2));
    assert_eq!(output(&["compare", &a, "nowhere"]).status.code(), Some(3));
}
