//! `bench`: formats, tests, and turns with another program. No time is asserted.

use crate::support::{answer, assert_fails, folder, json, output, stderr, tiny};
use serde_json::Value;

/// Quick, and without reading gigabytes to measure memory.
fn bench(more: &[&str]) -> Vec<String> {
    let args = ["bench", "-m", tiny(), "-p", "8", "-n", "4", "-r", "2", "-t", "1", "--ceiling", "10"];
    args.iter().chain(more).map(|&arg| arg.to_owned()).collect()
}

fn with(more: &[&str], run: impl Fn(&[&str])) {
    let args = bench(more);
    run(&args.iter().map(String::as_str).collect::<Vec<_>>());
}

fn rows(more: &[&str]) -> Vec<Value> {
    let args = bench(&[&["-o", "json"], more].concat());
    let rows = json(&args.iter().map(String::as_str).collect::<Vec<_>>());
    rows.as_array().expect("an array").clone()
}

#[test]
fn records_say_what_was_measured() {
    let rows = rows(&["-pg", "3,2", "-d", "0,5"]);
    let tests: Vec<&str> = rows.iter().map(|row| row["test"].as_str().expect("a name")).collect();
    assert_eq!(tests, ["pp8", "tg4", "pp3+tg2", "pp8 @ d5", "tg4 @ d5", "pp3+tg2 @ d5"]);
    for row in &rows {
        assert_eq!(row["samples_ts"].as_array().map(Vec::len), Some(2), "{row}");
        assert_eq!(row["samples_ns"].as_array().map(Vec::len), Some(2), "{row}");
        for key in ["avg_ns", "avg_ts", "median_ts"] {
            assert!(row[key].as_f64() > Some(0.0), "{key}: {row}");
        }
        assert_eq!(row["model_filename"], tiny());
        assert_eq!(row["model_type"], "llama F32");
        assert_eq!((&row["n_threads"], &row["n_ubatch"]), (&Value::from(1), &Value::from(512)));
        // Only where each token reads all weights alone.
        let decode = row["n_prompt"] == 0;
        assert_eq!(row["weight_gb_per_second"].as_f64().is_some(), decode, "{row}");
        assert_eq!(row["ceiling_gb_per_second"].as_f64(), decode.then_some(10.0), "{row}");
    }
}

#[test]
fn lists_multiply() {
    let rows =
        rows(&["-t", "2", "-m", tiny(), "-n", "0", "-p", "16,8", "--isa", "reference", "-ub", "3", "--no-warmup"]);
    let tests: Vec<String> = rows.iter().map(|row| format!("{} {}", row["n_threads"], row["n_prompt"])).collect();
    // Two models; -p and -t were given twice, and lists add up as llama-bench's do; -n 0 adds nothing.
    let of_each = ["1 8", "1 16", "1 8", "1 0", "2 8", "2 16", "2 8", "2 0"];
    assert_eq!(tests, [of_each, of_each].concat());
    assert!(rows.iter().all(|row| row["isa"] == "reference" && row["kv"] == "f16" && row["n_ubatch"] == 3));
}

#[test]
fn every_format_has_every_test() {
    with(&["-o", "jsonl"], |args| {
        let lines = answer(args);
        let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(rows.len(), 2);
    });
    with(&["-o", "csv"], |args| {
        let text = answer(args);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(lines.len(), 3);
        for name in ["model_filename", "n_threads", "n_prompt", "n_gen", "avg_ts", "stddev_ts", "median_ts"] {
            assert!(lines[0].contains(&name), "{name}: {text}");
        }
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
        let tests: Vec<&str> = lines.iter().map(|line| line[13]).collect();
        assert_eq!(tests, ["test", "\"pp8\"", "\"tg4\""]);
    });
    with(&[], |args| {
        let table = output(args);
        assert_eq!(stderr(&table), "");
        let text = String::from_utf8(table.stdout).expect("UTF-8");
        let words =
            ["samebit ", "numerics v1", "ceiling at -t 1: 10.00 GB/s (as given)", "| model", "tg4", "pp8", " ± "];
        for word in words {
            assert!(text.contains(word), "`{word}` is missing:\n{text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("| tiny-llama")).count(), 2, "{text}");
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    for flags in [
        &["-p", "x"][..],
        &["-p", "-1"],
        &["-t", "2000"],
        &["-r", "0"],
        &["-pg", "5"],
        &["-pg", "0,5"],
        &["-o", "sql"],
        &["--ceiling", "-1"],
        &["--against-args", "-fa 1"],
    ] {
        with(flags, |args| {
            let output = output(args);
            assert_eq!(output.status.code(), Some(2), "{flags:?}");
            assert!(output.stdout.is_empty() && stderr(&output).contains("--help"), "{flags:?}: {}", stderr(&output));
        });
    }
    assert_fails(&output(&["bench", "-m", tiny(), "-p", "0", "-n", "0"]), 2, &["no test", "-p"]);
    assert_fails(&output(&["bench", "-m", tiny(), "--isa", "mmx"]), 2, &["--isa", "mmx"]);
    assert_fails(&output(&["bench", "-m", "nowhere.gguf"]), 3, &["nowhere.gguf"]);
}

/// Programs that pretend to be a llama-bench.
#[cfg(unix)]
mod against {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    fn program(folder: &Path, script: &str) -> String {
        let path = folder.join("other-bench");
        let path = path.to_str().expect("UTF-8 path").to_owned();
        // Another process writes it: a file that a test beside this one still has open for writing cannot be run.
        let write = ["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod +x \"$1\"", "sh", &path, script];
        assert!(Command::new("sh").args(write).status().expect("sh starts").success());
        path
    }

    #[test]
    fn pairs_give_ratios() {
        let folder = folder();
        let script = r#"echo "$@" >> "$0.log"
case "$*" in
    *--help*) exit 0;;
    *"-p 8 -n 0"*) echo '[{"n_prompt": 512, "n_gen": 0, "avg_ts": 1.0}, {"n_prompt": 8, "n_gen": 0, "avg_ts": 0.5}]';;
    *) echo '[{"n_prompt": 0, "n_gen": 4, "avg_ts": 0.25}]';;
esac"#;
        let other = program(folder.path(), script);
        let rows = rows(&["--against", &other, "--against-args", "-fa 1 -rtr 1", "-ub", "32"]);
        let theirs: Vec<&Value> = rows.iter().map(|row| &row["against_median_ts"]).collect();
        assert_eq!(theirs, [0.5, 0.25]);
        for row in &rows {
            let number = |key: &str| row[key].as_f64().expect("a number");
            assert!(number("ratio_min") > 0.0 && number("ratio_min") <= number("ratio_median"), "{row}");
            assert!(number("ratio_median") <= number("ratio_max"), "{row}");
            assert_eq!(row["against_program"], "other-bench");
            assert_eq!(row["samples_ts"].as_array().map(Vec::len), Some(2));
        }
        let log = std::fs::read_to_string(format!("{other}.log")).expect("it ran");
        let calls: Vec<&str> = log.lines().collect();
        let model = tiny();
        let call = |test: &str| format!("-fa 1 -rtr 1 -m {model} {test} -t 1 -ub 32 -r 1 -o json");
        let (prefill, decode) = (call("-p 8 -n 0"), call("-p 0 -n 4"));
        assert_eq!(calls, ["--help", &prefill, &prefill, &decode, &decode]);
        with(&["--against", &other, "-o", "csv"], |args| assert!(answer(args).contains("ratio_median")));
        with(&["--against", &other], |args| assert!(answer(args).contains("other-bench t/s")));
    }

    #[test]
    fn programs_that_are_no_bench_are_told() {
        let folder = folder();
        let script = "case \"$*\" in *--help*) exit 0;; esac\n";
        let failing = |script_end: &str, words: &[&str]| {
            let other = program(folder.path(), &format!("{script}{script_end}"));
            with(&["--against", &other, "-o", "jsonl"], |args| assert_fails(&output(args), 3, words));
        };
        failing("echo first >&2; echo 'cannot load it' >&2; exit 7", &["other-bench failed", "7", "cannot load it"]);
        failing("echo hello", &["other-bench", "JSON"]);
        failing("echo '[]'", &["other-bench", "no result of pp8"]);
        with(&["--against", "nowhere-bench"], |args| {
            assert_fails(&output(args), 3, &["--against nowhere-bench", "give the path"]);
        });
    }
}
