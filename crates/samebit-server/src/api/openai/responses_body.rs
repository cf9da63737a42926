//! The body of a response, whole or on its way.

use super::super::shared::Samebit;
use super::call_id;
use crate::answer::ResponseId;
use crate::app::App;
use crate::engine::Ending;
use crate::tools::Call;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What a response repeats of its request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Echoed {
    pub(super) instructions: Option<String>,
    pub(super) tools: Vec<Value>,
    pub(super) tool_choice: Value,
    pub(super) parallel_tool_calls: bool,
    pub(super) text: Value,
    pub(super) metadata: Map<String, Value>,
    pub(super) max_output_tokens: Option<usize>,
    pub(super) temperature: f64,
    pub(super) top_p: f64,
}

#[derive(Clone, Debug, Serialize)]
struct Usage {
    input_tokens: u64,
    input_tokens_details: Value,
    output_tokens: u64,
    output_tokens_details: Value,
    total_tokens: u64,
}

/// A response.
#[derive(Debug, Serialize)]
pub(super) struct Response {
    id: String,
    object: &'static str,
    created_at: u64,
    status: &'static str,
    model: String,
    system_fingerprint: String,
    output: Vec<Item>,
    error: Option<Value>,
    incomplete_details: Option<Value>,
    previous_response_id: Option<String>,
    store: bool,
    background: bool,
    truncation: &'static str,
    reasoning: Value,
    #[serde(flatten)]
    echoed: Echoed,
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) samebit: Option<Samebit>,
    #[serde(skip)]
    prompt: usize,
}

/// A part of the output.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type")]
pub(super) enum Item {
    #[serde(rename = "message")]
    Message { id: String, status: &'static str, role: &'static str, content: Vec<Part> },
    #[serde(rename = "function_call")]
    Call { id: String, status: &'static str, call_id: String, name: String, arguments: String },
}

impl Item {
    pub(super) fn is_call(&self) -> bool {
        matches!(self, Self::Call { .. })
    }
}

/// A text of a message.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Part {
    r#type: &'static str,
    pub(super) text: String,
    annotations: [u8; 0],
    logprobs: [u8; 0],
}

impl Part {
    pub(super) fn new(text: String) -> Self {
        Self { r#type: "output_text", text, annotations: [], logprobs: [] }
    }
}

/// A message's name; there is one in a response at most.
pub(super) fn message_id(unique: &str) -> String {
    format!("msg-{unique}")
}

pub(super) fn message(unique: &str, status: &'static str, content: Vec<Part>) -> Item {
    Item::Message { id: message_id(unique), status, role: "assistant", content }
}

pub(super) fn call(unique: &str, index: usize, call: Call, status: &'static str) -> Item {
    let id = format!("fc-{unique}-{index}");
    Item::Call { id, status, call_id: call_id(unique, 0, index), name: call.name, arguments: call.arguments }
}

/// What is said of an answer that ended so, and of its text.
pub(super) fn status(ending: Option<Ending>) -> &'static str {
    if ending == Some(Ending::Stop) { "completed" } else { "incomplete" }
}

/// The items of a whole answer.
pub(super) fn items(unique: &str, content: String, calls: Vec<Call>, ending: Option<Ending>) -> Vec<Item> {
    let mut items = Vec::new();
    if !content.is_empty() || calls.is_empty() {
        items.push(message(unique, status(ending), vec![Part::new(content)]));
    }
    items.extend(calls.into_iter().enumerate().map(|(index, made)| call(unique, index, made, "completed")));
    items
}

impl Response {
    /// One that has just begun.
    pub(super) fn new(app: &App, id: &ResponseId, echoed: Echoed, prompt: usize) -> Self {
        Self {
            id: id.text(),
            object: "response",
            created_at: id.created(),
            status: "in_progress",
            model: app.model.id.clone(),
            system_fingerprint: app.model.fingerprint(),
            output: Vec::new(),
            error: None,
            incomplete_details: None,
            previous_response_id: None,
            store: false,
            background: false,
            truncation: "disabled",
            reasoning: json!({"effort": null, "summary": null}),
            echoed,
            usage: None,
            samebit: None,
            prompt,
        }
    }

    /// The same with its output.
    pub(super) fn complete(mut self, output: Vec<Item>, ending: Option<Ending>, generated: u64) -> Self {
        let whole = ending == Some(Ending::Stop);
        self.status = status(ending);
        self.incomplete_details = (!whole).then(|| json!({"reason": "max_output_tokens"}));
        self.output = output;
        let prompt = self.prompt as u64;
        self.usage = Some(Usage {
            input_tokens: prompt,
            input_tokens_details: json!({"cached_tokens": 0, "cache_write_tokens": 0}),
            output_tokens: generated,
            output_tokens_details: json!({"reasoning_tokens": 0}),
            total_tokens: prompt + generated,
        });
        self
    }

    /// The same without an answer.
    pub(super) fn failed(mut self, message: &str) -> Self {
        self.status = "failed";
        self.error = Some(json!({"code": "server_error", "message": message}));
        self
    }

    /// Whether the answer came to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.status == "completed"
    }
}
