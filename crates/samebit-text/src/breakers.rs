//! Where texts begin within tokens: what DRY does not follow a repetition beyond. NUMERICS.md, "Sampling", "Breakers of a text".
//!
//! Knows a vocabulary; nothing of repetitions.

use std::collections::BTreeSet;

use crate::{TextError, Tokenizer};

/// The usual texts: a line's end, and what frames names, speech and emphasis.
pub const BREAKERS: [&str; 4] = ["\n", ":", "\"", "*"];
/// Most texts.
pub const MOST_BREAKERS: usize = 32;
/// Most bytes of a text.
pub const LONGEST_BREAKER: usize = 40;
/// Most tokens of a tail.
const LONGEST_TAIL: usize = 20;

/// Whether texts may be breakers.
///
/// # Errors
/// More than [`MOST_BREAKERS`] texts, an empty one, or one of more than [`LONGEST_BREAKER`] bytes.
pub fn check_breakers(texts: &[impl AsRef<str>]) -> Result<(), TextError> {
    let good = |text: &str| !text.is_empty() && text.len() <= LONGEST_BREAKER;
    if texts.len() <= MOST_BREAKERS && texts.iter().all(|text| good(text.as_ref())) {
        Ok(())
    } else {
        Err(TextError::Breakers)
    }
}

impl Tokenizer {
    /// The ways in which texts begin within tokens: a token, and the tokens of the text's rest, none if the token holds all of it.
    /// Looks at the whole vocabulary: milliseconds.
    ///
    /// # Errors
    /// As [`check_breakers`].
    pub fn breakers(&self, texts: &[impl AsRef<str>]) -> Result<BTreeSet<(u32, Vec<u32>)>, TextError> {
        check_breakers(texts)?;
        let texts: BTreeSet<&str> = texts.iter().map(AsRef::as_ref).collect();
        Ok(texts.into_iter().flat_map(|text| self.beginnings(text)).collect())
    }

    fn beginnings(&self, text: &str) -> Vec<(u32, Vec<u32>)> {
        let whole = text.as_bytes();
        // By the length of a beginning, where that is one of whole characters: the tokens of the rest.
        let tails: Vec<Option<Vec<u32>>> = (0..whole.len())
            .map(|at| {
                let mut tail = Vec::new();
                self.encode_text(text.get(at..)?.as_bytes(), false, &mut tail);
                tail.truncate(LONGEST_TAIL);
                Some(tail)
            })
            .collect();
        let mut found = Vec::new();
        // A vocabulary's ids are u32.
        for id in 0..self.vocab_size() as u32 {
            let Some(token) = self.piece(id) else { continue };
            if holds(&token, whole) {
                found.push((id, Vec::new()));
            } else {
                // No longer than the token, which is short: there are many tokens.
                let lengths = (1..whole.len().min(token.len() + 1)).filter(|&length| token.ends_with(&whole[..length]));
                found.extend(lengths.filter_map(|length| Some((id, tails[length].clone()?))));
            }
        }
        found
    }
}

/// Whether some bytes hold others, of which there is at least one.
fn holds(bytes: &[u8], others: &[u8]) -> bool {
    match others {
        // What most breakers are, and far faster.
        [byte] => bytes.contains(byte),
        others => bytes.windows(others.len()).any(|window| window == others),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebit_gguf::{Metadata, Strings};

    /// a, b, é (two bytes), ab, xa, aé, xaby, x, y
    fn tokenizer() -> Tokenizer {
        let mut metadata = Metadata::new();
        metadata.insert("tokenizer.ggml.model", "gpt2");
        metadata.insert("tokenizer.ggml.pre", "gpt-2");
        let tokens = ["a", "b", "Ã", "©", "ab", "xa", "aÃ", "xaby", "x", "y"];
        metadata.insert("tokenizer.ggml.tokens", Strings::from_iter(tokens));
        metadata.insert("tokenizer.ggml.merges", Strings::from_iter(["a b", "x a", "a Ã"]));
        Tokenizer::from_metadata(&metadata).unwrap_or_else(|error| panic!("{error}"))
    }

    fn breakers(texts: &[&str]) -> Vec<(u32, Vec<u32>)> {
        tokenizer().breakers(texts).unwrap_or_else(|error| panic!("{error}")).into_iter().collect()
    }

    #[test]
    fn a_text_within_a_token_needs_no_tail() {
        assert_eq!(breakers(&["b"]), [(1, vec![]), (4, vec![]), (7, vec![])]);
    }

    #[test]
    fn a_text_that_begins_at_a_token_s_end_has_a_tail() {
        assert_eq!(breakers(&["ab"]), [(0, vec![1]), (4, vec![]), (5, vec![1]), (7, vec![])]);
        // Where each of its characters may begin the rest.
        assert_eq!(breakers(&["aby"]), [(0, vec![1, 9]), (4, vec![9]), (5, vec![1, 9]), (7, vec![])]);
        assert_eq!(breakers(&["é"]), [], "no token has the whole character");
        assert_eq!(breakers(&["aéb"]).iter().map(|(head, _)| *head).collect::<Vec<_>>(), [0, 5]);
    }

    #[test]
    fn several_texts_are_one_set_and_bounded() {
        assert_eq!(breakers(&["b", "b"]), breakers(&["b"]));
        assert_eq!(breakers(&[]), []);
        let long = "x".repeat(LONGEST_BREAKER + 1);
        for wrong in [vec![""], vec![long.as_str()], vec!["x"; MOST_BREAKERS + 1]] {
            let error = tokenizer().breakers(&wrong).expect_err("out of bounds");
            assert_eq!(error.to_string(), "DRY's sequence breakers: at most 32 texts of 1 to 40 bytes");
        }
    }
}
