//! Messages and tools, checked and brought into the form that the model's template takes.

use super::form::{Compiled, compile};
use crate::app::App;
use crate::http::ApiError;
use crate::tools::{Family, force};
use samebit_grammar::Source;
use samebit_text::template::{Message, RenderOptions, TemplateError};
use serde_json::{Map, Value, json};

/// Tools of a request.
const MOST_TOOLS: usize = 128;

/// A conversation to be rendered.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    messages: Vec<Message>,
    tools: Vec<Value>,
    choice: ToolChoice,
    extra: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq)]
enum ToolChoice {
    #[default]
    Auto,
    None,
    Required,
    Named(String),
}

/// How the answer is to be read for calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToolUse {
    /// `None`: all of it is text.
    pub(crate) family: Option<Family>,
}

impl Conversation {
    /// Checks the parts of a request.
    pub(crate) fn new(
        app: &App,
        messages: Vec<Map<String, Value>>,
        tools: Option<Vec<Value>>,
        choice: Option<&Value>,
        extra: Option<Map<String, Value>>,
    ) -> Result<Self, ApiError> {
        if messages.is_empty() {
            return Err(ApiError::field("messages", "give at least one"));
        }
        let messages = messages.into_iter().enumerate();
        let messages = messages.map(|(index, fields)| message(app, index, fields)).collect::<Result<_, _>>()?;
        let tools = tools.unwrap_or_default();
        check_tools(app, &tools)?;
        let choice = tool_choice(choice, &tools)?;
        Ok(Self { messages, tools, choice, extra: extra.unwrap_or_default() })
    }

    /// The text that the model sees.
    pub(crate) fn render(&self, app: &App) -> Result<String, ApiError> {
        let template = app.model.template.as_ref().map_err(|why| {
            ApiError::bad(format!("{why}: use /v1/completions, or start the server with --chat-template"))
        })?;
        let tools = Some(self.tools.clone()).filter(|tools| !tools.is_empty() && self.choice != ToolChoice::None);
        let now = app.options.date;
        let options = RenderOptions { tools, now, extra: self.extra.clone(), ..RenderOptions::default() };
        template.render(&self.messages, &options).map_err(|error| match error {
            TemplateError::Raised(_) => ApiError::field("messages", error),
            error => ApiError::field("messages", format!("{error}: the template cannot show this conversation")),
        })
    }

    /// How calls are read out of the answer.
    pub(crate) fn tool_use(&self, app: &App) -> ToolUse {
        let used = !self.tools.is_empty() && self.choice != ToolChoice::None;
        ToolUse { family: app.capabilities.family.filter(|_| used) }
    }

    /// The grammar that leaves the model nothing but to call, if that is what was asked for. Blocks.
    pub(crate) fn force(&self, app: &App, several: bool) -> Result<Option<Compiled>, ApiError> {
        let wanted = |name: &str| match &self.choice {
            ToolChoice::Required => true,
            ToolChoice::Named(chosen) => chosen == name,
            ToolChoice::Auto | ToolChoice::None => false,
        };
        let tools: Vec<(&str, Value)> =
            self.tools.iter().filter_map(function).filter(|(name, _)| wanted(name)).collect();
        if tools.is_empty() {
            return Ok(None);
        }
        let Some(family) = app.capabilities.family else {
            let message = "it is not known how this model writes calls: only auto and none can be chosen";
            return Err(ApiError::field("tool_choice", message));
        };
        let named = matches!(self.choice, ToolChoice::Named(_));
        let grammar = force(family, &tools, several && !named, &app.model.tokenizer);
        compile(app, "tools", Source::Lark(grammar)).map(Some)
    }
}

/// Name and schema of the arguments.
fn function(tool: &Value) -> Option<(&str, Value)> {
    let function = tool.get("function")?;
    let empty = || json!({"type": "object", "properties": {}});
    let schema = function.get("parameters").filter(|schema| schema.is_object()).cloned();
    Some((function.get("name")?.as_str()?, schema.unwrap_or_else(empty)))
}

fn check_tools(app: &App, tools: &[Value]) -> Result<(), ApiError> {
    if tools.is_empty() {
        return Ok(());
    }
    if tools.len() > MOST_TOOLS {
        return Err(ApiError::field("tools", format!("{} tools: give at most {MOST_TOOLS}", tools.len())));
    }
    for (index, tool) in tools.iter().enumerate() {
        let name = function(tool).filter(|_| tool.get("type").is_none_or(|kind| kind == "function"));
        let fit = |name: &str| {
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        };
        if !name.is_some_and(|(name, _)| fit(name)) {
            let message =
                "give {\"type\": \"function\", \"function\": {\"name\": …}}, the name of letters, digits, _ and -";
            return Err(ApiError::field(&format!("tools[{index}]"), message));
        }
    }
    if !app.capabilities.tools {
        return Err(ApiError::field("tools", "this model's chat template knows no tools").code("tools_unsupported"));
    }
    Ok(())
}

fn tool_choice(choice: Option<&Value>, tools: &[Value]) -> Result<ToolChoice, ApiError> {
    let choice = match choice {
        None | Some(Value::Null) => return Ok(ToolChoice::Auto),
        Some(choice) => choice,
    };
    let wrong = || {
        ApiError::field(
            "tool_choice",
            "give none, auto, required, or {\"type\": \"function\", \"function\": {\"name\": …}}",
        )
    };
    let chosen = match choice.as_str() {
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("required") => ToolChoice::Required,
        Some(_) => return Err(wrong()),
        None => {
            // `/v1/responses` has the name beside the type.
            let name = choice.get("function").unwrap_or(choice).get("name").and_then(Value::as_str);
            ToolChoice::Named(name.ok_or_else(wrong)?.to_owned())
        }
    };
    let known = |wanted: &str| tools.iter().filter_map(function).any(|(name, _)| name == wanted);
    match &chosen {
        ToolChoice::Named(name) if !known(name) => {
            Err(ApiError::field("tool_choice", format!("no tool is called `{name}`")))
        }
        ToolChoice::Required if tools.is_empty() => Err(ApiError::field("tool_choice", "there are no tools")),
        _ => Ok(chosen),
    }
}

/// One message, as the template takes it.
fn message(app: &App, index: usize, mut fields: Map<String, Value>) -> Result<Message, ApiError> {
    let param = |field: &str| format!("messages[{index}].{field}");
    let role = fields.get("role").and_then(Value::as_str).map(str::to_owned);
    let role = role.ok_or_else(|| ApiError::field(&param("role"), "give a text, such as user"))?;
    for name in ["name", "tool_call_id"] {
        if fields.get(name).is_some_and(|value| !value.is_string() && !value.is_null()) {
            return Err(ApiError::field(&param(name), "give a text"));
        }
    }
    if role == "developer" && !app.capabilities.developer {
        fields.insert("role".into(), "system".into());
    }
    let content = match fields.remove("content") {
        None | Some(Value::Null) if role == "assistant" => String::new(),
        None | Some(Value::Null) => return Err(ApiError::field(&param("content"), "give a text")),
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => parts_text(&parts).map_err(|why| ApiError::field(&param("content"), why))?,
        Some(_) => return Err(ApiError::field(&param("content"), "give a text, or a list of parts")),
    };
    let content = match app.capabilities.parts {
        true => json!([{"type": "text", "text": content}]),
        false => Value::String(content),
    };
    fields.insert("content".into(), content);
    match fields.remove("tool_calls") {
        None | Some(Value::Null) => {}
        Some(Value::Array(calls)) => {
            let calls = calls.into_iter().map(|call| tool_call(app, call));
            let calls: Result<Vec<Value>, &str> = calls.collect();
            let calls = calls.map_err(|why| ApiError::field(&param("tool_calls"), why))?;
            if !calls.is_empty() {
                fields.insert("tool_calls".into(), Value::Array(calls));
            }
        }
        Some(_) => return Err(ApiError::field(&param("tool_calls"), "give a list")),
    }
    Ok(Message(fields))
}

/// The text of parts, one below the other.
fn parts_text(parts: &[Value]) -> Result<String, String> {
    let mut texts = Vec::with_capacity(parts.len());
    for part in parts {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
        let text = part.get("text").or_else(|| part.get("refusal")).and_then(Value::as_str);
        match (kind, text) {
            ("text" | "input_text" | "output_text" | "refusal", Some(text)) => texts.push(text),
            (kind, _) => return Err(format!("a part of the type `{kind}` cannot be shown to this model: give text")),
        }
    }
    Ok(texts.join("\n"))
}

/// A call of an earlier answer, its arguments as the template wants them.
fn tool_call(app: &App, mut call: Value) -> Result<Value, &'static str> {
    let wrong = "each is {\"id\", \"type\": \"function\", \"function\": {\"name\", \"arguments\"}}, the arguments JSON in a text";
    let function = call.get_mut("function").and_then(Value::as_object_mut).ok_or(wrong)?;
    if !function.get("name").is_some_and(Value::is_string) {
        return Err(wrong);
    }
    let arguments = function.get("arguments").cloned().unwrap_or_else(|| json!({}));
    let arguments = match (arguments, app.capabilities.object_arguments) {
        (Value::String(text), true) => match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(object) => Value::Object(object),
            // What is no object stays what the model wrote.
            Err(_) => Value::String(text),
        },
        (object @ Value::Object(_), false) => Value::String(object.to_string()),
        (arguments @ (Value::String(_) | Value::Object(_)), _) => arguments,
        _ => return Err(wrong),
    };
    function.insert("arguments".into(), arguments);
    Ok(call)
}
