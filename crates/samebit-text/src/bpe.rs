//! Byte-pair encoding: pieces of text become tokens by merges in the order of their ranks.
//! Knows the vocabulary; leaves special tokens to the caller.

use std::cmp::Reverse;
use std::collections::HashMap;

use samebit_gguf::Strings;

use crate::alphabet;
use crate::error::TextError;
use crate::ids::Ids;
use crate::merge::{Merge, Row};
use crate::pretokenizer::PreTokenizer;
use crate::pretokenizer::table::{Spec, Spelling};
use crate::spm;
use crate::unicode;

/// A text that merges speak of: a token by its id, or one of those that are no tokens, numbered from there on.
type Symbol = u32;
/// A character that neither a token nor a merge speaks of.
const UNKNOWN: Symbol = u32::MAX - 1;

/// The merges and the pre-tokenizer of a vocabulary.
pub(crate) struct Bpe {
    pre: PreTokenizer,
    spec: &'static Spec,
    /// Rank (the smallest goes first) and result of merging two symbols.
    merges: HashMap<(Symbol, Symbol), (u32, Symbol)>,
    /// Symbols that are no tokens.
    others: Ids,
    tokens: u32,
    /// The longest token's text in bytes.
    longest: usize,
    /// The symbol of each byte's letter.
    letters: Vec<Symbol>,
    /// What stands for a byte of a symbol that is no token.
    bytes: Vec<Option<u32>>,
}

impl Bpe {
    /// Takes `merges`, best first, over the texts of `ids`.
    ///
    /// # Errors
    /// A merge is not two texts with a space between them.
    pub(crate) fn new(spec: &'static Spec, merges: &Strings, ids: &Ids) -> Result<Self, TextError> {
        let mut bpe = Bpe {
            pre: PreTokenizer::new(spec),
            spec,
            merges: HashMap::with_capacity(merges.len()),
            others: Ids::with_capacity(0),
            tokens: ids.len() as u32, // at most 2^30, checked with the vocabulary
            longest: ids.texts().iter().map(<[u8]>::len).max().unwrap_or(0),
            letters: Vec::new(),
            bytes: (0..=255).map(|byte| byte_token(spec.spelling, byte, ids)).collect(),
        };
        let mut joined = Vec::new();
        for (rank, merge) in merges.iter().enumerate() {
            let (left, right) = pair(merge).ok_or(TextError::Merge(rank))?;
            joined.clear();
            joined.extend_from_slice(left);
            joined.extend_from_slice(right);
            let pair = (bpe.intern(left, ids), bpe.intern(right, ids));
            let into = bpe.intern(&joined, ids);
            let rank = u32::try_from(rank).map_err(|_| TextError::TooLarge(format!("{} merges", merges.len())))?;
            bpe.merges.entry(pair).or_insert((rank, into));
        }
        for byte in 0..=255 {
            let mut letter = Vec::new();
            alphabet::push_letter(&mut letter, byte);
            let symbol = bpe.intern(&letter, ids);
            bpe.letters.push(symbol);
        }
        Ok(bpe)
    }

    fn intern(&mut self, text: &[u8], ids: &Ids) -> Symbol {
        ids.get(text).unwrap_or_else(|| {
            let (Ok(other) | Err(other)) = self.others.insert(text);
            self.tokens + other
        })
    }

    /// Appends the tokens of `text`, which holds no special tokens.
    pub(crate) fn encode(&self, text: &[u8], ids: &Ids, out: &mut Vec<u32>) {
        let code_points: Vec<u32> = if self.spec.escape_spaces {
            unicode::code_points(&spm::escape_spaces(text)).collect()
        } else {
            unicode::code_points(text).collect()
        };
        let (mut piece, mut spelt) = (Vec::new(), Vec::new());
        let mut start = 0;
        for end in self.pre.cut(&code_points) {
            piece.clear();
            code_points[start..end].iter().for_each(|&c| unicode::push_utf8(&mut piece, c));
            start = end;
            spelt.clear();
            match self.spec.spelling {
                Spelling::Bytes => piece.iter().for_each(|&byte| alphabet::push_letter(&mut spelt, byte)),
                Spelling::Plain => spelt.extend_from_slice(&piece),
            }
            match self.whole(&spelt, ids) {
                Some(id) => out.push(id),
                None => self.encode_piece(&spelt, ids, out),
            }
        }
    }

    /// The token that a piece is as a whole, where that goes before merges.
    fn whole(&self, spelt: &[u8], ids: &Ids) -> Option<u32> {
        let first = self.spec.ignore_merges || self.spec.whole_line_feeds && spelt.iter().all(|&byte| byte == b'\n');
        (first && spelt.len() <= self.longest).then(|| ids.get(spelt)).flatten()
    }

    fn encode_piece(&self, spelt: &[u8], ids: &Ids, out: &mut Vec<u32>) {
        let mut at = 0;
        let mut row = Row::new(std::iter::from_fn(|| {
            let len = unicode::claimed_len(*spelt.get(at)?);
            let character = &spelt[at..(at + len).min(spelt.len())];
            at += character.len();
            Some((self.symbol(character, ids), character.len()))
        }));
        row.merge_all(|pair| {
            let &(rank, into) = self.merges.get(&pair.pieces)?;
            Some(Merge { key: Reverse(rank), into })
        });
        for (symbol, start, len) in row.remaining() {
            if symbol < self.tokens {
                out.push(symbol);
            } else {
                out.extend(spelt[start..start + len].iter().filter_map(|&byte| self.bytes[usize::from(byte)]));
            }
        }
    }

    /// The symbol of one character.
    fn symbol(&self, character: &[u8], ids: &Ids) -> Symbol {
        let other = || self.others.get(character).map(|other| self.tokens + other);
        ids.get(character).or_else(other).unwrap_or(UNKNOWN)
    }
}

/// The two texts of a merge. The space is not looked for at the very start, where it is a text's own.
fn pair(merge: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = 1 + merge.get(1..)?.iter().position(|&byte| byte == b' ')?;
    let right = &merge[space + 1..];
    (!right.is_empty()).then_some((&merge[..space], right))
}

/// The token for a byte of what has no token. In GPT-2's spelling that is a byte of the letters' UTF-8, so only
/// printable ASCII has one; the rest is dropped, as llama.cpp drops it.
fn byte_token(spelling: Spelling, byte: u8, ids: &Ids) -> Option<u32> {
    match spelling {
        Spelling::Bytes => ids.get(&[byte]),
        Spelling::Plain => ids.get(format!("<0x{byte:02X}>").as_bytes()),
    }
}
