//! Reads calls out of a model's text as it comes. What looks like a call and is none stays text: nothing is lost.

use super::Family;
use crate::engine::overlap;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// JSON, as the model wrote it.
    pub(crate) arguments: String,
}

/// What a piece of text came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    pub(crate) content: String,
    pub(crate) calls: Vec<Call>,
}

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";
const MISTRAL: &str = "[TOOL_CALLS]";
const PYTHON: &str = "<|python_tag|>";

/// Where in the text the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing but white space so far.
    Start,
    Text,
    /// Behind a mark.
    Call,
    /// In what looks like a call without a mark.
    Bare,
}

/// Reads one answer.
#[derive(Debug)]
pub(crate) struct Reader {
    family: Option<Family>,
    place: Place,
    held: String,
    calls: usize,
}

impl Reader {
    /// `None`: all is text.
    pub(crate) fn new(family: Option<Family>) -> Self {
        Self { family, place: Place::Start, held: String::new(), calls: 0 }
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// Takes a piece of text.
    pub(crate) fn push(&mut self, text: &str) -> Delta {
        let mut delta = Delta::default();
        self.held.push_str(text);
        match self.family {
            None => delta.content = std::mem::take(&mut self.held),
            Some(Family::Hermes) => self.hermes(&mut delta),
            Some(Family::Llama3) => self.llama(&mut delta),
            Some(Family::Mistral) => self.mistral(&mut delta),
        }
        self.calls += delta.calls.len();
        delta
    }

    /// The text is over.
    pub(crate) fn finish(&mut self) -> Delta {
        let mut delta = Delta::default();
        let held = std::mem::take(&mut self.held);
        match (self.family, self.place) {
            (Some(family), Place::Call) => match calls(family, &held) {
                Some(calls) => delta.calls = calls,
                None => delta.content = mark(family).to_owned() + &held,
            },
            (Some(family), Place::Bare) => match bare_calls(family, &held) {
                Some(calls) => delta.calls = calls,
                None => delta.content = held,
            },
            // White space after the last call was between calls.
            _ if self.calls > 0 && held.trim().is_empty() => {}
            _ => delta.content = held,
        }
        self.calls += delta.calls.len();
        delta
    }

    fn hermes(&mut self, delta: &mut Delta) {
        // Small models forget the marks.
        if self.undecided() {
            return;
        }
        loop {
            if self.place == Place::Call {
                let Some(end) = self.held.find(CLOSE) else { return };
                match calls(Family::Hermes, &self.held[..end]) {
                    Some(calls) => delta.calls.extend(calls),
                    None => {
                        delta.content.push_str(OPEN);
                        delta.content.push_str(&self.held[..end + CLOSE.len()]);
                    }
                }
                self.held.drain(..end + CLOSE.len());
                self.place = Place::Text;
            }
            if !self.text_up_to(OPEN, delta) {
                return;
            }
        }
    }

    fn mistral(&mut self, delta: &mut Delta) {
        if self.place != Place::Call {
            self.text_up_to(MISTRAL, delta);
        }
    }

    /// Shows the text before a mark, and steps behind it; false if the mark has not come. White space before it is not shown.
    fn text_up_to(&mut self, mark: &str, delta: &mut Delta) -> bool {
        if let Some(at) = self.held.find(mark) {
            delta.content.push_str(self.held[..at].trim_end());
            self.held.drain(..at + mark.len());
            self.place = Place::Call;
            return true;
        }
        let shown = self.held.len() - overlap(&self.held, mark);
        let shown = self.held[..shown].trim_end().len();
        delta.content.push_str(&self.held[..shown]);
        self.held.drain(..shown);
        self.place = Place::Text;
        false
    }

    /// A call is the whole answer, or there is none.
    fn llama(&mut self, delta: &mut Delta) {
        if self.place == Place::Start {
            let text = self.held.trim_start();
            if text.is_empty() || (text.len() < PYTHON.len() && PYTHON.starts_with(text)) {
                return;
            }
            if let Some(rest) = text.strip_prefix(PYTHON) {
                (self.held, self.place) = (rest.to_owned(), Place::Call);
            }
        }
        if !self.undecided() && self.place != Place::Call {
            self.place = Place::Text;
            delta.content = std::mem::take(&mut self.held);
        }
    }

    /// Whether the answer so far may be, or become, a call without a mark.
    fn undecided(&mut self) -> bool {
        if self.place == Place::Start {
            match looks_like_call(&self.held) {
                Some(true) => self.place = Place::Bare,
                Some(false) => {}
                None => return !self.held.is_empty(),
            }
        }
        self.place == Place::Bare
    }
}

/// How calls without a mark begin, white space aside.
const BEGINNINGS: [&str; 3] = ["{\"name\":", "[{\"name\":", "{\"type\":\"function\""];

/// What models that forget the marks put around a call instead.
const FENCES: [&str; 3] = ["```json", "```", ""];

/// Whether a text begins as calls do; `None`: it is too short to tell.
fn looks_like_call(text: &str) -> Option<bool> {
    let longest = BEGINNINGS.iter().map(|beginning| beginning.len()).max().unwrap_or(0) + FENCES[0].len();
    let dense: String = text.chars().filter(|c| !c.is_whitespace()).take(longest).collect();
    let forms = || FENCES.iter().flat_map(|fence| BEGINNINGS.map(|beginning| format!("{fence}{beginning}")));
    if forms().any(|form| dense.starts_with(&form)) {
        return Some(true);
    }
    if forms().any(|form| form.starts_with(&dense)) { None } else { Some(false) }
}

/// The calls that a text without a mark consists of: each must have arguments, for else anything that has a name would be a call.
fn bare_calls(family: Family, text: &str) -> Option<Vec<Call>> {
    let text = text.trim();
    let inside = FENCES.iter().find_map(|fence| text.strip_prefix(fence)).unwrap_or(text);
    let inside = inside.strip_suffix("```").unwrap_or(inside);
    let arguments = inside.matches("\"arguments\"").count() + inside.matches("\"parameters\"").count();
    calls(family, inside).filter(|calls| arguments >= calls.len())
}

/// What stood before a text that turned out to be no call. Llama's may have had none.
fn mark(family: Family) -> &'static str {
    match family {
        Family::Hermes => OPEN,
        Family::Llama3 => "",
        Family::Mistral => MISTRAL,
    }
}

/// A call as models write it.
#[derive(Deserialize)]
struct Written<'a> {
    name: String,
    #[serde(borrow, alias = "parameters")]
    arguments: Option<&'a RawValue>,
}

impl Written<'_> {
    fn call(self) -> Call {
        let arguments = self.arguments.map_or("{}", RawValue::get);
        // Some models quote the object.
        let quoted = serde_json::from_str::<String>(arguments).ok();
        let quoted = quoted.filter(|text| serde_json::from_str::<serde_json::Map<_, _>>(text).is_ok());
        Call { name: self.name, arguments: quoted.unwrap_or_else(|| arguments.to_owned()) }
    }
}

/// The calls that a text behind a mark consists of; `None` if it is anything else.
fn calls(family: Family, text: &str) -> Option<Vec<Call>> {
    let text = text.trim();
    if text.starts_with('[') {
        let list: Vec<Written<'_>> = serde_json::from_str(text).ok()?;
        return Some(list.into_iter().map(Written::call).collect()).filter(|calls: &Vec<_>| !calls.is_empty());
    }
    if family == Family::Mistral && !text.starts_with('{') {
        return named_calls(text);
    }
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut reader = serde_json::Deserializer::from_str(rest).into_iter::<Written<'_>>();
        found.push(reader.next()?.ok()?.call());
        let read = reader.byte_offset();
        // Llama puts a semicolon between calls.
        rest = rest[read..].trim_start_matches(|c: char| c == ';' || c.is_whitespace());
    }
    Some(found).filter(|found| !found.is_empty())
}

/// Mistral's newer way: `name{…}`, `name[ARGS]{…}`, several of them one after the other.
fn named_calls(text: &str) -> Option<Vec<Call>> {
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let brace = rest.find('{')?;
        let name = rest[..brace].split("[ARGS]").next()?.split("[CALL_ID]").next()?.trim();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(&rest[brace..]).into_iter::<&RawValue>();
        let arguments = reader.next()?.ok()?.get().to_owned();
        found.push(Call { name: name.to_owned(), arguments });
        let read = brace + reader.byte_offset();
        rest = rest[read..].trim_start();
        rest = rest.strip_prefix(MISTRAL).unwrap_or(rest).trim_start();
    }
    Some(found).filter(|found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text in one piece, and letter by letter: the same calls and content.
    fn read(family: Family, text: &str) -> (String, Vec<(String, String)>) {
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let run = |pieces: &[String]| {
            let mut reader = Reader::new(Some(family));
            let mut deltas: Vec<Delta> = pieces.iter().map(|piece| reader.push(piece)).collect();
            deltas.push(reader.finish());
            let content: String = deltas.iter().map(|delta| delta.content.as_str()).collect();
            let calls: Vec<_> =
                deltas.into_iter().flat_map(|delta| delta.calls).map(|c| (c.name, c.arguments)).collect();
            assert_eq!(reader.calls(), calls.len());
            (content, calls)
        };
        let whole = run(&[text.to_owned()]);
        assert_eq!(whole, run(&letters), "{text}");
        whole
    }

    fn call(name: &str, arguments: &str) -> (String, String) {
        (name.into(), arguments.into())
    }

    #[test]
    fn hermes() {
        let text = "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\":  1.0}}\n</tool_call>\n<tool_call>{\"name\":\"g\"}</tool_call>\n";
        let wanted = ("Let me see.".into(), vec![call("f", "{\"x\":  1.0}"), call("g", "{}")]);
        assert_eq!(read(Family::Hermes, text), wanted);
        let cut = "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"x\\\": 2}\"}";
        assert_eq!(read(Family::Hermes, cut), (String::new(), vec![call("f", "{\"x\": 2}")]));
        let bare = "{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n{\"name\": \"g\", \"arguments\": {}}";
        assert_eq!(read(Family::Hermes, bare), (String::new(), vec![call("f", "{\"x\": 1}"), call("g", "{}")]));
        let fenced = "```json\n{\n  \"name\": \"f\", \"arguments\": {\"x\": 1}}\n```";
        assert_eq!(read(Family::Hermes, fenced), (String::new(), vec![call("f", "{\"x\": 1}")]));
        let texts = [
            "```json\n{\"n\": 1}\n```",
            "```json\n{\"name\": \"Ada\"}\n```",
            "``",
            "a <b> c ",
            "<tool_call>nonsense</tool_call> then",
            "<tool_call>{\"name\": 3",
            "a <tool_",
            " \n",
            "{\"name\": \"Ada\"}",
            "{\"n\": 1}",
            "{\"name\": \"f\", \"arguments\": ",
        ];
        for text in texts {
            assert_eq!(read(Family::Hermes, text), (text.into(), vec![]), "{text}");
        }
    }

    #[test]
    fn llama() {
        let text = "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"x\": 1}}; {\"name\": \"g\", \"parameters\": {}}";
        assert_eq!(read(Family::Llama3, text), (String::new(), vec![call("f", "{\"x\": 1}"), call("g", "{}")]));
        for text in ["Hello {\"name\": \"f\"}", "{\"title\": 1}", "{not json", "<b>"] {
            assert_eq!(read(Family::Llama3, text), (text.into(), vec![]), "{text}");
        }
    }

    #[test]
    fn mistral() {
        let text =
            "Now [TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"x\": 1}}, {\"name\": \"g\", \"arguments\": {}}]";
        assert_eq!(read(Family::Mistral, text), ("Now".into(), vec![call("f", "{\"x\": 1}"), call("g", "{}")]));
        let text = "[TOOL_CALLS]f[ARGS]{\"x\": 1}[TOOL_CALLS]g{}";
        assert_eq!(read(Family::Mistral, text), (String::new(), vec![call("f", "{\"x\": 1}"), call("g", "{}")]));
        for text in ["[TOOL_CALLS] none", "[TOOL", "x[1]"] {
            assert_eq!(read(Family::Mistral, text), (text.into(), vec![]), "{text}");
        }
    }
}
