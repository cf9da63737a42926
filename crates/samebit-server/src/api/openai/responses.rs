//! `POST /v1/responses`: OpenAI's newer interface, for text and calls of functions. Nothing is stored: every request brings its whole
//! conversation.

use super::super::shared::{
    Conversation, Extension, Knobs, Said, Samebit, ToolUse, encode_rendered, grammar_of, never, prepare, refuse,
    shortest,
};
use super::responses_body::{Echoed, Response as Body, items};
use super::responses_stream::ResponseEncoder;
use crate::answer::{LastEvent, Plan, ResponseId, gather, start, stream};
use crate::app::App;
use crate::http::gate::Caller;
use crate::http::{ApiError, body, error::json_response};
use crate::tools::Reader;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use samebit_engine::Wants;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const PREFIX: &str = "resp";

/// Messages, each with the place of the request that it comes from.
type Messages = Vec<(String, Map<String, Value>)>;

#[derive(Deserialize)]
struct Asked {
    input: Value,
    instructions: Option<String>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    text: Option<Map<String, Value>>,
    metadata: Option<Map<String, Value>>,
    previous_response_id: Option<String>,
    background: Option<bool>,
    conversation: Option<Value>,
    prompt: Option<Value>,
}

pub(crate) async fn responses(
    State(app): State<Arc<App>>,
    axum::Extension(caller): axum::Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let bytes = body::read(&app, request).await?;
    let knobs: Knobs = body::parse(&bytes)?;
    let asked: Asked = body::parse(&bytes)?;
    drop(bytes);
    let last = LastEvent::from_headers(&headers, PREFIX)?;
    let extension = Extension::of(&app, knobs.samebit.clone(), &headers)?;
    if knobs.choices()? != 1 {
        return Err(ApiError::field("n", "a response is one: leave it out"));
    }
    let streams = knobs.streams();
    let draft = extension.resume_tokens.clone();
    let (plan, tools, echoed) = prepare(&app, move |app| plan(app, asked, &knobs, draft)).await?;
    let digest = plan.digest(&app);
    // A token brings a piece of text or ends a call, which has four events; some begin and end the response.
    let id = ResponseId::of(PREFIX, last.as_ref(), &digest, 1, 5 * plan.most_tokens(&app) + 16)?;
    let body = Body::new(&app, &id, echoed, plan.prompt_tokens());
    if streams {
        let encoder = ResponseEncoder::new(&app, body, id.unique(), tools, extension.wanted);
        let answers = start(&app, &caller, plan).await?;
        return Ok(stream(answers, Box::new(encoder), &id, 1, last));
    }
    let prompt_ids = extension.wanted.then(|| plan.prompts.concat());
    let mut gathered = gather(start(&app, &caller, plan).await?, 1, 1).await?;
    let generated = gathered.generated() as u64;
    let Some(choice) = gathered.choices.first() else { return Err(ApiError::internal("no answer came")) };
    let mut reader = Reader::new(tools.family);
    let (first, rest) = (reader.push(&choice.text), reader.finish());
    let calls = first.calls.into_iter().chain(rest.calls).collect();
    let ending = choice.done.as_ref().map(|done| done.ending);
    let mut body = body.complete(items(&id.unique(), first.content + &rest.content, calls, ending), ending, generated);
    body.samebit = extension.wanted.then(|| Samebit::whole(&app, prompt_ids, &mut gathered.choices));
    Ok(json_response(StatusCode::OK, &body))
}

fn plan(app: &Arc<App>, asked: Asked, knobs: &Knobs, draft: Vec<u32>) -> Result<(Plan, ToolUse, Echoed), ApiError> {
    if asked.previous_response_id.is_some() {
        return Err(ApiError::field(
            "previous_response_id",
            "nothing is stored here: give the whole conversation in `input`",
        ));
    }
    if asked.background == Some(true) {
        return Err(ApiError::field("background", "nothing is stored here: leave it out, or false"));
    }
    refuse(&[
        (
            "conversation",
            asked.conversation.as_ref(),
            never,
            "nothing is stored here: give the whole conversation in `input`",
        ),
        ("prompt", asked.prompt.as_ref(), never, "nothing is stored here: give its text in `instructions` or `input`"),
    ])?;
    let mut messages = Messages::new();
    input(&asked.input, &mut messages)?;
    if messages.is_empty() {
        return Err(ApiError::field("input", "give at least one message"));
    }
    if let Some(instructions) = &asked.instructions {
        messages.insert(0, ("instructions".into(), object(json!({"role": "system", "content": instructions}))));
    }
    let tools = asked.tools.clone().map(|tools| tools.into_iter().map(nested).collect());
    let conversation =
        Conversation::new(app, Said { field: "input", messages }, tools, asked.tool_choice.as_ref(), None)?;
    let uses = conversation.tool_use(app);
    let format = asked.text.as_ref().and_then(|text| text.get("format"));
    let form = grammar_of(app, "text.format", format)?;
    let forced = conversation.force(app, asked.parallel_tool_calls.unwrap_or(true))?;
    let request = knobs.request(app, app.options.predict)?;
    let echoed = Echoed {
        instructions: asked.instructions,
        tools: asked.tools.unwrap_or_default(),
        tool_choice: asked.tool_choice.filter(|choice| !choice.is_null()).unwrap_or_else(|| json!("auto")),
        parallel_tool_calls: asked.parallel_tool_calls.unwrap_or(true),
        text: asked.text.map_or_else(|| json!({"format": {"type": "text"}}), Value::Object),
        metadata: asked.metadata.unwrap_or_default(),
        max_output_tokens: Some(request.max_tokens).filter(|most| *most < usize::MAX),
        temperature: shortest(request.sampler.temperature),
        top_p: shortest(request.sampler.top_p),
    };
    let plan = Plan {
        prompts: vec![encode_rendered(app, &conversation.render(app)?)],
        field: "input",
        choices: 1,
        request,
        stops: knobs.stops()?,
        shown: if uses.family.is_some() { Arc::clone(&app.capabilities.shown) } else { Arc::default() },
        logprobs: None,
        prompt_logprobs: None,
        grammar: forced.or(form),
        draft,
        priority: knobs.priority(),
        wants: Wants::Tokens,
    };
    Ok((plan, uses, echoed))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A tool with its fields beside the type becomes one with them in an object, as chat has it.
fn nested(tool: Value) -> Value {
    match tool {
        Value::Object(mut fields) if !fields.contains_key("function") => {
            let kind = fields.remove("type").unwrap_or_else(|| "function".into());
            json!({"type": kind, "function": fields})
        }
        tool => tool,
    }
}

/// The input's items as messages: a text, or a list of messages, calls and their results.
fn input(input: &Value, messages: &mut Messages) -> Result<(), ApiError> {
    let items = match input {
        Value::String(text) => {
            messages.push(("input".into(), object(json!({"role": "user", "content": text}))));
            return Ok(());
        }
        Value::Array(items) => items,
        _ => return Err(ApiError::field("input", "give a text or a list of items")),
    };
    for (index, item) in items.iter().enumerate() {
        let place = format!("input[{index}]");
        let wrong = |what: &str| ApiError::field(&place, what);
        let text =
            |key: &str| item.get(key).and_then(Value::as_str).ok_or_else(|| wrong(&format!("give `{key}`, a text")));
        match item.get("type").and_then(Value::as_str) {
            None | Some("message") => {
                let content = item.get("content").cloned().unwrap_or(Value::Null);
                messages.push((place.clone(), object(json!({"role": text("role")?, "content": content}))));
            }
            Some("function_call") => {
                let function = json!({"name": text("name")?, "arguments": text("arguments")?});
                let call = json!({"id": text("call_id")?, "type": "function", "function": function});
                push_call(messages, place.clone(), call);
            }
            Some("function_call_output") => {
                let output = item.get("output").cloned().unwrap_or(Value::Null);
                let fields = json!({"role": "tool", "tool_call_id": text("call_id")?, "content": output});
                messages.push((place.clone(), object(fields)));
            }
            // What the model thought is not given back to it.
            Some("reasoning") => {}
            Some(_) => return Err(wrong("`type` is message, function_call or function_call_output")),
        }
    }
    Ok(())
}

/// A call belongs to the assistant's message before it, if there is one.
fn push_call(messages: &mut Messages, place: String, call: Value) {
    let speaks = messages.last().is_some_and(|(_, message)| message.get("role") == Some(&json!("assistant")));
    if !speaks {
        messages.push((place, object(json!({"role": "assistant", "content": ""}))));
    }
    if let Some((_, message)) = messages.last_mut()
        && let Some(calls) = message.entry("tool_calls").or_insert_with(|| json!([])).as_array_mut()
    {
        calls.push(call);
    }
}
