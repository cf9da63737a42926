//! What a chat template can do with tools, found out by asking it once.

use crate::model::Model;
use samebit_text::template::{ChatTemplate, Message, RenderOptions};
use serde_json::{Value, json};
use std::sync::Arc;

/// How a model writes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `<tool_call>{"name": …, "arguments": …}</tool_call>`: Hermes, Qwen and many others.
    Hermes,
    /// `{"name": …, "parameters": …}` as the whole answer, perhaps behind `<|python_tag|>`: Llama 3.
    Llama3,
    /// `[TOOL_CALLS]` and an array, or names with their arguments: Mistral.
    Mistral,
}

impl Family {
    /// Texts that mark a call; a vocabulary may have them as special tokens, which are shown then.
    pub(crate) fn marks(self) -> &'static [&'static str] {
        match self {
            Self::Hermes => &["<tool_call>", "</tool_call>"],
            Self::Llama3 => &["<|python_tag|>"],
            Self::Mistral => &["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"],
        }
    }
}

/// What the model's template can do.
#[derive(Clone, Debug)]
pub(crate) struct Capabilities {
    /// It tells the model which tools there are.
    pub(crate) tools: bool,
    /// It wants a call's arguments as an object; otherwise as the JSON text that clients send.
    pub(crate) object_arguments: bool,
    /// It knows the role `developer`.
    pub(crate) developer: bool,
    /// It wants a message's content as a list of parts.
    pub(crate) parts: bool,
    /// How the model writes calls, if that is known.
    pub(crate) family: Option<Family>,
    /// The special tokens among the family's marks.
    pub(crate) shown: Arc<[u32]>,
}

const PROBE: &str = "samebit_probe";

impl Capabilities {
    pub(crate) fn of(model: &Model) -> Self {
        let Ok(template) = &model.template else {
            return Self {
                tools: false,
                object_arguments: true,
                developer: false,
                parts: false,
                family: None,
                shown: Arc::default(),
            };
        };
        let source = template.source();
        let family = family(source);
        let marks = family.map_or(&[][..], Family::marks);
        let special = |mark: &&str| model.tokenizer.id_of(mark);
        Self {
            tools: shows_tools(template),
            object_arguments: takes_objects(template),
            developer: source.contains("developer"),
            parts: !shows_content(template, json!(PROBE))
                && shows_content(template, json!([{"type": "text", "text": PROBE}])),
            family,
            shown: marks.iter().filter_map(special).collect(),
        }
    }
}

fn family(source: &str) -> Option<Family> {
    if source.contains("<tool_call>") {
        Some(Family::Hermes)
    } else if source.contains("[TOOL_CALLS]") {
        Some(Family::Mistral)
    } else if source.contains("<|python_tag|>") || (source.contains("ipython") && source.contains("\"parameters\"")) {
        Some(Family::Llama3)
    } else {
        None
    }
}

fn shows_content(template: &ChatTemplate, content: Value) -> bool {
    let messages = [Message::new("user", content)];
    let text = template.render(&messages, &RenderOptions::default()).unwrap_or_default();
    // A list printed as Python prints it has been shown, but not understood.
    text.contains(PROBE) && !text.contains("'text'") && !text.contains("\"text\"")
}

fn shows_tools(template: &ChatTemplate) -> bool {
    let tool = json!({"type": "function", "function": {"name": PROBE, "description": "x",
                      "parameters": {"type": "object", "properties": {}, "required": []}}});
    let options = RenderOptions { tools: Some(vec![tool]), ..RenderOptions::default() };
    template.render(&[Message::new("user", "x")], &options).is_ok_and(|text| text.contains(PROBE))
}

/// Renders a call with arguments as an object and looks whether JSON comes out.
fn takes_objects(template: &ChatTemplate) -> bool {
    let calls =
        json!([{"id": "call00000", "type": "function", "function": {"name": "f", "arguments": {PROBE: "needle"}}}]);
    let messages = [
        Message::new("user", "x"),
        Message::new("assistant", "").with("tool_calls", calls),
        Message::new("tool", "y").with("tool_call_id", "call00000").with("name", "f"),
    ];
    let wanted = format!("\"{PROBE}\": \"needle\"");
    let rendered = template.render(&messages, &RenderOptions::default());
    rendered.is_ok_and(|text| text.contains(&wanted) || text.contains(&wanted.replace(": ", ":")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(source: &str) -> ChatTemplate {
        ChatTemplate::parse(source, None, None).expect("a template")
    }

    #[test]
    fn templates_tell_what_they_can() {
        let qwen = template(
            "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{% for m in messages %}{{ m.content }}\
             {% for c in m.tool_calls or [] %}<tool_call>{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}",
        );
        assert!(shows_tools(&qwen) && takes_objects(&qwen) && family(qwen.source()) == Some(Family::Hermes));
        let plain = template("{% for m in messages %}{{ m.content }}{% endfor %}");
        assert!(!shows_tools(&plain) && family(plain.source()).is_none() && shows_content(&plain, json!(PROBE)));
        let strings = template(
            "{% for m in messages %}{% for c in m.tool_calls or [] %}[TOOL_CALLS]{{ c.function.arguments }}{% endfor %}{% endfor %}",
        );
        assert!(!takes_objects(&strings));
        let parts = template("{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}");
        assert!(
            !shows_content(&parts, json!(PROBE)) && shows_content(&parts, json!([{"type": "text", "text": PROBE}]))
        );
    }
}
