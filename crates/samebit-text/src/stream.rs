//! Text from tokens as they come, whole characters only. Knows the tokenizer's pieces, nothing else.

use crate::tokenizer::Tokenizer;

/// Turns tokens into text one at a time. A character that spans tokens appears with its last one.
///
/// Bytes that cannot become a character any more appear as U+FFFD, one for each maximal part of a sequence (the
/// Unicode Standard's recommended practice). The text of all calls together is that of
/// [`String::from_utf8_lossy`] over the tokens' pieces. A leading space is kept: the stream continues a text.
#[derive(Clone, Debug)]
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    special: bool,
    /// The start of a character; at most three bytes between calls.
    pending: Vec<u8>,
}

impl<'a> StreamDecoder<'a> {
    /// A stream that prints special tokens as nothing.
    #[must_use]
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        StreamDecoder { tokenizer, special: false, pending: Vec::new() }
    }

    /// Prints special tokens too.
    #[must_use]
    pub fn with_special(mut self) -> Self {
        self.special = true;
        self
    }

    /// The text that `id` completes. An id outside the vocabulary has none.
    pub fn push(&mut self, id: u32) -> String {
        self.pending.extend_from_slice(self.tokenizer.shown(id, self.special).unwrap_or_default());
        self.take(false)
    }

    /// What is left: U+FFFD for a character that was never completed.
    pub fn finish(&mut self) -> String {
        self.take(true)
    }

    fn take(&mut self, all: bool) -> String {
        let mut out = String::new();
        let mut kept = 0;
        for chunk in self.pending.utf8_chunks() {
            out.push_str(chunk.valid());
            let unfinished = chunk.invalid();
            let at_end = kept + chunk.valid().len() + unfinished.len() == self.pending.len();
            if at_end && !all && may_become_valid(unfinished) {
                kept += chunk.valid().len();
                break;
            }
            kept += chunk.valid().len() + unfinished.len();
            if !unfinished.is_empty() {
                out.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.pending.drain(..kept);
        out
    }
}

/// Whether some bytes after these would make them a character.
fn may_become_valid(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
