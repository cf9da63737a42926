//! `/v1/responses`.

use crate::support::{Answer, server};
use serde_json::{Value, json};

const PATH: &str = "/v1/responses";

fn events(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let data = answer.text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

#[test]
fn a_stream_ends_with_what_a_body_says() {
    let server = server();
    let asked = json!({"input": "Hello", "instructions": "Be brief.", "max_output_tokens": 9, "ignore_eos": true, "temperature": 1.0});
    let mut whole = server.post(PATH, &asked).ok();
    assert_eq!((&whole["object"], &whole["status"]), (&json!("response"), &json!("incomplete")));
    assert_eq!(whole["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(whole["output"][0]["status"], "incomplete");
    assert_eq!(whole["usage"]["output_tokens"], 9);
    assert_eq!(whole["usage"]["input_tokens_details"], json!({"cached_tokens": 0, "cache_write_tokens": 0}));
    let text = whole["output"][0]["content"][0]["text"].as_str().expect("text").to_owned();
    let mut streamed = asked;
    streamed["stream"] = json!(true);
    let events = events(&server.post(PATH, &streamed));
    let names: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(
        names[..4],
        ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    );
    let tail =
        ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.incomplete"];
    assert_eq!(names[names.len() - 4..], tail);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let said: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(said, text);
    let last = &events.last().expect("events")["response"];
    // Its own name and second.
    for field in ["id", "created_at"] {
        whole[field] = last[field].clone();
    }
    whole["output"][0]["id"] = last["output"][0]["id"].clone();
    assert_eq!(*last, whole);
}

#[test]
fn items_become_messages() {
    let server = server();
    let texts = json!([
        {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
        {"role": "user", "content": "Bye"},
    ]);
    let fields = |input: Value| json!({"input": input, "max_output_tokens": 4, "ignore_eos": true, "samebit": true});
    let body = server.post(PATH, &fields(texts)).ok();
    let prompt = server.post("/detokenize", &json!({"tokens": body["samebit"]["prompt_tokens"]})).ok();
    let wanted =
        "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n";
    assert!(prompt["content"].as_str().is_some_and(|prompt| prompt.contains(wanted)), "{prompt}");
    for (wrong, what) in [
        (json!({"input": 3}), "input"),
        (json!({"input": [{"type": "image"}]}), "input[0]"),
        (json!({"input": []}), "input:"),
        (json!({"input": "x", "previous_response_id": "resp-1"}), "previous_response_id"),
        (json!({"input": "x", "background": true}), "background"),
        (json!({"input": "x", "n": 2}), "n:"),
    ] {
        let message = server.post(PATH, &wrong).error(400);
        assert!(message.contains(what), "{message}");
    }
}
