//! Code points: their classes, and reading them from bytes that may not be UTF-8. Knows nothing of tokens.
//!
//! Pre-tokenizers see a text through [`Symbol`]s: an ASCII character stands for itself, any other code point for
//! its class. That is all their patterns ask about, bar a few that list code points, so a set of symbols is a
//! small bit set. White space beyond ASCII stands as U+000B, so that `\s` needs no class of its own.

mod table;

use std::sync::OnceLock;

/// What a pre-tokenizer's pattern can tell of a code point: 0–127 is ASCII, then one of the classes below.
pub(crate) type Symbol = u8;

/// The number of symbols.
pub(crate) const SYMBOLS: usize = 134;
/// `\p{N}` beyond ASCII.
pub(crate) const NUMBER: Symbol = 128;
/// `\p{L}` beyond ASCII.
pub(crate) const LETTER: Symbol = 129;
/// `\p{P}` beyond ASCII.
pub(crate) const PUNCTUATION: Symbol = 130;
/// `\p{M}` beyond ASCII.
pub(crate) const MARK: Symbol = 131;
/// `\p{S}` beyond ASCII.
pub(crate) const SYMBOL: Symbol = 132;
/// Whatever is none of these, unassigned code points and surrogates included.
pub(crate) const OTHER: Symbol = 133;
/// What white space beyond ASCII stands as.
const WHITE_SPACE: Symbol = 0x0b;

/// What stands for bytes that are not UTF-8.
pub(crate) const REPLACEMENT: u32 = 0xfffd;
const END: usize = 0x11_0000;

/// The classes in the order that `table::RUNS` numbers them.
const CLASSES: [Symbol; 8] = [NUMBER, LETTER, PUNCTUATION, MARK, SYMBOL, OTHER, WHITE_SPACE, OTHER];

/// The symbol of a code point (anything from U+110000 on is [`OTHER`]).
pub(crate) fn symbol(code_point: u32) -> Symbol {
    static ALL: OnceLock<Vec<Symbol>> = OnceLock::new();
    if code_point < 128 {
        return code_point as Symbol;
    }
    let all = ALL.get_or_init(|| {
        let mut all: Vec<Symbol> = (0..128).collect();
        all.resize(END, OTHER);
        let ends = table::RUNS[1..].iter().map(|run| (run >> 3) as usize).chain([END]);
        for (run, end) in table::RUNS.iter().zip(ends) {
            all[(run >> 3) as usize..end].fill(CLASSES[(run & 7) as usize]);
        }
        all
    });
    all.get(code_point as usize).copied().unwrap_or(OTHER)
}

/// The length that a UTF-8 sequence claims by its first byte; stray continuation bytes stand alone.
pub(crate) fn claimed_len(first: u8) -> usize {
    match first {
        0..0xc0 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    }
}

/// Reads code points as llama.cpp does: overlong forms and surrogates pass, and a byte that begins no sequence
/// becomes U+FFFD by itself. (What lies beyond U+10FFFF, which llama.cpp dies of, is treated as the latter.)
pub(crate) fn code_points(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (&first, _) = rest.split_first()?;
        let (code_point, len) = sequence(rest, first).unwrap_or((REPLACEMENT, 1));
        rest = &rest[len..];
        Some(code_point)
    })
}

/// The code point at the start of `bytes` and its length; `None` where no sequence begins.
fn sequence(bytes: &[u8], first: u8) -> Option<(u32, usize)> {
    if first < 0x80 {
        return Some((u32::from(first), 1));
    }
    let len = claimed_len(first);
    if len == 1 || first >= 0xf8 {
        return None;
    }
    let lead = u32::from(first) & (0x7f >> len);
    let code_point = bytes.get(1..len)?.iter().try_fold(lead, |code_point, &byte| {
        (byte & 0xc0 == 0x80).then_some(code_point << 6 | u32::from(byte & 0x3f))
    })?;
    ((code_point as usize) < END).then_some((code_point, len))
}

/// Appends the UTF-8 form of a code point (of a surrogate too, in the same scheme).
///
/// `code_point` is below U+110000; [`code_points`] yields no other.
pub(crate) fn push_utf8(out: &mut Vec<u8>, code_point: u32) {
    debug_assert!((code_point as usize) < END);
    let tail = |shift: u32| 0x80 | (code_point >> shift & 0x3f) as u8;
    match code_point {
        0..0x80 => out.push(code_point as u8),
        0x80..0x800 => out.extend([0xc0 | (code_point >> 6) as u8, tail(0)]),
        0x800..0x1_0000 => out.extend([0xe0 | (code_point >> 12) as u8, tail(6), tail(0)]),
        _ => out.extend([0xf0 | (code_point >> 18) as u8, tail(12), tail(6), tail(0)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_code_points() {
        let of = |c: char| symbol(c as u32);
        assert_eq!(of('a'), b'a');
        assert_eq!([of('é'), of('日'), of('ⅷ'), of('²')], [LETTER, LETTER, NUMBER, NUMBER]);
        assert_eq!([of('\u{301}'), of('«'), of('€'), of('😀')], [MARK, PUNCTUATION, SYMBOL, SYMBOL]);
        for space in ['\u{85}', '\u{a0}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{3000}'] {
            assert_eq!(of(space), WHITE_SPACE, "{space:?}");
        }
        for other in ['\u{80}', '\u{200b}', '\u{200d}', '\u{feff}', '\u{378}', '\u{e000}', '\u{10ffff}'] {
            assert_eq!(of(other), OTHER, "{other:?}");
        }
        // Ideographic description characters that Unicode 15.1 added.
        assert_eq!(of('\u{2ffc}'), SYMBOL);
        assert_eq!([symbol(0xd800), symbol(0x11_0000), symbol(u32::MAX)], [OTHER; 3]);
    }

    #[test]
    fn runs_ascend_and_alternate() {
        assert_eq!(table::RUNS[0] >> 3, 128);
        for pair in table::RUNS.windows(2) {
            assert!(pair[0] >> 3 < pair[1] >> 3);
            assert_ne!(pair[0] & 7, pair[1] & 7);
        }
    }

    #[test]
    fn utf8_comes_back() {
        let mut bytes = Vec::new();
        for code_point in (0..END as u32).step_by(7).chain([0xd800, 0xdfff, 0x10_ffff]) {
            bytes.clear();
            push_utf8(&mut bytes, code_point);
            assert_eq!(claimed_len(bytes[0]), bytes.len());
            assert_eq!(code_points(&bytes).collect::<Vec<_>>(), [code_point]);
            if let Some(c) = char::from_u32(code_point) {
                assert_eq!(c.to_string().as_bytes(), bytes);
            }
        }
    }

    #[test]
    fn other_bytes_become_replacements() {
        let read = |bytes: &[u8]| code_points(bytes).collect::<Vec<_>>();
        let bad = REPLACEMENT;
        assert_eq!(read(b"\x80a"), [bad, 0x61]);
        assert_eq!(read(b"\xe3\x81"), [bad, bad]);
        assert_eq!(read(b"\xe3a"), [bad, 0x61]);
        assert_eq!(read(b"\xff\xf8"), [bad, bad]);
        assert_eq!(read(b"\xc0\x80"), [0], "an overlong form passes");
        assert_eq!(read(b"\xf4\x90\x80\x80"), [bad; 4], "beyond U+10FFFF");
    }
}
