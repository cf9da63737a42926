//! From flags to prompt tokens: text from a flag or a file, the chat template, the tokenizer.

use crate::args::{ChatArgs, ModelArgs, PromptArgs};
use crate::failure::Failure;
use samebit_gguf::Gguf;
use samebit_text::template::{ChatTemplate, Message, RenderOptions, TemplateError};
use samebit_text::{EncodeOptions, Tokenizer};
use std::io::{ErrorKind, Read};
use std::path::Path;

/// A prompt or a template larger than this is a mistake: gigabytes of text are no prompt.
const MOST_BYTES: u64 = 32 << 20;

/// A text and where it came from, for errors.
struct Source {
    name: String,
    bytes: Vec<u8>,
}

impl Source {
    fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let at = error.valid_up_to();
            let byte = self.bytes.get(at).copied().unwrap_or_default();
            Failure::Input(format!("{}: byte {at} (0x{byte:02x}) is not UTF-8: convert the text to UTF-8", self.name))
        })
    }
}

/// What to do with bytes that are no UTF-8.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Invalid {
    /// Refuse them: a model should see what was written.
    Refuse,
    /// Leave them to the tokenizer, which keeps them if its vocabulary has tokens for bytes.
    Pass,
}

/// The prompt's tokens: given as ids, or from a text as it is.
pub(crate) fn raw(args: &PromptArgs, tokenizer: &Tokenizer, invalid: Invalid) -> Result<Vec<u32>, Failure> {
    if let Some(ids) = &args.tokens {
        return check_ids(ids, tokenizer);
    }
    let source = source(args)?;
    if invalid == Invalid::Refuse {
        source.text()?;
    }
    let options = EncodeOptions { add_special: !args.special.no_bos, parse_special: args.special.parse() };
    Ok(tokenizer.encode(&source.bytes, options))
}

/// The prompt's tokens, with the chat template applied if the flags ask for it.
pub(crate) fn with_chat(
    args: &PromptArgs,
    chat: &ChatArgs,
    model: &ModelArgs,
    gguf: &Gguf,
    tokenizer: &Tokenizer,
) -> Result<Vec<u32>, Failure> {
    if !chat.wanted() {
        return raw(args, tokenizer, Invalid::Refuse);
    }
    if args.tokens.is_some() {
        return Err(Failure::Usage("--tokens gives the whole prompt: a chat template cannot be applied to it".into()));
    }
    let mut messages = Vec::new();
    if let Some(system) = system(chat)? {
        messages.push(Message::new("system", system.text()?));
    }
    messages.push(Message::new("user", source(args)?.text()?));
    let template = template(chat.template.chat_template.as_deref(), model, gguf, tokenizer)?;
    let options = RenderOptions { now: chat.template.date, ..RenderOptions::default() };
    let text = template.render(&messages, &options).map_err(|error| {
        let clock = chat.template.date.is_none() && template.source().contains("strftime_now");
        let remedy = if clock { "; its template shows the date: give --date YYYY-MM-DD" } else { "" };
        Failure::at(&model.path, format!("{error}{remedy}"))
    })?;
    // A template that begins with the beginning-of-sequence token has said all there is to say.
    let bos = tokenizer.bos().and_then(|id| tokenizer.piece(id));
    let begins = bos.is_some_and(|bos| !bos.is_empty() && text.as_bytes().starts_with(&bos));
    let options = EncodeOptions { add_special: !args.special.no_bos && !begins, parse_special: true };
    Ok(tokenizer.encode(&text, options))
}

/// Refuses ids that are no tokens.
pub(crate) fn check_ids(ids: &[u32], tokenizer: &Tokenizer) -> Result<Vec<u32>, Failure> {
    let size = tokenizer.vocab_size();
    match ids.iter().find(|&&id| id as usize >= size) {
        Some(id) => Err(Failure::Input(format!(
            "token {id} is not in the vocabulary: ids go from 0 to {}",
            size.saturating_sub(1)
        ))),
        None => Ok(ids.to_vec()),
    }
}

/// Standard input or a file, whole; too much is no `noun`.
pub(crate) fn read(path: &Path, noun: &str) -> Result<Vec<u8>, Failure> {
    bounded(path, MOST_BYTES, noun)
}

/// Standard input, a file, or a pipe of so many bytes at most; more are no `noun`.
pub(crate) fn bounded(path: &Path, most: u64, noun: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let result = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
    };
    let name = name(path);
    result.map_err(|error| {
        Failure::Input(match error.kind() {
            ErrorKind::NotFound => format!("{name}: there is no such file: check its name and folder"),
            ErrorKind::IsADirectory => format!("{name}: is a folder: name a file in it"),
            _ => format!("{name}: {error}"),
        })
    })?;
    if bytes.len() as u64 > most {
        return Err(Failure::Input(format!("{name}: more than {} MiB is no {noun}", most >> 20)));
    }
    Ok(bytes)
}

fn name(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() }
}

fn source(args: &PromptArgs) -> Result<Source, Failure> {
    let mut source = match (&args.prompt, &args.file) {
        (Some(text), _) => Source { name: "-p".into(), bytes: text.clone().into_bytes() },
        (None, Some(path)) => Source { name: name(path), bytes: read(path, "prompt")? },
        (None, None) => return Err(Failure::Usage("no prompt: give one with -p TEXT, -f FILE or --tokens IDS".into())),
    };
    if args.escape && args.prompt.is_some() {
        source.bytes = unescaped(&source.bytes);
    }
    Ok(source)
}

fn system(chat: &ChatArgs) -> Result<Option<Source>, Failure> {
    match (&chat.system_prompt, &chat.system_prompt_file) {
        (Some(text), _) => Ok(Some(Source { name: "-sys".into(), bytes: text.clone().into_bytes() })),
        (None, Some(path)) => Ok(Some(Source { name: name(path), bytes: read(path, "system prompt")? })),
        (None, None) => Ok(None),
    }
}

/// The model's own template, or the one that `--chat-template` names: a built-in one, another of the model's, or a file.
pub(crate) fn template(
    wanted: Option<&str>,
    model: &ModelArgs,
    gguf: &Gguf,
    tokenizer: &Tokenizer,
) -> Result<ChatTemplate, Failure> {
    let metadata = gguf.metadata();
    let Some(wanted) = wanted else {
        return ChatTemplate::from_metadata(metadata, tokenizer).map_err(|error| {
            let remedy = match error {
                TemplateError::Missing { .. } => " with --chat-template",
                _ => "; give another with --chat-template",
            };
            Failure::at(&model.path, format!("{error}{remedy}"))
        });
    };
    let text = |id: Option<u32>| {
        let piece = id.and_then(|id| tokenizer.piece(id))?;
        Some(String::from_utf8_lossy(&piece).into_owned())
    };
    let (bos, eos) = (text(tokenizer.bos()), text(tokenizer.eos()));
    let (bos, eos) = (bos.as_deref(), eos.as_deref());
    let template = if ChatTemplate::builtin_names().any(|name| name == wanted) {
        ChatTemplate::builtin(wanted, bos, eos)
    } else if ChatTemplate::names_in(metadata).iter().any(|name| name == wanted) {
        ChatTemplate::named_from_metadata(metadata, tokenizer, wanted)
    } else {
        let bytes = read(Path::new(wanted), "chat template").map_err(|error| {
            let names: Vec<&str> = ChatTemplate::builtin_names().collect();
            Failure::Input(format!("--chat-template {error}: give a file, or a name of {}", names.join(", ")))
        })?;
        let source = Source { name: wanted.to_owned(), bytes };
        ChatTemplate::parse(source.text()?, bos, eos)
    };
    template.map_err(|error| Failure::Input(format!("--chat-template {wanted}: {error}")))
}

/// As [`unescaped`], of text.
pub(crate) fn unescape(text: &str) -> String {
    // Only ASCII characters are replaced, by such.
    String::from_utf8_lossy(&unescaped(text.as_bytes())).into_owned()
}

/// `\n`, `\t`, `\r`, `\\`, `\'` and `\"` become the characters; any other backslash stays.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let character = match (first, tail.first()) {
            (b'\\', Some(b'n')) => Some(b'\n'),
            (b'\\', Some(b't')) => Some(b'\t'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(&c @ (b'\\' | b'\'' | b'"'))) => Some(c),
            _ => None,
        };
        out.push(character.unwrap_or(first));
        rest = if character.is_some() { &tail[1..] } else { tail };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unescaped(br#"a\nb\t\\n\'\"\r"#), b"a\nb\t\\n'\"\r");
        assert_eq!(unescaped(br"\x \"), br"\x \");
    }

    #[test]
    fn bad_utf8_is_placed() {
        let source = Source { name: "x.txt".into(), bytes: b"ab\xffc".to_vec() };
        let error = source.text().expect_err("not UTF-8");
        assert_eq!(error.to_string(), "x.txt: byte 2 (0xff) is not UTF-8: convert the text to UTF-8");
    }
}
