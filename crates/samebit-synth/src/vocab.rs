//! A made-up vocabulary: byte-level BPE over the letters, of any size, with the keys that a tokenizer needs. Or another model's.

use crate::SynthError;
use samebit_gguf::{Gguf, Metadata, Strings};
use std::path::Path;

/// The special tokens, ids 0 to 2.
const SPECIAL: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
/// Special tokens and one token per byte.
const LEAST: usize = SPECIAL.len() + 256;

/// ChatML, the plainest of the widespread templates.
const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}\
                             {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// The tokenizer's keys for `size` tokens.
///
/// # Errors
/// Fewer tokens than special ones and bytes.
pub(crate) fn made_up(size: usize) -> Result<Metadata, SynthError> {
    if size < LEAST {
        return Err(SynthError::SmallVocabulary { size, least: LEAST });
    }
    let mut tokens: Vec<String> = SPECIAL.map(str::to_owned).into();
    tokens.extend((0..=255).map(|byte| byte_symbol(byte).to_string()));
    let merges = grow(&mut tokens, size);
    let mut types = vec![NORMAL; size];
    types[..SPECIAL.len()].fill(CONTROL);
    let mut metadata = Metadata::new();
    metadata.insert("tokenizer.ggml.model", "gpt2");
    metadata.insert("tokenizer.ggml.pre", "gpt-2");
    metadata.insert("tokenizer.ggml.tokens", tokens.into_iter().collect::<Strings>());
    metadata.insert("tokenizer.ggml.token_type", types);
    metadata.insert("tokenizer.ggml.merges", merges);
    metadata.insert("tokenizer.ggml.bos_token_id", 0u32);
    metadata.insert("tokenizer.ggml.eos_token_id", 2u32);
    metadata.insert("tokenizer.ggml.add_bos_token", true);
    metadata.insert("tokenizer.chat_template", CHAT_TEMPLATE);
    Ok(metadata)
}

/// Adds words letter by letter, shortest first, until there are `size` tokens; returns the merges that make them.
fn grow(tokens: &mut Vec<String>, size: usize) -> Strings {
    let mut merges = Strings::new();
    let mut shorter: Vec<String> =
        std::iter::once(' ').chain('a'..='z').map(|c| byte_symbol(c as u8).to_string()).collect();
    while tokens.len() < size {
        let mut longer = Vec::new();
        for (stem, letter) in shorter.iter().flat_map(|stem| ('a'..='z').map(move |letter| (stem, letter))) {
            if tokens.len() == size {
                break;
            }
            let word = format!("{stem}{letter}");
            merges.push(format!("{stem} {letter}"));
            tokens.push(word.clone());
            longer.push(word);
        }
        shorter = longer;
    }
    merges
}

/// GPT-2's character for a byte: itself where it prints, else the next one from U+0100.
fn byte_symbol(byte: u8) -> char {
    let prints = |b: u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    if prints(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&b| !prints(b)).count() as u32;
    // At most 68 bytes do not print, so this is U+0143 at most.
    char::from_u32(0x100 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The tokenizer's keys of a model, and the number of its tokens.
///
/// # Errors
/// A file that cannot be read or has no vocabulary.
pub(crate) fn from_model(path: &Path) -> Result<(Metadata, usize), SynthError> {
    let gguf = Gguf::open(path)?;
    let tokens = gguf.metadata().array_str("tokenizer.ggml.tokens")?;
    let size = tokens.ok_or_else(|| SynthError::NoVocabulary(path.to_owned()))?.len();
    let mut metadata = Metadata::new();
    for (key, value) in gguf.metadata().iter().filter(|(key, _)| key.starts_with("tokenizer.")) {
        metadata.insert(key, value.clone());
    }
    Ok((metadata, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_gpt2s_symbols() {
        let all: std::collections::BTreeSet<char> = (0..=255).map(byte_symbol).collect();
        assert_eq!(all.len(), 256);
        assert_eq!((byte_symbol(b' '), byte_symbol(b'\n'), byte_symbol(0xff)), ('Ġ', 'Ċ', 'ÿ'));
    }

    #[test]
    fn any_size_without_repetition() {
        for size in [LEAST, 512, 32_000] {
            let metadata = made_up(size).expect("large enough");
            let tokens = metadata.array_str("tokenizer.ggml.tokens").expect("strings").expect("there");
            let mut all: Vec<&[u8]> = tokens.iter().collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), size);
            let merges = metadata.array_str("tokenizer.ggml.merges").expect("strings").expect("there");
            assert_eq!(merges.len(), size - LEAST);
        }
        assert!(made_up(LEAST - 1).is_err());
    }
}
