//! OpenAI's interface.

mod chat;
mod chat_stream;
mod completions;
mod completions_stream;
mod embeddings;
mod logprobs;
mod models;
mod responses;
mod responses_body;
mod responses_stream;

pub(crate) use chat::chat;
pub(crate) use completions::completions;
pub(crate) use embeddings::embeddings;
pub(crate) use models::{model, models};
pub(crate) use responses::responses;

use crate::app::App;
use crate::engine::Ending;
use crate::tools::Call;
use serde::Serialize;

/// Alternatives of a token in a request.
const MOST_TOP: usize = 20;

/// What every body and event of a response repeats.
#[derive(Clone, Debug, Serialize)]
struct Head {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    system_fingerprint: String,
}

impl Head {
    fn new(app: &App, id: &crate::answer::ResponseId, object: &'static str) -> Self {
        Self {
            id: id.text(),
            object,
            created: id.created(),
            model: app.model.id.clone(),
            system_fingerprint: app.model.fingerprint(),
        }
    }
}

fn finish_reason(ending: Ending, calls: usize) -> &'static str {
    match ending {
        Ending::Stop if calls > 0 => "tool_calls",
        Ending::Stop => "stop",
        // The others end as errors before they come here.
        Ending::Length | Ending::Deadline | Ending::Cancelled => "length",
    }
}

/// A call's name of its own: the same wherever the response is computed. Nine letters and digits, as Mistral's templates want it.
fn call_id(response: &str, choice: u32, index: usize) -> String {
    let hash = blake3::hash(format!("{response} {choice} {index}").as_bytes()).to_hex();
    format!("c{}", &hash[..8])
}

#[derive(Clone, Debug, Serialize)]
struct ToolCall {
    /// In events.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    id: String,
    r#type: &'static str,
    function: Function,
}

#[derive(Clone, Debug, Serialize)]
struct Function {
    name: String,
    arguments: String,
}

impl ToolCall {
    fn new(call: Call, id: String, index: Option<usize>) -> Self {
        Self { index, id, r#type: "function", function: Function { name: call.name, arguments: call.arguments } }
    }
}
