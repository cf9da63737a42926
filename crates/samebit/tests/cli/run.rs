//! `run`: the record, the stream, the chat template, and what must not change a bit.

use crate::support::{answer, folder, json, keys, output, samebit, smollm2, stderr, synth, tiny};
use serde_json::{Value, json as value};
use std::process::Stdio;

fn record(flags: &[&str]) -> Value {
    json(&[&["run", "-m", tiny(), "-p", "hello", "--json"], flags].concat())
}

#[test]
fn the_record_is_complete() {
    let record = record(&["-n", "5"]);
    let expected =
        ["finish_reason", "logits_digest", "model", "numerics", "prompt_tokens", "text", "timings", "tokens"];
    assert_eq!(keys(&record), expected);
    assert_eq!(keys(&record["model"]), ["digest", "path"]);
    let bytes = std::fs::read(tiny()).expect("the model");
    assert_eq!(record["model"]["digest"], blake3::hash(&bytes).to_hex().as_str());
    assert_eq!(record["model"]["path"], tiny());
    assert_eq!(record["numerics"], "v1");
    assert_eq!(record["tokens"].as_array().map(Vec::len), Some(5));
    assert_eq!(record["finish_reason"], "length");
    assert_eq!(record["logits_digest"].as_str().map(str::len), Some(64));
    for (name, time) in record["timings"].as_object().expect("an object") {
        assert!(time.as_f64().is_some_and(|t| t >= 0.0), "{name}: {time}");
    }
}

/// Everything in a record but the times.
fn bits(flags: &[&str]) -> Value {
    let mut record = record(&[&["-n", "24", "--temp", "1.5"], flags].concat());
    record.as_object_mut().and_then(|fields| fields.remove("timings")).expect("timings");
    record
}

#[test]
fn threads_cuts_caches_and_instruction_sets_change_nothing() {
    let once = bits(&[]);
    for flags in [
        &[][..],
        &["-t", "1"],
        &["-t", "3"],
        &["-ub", "1"],
        &["-ub", "4", "-b", "2"],
        &["--isa", "reference"],
        &["--no-kv-cache"],
        &["-c", "64"],
        // Of this there is enough wherever the tests run.
        &["-t", "1", "--pin"],
    ] {
        assert_eq!(bits(flags), once, "{flags:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn more_pinned_threads_than_cores_are_refused() {
    let output = output(&["run", "-m", tiny(), "-p", "hello", "-n", "1", "-t", "1024", "--pin"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--pin: 1024 threads want a core each"), "{}", stderr(&output));
}

/// The control: what is meant to change bits does.
#[test]
fn seed_numerics_and_cache_type_change_the_bits() {
    let folder = folder();
    let model = synth(folder.path(), "tiny-llama", &["--type", "Q8_0"]);
    let digest = |flags: &[&str]| {
        let args = ["run", "-m", &model, "-p", "hello", "-n", "24", "--temp", "1.5", "--json"];
        json(&[&args, flags].concat())["logits_digest"].clone()
    };
    let all: &[&[&str]] = &[
        &[],
        &["-s", "1"],
        &["--no-bos"],
        &["--kv", "f32"],
        &["--numerics", "f32"],
        &["--numerics", "f32", "--kv", "f16"],
        &["--numerics", "f64"],
        &["--numerics", "a8"],
    ];
    let digests: Vec<Value> = all.iter().map(|flags| digest(flags)).collect();
    for (index, one) in digests.iter().enumerate() {
        assert!(!digests[..index].contains(one), "{:?}", all[index]);
    }
    assert_eq!(digest(&["--kv", "f16", "-s", "0"]), digests[0]);
}

#[test]
fn the_stream_is_the_records_text_and_nothing_else() {
    let text = record(&["-n", "40"])["text"].as_str().expect("a text").to_owned();
    let streamed = output(&["run", "-m", tiny(), "-p", "hello", "-n", "40"]);
    assert_eq!(String::from_utf8_lossy(&streamed.stdout), text);
    assert_eq!(stderr(&streamed), "");
    let verbose = output(&["run", "-m", tiny(), "-p", "hello", "-n", "40", "--verbose"]);
    assert_eq!(verbose.stdout, streamed.stdout);
    assert!(stderr(&verbose).contains("tokens in"));
}

#[test]
fn prompts_come_from_ids_files_and_flags_alike() {
    let ids = record(&["-n", "0"])["prompt_tokens"].as_array().expect("a list").clone();
    let ids: Vec<String> = ids.iter().map(Value::to_string).collect();
    let from_ids = json(&["run", "-m", tiny(), "--tokens", &ids.join(","), "-n", "6", "--json"]);
    assert_eq!(from_ids["logits_digest"], record(&["-n", "6"])["logits_digest"]);
}

#[test]
fn biases_force_and_forbid() {
    let forced = record(&["-n", "3", "--temp", "0", "--logit-bias", "68+1000"]);
    assert_eq!(forced["tokens"], value!([68, 68, 68]));
    // The end-of-generation token is among the tokens and not in the text.
    let ended = record(&["-n", "3", "--logit-bias", "2+1000"]);
    assert_eq!(
        (&ended["tokens"], &ended["text"], &ended["finish_reason"]),
        (&value!([2]), &value!(""), &value!("stop"))
    );
    let ignored = record(&["-n", "3", "--logit-bias", "2+1000", "--ignore-eos"]);
    assert_eq!(ignored["tokens"].as_array().map(Vec::len), Some(3));
    assert!(!ignored["tokens"].as_array().expect("a list").contains(&value!(2)));
}

#[test]
fn lengths_end_where_they_should() {
    let nothing = record(&["-n", "0"]);
    assert_eq!((&nothing["tokens"], &nothing["finish_reason"]), (&value!([]), &value!("length")));
    let full = record(&["-c", "9", "--ignore-eos"]);
    let prompt = full["prompt_tokens"].as_array().expect("a list").len();
    assert_eq!(full["tokens"].as_array().map(Vec::len), Some(9 - prompt));
    assert_eq!(full["finish_reason"], "length");
}

#[test]
fn the_environment_sets_and_the_command_line_wins() {
    let with = |variables: &[(&str, &str)], flags: &[&str]| {
        let args = [&["run", "-p", "hello", "-n", "3", "--json"], flags].concat();
        let output = samebit(&args).envs(variables.iter().copied()).output().expect("the program starts");
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["logits_digest"].clone()
    };
    let model = ("SAMEBIT_MODEL", tiny());
    let plain = with(&[model, ("SAMEBIT_TEMP", "2")], &[]);
    let seeded = with(&[model, ("SAMEBIT_TEMP", "2"), ("SAMEBIT_SEED", "9")], &[]);
    assert_ne!(plain, seeded);
    assert_eq!(with(&[model, ("SAMEBIT_SEED", "9")], &["--temp", "2", "-s", "0"]), plain);
    assert_eq!(with(&[model, ("SAMEBIT_NO_KV_CACHE", "1")], &["--temp", "2"]), plain);
    assert_ne!(with(&[model, ("SAMEBIT_NO_BOS", "1")], &["--temp", "2"]), plain);
}

#[test]
fn system_messages_bring_the_chat_template() {
    let ids = |flags: &[&str]| {
        let record = json(&[&["run", "-m", tiny(), "-p", "hi", "-n", "0", "--json"], flags].concat());
        let ids: Vec<String> =
            record["prompt_tokens"].as_array().expect("a list").iter().map(Value::to_string).collect();
        answer(&[&["detokenize", "-m", tiny()], ids.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat())
    };
    let asked = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(ids(&[]), "<|endoftext|>hi");
    assert_eq!(ids(&["--chat"]), format!("<|endoftext|>{asked}"));
    assert_eq!(ids(&["-cnv", "--no-bos"]), asked);
    assert_eq!(ids(&["-sys", "be"]), format!("<|endoftext|><|im_start|>system\nbe<|im_end|>\n{asked}"));
    assert_eq!(ids(&["-cnv", "--raw"]), "<|endoftext|>hi");
    // A template that begins with the token itself: it is not there twice.
    let gemma = ids(&["-sys", "be", "--chat-template", "gemma"]);
    assert_eq!(gemma, "<|endoftext|><start_of_turn>user\nbe\n\nhi<end_of_turn>\n<start_of_turn>model\n");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = samebit(&["run", "-m", tiny(), "-p", "hello", "-n", "200", "--ignore-eos"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn every_architecture_and_every_type_runs() {
    let folder = folder();
    let names = answer(&["synth", "--list"]);
    let shapes =
        names.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| name.starts_with("tiny-"));
    let mut models: Vec<String> = shapes.map(|shape| synth(folder.path(), shape, &["--type", "Q4_K_M"])).collect();
    let types = names.lines().find_map(|line| line.strip_prefix("types: ")).expect("types");
    for name in types.split(' ') {
        models.push(synth(folder.path(), "tiny-llama-256", &["--type", name, "--pure"]));
    }
    assert!(models.len() > 45, "{}", models.len());
    for model in models {
        let record = json(&["run", "-m", &model, "-p", "hello, world", "-n", "2", "--ignore-eos", "--json"]);
        assert_eq!(record["tokens"].as_array().map(Vec::len), Some(2), "{model}");
    }
}

/// Records with and without `--spec`, without times; and what speculation did.
fn speculated(args: &[&str], flags: &[&str]) -> (Value, Value, Value) {
    let record = |more: &[&str]| {
        let mut record = json(&[args, more].concat());
        let fields = record.as_object_mut().expect("an object");
        fields.remove("timings").expect("timings");
        let speculation = fields.remove("speculation").unwrap_or_default();
        (record, speculation)
    };
    let (plain, none) = record(&[]);
    assert_eq!(none, Value::Null);
    let (with, speculation) = record(flags);
    (plain, with, speculation)
}

#[test]
fn speculation_changes_nothing_but_itself() {
    // Two tokens of which nearly every draw is one: such a text repeats itself.
    let args = ["run", "-m", tiny(), "-p", "hello", "-n", "60", "--json", "--logit-bias", "70+9,71+9"];
    for flags in [&["--spec"][..], &["--spec", "3"], &["--spec", "16", "-ub", "2"], &["--spec", "--no-kv-cache"]] {
        let (plain, with, speculation) = speculated(&args, flags);
        assert_eq!(plain, with, "{flags:?}");
        assert_eq!(keys(&speculation), ["accepted", "drafted", "passes"]);
        assert!(speculation["accepted"].as_u64() > Some(0), "{flags:?}: {speculation}");
    }
    let verbose = output(&[&args[..], &["--spec", "--verbose"]].concat());
    assert!(stderr(&verbose).contains("guessed tokens were right"), "{}", stderr(&verbose));
    let (_, _, off) = speculated(&args, &["--spec", "0"]);
    assert_eq!(off, Value::Null);
}

/// DRY looks at all tokens before, which come by other ways with another cut, cache or guess.
#[test]
fn what_repeats_costs_and_nothing_else_matters() {
    let model = smollm2();
    let prompt = "one two three one two three one two three";
    let args = ["run", "-m", &model, "-p", prompt, "-n", "24", "--temp", "0", "--json"];
    let tokens = |more: &[&str]| json(&[&args, more].concat())["tokens"].clone();
    let plain = tokens(&[]);
    let dry = tokens(&["--dry-multiplier", "3"]);
    assert_ne!(dry, plain);
    for flags in [&["-t", "1", "-ub", "3"][..], &["--spec", "4"], &["--no-kv-cache"]] {
        assert_eq!(tokens(&[&["--dry-multiplier", "3"], flags].concat()), dry, "{flags:?}");
    }
    let broken = ["--dry-multiplier", "3", "--dry-sequence-breaker", " three"];
    assert_ne!(tokens(&broken), dry, "a repetition that ends at a breaker costs nothing");
    assert_eq!(tokens(&["--dry-multiplier", "3", "--dry-penalty-last-n", "0"]), plain);
}

#[test]
fn speculation_changes_nothing_on_a_real_model() {
    let model = smollm2();
    let prompt = "def area(width, height):\n    return width * height\n\ndef volume(width, height, depth):\n    return";
    let args = ["run", "-m", &model, "-p", prompt, "-n", "48", "--json"];
    for flags in [&["--temp", "0"][..], &["--temp", "0.5", "--repeat-penalty", "1.05", "--ignore-eos"]] {
        let (plain, with, speculation) = speculated(&[&args, flags].concat(), &["--spec"]);
        assert_eq!(plain, with, "{flags:?}");
        assert!(speculation["accepted"].as_u64() > Some(0), "{flags:?}: {speculation}");
    }
}

#[test]
fn a_real_model_knows_the_capital_of_france() {
    let text = answer(&["run", "-m", &smollm2(), "-p", "The capital of France is", "-n", "1", "--temp", "0"]);
    assert_eq!(text, " Paris");
}

#[test]
fn a_template_s_clock_shows_the_day_that_was_given() {
    let folder = crate::support::folder();
    let path = folder.path().join("dated.jinja");
    std::fs::write(&path, "{{ strftime_now('%d %b %Y') }} {{ messages[0].content }}").expect("a file");
    let template = path.to_str().expect("UTF-8 path");
    let args = ["run", "-m", tiny(), "--chat", "--chat-template", template, "-p", "hello", "-n", "1", "--json"];
    let prompt = |day: &str| json(&[&args[..], &["--date", day]].concat())["prompt_tokens"].clone();
    assert_ne!(prompt("2026-02-28"), prompt("2026-03-01"));
    assert_eq!(prompt("2026-02-28"), prompt("2026-02-28"));
    let without = output(&args);
    assert_eq!(without.status.code(), Some(3));
    assert!(stderr(&without).contains("give --date YYYY-MM-DD"), "{}", stderr(&without));
    let no_day = output(&[&args[..], &["--date", "2026-02-30"]].concat());
    assert_eq!(no_day.status.code(), Some(2));
}
