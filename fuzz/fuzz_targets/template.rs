//! Any text as a chat template, over a conversation that has everything: never a panic, a hang or memory without bound,
//! the same text twice, and errors of one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use samebit_text::template::{ChatTemplate, CivilTime, Limits, Message, RenderOptions};
use serde_json::json;

fuzz_target!(|source: &str| {
    let limits = Limits { fuel: 200_000, memory_bytes: 8 << 20, output_bytes: 1 << 20, ..Limits::default() };
    let template = match ChatTemplate::parse(source, Some("<s>"), Some("</s>")) {
        Ok(template) => template.with_limits(limits),
        Err(error) => return one_line(&error.to_string()),
    };
    let (messages, options) = conversation();
    let first = template.render(&messages, &options);
    if let Err(error) = &first {
        one_line(&error.to_string());
    }
    assert_eq!(first, template.render(&messages, &options));
});

fn one_line(error: &str) {
    assert!(!error.contains('\n'), "an error of more than one line");
}

fn conversation() -> (Vec<Message>, RenderOptions) {
    let call = json!([{"id": "abc", "function": {"name": "f", "arguments": {"x": 1, "y": [2.5, null]}}}]);
    let messages = vec![
        Message::new("system", "Be brief."),
        Message::new("user", json!([{"type": "text", "text": "Größe 😀\n"}])),
        Message::new("assistant", "").with("tool_calls", call),
        Message::new("tool", "3").with("tool_call_id", "abc"),
        Message::new("assistant", "<think>\nhm\n</think>\n\nYes."),
        Message::new("user", "x"),
    ];
    let mut options = RenderOptions {
        now: CivilTime::from_unix(1_700_000_000),
        tools: Some(vec![json!({"type": "function", "function": {"name": "f", "parameters": {}}})]),
        ..RenderOptions::default()
    };
    options.extra.insert("x".into(), json!(5));
    options.extra.insert("d".into(), json!({"b": 2, "a": [1, "two"]}));
    (messages, options)
}
