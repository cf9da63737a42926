//! Chat templates: a conversation to the text that a model was trained on.
//!
//! Templates are Jinja sources that come with a model. They are rendered by an interpreter of our own, which follows
//! Python's Jinja 3.1 as Hugging Face `transformers` configures it, byte for byte: an immutable sandbox with
//! `trim_blocks`, `lstrip_blocks`, loop controls, `{% generation %}`, `raise_exception`, `strftime_now` and a `tojson`
//! that escapes no HTML. Unlike there, every rendering is bounded in time and memory ([`Limits`]): that is why it is our
//! own, for a library's operators cannot be metered from outside. No clock, no environment, no files.
//!
//! ```
//! use samebit_text::template::{ChatTemplate, Message, RenderOptions};
//!
//! let source = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}\n{% endfor %}";
//! let template = ChatTemplate::parse(source, None, None)?;
//! let text = template.render(&[Message::new("user", " Hi! ")], &RenderOptions::default())?;
//! assert_eq!(text, "<user>Hi!\n");
//! # Ok::<(), samebit_text::template::TemplateError>(())
//! ```
//!
//! A source becomes tokens (`lexer`, `unescape`), a tree (`ast`, `parser`), and text (`vm` statements, `eval` expressions,
//! `call` calls, over `scope`). What Python brings is in `value`, `ops`, `index`, `methods`, `strings`, `format`, `repr`,
//! `json`; what Jinja brings in `filters` and `checks`; the bounds in `limits` and `stack`. `builtin` and `metadata` say where
//! templates come from.
//!
//! # Where it is not Python
//! - Generators are made at once, so one that is never used can fail here and not there.
//! - Integers have 128 bits; powers have whole exponents.
//! - An error: other templates (`include`, `extends` …), `autoescape`, randomness, bytes, and the filters `filesizeformat`,
//!   `pprint`, `striptags`, `urlize`, `wordwrap` and `xmlattr`.

mod args;
mod ast;
mod builtin;
mod call;
mod checks;
mod civil;
mod error;
mod eval;
mod filters;
mod format;
mod index;
mod json;
mod lexer;
mod limits;
mod markup;
mod metadata;
mod methods;
mod ops;
mod parser;
mod repr;
mod scope;
mod stack;
mod strings;
mod unescape;
mod value;
mod vm;

pub use civil::CivilTime;
pub use error::TemplateError;
pub use limits::Limits;

use std::rc::Rc;
use std::sync::Arc;

use limits::{Fault, Meter, Res};
use scope::Scope;
use serde_json::{Map, Value as Json};
use value::{Function, Value};
use vm::Vm;

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
        Self { add_generation_prompt: true, tools: None, documents: None, now: None, extra: Map::new() }
    }
}

/// A chat template, parsed.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    body: Arc<ast::Body>,
    bos_token: Option<String>,
    eos_token: Option<String>,
    limits: Limits,
}

impl ChatTemplate {
    /// Parses a Jinja source. `bos_token` and `eos_token` are the texts that the variables of those names hold.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`], or [`TemplateError::Limit`] for a source too long or too deeply nested.
    pub fn parse(source: &str, bos_token: Option<&str>, eos_token: Option<&str>) -> Result<Self, TemplateError> {
        let limits = Limits::default();
        if source.len() > limits.source_bytes {
            return Err(TemplateError::Limit { line: 0, what: format!("source ({} bytes)", limits.source_bytes) });
        }
        Ok(Self {
            body: Arc::new(stack::with_stack(|| parser::parse(source))??),
            source: source.into(),
            bos_token: bos_token.map(Into::into),
            eos_token: eos_token.map(Into::into),
            limits,
        })
    }

    /// A template for models that bring none, by llama.cpp's name for it; see [`builtin_names`](Self::builtin_names).
    ///
    /// # Errors
    /// [`TemplateError::Unknown`] for a name that is not among them.
    pub fn builtin(name: &str, bos_token: Option<&str>, eos_token: Option<&str>) -> Result<Self, TemplateError> {
        match builtin::source(name) {
            Some(source) => Self::parse(&source, bos_token, eos_token),
            None => {
                let known: Vec<_> = builtin::names().collect();
                Err(TemplateError::Unknown { name: name.into(), known: known.join(", ") })
            }
        }
    }

    /// Names of the built-in templates.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        builtin::names()
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
    pub fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TemplateError> {
        stack::with_stack(|| self.render_here(messages, options))?
    }

    fn render_here(&self, messages: &[Message], options: &RenderOptions) -> Result<String, TemplateError> {
        let meter = Meter::new(&self.limits);
        let root = Scope::new(&meter, None);
        let mut vm = Vm::new(meter.clone(), options.now);
        let ran = meter
            .given(|| {
                // What `self` is for, blocks that other templates override, there is not.
                let itself = vm.registry.namespace(&meter)?;
                root.set(Arc::from("self"), Value::Namespace(itself))?;
                self.variables(&meter, &root, messages, options)
            })
            .and_then(|()| vm.run(&self.body, &root).map(drop));
        let line = vm.line;
        ran.map(|()| vm.finish()).map_err(|fault| match fault {
            Fault::Error(message) => TemplateError::Runtime { line, message },
            Fault::Raised(message) => TemplateError::Raised(message),
            Fault::Limit(what) => TemplateError::Limit { line, what },
        })
    }

    /// Sets what a template can refer to.
    fn variables(&self, meter: &Rc<Meter>, root: &Scope, messages: &[Message], options: &RenderOptions) -> Res<()> {
        let functions = [
            ("range", Function::Range),
            ("dict", Function::Dict),
            ("namespace", Function::Namespace),
            ("cycler", Function::Cycler),
            ("joiner", Function::Joiner),
            ("raise_exception", Function::RaiseException),
        ];
        for (name, function) in functions {
            root.set(Arc::from(name), Value::Function(function))?;
        }
        if options.now.is_some() {
            let function = Value::Function(Function::StrftimeNow);
            root.set(Arc::from("strftime_now"), function)?;
        }
        for (name, token) in [("bos_token", &self.bos_token), ("eos_token", &self.eos_token)] {
            if let Some(token) = token {
                root.set(Arc::from(name), meter.copy(token)?)?;
            }
        }
        let fields = |message: &Message| meter.json(&Json::Object(message.0.clone()), 0);
        let messages = messages.iter().map(fields).collect::<Res<_>>()?;
        root.set(Arc::from("messages"), meter.list(messages)?)?;
        for (name, list) in [("tools", &options.tools), ("documents", &options.documents)] {
            let value = match list {
                None => Value::None,
                Some(list) => {
                    let items = list.iter().map(|item| meter.json(item, 0));
                    meter.list(items.collect::<Res<_>>()?)?
                }
            };
            root.set(Arc::from(name), value)?;
        }
        let prompt = Value::Bool(options.add_generation_prompt);
        root.set(Arc::from("add_generation_prompt"), prompt)?;
        for (name, value) in &options.extra {
            root.set(Arc::from(name.as_str()), meter.json(value, 0)?)?;
        }
        Ok(())
    }
}
