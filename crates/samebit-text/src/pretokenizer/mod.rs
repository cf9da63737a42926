//! Cutting text into the pieces within which pairs are merged. Knows no vocabulary.

mod class;
mod matcher;
mod pattern;
pub(crate) mod table;

use crate::unicode::{self, Symbol};
use matcher::{Scratch, Text};
use pattern::Pattern;
use table::{Cut, Spec};

/// A pre-tokenizer ready to cut.
pub(crate) struct PreTokenizer {
    cutters: Vec<Cutter>,
}

enum Cutter {
    Pattern(Pattern),
    DigitsAfter,
    DigitsBefore,
}

impl PreTokenizer {
    pub(crate) fn new(spec: &Spec) -> Self {
        let cutter = |cut: &Cut| match cut {
            Cut::Pattern(source) => Cutter::Pattern(Pattern::new(source)),
            Cut::DigitsAfter => Cutter::DigitsAfter,
            Cut::DigitsBefore => Cutter::DigitsBefore,
        };
        PreTokenizer { cutters: spec.cuts.iter().map(cutter).collect() }
    }

    /// The end of each piece of a text, in order, in code points; the last is the text's length.
    /// No piece is empty, and the empty text has none.
    pub(crate) fn cut(&self, code_points: &[u32]) -> Vec<usize> {
        let symbols: Vec<Symbol> = code_points.iter().map(|&c| unicode::symbol(c)).collect();
        let text = Text { code_points, symbols: &symbols };
        let mut ends = if code_points.is_empty() { Vec::new() } else { vec![code_points.len()] };
        let mut scratch = Scratch::default();
        for cutter in &self.cutters {
            let mut finer = Vec::with_capacity(ends.len());
            let mut start = 0;
            for end in ends {
                let piece = text.slice(start, end);
                let mut push = |at: usize| finer.push(start + at);
                match cutter {
                    Cutter::Pattern(pattern) => matcher::cut(pattern, piece, &mut scratch, push),
                    Cutter::DigitsAfter => cut_digits_after(piece.symbols, &mut push),
                    Cutter::DigitsBefore => cut_digits_before(piece.symbols, &mut push),
                }
                start = end;
            }
            ends = finer;
        }
        ends
    }
}

/// Runs of what `is_digit` accepts: start and end.
fn runs(symbols: &[Symbol], is_digit: impl Fn(Symbol) -> bool) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + symbols[at..].iter().position(|&s| is_digit(s))?;
        let len = symbols[start..].iter().position(|&s| !is_digit(s));
        at = len.map_or(symbols.len(), |len| start + len);
        Some((start, at))
    })
}

/// `1234abc56` becomes `1`, `234`, `abc56`: the groups of three count from a run's end.
fn cut_digits_after(symbols: &[Symbol], push: &mut impl FnMut(usize)) {
    let mut last = 0;
    for (start, end) in runs(symbols, |s| s.is_ascii_digit() || s == unicode::NUMBER) {
        let first = start
            + match (end - start) % 3 {
                0 => 3,
                rest => rest,
            };
        for at in (first..=end).step_by(3) {
            push(at);
            last = at;
        }
    }
    if last < symbols.len() {
        push(symbols.len());
    }
}

/// `a1234b` becomes `a1`, `234b`: cuts stand before groups of three only.
fn cut_digits_before(symbols: &[Symbol], push: &mut impl FnMut(usize)) {
    for (start, end) in runs(symbols, |s| s.is_ascii_digit()) {
        let first = start + (end - start) % 3;
        (first..end).step_by(3).filter(|&at| at > 0).for_each(&mut *push);
    }
    if !symbols.is_empty() {
        push(symbols.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(name: &str, text: &str) -> Vec<String> {
        let Some(spec) = table::find(name) else { panic!("no pre-tokenizer {name}") };
        let code_points: Vec<u32> = text.chars().map(u32::from).collect();
        let mut start = 0;
        let mut piece = |end: usize| {
            let piece = code_points[start..end].iter().filter_map(|&c| char::from_u32(c)).collect();
            start = end;
            piece
        };
        PreTokenizer::new(spec).cut(&code_points).into_iter().map(&mut piece).collect()
    }

    #[test]
    fn names_are_unique_and_patterns_readable() {
        let mut names: Vec<&str> = table::pretokenizer_names().collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        for name in names {
            let text = "It's  1234 días,\r\n\t«日本»’s IMGIMGABZ\u{301} ";
            assert_eq!(pieces(name, text).concat(), text, "{name}");
            assert!(pieces(name, "").is_empty(), "{name}");
        }
    }

    #[test]
    fn words_numbers_and_spaces() {
        assert_eq!(pieces("gpt-2", "I'll  pay 1234  "), ["I", "'ll", " ", " pay", " 1234", "  "]);
        assert_eq!(pieces("llama3", "I'LL pay 1234\n\n x"), ["I", "'LL", " pay", " ", "123", "4", "\n\n", " x"]);
        assert_eq!(pieces("qwen2", "a12"), ["a", "1", "2"]);
        assert_eq!(pieces("smollm", "a 12"), ["a", " ", "1", "2"]);
        assert_eq!(pieces("gpt-4o", "HTMLParser isn't"), ["HTMLParser", " isn't"]);
        assert_eq!(pieces("gpt-4o", "parseHTML"), ["parse", "HTML"]);
        assert_eq!(pieces("kimi-k2", "日本go's"), ["日本", "go's"]);
        assert_eq!(pieces("exaone-moe", "a b c 1"), ["a b c", " ", "1"]);
        assert_eq!(pieces("bloom", "one two. three"), ["one", " two", ".", " three"]);
    }

    #[test]
    fn digits_in_threes() {
        assert_eq!(pieces("superbpe", "a1234b123456"), ["a", "1", "234", "b", "123", "456"]);
        assert_eq!(pieces("afmoe", "x1234567"), ["x", "1", "234", "567"]);
        assert_eq!(pieces("falcon", "1234567"), ["123", "456", "7"]);
    }

    #[test]
    fn hostile_lengths_take_linear_time() {
        for name in table::pretokenizer_names() {
            for (unit, tail) in
                [(" ", "x"), (" ", ""), ("a", "1"), ("A", ""), ("'", ""), ("\n ", "x"), ("<sentinel:1", "")]
            {
                let text = unit.repeat(200_000 / unit.len()) + tail;
                assert_eq!(pieces(name, &text).concat(), text, "{name} {unit:?}");
            }
        }
    }
}
