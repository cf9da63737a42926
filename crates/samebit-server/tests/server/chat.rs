//! `/v1/chat/completions`: bodies, streams, and that they say the same.

use crate::support::{ask, server};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

#[test]
fn an_answer_has_its_parts() {
    let server = server();
    let body = server.post(CHAT, &ask("Hello", json!({"seed": 3, "samebit": true}))).ok();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "tiny");
    assert_eq!(body["system_fingerprint"], "samebit-v1-5eed5eed5eed5eed");
    assert!(body["id"].as_str().is_some_and(|id| id.starts_with("chatcmpl-")));
    let choice = &body["choices"][0];
    assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(0), &json!("length")));
    assert_eq!(choice["message"]["role"], "assistant");
    assert_eq!(choice["logprobs"], Value::Null);
    let (usage, told) = (&body["usage"], &body["samebit"]);
    assert_eq!(usage["completion_tokens"], 12);
    let prompt = told["prompt_tokens"].as_array().expect("ids").len();
    assert_eq!((&usage["prompt_tokens"], &usage["total_tokens"]), (&json!(prompt), &json!(prompt + 12)));
    assert_eq!(told["logits_digest"].as_str().map(str::len), Some(64));
    assert_eq!(told["choices"][0]["tokens"].as_array().map(Vec::len), Some(12));
    assert_eq!(told["model_digest"], "5eed5eed5eed5eed5eed5eed5eed5eed");
}

#[test]
fn a_seed_means_something() {
    let server = server();
    let text = |seed: Value| {
        let body = server.post(CHAT, &ask("Hello", json!({"seed": seed, "temperature": 1.5, "samebit": true}))).ok();
        (body["choices"][0]["message"]["content"].clone(), body["samebit"]["logits_digest"].clone())
    };
    assert_eq!(text(json!(3)), text(json!(3)));
    assert_ne!(text(json!(3)), text(json!(4)));
    assert_ne!(text(json!(-1)), text(json!(0)));
    assert_eq!(text(Value::Null), text(json!(0)));
}

/// The text of a stream's events, choice by choice.
fn gathered(events: &[Value], choices: usize) -> Vec<String> {
    let mut texts = vec![String::new(); choices];
    for choice in events.iter().filter_map(|event| event["choices"].get(0)) {
        let index = choice["index"].as_u64().expect("an index") as usize;
        texts[index].push_str(choice["delta"]["content"].as_str().unwrap_or_default());
    }
    texts
}

#[test]
fn a_stream_says_what_a_body_says() {
    let server = server();
    let fields = json!({"n": 3, "temperature": 1.2, "seed": 9, "samebit": true});
    let whole = server.post(CHAT, &ask("Tell me", fields.clone())).ok();
    let mut streamed = ask("Tell me", fields);
    streamed["stream"] = json!(true);
    streamed["stream_options"] = json!({"include_usage": true});
    let answer = server.post(CHAT, &streamed);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let events = answer.events();
    let texts: Vec<String> =
        (0..3).map(|index| whole["choices"][index]["message"]["content"].as_str().expect("text").to_owned()).collect();
    assert_eq!(gathered(&events, 3), texts);
    assert!(texts[0] != texts[1] && texts[1] != texts[2]);
    let (usage, events) = events.split_last().expect("events");
    assert_eq!(usage["usage"], whole["usage"]);
    assert_eq!(usage["choices"], json!([]));
    assert!(events.iter().all(|event| event["usage"].is_null() && event["object"] == "chat.completion.chunk"));
    let firsts = events.iter().filter(|event| event["choices"][0]["delta"]["role"] == "assistant").count();
    assert_eq!(firsts, 3);
    for index in 0..3 {
        let of_choice = || events.iter().filter(|event| event["choices"][0]["index"] == index);
        let last = of_choice().next_back().expect("events");
        assert_eq!(last["choices"][0]["finish_reason"], "length");
        let told = &whole["samebit"]["choices"][index];
        assert_eq!(last["samebit"]["logits_digest"], told["logits_digest"]);
        let tokens: Vec<Value> =
            of_choice().filter_map(|event| event["samebit"]["tokens"].as_array()).flatten().cloned().collect();
        assert_eq!(json!(tokens), told["tokens"]);
    }
}

#[test]
fn log_probabilities_come_with_their_tokens() {
    let server = server();
    let body = server.post(CHAT, &ask("Hi", json!({"logprobs": true, "top_logprobs": 2, "temperature": 0}))).ok();
    let content = body["choices"][0]["logprobs"]["content"].as_array().expect("tokens").clone();
    assert_eq!(content.len(), 12);
    for token in &content {
        assert_eq!(token["top_logprobs"].as_array().map(Vec::len), Some(2));
        // The likeliest was chosen.
        assert_eq!(token["top_logprobs"][0]["logprob"], token["logprob"]);
        assert!(token["logprob"].as_f64().is_some_and(|logprob| logprob <= 0.0));
        assert!(token["bytes"].is_array());
    }
    let fields = json!({"logprobs": true, "top_logprobs": 2, "temperature": 0, "stream": true});
    let events = server.post(CHAT, &ask("Hi", fields)).events();
    let streamed: Vec<Value> = events
        .iter()
        .filter_map(|event| event["choices"][0]["logprobs"]["content"].as_array())
        .flatten()
        .cloned()
        .collect();
    assert_eq!(streamed, content);
}

#[test]
fn stop_strings_cut_exactly() {
    let server = server();
    let whole = server.post(CHAT, &ask("Stop", json!({"max_tokens": 24, "temperature": 1.0}))).ok();
    let text = whole["choices"][0]["message"]["content"].as_str().expect("text").to_owned();
    let characters: Vec<char> = text.chars().collect();
    let stop: String = characters[5..8].iter().collect();
    let before = &text[..text.find(&stop).expect("there")];
    for stop in [json!(stop), json!(["\u{1}never", stop])] {
        for stream in [false, true] {
            let fields = json!({"max_tokens": 24, "temperature": 1.0, "stop": stop, "stream": stream});
            let answer = server.post(CHAT, &ask("Stop", fields));
            let (said, reason) = if stream {
                let events = answer.events();
                let reason = events.last().expect("events")["choices"][0]["finish_reason"].clone();
                (gathered(&events, 1).concat(), reason)
            } else {
                let body = answer.ok();
                let choice = &body["choices"][0];
                (choice["message"]["content"].as_str().expect("text").to_owned(), choice["finish_reason"].clone())
            };
            assert_eq!((said.as_str(), reason), (before, json!("stop")));
        }
    }
}

#[test]
fn biases_and_forms() {
    let server = server();
    let only = server.post(CHAT, &ask("x", json!({"logit_bias": {"70": 100}, "temperature": 0, "samebit": true}))).ok();
    let tokens = only["samebit"]["choices"][0]["tokens"].as_array().expect("ids").clone();
    assert!(tokens.iter().all(|token| *token == 70), "{tokens:?}");
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {
        "type": "object", "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}, "ok": {"type": "boolean"}},
        "required": ["n", "ok"], "additionalProperties": false}}});
    let fields = json!({"response_format": format, "max_tokens": 200, "ignore_eos": false, "temperature": 1.0});
    let body = server.post(CHAT, &ask("x", fields)).ok();
    let text = body["choices"][0]["message"]["content"].as_str().expect("text").to_owned();
    let said: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(said["n"].is_u64() && said["ok"].is_boolean(), "{said}");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    for fields in [
        json!({"grammar": "root ::= way [0-9]\nway ::= \"up\" | \"down\"", "ignore_eos": false}),
        json!({"response_format": {"type": "grammar", "grammar": "root ::= (\"up\" | \"down\") [0-9]"}, "ignore_eos": false}),
    ] {
        let text = server.post(CHAT, &ask("?", fields)).ok()["choices"][0]["message"]["content"].clone();
        let digits = text.as_str().and_then(|text| text.strip_prefix("up").or(text.strip_prefix("down")));
        assert!(digits.is_some_and(|digits| digits.len() == 1 && digits.parse::<u8>().is_ok()), "{text}");
    }
    let fields = json!({"response_format": {"type": "regex", "pattern": "(left|right) [0-9]{2}"}, "ignore_eos": false});
    let body = server.post(CHAT, &ask("x", fields)).ok();
    let text = body["choices"][0]["message"]["content"].as_str().expect("text");
    assert!((text.starts_with("left ") || text.starts_with("right ")) && text.len() < 9, "{text}");
}

#[test]
fn contents_in_parts_and_roles() {
    let server = server();
    let messages = json!([
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]);
    let prompt = server.post("/apply-template", &json!({"messages": messages})).ok();
    let wanted = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\na\nb<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(prompt["prompt"], wanted);
    for (wrong, what) in [
        (json!([]), "messages"),
        (json!([{"content": "x"}]), "messages[0].role"),
        (json!([{"role": "user"}]), "messages[0].content"),
        (json!([{"role": "user", "content": 3}]), "messages[0].content"),
        (json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]), "image_url"),
        (json!("x"), "messages"),
        (json!([3]), "messages[0]"),
    ] {
        let message = server.post(CHAT, &json!({"messages": wrong})).error(400);
        assert!(message.contains(what), "{message}");
    }
}
