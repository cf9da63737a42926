//! Calls of tools: shown by the template, read out of the answer, forced by a grammar.

use crate::support::{ask, server, start, with_template};
use samebit_server::Options;
use serde_json::{Value, json};

/// A template in the manner of Hermes.
const TEMPLATE: &str = "{% for tool in tools or [] %}{{ tool | tojson }}\n{% endfor %}{% for m in messages %}{{ m.role }}: {{ m.content }}\
    {% for c in m.tool_calls or [] %}<tool_call>\n{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}\
    \n{% endfor %}assistant: ";

fn tools() -> Value {
    json!([
        {"type": "function", "function": {"name": "weather", "description": "Tells the weather.", "parameters": {
            "type": "object", "properties": {"city": {"$ref": "#/$defs/city"}}, "required": ["city"],
            "additionalProperties": false, "$defs": {"city": {"enum": ["Oslo", "Rome"]}}}}},
        {"type": "function", "function": {"name": "clock"}},
    ])
}

#[test]
fn a_forced_call_is_a_call() {
    let server = start(with_template(Some(TEMPLATE)), Options::default());
    let named = json!({"type": "function", "function": {"name": "weather"}});
    for choice in [named, json!("required")] {
        let fields = json!({"tools": tools(), "tool_choice": choice, "parallel_tool_calls": false, "max_tokens": 300,
                            "ignore_eos": false, "temperature": 1.0});
        let body = server.post("/v1/chat/completions", &ask("x", fields.clone())).ok();
        let made = &body["choices"][0];
        assert_eq!(made["finish_reason"], "tool_calls", "{body}");
        assert_eq!(made["message"]["content"], Value::Null);
        let call = made["message"]["tool_calls"][0].clone();
        let name = call["function"]["name"].as_str().expect("a name");
        assert!(name == "weather" || (name == "clock" && choice == "required"), "{call}");
        let arguments: Value =
            serde_json::from_str(call["function"]["arguments"].as_str().expect("text")).expect("JSON");
        assert!(name == "clock" || arguments["city"] == "Oslo" || arguments["city"] == "Rome", "{arguments}");
        let mut streamed = ask("x", fields);
        streamed["stream"] = json!(true);
        let events = server.post("/v1/chat/completions", &streamed).events();
        let calls: Vec<&Value> =
            events.iter().filter_map(|event| event["choices"][0]["delta"]["tool_calls"].get(0)).collect();
        assert_eq!(calls.len(), 1, "{events:?}");
        assert_eq!((&calls[0]["index"], &calls[0]["function"]), (&json!(0), &call["function"]));
        assert_eq!(events.last().expect("events")["choices"][0]["finish_reason"], "tool_calls");
    }
}

#[test]
fn responses_call_too() {
    let server = start(with_template(Some(TEMPLATE)), Options::default());
    let flat = json!([{"type": "function", "name": "weather", "parameters": tools()[0]["function"]["parameters"]}]);
    let asked = json!({"input": "x", "tools": flat, "tool_choice": {"type": "function", "name": "weather"}});
    let body = server.post("/v1/responses", &asked).ok();
    let item = body["output"][0].clone();
    assert_eq!(
        (&item["type"], &item["name"], &body["status"]),
        (&json!("function_call"), &json!("weather"), &json!("completed"))
    );
    let mut streamed = asked;
    streamed["stream"] = json!(true);
    let text = server.post("/v1/responses", &streamed).text;
    for name in [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ] {
        assert!(text.contains(&format!("event: response.{name}\n")), "{name}\n{text}");
    }
    // The result goes back in.
    let call_id = item["call_id"].clone();
    let input = json!([{"role": "user", "content": "x"}, item, {"type": "function_call_output", "call_id": call_id, "output": "rain"}]);
    let next = server.post("/v1/responses", &json!({"input": input, "max_output_tokens": 3, "samebit": true})).ok();
    let prompt = server.post("/detokenize", &json!({"tokens": next["samebit"]["prompt_tokens"]})).ok();
    let prompt = prompt["content"].as_str().expect("text");
    assert!(
        prompt.contains("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": ")
            && prompt.contains("tool: rain"),
        "{prompt}"
    );
}

#[test]
fn what_cannot_be_called_is_refused() {
    let plain = server();
    let message = plain.post("/v1/chat/completions", &ask("x", json!({"tools": tools()}))).error(400);
    assert!(message.contains("knows no tools"), "{message}");
    let server = start(with_template(Some(TEMPLATE)), Options::default());
    for (fields, what) in [
        (json!({"tools": [{"type": "function"}]}), "tools[0]"),
        (json!({"tools": [{"type": "search", "function": {"name": "x"}}]}), "tools[0]"),
        (json!({"tools": [{"type": "function", "function": {"name": "a b"}}]}), "tools[0]"),
        (json!({"tools": tools(), "tool_choice": "maybe"}), "tool_choice"),
        (json!({"tools": tools(), "tool_choice": {"type": "function", "function": {"name": "other"}}}), "other"),
        (json!({"tool_choice": "required"}), "tool_choice"),
    ] {
        let message = server.post("/v1/chat/completions", &ask("x", fields)).error(400);
        assert!(message.contains(what), "{message}");
    }
    let shown = |choice: &str| {
        let asked = json!({"messages": [{"role": "user", "content": "x"}], "tools": tools(), "tool_choice": choice});
        server.post("/apply-template", &asked).ok()["prompt"].as_str().expect("text").contains("weather")
    };
    assert!(shown("auto") && !shown("none"));
}
