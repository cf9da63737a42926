//! Running the program, and tiny models to run it on.

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The program with a clean environment and these arguments.
pub(crate) fn samebit(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_samebit"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SAMEBIT_")) {
        command.env_remove(name);
    }
    // A developer's own file is not this test's.
    command.env("SAMEBIT_CONFIG", "").args(args).stdin(Stdio::null());
    command
}

/// Runs to the end.
pub(crate) fn output(args: &[&str]) -> Output {
    samebit(args).output().expect("the program starts")
}

/// Runs to the end with these bytes on standard input.
pub(crate) fn output_with_input(args: &[&str], input: &[u8]) -> Output {
    let mut child = samebit(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).expect("the program reads");
    drop(stdin);
    child.wait_with_output().expect("the program ends")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8 on stderr")
}

/// What is on stdout, once the program has ended well.
pub(crate) fn answer(args: &[&str]) -> String {
    let output = output(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).expect("UTF-8 on stdout")
}

/// The one JSON object on stdout.
pub(crate) fn json(args: &[&str]) -> Value {
    serde_json::from_str(&answer(args)).expect("JSON on stdout")
}

/// The keys of an object, in order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Asserts that the program fails with this code and one line on stderr that has all of these words; nothing on stdout.
pub(crate) fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let line = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert!(output.stdout.is_empty(), "{line}");
    assert!(line.starts_with("samebit: ") && line.ends_with('\n'), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    for word in words {
        assert!(line.contains(word), "`{word}` is missing: {line}");
    }
}

/// A folder for one test's files.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Makes a model in `folder`.
pub(crate) fn synth(folder: &Path, shape: &str, more: &[&str]) -> String {
    let path = folder.join(format!("{shape}{}.gguf", more.join("")));
    let path = path.to_str().expect("UTF-8 path").to_owned();
    let output = output(&[&["synth", shape, "-o", &path, "--quiet"], more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    path
}

/// A model that all tests share: `tiny-llama` in F32.
pub(crate) fn tiny() -> &'static str {
    static MODEL: OnceLock<(TempDir, String)> = OnceLock::new();
    let (_, path) = MODEL.get_or_init(|| {
        let folder = folder();
        let path = synth(folder.path(), "tiny-llama", &[]);
        (folder, path)
    });
    path
}

/// A real model, from where `cargo xtask models` puts them.
pub(crate) fn smollm2() -> String {
    let folder = std::env::var_os("SAMEBIT_TEST_MODELS").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/samebit/test-models"),
        PathBuf::from,
    );
    let path = folder.join("SmolLM2-135M-Instruct.Q4_1.gguf");
    assert!(path.exists(), "{}: run `cargo xtask models`, or set SAMEBIT_TEST_MODELS", path.display());
    path.to_str().expect("UTF-8 path").to_owned()
}
