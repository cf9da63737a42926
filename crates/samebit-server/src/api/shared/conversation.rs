//! A conversation: messages and tools in the form that the model's template takes, rendered, and how calls are read or forced.

use super::form::{Compiled, compile};
use super::message::message;
use super::tools::{ToolChoice, check_tools, function, tool_choice};
use crate::app::App;
use crate::http::ApiError;
use crate::tools::{Family, force};
use samebit_grammar::Source;
use samebit_text::template::{Message, RenderOptions, TemplateError};
use serde_json::{Map, Value};

/// Messages as a request has them.
pub(crate) struct Said {
    /// The request's field that they are in.
    pub(crate) field: &'static str,
    /// Each with its place there.
    pub(crate) messages: Vec<(String, Map<String, Value>)>,
}

impl Said {
    /// The field `messages`.
    pub(crate) fn messages(messages: Vec<Map<String, Value>>) -> Self {
        let place = |(index, fields)| (format!("messages[{index}]"), fields);
        Self { field: "messages", messages: messages.into_iter().enumerate().map(place).collect() }
    }
}

/// A conversation to be rendered.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    field: &'static str,
    messages: Vec<Message>,
    tools: Vec<Value>,
    choice: ToolChoice,
    extra: Map<String, Value>,
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
        said: Said,
        tools: Option<Vec<Value>>,
        choice: Option<&Value>,
        extra: Option<Map<String, Value>>,
    ) -> Result<Self, ApiError> {
        let Said { field, messages } = said;
        if messages.is_empty() {
            return Err(ApiError::field(field, "give at least one message"));
        }
        let messages = messages.into_iter();
        let messages = messages.map(|(place, fields)| message(app, &place, fields)).collect::<Result<_, _>>()?;
        let tools = tools.unwrap_or_default();
        check_tools(&tools, field == "input")?;
        let choice = tool_choice(choice, &tools)?;
        // What is not to be shown need not be understood.
        if !tools.is_empty() && choice != ToolChoice::None && !app.capabilities.tools {
            return Err(ApiError::field("tools", "this model's chat template knows no tools").code("tools_unsupported"));
        }
        Ok(Self { field, messages, tools, choice, extra: extra.unwrap_or_default() })
    }

    /// The text that the model sees.
    pub(crate) fn render(&self, app: &App) -> Result<String, ApiError> {
        let template = app.model.template.as_ref().map_err(|why| {
            ApiError::bad(format!("{why}; /v1/completions needs none")).param(self.field).code("chat_template_missing")
        })?;
        let tools = Some(self.tools.clone()).filter(|tools| !tools.is_empty() && self.choice != ToolChoice::None);
        let now = app.options.date;
        let options = RenderOptions { tools, now, extra: self.extra.clone(), ..RenderOptions::default() };
        template.render(&self.messages, &options).map_err(|error| match error {
            TemplateError::Raised(_) => ApiError::field(self.field, error),
            error => ApiError::field(self.field, format!("{error}: the template cannot show this conversation")),
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
