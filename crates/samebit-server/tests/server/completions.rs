//! `/v1/completions`, embeddings and tokens: what evaluations ask.

use crate::support::{go_on, server};
use serde_json::{Value, json};

const PATH: &str = "/v1/completions";

#[test]
fn prompts_in_every_form_give_the_same() {
    let server = server();
    let ids = server.post("/tokenize", &json!({"content": "one two", "add_special": true})).ok()["tokens"].clone();
    let text = |prompt: Value| {
        let body = server.post(PATH, &go_on("", json!({"prompt": prompt, "samebit": true}))).ok();
        (body["choices"][0]["text"].clone(), body["samebit"]["logits_digest"].clone())
    };
    let first = text(json!("one two"));
    for prompt in [json!(["one two"]), ids.clone(), json!([ids])] {
        assert_eq!(text(prompt), first);
    }
}

#[test]
fn lists_of_prompts_are_answered_in_order() {
    let server = server();
    let alone = |text: &str| server.post(PATH, &go_on(text, json!({"n": 2}))).ok()["choices"].clone();
    let (one, two) = (alone("one"), alone("two, which is longer"));
    let both = server.post(PATH, &go_on("", json!({"prompt": ["one", "two, which is longer"], "n": 2}))).ok();
    let texts: Vec<&Value> =
        both["choices"].as_array().expect("choices").iter().map(|choice| &choice["text"]).collect();
    assert_eq!(texts, [&one[0]["text"], &one[1]["text"], &two[0]["text"], &two[1]["text"]]);
    let indices: Vec<u64> =
        both["choices"].as_array().expect("choices").iter().filter_map(|choice| choice["index"].as_u64()).collect();
    assert_eq!(indices, [0, 1, 2, 3]);
    let fields = json!({"prompt": ["one", "two, which is longer"], "n": 2, "stream": true});
    let events = server.post(PATH, &go_on("", fields)).events();
    for (index, wanted) in texts.iter().enumerate() {
        let of_choice = events.iter().filter(|event| event["choices"][0]["index"] == index);
        let said: String = of_choice.filter_map(|event| event["choices"][0]["text"].as_str()).collect();
        assert_eq!(**wanted, json!(said));
    }
}

#[test]
fn an_echo_brings_the_prompts_probabilities() {
    let server = server();
    let fields = json!({"echo": true, "logprobs": 2, "max_tokens": 1, "temperature": 0, "samebit": true});
    let body = server.post(PATH, &go_on("abc def", fields)).ok();
    let choice = &body["choices"][0];
    assert!(choice["text"].as_str().is_some_and(|text| text.starts_with("abc def")));
    let prompt = body["samebit"]["prompt_tokens"].as_array().expect("ids").len();
    let list = |name: &str| choice["logprobs"][name].as_array().expect("a list").clone();
    for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
        assert_eq!(list(name).len(), prompt + 1, "{name}");
    }
    assert!(list("token_logprobs")[0].is_null() && list("token_logprobs")[1..].iter().all(Value::is_number));
    assert!(
        list("top_logprobs")[1..].iter().all(|top| top.as_object().is_some_and(|top| (1..=2).contains(&top.len())))
    );
    assert_eq!(list("text_offset")[0], 0);
    // What was generated greedily is what was likeliest.
    let last = list("top_logprobs")[prompt]
        .as_object()
        .expect("tokens")
        .values()
        .filter_map(Value::as_f64)
        .fold(f64::MIN, f64::max);
    assert_eq!(list("token_logprobs")[prompt].as_f64(), Some(last));
    let none = server.post(PATH, &go_on("abc def", json!({"echo": true, "logprobs": 2, "max_tokens": 0}))).ok();
    assert_eq!(none["choices"][0]["text"], "abc def");
    assert_eq!(none["choices"][0]["logprobs"]["token_logprobs"].as_array().map(Vec::len), Some(prompt));
    assert_eq!(
        none["choices"][0]["logprobs"]["token_logprobs"].as_array().map(|l| &l[1..]),
        Some(&list("token_logprobs")[1..prompt])
    );
    let fields = json!({"echo": true, "logprobs": 2, "max_tokens": 1, "temperature": 0, "stream": true});
    let events = server.post(PATH, &go_on("abc def", fields)).events();
    for name in ["tokens", "token_logprobs", "text_offset"] {
        let told = events.iter().filter_map(|event| event["choices"][0]["logprobs"][name].as_array()).flatten();
        assert_eq!(told.cloned().collect::<Vec<_>>(), list(name), "{name}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let server = server();
    for (fields, what) in [
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": [[]]}), "prompt"),
        (json!({"prompt": [1, "x"]}), "prompt"),
        (json!({"prompt": [99999]}), "99999"),
        (json!({"prompt": [-1]}), "prompt"),
        (json!({"prompt": 3}), "prompt"),
        (json!({"prompt": null}), "prompt"),
        (json!({"logprobs": 21}), "logprobs"),
        (json!({"best_of": 3}), "best_of"),
        (json!({"suffix": "x"}), "suffix"),
        (json!({"n": 0}), "n:"),
        (json!({"n": 129}), "n:"),
        (json!({"temperature": -1}), "temperature"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"top_p": 1.5}), "top_p"),
        (json!({"min_p": -0.1}), "min_p"),
        (json!({"repeat_penalty": 0}), "repeat_penalty"),
        (json!({"dry_base": 0.5}), "dry_base"),
        (json!({"dry_allowed_length": -1}), "dry_allowed_length"),
        (json!({"dry_sequence_breakers": [""]}), "dry_sequence_breakers"),
        (json!({"dry_sequence_breakers": "x"}), "dry_sequence_breakers"),
        (json!({"dynatemp_range": -1}), "dynatemp_range"),
        (json!({"top_n_sigma": "x"}), "top_n_sigma"),
        (json!({"logit_bias": {"99999": 1}}), "99999"),
        (json!({"max_tokens": -2}), "max_tokens"),
        (json!({"stop": vec!["x"; 33]}), "stop"),
        (json!({"stop": "x".repeat(2000)}), "stop"),
        (json!({"response_format": {"type": "poem"}}), "response_format"),
        (json!({"response_format": {"type": "json_schema"}}), "schema"),
        (json!({"response_format": {"type": "regex", "pattern": "("}}), "response_format"),
        (json!({"grammar": "root ::= nothing"}), "grammar"),
        (json!({"grammar": "root ::= \"a\"", "response_format": {"type": "json_object"}}), "grammar"),
        (json!({"samebit": {"resume_tokens": [99999]}}), "resume_tokens"),
    ] {
        let answer = server.post(PATH, &go_on("x", fields.clone()));
        let message = answer.error(400);
        assert!(message.contains(what), "{fields}: {message}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    let long = server.post(PATH, &go_on(&"a b c ".repeat(5000), json!({})));
    assert!(long.error(400).contains("context"));
    assert_eq!(long.json()["error"]["code"], "context_length_exceeded");
}

#[test]
fn embeddings_have_length_one() {
    let server = server();
    let body = server.post("/v1/embeddings", &json!({"input": ["a cat", "a dog"]})).ok();
    let vector = |index: usize| -> Vec<f64> {
        body["data"][index]["embedding"].as_array().expect("numbers").iter().filter_map(Value::as_f64).collect()
    };
    let (one, two) = (vector(0), vector(1));
    assert!(one.len() == two.len() && one != two);
    let length: f64 = one.iter().map(|value| value * value).sum();
    assert!((length - 1.0).abs() < 1e-4, "{length}");
    let packed = server.post("/v1/embeddings", &json!({"input": "a cat", "encoding_format": "base64"})).ok();
    let bytes = base64::Engine::decode(
        &base64::prelude::BASE64_STANDARD,
        packed["data"][0]["embedding"].as_str().expect("text"),
    );
    let bytes = bytes.expect("base64");
    let floats: Vec<f64> = bytes.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect();
    assert_eq!(floats.iter().map(|v| *v as f32).collect::<Vec<_>>(), one.iter().map(|v| *v as f32).collect::<Vec<_>>());
    assert!(server.post("/v1/embeddings", &json!({"input": "x", "dimensions": 3})).error(400).contains("dimensions"));
}

#[test]
fn tokens_there_and_back() {
    let server = server();
    let body = server.post("/tokenize", &json!({"content": "ab \u{e4}", "with_pieces": true})).ok();
    let tokens = body["tokens"].as_array().expect("tokens").clone();
    let ids: Vec<&Value> = tokens.iter().map(|token| &token["id"]).collect();
    // The two bytes of the letter are no text by themselves.
    assert!(tokens.iter().any(|token| token["piece"].is_array()), "{tokens:?}");
    let text = server.post("/detokenize", &json!({"tokens": ids})).ok();
    assert_eq!(text["content"], "ab \u{e4}");
    assert_eq!(text["prompt"], text["content"]);
    assert!(server.post("/detokenize", &json!({"tokens": [99999]})).error(400).contains("99999"));
}

#[test]
fn tokens_as_vllm_has_them() {
    let server = server();
    let plain = server.post("/tokenize", &json!({"content": "ab cd"})).ok();
    let same = server.post("/tokenize", &json!({"prompt": "ab cd", "add_special_tokens": false})).ok();
    assert_eq!(same, plain);
    assert_eq!(plain["count"], plain["tokens"].as_array().expect("tokens").len());
    let special = server.post("/tokenize", &json!({"content": "ab cd", "add_special": true})).ok();
    assert_eq!(server.post("/tokenize", &json!({"prompt": "ab cd"})).ok(), special);
    for body in [json!({}), json!({"content": "a", "prompt": "a"})] {
        assert!(server.post("/tokenize", &body).error(400).contains("`content`"));
    }
    let info = server.get("/tokenizer_info").ok();
    assert!(info["eos_token"].is_string() && info["chat_template"].is_string(), "{info}");
}
