//! Finding a model's chat templates in its GGUF metadata.

use samebit_gguf::Metadata;

use super::{ChatTemplate, TemplateError, builtin};
use crate::Tokenizer;

const KEY: &str = "tokenizer.chat_template";
/// The names of further templates; each is under `tokenizer.chat_template.<name>`.
const NAMES_KEY: &str = "tokenizer.chat_templates";

impl ChatTemplate {
    /// A model's own template: GGUF key `tokenizer.chat_template`. `bos_token` and `eos_token` are the tokenizer's.
    ///
    /// # Errors
    /// [`TemplateError::Missing`] if the model has none; the caller can offer [`builtin`](Self::builtin) ones by name.
    pub fn from_metadata(metadata: &Metadata, tokenizer: &Tokenizer) -> Result<Self, TemplateError> {
        Self::read(metadata, tokenizer, None)
    }

    /// One of a model's named templates, such as `tool_use`: GGUF key `tokenizer.chat_template.<name>`. The name `default`
    /// is also that of the unnamed one.
    ///
    /// # Errors
    /// As [`from_metadata`](Self::from_metadata).
    pub fn named_from_metadata(metadata: &Metadata, tokenizer: &Tokenizer, name: &str) -> Result<Self, TemplateError> {
        if name == "default" && !metadata.contains(&format!("{KEY}.{name}")) {
            return Self::read(metadata, tokenizer, None);
        }
        Self::read(metadata, tokenizer, Some(name))
    }

    /// The names of a model's named templates, from the list under `tokenizer.chat_templates` and from the keys themselves.
    pub fn names_in(metadata: &Metadata) -> Vec<String> {
        let listed = metadata.array_str(NAMES_KEY).ok().flatten();
        let listed = listed.into_iter().flat_map(|names| names.iter());
        let listed = listed.map(|name| String::from_utf8_lossy(name).into_owned());
        let keys = metadata.iter().filter_map(|(key, _)| key.strip_prefix(KEY));
        let keys = keys.filter_map(|rest| rest.strip_prefix('.').map(String::from));
        let mut names: Vec<String> = Vec::new();
        for name in listed.chain(keys) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn read(metadata: &Metadata, tokenizer: &Tokenizer, name: Option<&str>) -> Result<Self, TemplateError> {
        let key = name.map_or(KEY.to_string(), |name| format!("{KEY}.{name}"));
        let source = metadata.str(&key).map_err(|error| TemplateError::Metadata(error.to_string()))?;
        let Some(source) = source else {
            let names = Self::names_in(metadata);
            let remedy = if names.is_empty() {
                let known: Vec<_> = builtin::names().collect();
                format!("choose one by name ({})", known.join(", "))
            } else {
                format!("it has others ({})", names.join(", "))
            };
            return Err(TemplateError::Missing { name: name.map(Into::into), remedy });
        };
        let text = |id: Option<u32>| {
            let piece = tokenizer.piece(id?)?;
            String::from_utf8(piece.into_owned()).ok()
        };
        let (bos, eos) = (text(tokenizer.bos()), text(tokenizer.eos()));
        Self::parse(source, bos.as_deref(), eos.as_deref())
    }
}
