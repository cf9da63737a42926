//! `POST /v1/chat/completions`.

use super::super::shared::{
    Conversation, Extension, Knobs, Said, Samebit, ToolUse, Usage, encode_rendered, form_of, never, prepare, refuse,
};
use super::chat_stream::ChatEncoder;
use super::logprobs::ChatToken;
use super::{Head, MOST_TOP, ToolCall, call_id, finish_reason};
use crate::answer::{Choice, LastEvent, Plan, ResponseId, gather, start, stream};
use crate::app::App;
use crate::http::gate::Caller;
use crate::http::{ApiError, body, error::json_response};
use crate::tools::Reader;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use samebit_engine::Wants;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

const PREFIX: &str = "chatcmpl";

#[derive(Deserialize)]
struct Body {
    messages: Vec<Map<String, Value>>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    response_format: Option<Value>,
    grammar: Option<String>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
    chat_template_kwargs: Option<Map<String, Value>>,
    // What others' servers know, and what would make the answer another one.
    functions: Option<Value>,
    function_call: Option<Value>,
    best_of: Option<Value>,
    suffix: Option<Value>,
    modalities: Option<Value>,
    audio: Option<Value>,
}

impl Body {
    fn refuse_unknown(&self) -> Result<(), ApiError> {
        let text = |value: &Value| value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text"));
        let chosen = |value: &Value| value == "auto" || value == "none";
        refuse(&[
            ("functions", self.functions.as_ref(), |value| *value == Value::Array(Vec::new()), "give them as `tools`"),
            ("function_call", self.function_call.as_ref(), chosen, "give it as `tool_choice`"),
            ("best_of", self.best_of.as_ref(), |value| *value == 1, "all choices are given: ask for `n` instead"),
            ("suffix", self.suffix.as_ref(), |value| value == "", "answers are continued at their end: leave it out"),
            ("modalities", self.modalities.as_ref(), text, "answers are text: leave it out, or [\"text\"]"),
            ("audio", self.audio.as_ref(), never, "answers are text: leave it out"),
        ])
    }
}

pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    axum::Extension(caller): axum::Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let bytes = body::read(&app, request).await?;
    let knobs: Knobs = body::parse(&bytes)?;
    let body: Body = body::parse(&bytes)?;
    drop(bytes);
    let last = LastEvent::from_headers(&headers, PREFIX)?;
    let extension = Extension::of(&app, knobs.samebit.clone(), &headers)?;
    let (streams, usage) = (knobs.streams(), knobs.include_usage());
    let draft = extension.resume_tokens.clone();
    let (plan, tools) = prepare(&app, move |app| plan(app, body, &knobs, draft)).await?;
    let digest = plan.digest(&app);
    let choices = plan.all_choices();
    // The role, what a call leaves over, and the end.
    let id = ResponseId::of(PREFIX, last.as_ref(), &digest, choices, plan.most_tokens(&app) + 3)?;
    let (prompt, logprobs) = (plan.prompt_tokens(), plan.logprobs.is_some());
    if streams {
        let head = Head::new(&app, &id, "chat.completion.chunk");
        let encoder = ChatEncoder::new(&app, head, choices, prompt, tools, logprobs, usage, extension.wanted);
        let answers = start(&app, &caller, plan).await?;
        return Ok(stream(answers, Box::new(encoder), &id, choices, last));
    }
    let prompt_ids = extension.wanted.then(|| plan.prompts.concat());
    let mut gathered = gather(start(&app, &caller, plan).await?, 1, choices as u32).await?;
    let usage = Usage::new(prompt, gathered.generated() as u64);
    let all = (0..).zip(&gathered.choices);
    let all = all.map(|(index, choice)| message(&app, &id, index, choice, tools, logprobs)).collect();
    let samebit = extension.wanted.then(|| Samebit::whole(&app, prompt_ids, &mut gathered.choices));
    let response = Completion { head: Head::new(&app, &id, "chat.completion"), choices: all, usage, samebit };
    Ok(json_response(StatusCode::OK, &response))
}

fn plan(app: &Arc<App>, body: Body, knobs: &Knobs, draft: Vec<u32>) -> Result<(Plan, ToolUse), ApiError> {
    if body.top_logprobs.is_some_and(|top| top > MOST_TOP) {
        return Err(ApiError::field("top_logprobs", format!("ask for at most {MOST_TOP}")));
    }
    if body.top_logprobs.is_some_and(|top| top > 0) && body.logprobs != Some(true) {
        return Err(ApiError::field("top_logprobs", "is of use with `\"logprobs\": true` alone: give both"));
    }
    body.refuse_unknown()?;
    let logprobs = body.logprobs.unwrap_or(false).then(|| body.top_logprobs.unwrap_or(0));
    let choice = body.tool_choice.as_ref();
    let conversation =
        Conversation::new(app, Said::messages(body.messages), body.tools, choice, body.chat_template_kwargs)?;
    let tools = conversation.tool_use(app);
    let form = form_of(app, body.response_format.as_ref(), body.grammar.as_deref())?;
    let forced = conversation.force(app, body.parallel_tool_calls.unwrap_or(true))?;
    let plan = Plan {
        prompts: vec![encode_rendered(app, &conversation.render(app)?)],
        field: "messages",
        choices: knobs.choices()?,
        request: knobs.request(app, app.options.predict)?,
        stops: knobs.stops()?,
        shown: if tools.family.is_some() { Arc::clone(&app.capabilities.shown) } else { Arc::default() },
        logprobs,
        prompt_logprobs: None,
        grammar: forced.or(form),
        draft,
        priority: knobs.priority(),
        wants: Wants::Tokens,
    };
    Ok((plan, tools))
}

#[derive(Serialize)]
struct Completion {
    #[serde(flatten)]
    head: Head,
    choices: Vec<ChoiceBody>,
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    samebit: Option<Samebit>,
}

#[derive(Serialize)]
struct ChoiceBody {
    index: u32,
    message: MessageBody,
    logprobs: Option<Logprobs>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct MessageBody {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
}

/// A list of tokens, as chat has it.
#[derive(Debug, Serialize)]
pub(super) struct Logprobs {
    pub(super) content: Vec<ChatToken>,
}

fn message(app: &App, id: &ResponseId, index: u32, choice: &Choice, tools: ToolUse, logprobs: bool) -> ChoiceBody {
    let mut reader = Reader::new(tools.family);
    let (first, rest) = (reader.push(&choice.text), reader.finish());
    let content = first.content + &rest.content;
    let unique = id.unique();
    let calls = first.calls.into_iter().chain(rest.calls).enumerate();
    let tool_calls: Vec<ToolCall> =
        calls.map(|(at, call)| ToolCall::new(call, call_id(&unique, index, at), None)).collect();
    let ending = choice.done.as_ref().map_or(crate::engine::Ending::Length, |done| done.ending);
    let told = choice.logprobs.iter().map(|told| ChatToken::new(&app.model, told));
    ChoiceBody {
        index,
        finish_reason: finish_reason(ending, tool_calls.len()),
        logprobs: logprobs.then(|| Logprobs { content: told.collect() }),
        message: MessageBody {
            role: "assistant",
            content: Some(content).filter(|content| tool_calls.is_empty() || !content.is_empty()),
            refusal: None,
            tool_calls,
        },
    }
}
