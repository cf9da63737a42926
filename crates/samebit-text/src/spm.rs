//! SentencePiece's pair merging: neighbours become the token of their joint text, best score first.
//! Knows the vocabulary; leaves special tokens and the leading space to the caller.

use std::cmp::Ordering;

use crate::ids::Ids;
use crate::merge::{Merge, Row};
use crate::unicode;

/// What stands for a space in tokens: U+2581.
pub(crate) const SPACE: &[u8] = "\u{2581}".as_bytes();
/// A character that is no token; merges may still make one of it and its neighbour.
const UNKNOWN: u32 = u32::MAX - 1;

/// A score; greater is better, and both zeros are one.
#[derive(Clone, Copy)]
struct Score(f32);

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Score {}

/// The scores of a vocabulary and its tokens for single bytes.
pub(crate) struct Spm {
    /// By id; empty where the file has none, and then all are 0.
    scores: Vec<f32>,
    /// The longest token's text in bytes.
    longest: usize,
    /// What stands for a byte of a character that is no token.
    bytes: Vec<Option<u32>>,
    /// Where a text can be cut before any merging.
    neighbours: Neighbours,
}

impl Spm {
    /// `unknown` stands for bytes without a token.
    pub(crate) fn new(scores: Vec<f32>, ids: &Ids, unknown: Option<u32>) -> Self {
        let longest = ids.texts().iter().map(<[u8]>::len).max().unwrap_or(0);
        let byte = |byte: u8| {
            let by_name = ids.get(format!("<0x{byte:02X}>").as_bytes());
            by_name.or_else(|| ids.get(&[byte])).or(unknown)
        };
        Spm { scores, longest, bytes: (0..=255).map(byte).collect(), neighbours: Neighbours::of(ids.texts().iter()) }
    }

    /// Appends the tokens of `text`, which holds no special tokens. Bytes that are not UTF-8 are kept.
    pub(crate) fn encode(&self, text: &[u8], ids: &Ids, out: &mut Vec<u32>) {
        let text = escape_spaces(text);
        let mut start = 0;
        while let Some(end) = self.neighbours.next_cut(&text, start) {
            self.encode_stretch(&text[start..end], ids, out);
            start = end;
        }
    }

    fn encode_stretch(&self, text: &[u8], ids: &Ids, out: &mut Vec<u32>) {
        let mut at = 0;
        let mut row = Row::new(std::iter::from_fn(|| {
            let len = claimed_len(text, at)?;
            let character = &text[at..at + len];
            at += len;
            Some((ids.get(character).unwrap_or(UNKNOWN), len))
        }));
        row.merge_all(|pair| {
            if pair.len > self.longest {
                return None;
            }
            let into = ids.get(&text[pair.start..pair.start + pair.len])?;
            let score = self.scores.get(into as usize).copied().unwrap_or(0.0);
            Some(Merge { key: Score(score), into })
        });
        for (id, start, len) in row.remaining() {
            if id == UNKNOWN {
                out.extend(text[start..start + len].iter().filter_map(|&byte| self.bytes[usize::from(byte)]));
            } else {
                out.push(id);
            }
        }
    }
}

/// Which units stand side by side in some token: bytes, and U+2581 as a unit of its own. Between two that never
/// do no merge can take place, so that a text may be cut there: mostly before each word's space. That spares one
/// large heap and changes nothing.
struct Neighbours {
    seen: Vec<u64>,
}

/// 256 bytes and the space.
const UNITS: usize = 257;

impl Neighbours {
    fn of<'a>(tokens: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut seen = vec![0; (UNITS * UNITS).div_ceil(64)];
        for token in tokens {
            let (mut at, mut before) = (0, None);
            while let Some((unit, len)) = unit(token, at) {
                if let Some(before) = before {
                    let bit = before * UNITS + unit;
                    seen[bit / 64] |= 1u64 << (bit % 64);
                }
                (at, before) = (at + len, Some(unit));
            }
        }
        Neighbours { seen }
    }

    /// The first end of a character after `start` where the text may be cut; `None` where nothing is left.
    fn next_cut(&self, text: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        loop {
            let last = last_unit(text, at)?;
            at += claimed_len(text, at)?;
            let Some((next, _)) = unit(text, at) else {
                return Some(at);
            };
            let bit = last * UNITS + next;
            if self.seen[bit / 64] >> (bit % 64) & 1 == 0 {
                return Some(at);
            }
        }
    }
}

/// The unit at a place, and its length.
fn unit(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    if rest.starts_with(SPACE) { Some((UNITS - 1, SPACE.len())) } else { Some((usize::from(*rest.first()?), 1)) }
}

/// The last unit of the character at a place.
fn last_unit(text: &[u8], at: usize) -> Option<usize> {
    let character = &text[at..at + claimed_len(text, at)?];
    if character == SPACE { Some(UNITS - 1) } else { character.last().copied().map(usize::from) }
}

/// The length of the character at a place, as its first byte claims it, within the text.
fn claimed_len(text: &[u8], at: usize) -> Option<usize> {
    let first = *text.get(at)?;
    Some(unicode::claimed_len(first).min(text.len() - at))
}

/// Every space becomes U+2581.
pub(crate) fn escape_spaces(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 4);
    for &byte in text {
        match byte {
            b' ' => out.extend_from_slice(SPACE),
            byte => out.push(byte),
        }
    }
    out
}

/// Every U+2581 becomes a space.
pub(crate) fn unescape_spaces(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    while let Some((&byte, rest)) = text.split_first() {
        match text.strip_prefix(SPACE) {
            Some(after) => {
                out.push(b' ');
                text = after;
            }
            None => {
                out.push(byte);
                text = rest;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_there_and_back() {
        assert_eq!(escape_spaces(b"a  b"), "a\u{2581}\u{2581}b".as_bytes());
        assert_eq!(unescape_spaces("\u{2581}a\u{2581}\u{2582}".as_bytes()), " a \u{2582}".as_bytes());
        assert_eq!(unescape_spaces(b"\xe2\x96"), b"\xe2\x96");
    }

    #[test]
    fn texts_are_cut_where_no_token_reaches_across() {
        let tokens = ["\u{2581}a".as_bytes(), b"ab", b"\xe3\x81\x82"];
        let neighbours = Neighbours::of(tokens.into_iter());
        let text = escape_spaces("ab ab\u{3042}\u{3042}a".as_bytes());
        let cuts = std::iter::successors(Some(0), |&start| neighbours.next_cut(&text, start));
        assert_eq!(cuts.collect::<Vec<_>>(), [0, 2, 7, 10, 13, 14]);
        assert_eq!(neighbours.next_cut(b"", 0), None);
        assert_eq!(neighbours.next_cut(b"\xe3", 0), Some(1));
    }

    #[test]
    fn scores_order() {
        assert!(Score(1.0) > Score(-1.0));
        assert!(Score(0.0) == Score(-0.0));
        assert!(Score(f32::NEG_INFINITY) < Score(-1e30));
    }
}
