//! Templates for models that bring none, under the names that llama.cpp's `--chat-template` has for them.
//!
//! They write no beginning-of-sequence token: the tokenizer adds it where the model wants one. They know neither tools nor
//! reasoning.

/// What every source starts with: a macro for content that is a text or a list of parts.
const PRELUDE: &str = include_str!("builtin/text.jinja");

const MISTRAL: &str = include_str!("builtin/mistral.jinja");
const MISTRAL_7: &str = include_str!("builtin/mistral-v7.jinja");
const DEEPSEEK_3: &str = include_str!("builtin/deepseek3.jinja");

/// Name, settings of its variant, body.
const SOURCES: [(&str, &str, &str); 18] = [
    ("chatml", "", include_str!("builtin/chatml.jinja")),
    ("llama2", "", include_str!("builtin/llama2.jinja")),
    ("llama2-sys", "", include_str!("builtin/llama2-sys.jinja")),
    ("llama3", "", include_str!("builtin/llama3.jinja")),
    ("gemma", "", include_str!("builtin/gemma.jinja")),
    ("mistral", "{%- set before, after, trimmed = '', ' ', true -%}", MISTRAL),
    ("mistral-v1", "{%- set before, after, trimmed = ' ', ' ', false -%}", MISTRAL),
    ("mistral-v3", "{%- set before, after, trimmed = '', ' ', true -%}", MISTRAL),
    ("mistral-v3-tekken", "{%- set before, after, trimmed = '', '', false -%}", MISTRAL),
    ("mistral-v7", "{%- set after = ' ' -%}", MISTRAL_7),
    ("mistral-v7-tekken", "{%- set after = '' -%}", MISTRAL_7),
    ("phi3", "", include_str!("builtin/phi3.jinja")),
    ("phi4", "", include_str!("builtin/phi4.jinja")),
    ("zephyr", "", include_str!("builtin/zephyr.jinja")),
    ("vicuna", "", include_str!("builtin/vicuna.jinja")),
    ("deepseek", "", include_str!("builtin/deepseek.jinja")),
    ("deepseek2", "{%- set user, gap, assistant, blank = 'User: ', '\\n\\n', 'Assistant:', ' ' -%}", DEEPSEEK_3),
    ("deepseek3", "{%- set user, gap, assistant, blank = '<｜User｜>', '', '<｜Assistant｜>', '' -%}", DEEPSEEK_3),
];

/// Names of the built-in templates.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(name, _, _)| *name)
}

/// The Jinja source of a built-in template.
pub(super) fn source(name: &str) -> Option<String> {
    let (_, settings, body) = SOURCES.iter().find(|(known, _, _)| *known == name)?;
    // Without the file's last newline: it would become part of the text.
    let body = body.trim_end_matches('\n');
    Some([PRELUDE.trim_end_matches('\n'), settings, body].concat())
}
