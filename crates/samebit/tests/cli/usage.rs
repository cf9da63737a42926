//! Mistakes: the exit code says whose, one line says what, where and what to do.

use crate::support::{assert_fails, folder, output, stderr, tiny};

/// clap's own errors: code 2, a message and a hint.
#[test]
fn unknown_flags_and_missing_ones_are_usage_errors() {
    for args in [
        &["frobnicate"][..],
        &["run", "--frobnicate"],
        &["run", "-p", "x"],
        &["run", "-m", "x", "-p", "a", "-f", "b"],
        &["run", "-m", "x", "-p", "a", "-n", "many"],
        &["run", "-m", "x", "-p", "a", "-n", "-2"],
        &["run", "-m", "x", "-p", "a", "--logit-bias", "7"],
        &["run", "-m", "x", "-p", "a", "-ub", "0"],
        &["run", "-m", "x", "-p", "a", "--spec", "65"],
        &["run", "-m", "x", "-p", "a", "--raw", "-sys", "b"],
        &["run", "-m", "x", "-p", "a", "--numerics", "v9"],
        &["synth"],
        &["synth", "tiny-llama"],
    ] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && stderr(&output).contains("--help"), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn settings_that_make_no_sense_are_usage_errors() {
    let model = tiny();
    let run = ["run", "-m", model, "-p", "a", "-n", "1"];
    for (flags, words) in [
        (&["--top-p", "1.5"][..], &["top_p is 1.5", "0 to 1"][..]),
        (&["--temp", "nan"], &["temperature"]),
        (&["--repeat-penalty", "0"], &["repeat_penalty"]),
        (&["--dry-base", "0.5"], &["dry_base", "from 1"]),
        (&["--dry-sequence-breaker", ""], &["sequence breakers", "1 to 40 bytes"]),
        (&["--dynatemp-range", "-1"], &["dynatemp_range"]),
        (&["--top-n-sigma", "nan"], &["top_n_sigma"]),
        (&["--logit-bias", "512+1"], &["token 512", "0 to 511"]),
        (&["--isa", "mmx"], &["--isa", "mmx"]),
    ] {
        assert_fails(&output(&[&run, flags].concat()), 2, words);
    }
    assert_fails(&output(&["run", "-m", model]), 2, &["no prompt", "-p"]);
    assert_fails(&output(&["run", "-m", model, "--tokens", "1", "--chat"]), 2, &["--tokens"]);
    assert_fails(&output(&["synth", "llama9", "-o", "x.gguf"]), 2, &["llama9", "--list"]);
    assert_fails(&output(&["synth", "tiny-llama", "-o", "x.gguf", "--type", "Q9"]), 2, &["Q9", "--list"]);
}

#[test]
fn a_missing_file_is_bad_input() {
    for command in ["run", "logits", "tokenize"] {
        assert_fails(&output(&[command, "-m", "nowhere.gguf", "-p", "a"]), 3, &["nowhere.gguf"]);
    }
    for command in ["inspect", "detokenize"] {
        assert_fails(&output(&[command, "-m", "nowhere.gguf"]), 3, &["nowhere.gguf"]);
    }
    assert_fails(&output(&["run", "-m", tiny(), "-f", "nowhere.txt"]), 3, &["nowhere.txt", "check its name"]);
    assert_fails(
        &output(&["chat", "-m", tiny(), "--replay", "nowhere.jsonl"]),
        3,
        &["nowhere.jsonl", "check its name"],
    );
    assert_fails(&output(&["rm", "/etc/passwd"]), 3, &["is a file", "samebit list"]);
    let file = folder();
    let file = file.path().join("file");
    std::fs::write(&file, "").expect("a file");
    assert_fails(&output(&["man", file.to_str().expect("UTF-8")]), 3, &["is no folder"]);
    let template = ["run", "-m", tiny(), "-p", "a", "--chat", "--chat-template", "nowhere.jinja"];
    assert_fails(&output(&template), 3, &["nowhere.jinja", "chatml"]);
}

#[test]
fn a_damaged_model_is_bad_input() {
    let folder = folder();
    let path = folder.path().join("damaged.gguf");
    let name = path.to_str().expect("UTF-8 path");
    let whole = std::fs::read(tiny()).expect("the model");
    for len in [0, 3, 20, 1000, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..len]).expect("a file");
        for command in [&["inspect"][..], &["run", "-p", "a"], &["tokenize", "-p", "a"]] {
            assert_fails(&output(&[command, &["-m", name]].concat()), 3, &["damaged.gguf"]);
        }
    }
    std::fs::write(&path, b"not a model at all, but long enough to look at").expect("a file");
    assert_fails(&output(&["inspect", "-m", name]), 3, &["damaged.gguf"]);
}

#[test]
fn bad_prompts_are_bad_input() {
    let folder = folder();
    let path = folder.path().join("prompt.txt");
    let name = path.to_str().expect("UTF-8 path");
    std::fs::write(&path, b"ab\xff").expect("a file");
    for command in ["run", "logits"] {
        assert_fails(&output(&[command, "-m", tiny(), "-f", name]), 3, &["prompt.txt", "byte 2", "0xff", "UTF-8"]);
    }
    assert_fails(&output(&["run", "-m", tiny(), "--tokens", "1,512"]), 3, &["token 512", "0 to 511"]);
    assert_fails(&output(&["run", "-m", tiny(), "-p", "", "--no-bos"]), 3, &["no tokens"]);
    assert_fails(&output(&["run", "-m", tiny(), "-p", "a b c d", "-c", "3"]), 3, &["context", "-c"]);
    let full = output(&["run", "-m", tiny(), "--tokens", "5", "-n", "2", "-c", "1"]);
    assert!(full.status.success() && stderr(&full).contains("the context is full"), "{}", stderr(&full));
    assert_fails(&output(&["logits", "-m", tiny(), "-p", "a", "--position", "9"]), 3, &["--position 9"]);
}

#[test]
fn help_teaches_and_the_version_is_there() {
    let top = crate::support::answer(&["--help"]);
    let commands = top.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands = commands.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    for command in commands.filter(|command| *command != "help") {
        let output = output(&[command, "--help"]);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success() && text.contains("Examples:"), "{command}");
        assert!(text.contains(&format!("samebit {command}")), "{command}");
    }
    assert!(output(&["--version"]).stdout.starts_with(b"samebit "));
}

#[test]
fn the_last_of_a_repeated_flag_counts() {
    let ids = |flags: &[&str]| crate::support::answer(&[&["tokenize", "-m", tiny(), "--ids"], flags].concat());
    assert_eq!(ids(&["-p", "a", "-p", "b"]), ids(&["-p", "b"]));
}
