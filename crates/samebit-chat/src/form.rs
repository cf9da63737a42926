//! The form that an answer must have, from what a person says of it.
//!
//! Knows texts and small files; what a grammar means is llguidance's.

use std::path::Path;

use samebit_grammar::Source;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::complete::at_home;
use crate::disk;

/// What may be said.
const WANTED: &str = "a form is json, a JSON schema, or a file with one or (.lark, .gbnf) with a grammar";
/// A larger file is no form.
const MOST_BYTES: u64 = 1 << 20;

/// The form that an answer must have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Any text.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// JSON that this schema describes.
    Schema(Value),
    /// A text of this grammar, in llguidance's Lark.
    Lark(String),
}

impl Format {
    /// What was said: `json`, a JSON schema, or a file with a schema; with a grammar if its name ends with `.lark` or `.gbnf`.
    ///
    /// # Errors
    /// A file that cannot be read; what is no JSON.
    pub fn parse(said: &str) -> Result<Self, String> {
        let said = said.trim();
        match said {
            "" => Err(WANTED.into()),
            "json" => Ok(Self::Json),
            _ if said.starts_with('{') => Self::schema(said),
            file => Self::read(&at_home(file)).map_err(|error| format!("{error}: {WANTED}")),
        }
    }

    /// A form that is in a file.
    ///
    /// # Errors
    /// As [`Format::parse`].
    pub fn read(path: &Path) -> Result<Self, String> {
        if path.extension().is_some_and(|extension| extension == "lark" || extension == "gbnf") {
            return Self::grammar_file(path);
        }
        Self::schema(&small(path)?).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// A JSON schema.
    ///
    /// # Errors
    /// What is no JSON.
    pub fn schema(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map(Self::Schema).map_err(|error| format!("no JSON schema: {error}"))
    }

    /// A grammar: llguidance's Lark, or llama.cpp's GBNF, which becomes Lark.
    ///
    /// # Errors
    /// GBNF with a mistake, which is told with its line. Lark's mistakes are found where it is used.
    pub fn grammar(text: &str) -> Result<Self, String> {
        samebit_grammar::lark(text).map(Self::Lark).map_err(|error| error.to_string())
    }

    /// A grammar in a file, whatever its name.
    ///
    /// # Errors
    /// A file that cannot be read; otherwise as [`Format::grammar`].
    pub fn grammar_file(path: &Path) -> Result<Self, String> {
        Self::grammar(&small(path)?).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// What is to be compiled for it.
    pub(crate) fn source(&self) -> Option<Source> {
        match self {
            Self::Text => None,
            Self::Json => Some(Source::JsonObject),
            Self::Schema(schema) => Some(Source::JsonSchema(schema.clone())),
            Self::Lark(grammar) => Some(Source::Lark(grammar.clone())),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text => f.write_str("any text"),
            Self::Json => f.write_str("any JSON object"),
            Self::Schema(schema) => write!(f, "JSON of the schema {schema}"),
            Self::Lark(grammar) => write!(f, "a text of the grammar\n{grammar}"),
        }
    }
}

fn small(path: &Path) -> Result<String, String> {
    let bytes = disk::read_any(path, MOST_BYTES, "form").map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8: convert the text to UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_what_was_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.to_str().expect("UTF-8").to_owned()
        };
        let schema = Format::Schema(serde_json::json!({"type": "array"}));
        assert_eq!(Format::parse("json"), Ok(Format::Json));
        assert_eq!(Format::parse(r#" {"type":"array"}"#), Ok(schema.clone()));
        assert_eq!(Format::parse(&file("s.json", r#"{"type": "array"}"#)), Ok(schema.clone()));
        assert_eq!(Format::parse(&file("g.lark", "start: \"a\"")), Ok(Format::Lark("start: \"a\"".into())));
        let lark = Ok(Format::Lark("start: \"a\"\n".into()));
        assert_eq!(
            (Format::grammar("root ::= \"a\""), Format::parse(&file("g.gbnf", "root ::= \"a\""))),
            (lark.clone(), lark)
        );
        assert!(Format::grammar("root ::= x").is_err_and(|why| why.contains("line 1")));
        assert!(Format::parse("{").is_err_and(|why| why.contains("no JSON schema")));
        assert!(Format::parse(&file("t.txt", "x")).is_err_and(|why| why.contains("t.txt: no JSON schema")));
        assert!(Format::parse("nowhere.json").is_err_and(|why| why.contains("nowhere.json")));
        let long = "x".repeat(MOST_BYTES as usize + 1);
        assert!(Format::parse(&file("long.lark", &long)).is_err_and(|why| why.contains("more than")));
        for form in [Format::Text, Format::Json, schema, Format::Lark("x".into())] {
            let json = serde_json::to_string(&form).expect("JSON");
            assert_eq!(serde_json::from_str::<Format>(&json).expect("a form"), form);
        }
        assert_eq!(serde_json::to_string(&Format::Json).expect("JSON"), "\"json\"", "as files of old have it");
    }
}
