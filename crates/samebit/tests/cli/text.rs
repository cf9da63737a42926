//! `tokenize` and `detokenize`, with a made-up vocabulary and a real one.

use crate::support::{answer, assert_fails, json, keys, output, output_with_input, smollm2, stderr, tiny};
use serde_json::json as value;

#[test]
fn the_record_has_tokens_and_pieces() {
    let record = json(&["tokenize", "-m", tiny(), "-p", "a<|im_end|>", "--json"]);
    assert_eq!(keys(&record), ["pieces", "tokens"]);
    assert_eq!(record["pieces"], value!(["<|endoftext|>", "a", "<|im_end|>"]));
    assert_eq!(record["tokens"], value!([0, 3 + u32::from(b'a'), 2]));
}

#[test]
fn special_tokens_are_a_matter_of_flags() {
    let ids = |flags: &[&str]| answer(&[&["tokenize", "-m", tiny(), "-p", "<|im_end|>", "--ids"], flags].concat());
    assert_eq!(ids(&[]), "0 2\n");
    assert_eq!(ids(&["--no-bos"]), "2\n");
    assert!(ids(&["--no-bos", "--no-special"]).split(' ').count() > 5);
    assert_eq!(ids(&["--no-bos", "--no-special", "--parse-special"]), "2\n");
}

#[test]
fn files_and_standard_input_are_read_byte_for_byte() {
    let folder = crate::support::folder();
    let path = folder.path().join("t.txt");
    let text = "line\n\ttab  and spaces \r\n";
    std::fs::write(&path, text).expect("a file");
    let path = path.to_str().expect("UTF-8 path");
    let model = tiny();
    let from_flag = answer(&["tokenize", "-m", model, "-p", text, "--ids"]);
    assert_eq!(answer(&["tokenize", "-m", model, "-f", path, "--ids"]), from_flag);
    let piped = output_with_input(&["tokenize", "-m", model, "-f", "-", "--ids"], text.as_bytes());
    assert_eq!(String::from_utf8_lossy(&piped.stdout), from_flag);
    let escaped = ["tokenize", "-m", model, "-e", "-p", r"line\n\ttab  and spaces \r\n", "--ids"];
    assert_eq!(answer(&escaped), from_flag);
}

#[test]
fn texts_come_back() {
    for model in [tiny().to_owned(), smollm2()] {
        for text in ["Hello, world!", " two  spaces\n\n", "Grüße, 世界 🙂", "", "if (a[0] != '\\n') {\n\t}"] {
            let ids = answer(&["tokenize", "-m", &model, "-p", text, "--ids", "--no-bos"]);
            let back = output_with_input(&["detokenize", "-m", &model], ids.as_bytes());
            assert!(back.status.success(), "{}", stderr(&back));
            assert_eq!(String::from_utf8_lossy(&back.stdout), text);
        }
    }
}

#[test]
fn a_real_vocabulary() {
    let model = smollm2();
    let record = json(&["tokenize", "-m", &model, "-p", "Hello <|im_start|> wörld", "--json"]);
    assert_eq!(record["tokens"], value!([19556, 216, 1, 267, 29989, 400]));
    let record = json(&["detokenize", "-m", &model, "--json", "19556", "1"]);
    assert_eq!(record, value!({"tokens": [19556, 1], "text": "Hello<|im_start|>"}));
    assert_eq!(answer(&["detokenize", "-m", &model, "--no-special", "19556", "1"]), "Hello");
}

#[test]
fn ids_that_are_none_are_refused() {
    assert_fails(&output(&["detokenize", "-m", tiny(), "512"]), 3, &["512"]);
    assert_fails(&output_with_input(&["detokenize", "-m", tiny()], b"1 x"), 3, &["standard input", "`x`"]);
}
