//! `samebit tokenize` and `samebit detokenize`: ids and texts.

use crate::args::{DetokenizeArgs, TokenizeArgs};
use crate::failure::Failure;
use crate::prompt::{self, Invalid};
use crate::{model, output};
use samebit_gguf::report::escaped;
use samebit_text::{DecodeOptions, Tokenizer};
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct TokenizeRecord<'a> {
    tokens: &'a [u32],
    pieces: Vec<String>,
}

#[derive(Serialize)]
struct DetokenizeRecord<'a> {
    tokens: &'a [u32],
    text: &'a str,
}

/// A token's text; bytes that are no UTF-8 alone show as U+FFFD.
pub(crate) fn piece(tokenizer: &Tokenizer, id: u32) -> String {
    let bytes = tokenizer.piece(id).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn tokenize(args: &TokenizeArgs) -> Result<(), Failure> {
    let gguf = model::open(&args.model)?;
    let tokenizer = model::tokenizer(&args.model, &gguf)?;
    let tokens = prompt::raw(&args.prompt, &tokenizer, Invalid::Pass)?;
    if args.json {
        let pieces = tokens.iter().map(|&id| piece(&tokenizer, id)).collect();
        return output::write_json(&TokenizeRecord { tokens: &tokens, pieces });
    }
    let mut text = String::new();
    if args.ids {
        let ids: Vec<String> = tokens.iter().map(u32::to_string).collect();
        text = ids.join(" ") + "\n";
    } else {
        for &id in &tokens {
            text.push_str(&format!("{id:>8}  '{}'\n", escaped(&piece(&tokenizer, id))));
        }
    }
    output::write(text.as_bytes())
}

pub(crate) fn detokenize(args: &DetokenizeArgs) -> Result<(), Failure> {
    let gguf = model::open(&args.model)?;
    let tokenizer = model::tokenizer(&args.model, &gguf)?;
    let ids =
        if args.ids.is_empty() { parse_ids(&prompt::read(Path::new("-"), "list of ids")?)? } else { args.ids.clone() };
    let ids = prompt::check_ids(&ids, &tokenizer)?;
    let options = DecodeOptions { unparse_special: !args.no_special, ..DecodeOptions::default() };
    let bytes = tokenizer.decode(&ids, options).map_err(|error| Failure::Input(error.to_string()))?;
    if args.json {
        let text = String::from_utf8_lossy(&bytes);
        return output::write_json(&DetokenizeRecord { tokens: &ids, text: &text });
    }
    output::write_text(&bytes)
}

/// Numbers among spaces, commas, brackets and line breaks.
fn parse_ids(bytes: &[u8]) -> Result<Vec<u32>, Failure> {
    let is_gap = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'[' | b']');
    bytes
        .split(is_gap)
        .filter(|word| !word.is_empty())
        .map(|word| {
            let word = String::from_utf8_lossy(word);
            word.parse().map_err(|_| Failure::Input(format!("standard input: `{}` is no token id", escaped(&word))))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_lines_and_from_json() {
        assert_eq!(parse_ids(b" 1 2\n3,4\n").expect("numbers"), [1, 2, 3, 4]);
        assert_eq!(parse_ids(b"[1, 2]").expect("numbers"), [1, 2]);
        assert!(parse_ids(b"").expect("none").is_empty());
        let error = parse_ids(b"1 -2").expect_err("no id");
        assert_eq!(error.to_string(), "standard input: `-2` is no token id");
    }
}
