//! The configuration file: below the environment, which is below the command line.

use crate::support::{assert_fails, folder, samebit, stderr, tiny};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("config.toml");
    std::fs::write(&path, text).expect("a file");
    path
}

fn with(path: &Path, environment: &[(&str, &str)], args: &[&str]) -> Output {
    samebit(args).env("SAMEBIT_CONFIG", path).envs(environment.iter().copied()).output().expect("the program starts")
}

fn settings(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What `config` says of a setting: its value and its source.
fn told(report: &Value, key: &str) -> (String, String) {
    let rows = report["settings"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("{key} in {report}"));
    (row["value"].as_str().unwrap_or("-").to_owned(), row["source"].as_str().expect("a source").to_owned())
}

#[test]
fn the_line_counts_more_than_the_environment_and_that_more_than_the_file() {
    let folder = folder();
    let path = file(
        folder.path(),
        &format!("model = {:?}\nn = 0\n", tiny()).replace("n = 0\n", "[logits]\ntop = 3\njson = true\n"),
    );
    let rows = |environment: &[(&str, &str)], more: &[&str]| {
        let record = settings(&with(&path, environment, &[&["logits", "-p", "a"], more].concat()));
        record["top"].as_array().expect("rows").len()
    };
    assert_eq!(rows(&[], &[]), 3);
    assert_eq!(rows(&[("SAMEBIT_TOP", "4")], &[]), 4);
    assert_eq!(rows(&[("SAMEBIT_TOP", "4")], &["--top", "5"]), 5);
    let path = path.to_str().expect("UTF-8");
    let named = samebit(&["--config", path, "logits", "-p", "a"]).output().expect("the program starts");
    assert_eq!(settings(&named)["top"].as_array().map(Vec::len), Some(3));
}

#[test]
fn each_value_has_a_source() {
    let folder = folder();
    let path = file(folder.path(), "temp = 0.5\n[run]\ntemp = 0.25\n[serve]\napi-key = [\"secret\"]\n");
    let report = settings(&with(&path, &[("SAMEBIT_TOP_K", "9")], &["config", "run", "--json"]));
    let name = path.display().to_string();
    assert_eq!(told(&report, "temp"), ("0.25".into(), format!("{name} [run]")));
    assert_eq!(told(&report, "top-k"), ("9".into(), "SAMEBIT_TOP_K".into()));
    assert_eq!(told(&report, "top-p"), ("0.95".into(), "default".into()));
    let all = with(&path, &[], &["config"]);
    let text = String::from_utf8(all.stdout).expect("UTF-8");
    assert!(text.contains("serve temp") && text.contains("0.5") && text.contains("(hidden)"), "{text}");
    assert!(!text.contains("secret") && !text.contains("top-p"), "{text}");
    let help = with(&path, &[], &["serve", "--help"]);
    assert!(!String::from_utf8_lossy(&help.stdout).contains("secret"));
}

#[test]
fn a_flag_puts_what_conflicts_with_it_out_of_force() {
    let folder = folder();
    let path = file(folder.path(), "quiet = true\n[tokenize]\nids = true\n");
    let json = with(&path, &[], &["tokenize", "-m", tiny(), "-p", "a", "--json"]);
    assert!(settings(&json)["tokens"].is_array());
    let ids = with(&path, &[], &["tokenize", "-m", tiny(), "-p", "a"]);
    assert_eq!(String::from_utf8_lossy(&ids.stdout).lines().count(), 1);
    let note =
        |args: &[&str]| stderr(&with(&path, &[], &[&["run", "-m", tiny(), "-p", "a", "-n", "1"], args].concat()));
    assert_eq!(note(&[]), "");
    assert!(note(&["-v"]).contains("loaded"));
}

#[test]
fn lists_and_switches_are_taken_as_on_the_line() {
    let folder = folder();
    let path = file(folder.path(), "[bench]\nthreads = [1, 2]\noutput = \"jsonl\"\n");
    // `-o` names how this one run is printed: it is no setting.
    assert_fails(&with(&path, &[], &["bench", "-m", tiny()]), 3, &["config.toml", "`output` in [bench] is no setting"]);
    let path = file(folder.path(), "[bench]\nthreads = [1, 2]\nceiling = 0\nrepetitions = 1\n");
    let output = with(&path, &[], &["bench", "-m", tiny(), "-p", "4", "-n", "0", "-o", "json"]);
    let rows = settings(&output);
    let threads: Vec<u64> = rows.as_array().expect("rows").iter().filter_map(|row| row["n_threads"].as_u64()).collect();
    assert_eq!(threads, [1, 2]);
}

#[test]
fn mistakes_of_the_environment_name_the_variable() {
    let none = PathBuf::new();
    let run = ["run", "-m", tiny(), "-p", "a", "-n", "1"];
    for (variable, value, words) in [
        ("SAMEBIT_TEMP", "abc", &["abc", "give a number"][..]),
        ("SAMEBIT_SEED", "-1", &["-1", "whole number from 0"]),
        ("SAMEBIT_QUIET", "maybe", &["maybe", "true or false"]),
        ("SAMEBIT_NUMERICS", "v9", &["v9", "possible values"]),
    ] {
        assert_fails(&with(&none, &[(variable, value)], &run), 2, &[&[variable], words].concat());
    }
    assert!(with(&none, &[("SAMEBIT_QUIET", "")], &run).status.success(), "nothing is off");
    // The line counts more, and so do its own mistakes.
    assert!(with(&none, &[("SAMEBIT_TEMP", "abc")], &[&run[..], &["--temp", "1"]].concat()).status.success());
    let own = stderr(&with(&none, &[("SAMEBIT_TEMP", "abc")], &[&run[..], &["--top-k", "x"]].concat()));
    assert!(own.contains("--top-k") && own.contains("give a whole number"), "{own}");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let odd = std::ffi::OsStr::from_bytes(b"\xff");
        let output = samebit(&run).env("SAMEBIT_TEMP", odd).output().expect("the program starts");
        assert_fails(&output, 2, &["SAMEBIT_TEMP", "not UTF-8"]);
    }
    let told = with(&none, &[("SAMEBIT_TEMP", "abc"), ("SAMEBIT_CHAT", "perhaps")], &["config"]);
    assert!(told.status.success());
    let warned = stderr(&told);
    assert!(warned.contains("SAMEBIT_TEMP: ") && warned.contains("SAMEBIT_CHAT: "), "{warned}");
}

#[cfg(unix)]
#[test]
fn a_file_without_end_is_no_configuration_file() {
    let endless = with(Path::new("/dev/zero"), &[], &["config"]);
    assert_fails(&endless, 3, &["configuration file /dev/zero", "more than 1 MiB"]);
}

#[test]
fn mistakes_are_the_files_and_said_in_one_line() {
    let folder = folder();
    for (text, words) in [
        ("tempo = 1", &["`tempo` is no setting", "`temp`"][..]),
        ("temp = \"warm\"", &["warm", "--temp"]),
        ("[run]\nnumerics = \"v9\"", &["v9", "--numerics", "possible values"]),
        ("a = = 1", &["line 1"]),
    ] {
        let path = file(folder.path(), text);
        assert_fails(&with(&path, &[], &["run", "-m", tiny(), "-p", "a"]), 3, &[&["config.toml"], words].concat());
    }
    let broken = file(folder.path(), "tempo = 1");
    assert!(with(&broken, &[], &["run", "--help"]).status.success(), "help is there in spite of it");
    // The line's own mistakes stay its own.
    let path = file(folder.path(), "temp = 1");
    assert_eq!(with(&path, &[], &["run", "-m", tiny(), "-p", "a", "--temp", "warm"]).status.code(), Some(2));
    assert_fails(
        &with(Path::new("nowhere.toml"), &[], &["config"]),
        3,
        &["configuration file nowhere.toml", "no such file", "SAMEBIT_CONFIG"],
    );
    assert_fails(&with(&path, &[], &["config", "rnu"]), 2, &["rnu", "run"]);
}
