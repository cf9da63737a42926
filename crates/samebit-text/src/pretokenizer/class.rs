//! Sets of code points, as a pattern's bracket expressions name them. Knows no syntax and no text.

use crate::unicode::{LETTER, MARK, NUMBER, OTHER, PUNCTUATION, SYMBOL, SYMBOLS, Symbol};

/// A set of code points: whole symbols, and where a pattern lists code points beyond ASCII, those too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    /// One bit per symbol.
    symbols: [u64; 3],
    listed: Listed,
}

/// Inclusive ranges of code points beyond ASCII that part from what their symbol says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listed {
    None,
    Added(Vec<(u32, u32)>),
    Removed(Vec<(u32, u32)>),
}

impl Class {
    /// The empty set.
    pub(crate) fn empty() -> Self {
        Class { symbols: [0; 3], listed: Listed::None }
    }

    /// The set of these symbols.
    pub(crate) fn of(symbols: impl IntoIterator<Item = Symbol>) -> Self {
        let mut class = Class::empty();
        for symbol in symbols {
            class.symbols[usize::from(symbol) / 64] |= 1 << (symbol % 64);
        }
        class
    }

    /// Code points `first..=last`: the ASCII ones as symbols, the others listed.
    pub(crate) fn range(first: u32, last: u32) -> Self {
        let mut class = Class::of((first..=last.min(127)).map(|c| c as Symbol));
        if last > 127 {
            class.listed = Listed::Added(vec![(first.max(128), last)]);
        }
        class
    }

    /// `\p{…}` by its name; the sub-categories of letters count as letters, since a symbol tells no more.
    pub(crate) fn property(name: &str) -> Option<Self> {
        let letters = (b'A'..=b'Z').chain(b'a'..=b'z');
        Some(match name {
            "N" => Class::of((b'0'..=b'9').chain([NUMBER])),
            "L" | "Lu" | "Ll" | "Lt" | "Lm" | "Lo" => Class::of(letters.chain([LETTER])),
            "M" => Class::of([MARK]),
            "P" => Class::of(b"!\"#%&'()*,-./:;?@[\\]_{}".iter().copied().chain([PUNCTUATION])),
            "S" => Class::of(b"$+<=>^`|~".iter().copied().chain([SYMBOL])),
            "Han" => HAN.iter().fold(Class::empty(), |han, &(first, last)| han.union(Class::range(first, last))),
            _ => return None,
        })
    }

    /// `\s` and `\d`: ASCII's (white space beyond it has an ASCII symbol).
    pub(crate) fn shorthand(letter: char) -> Option<Self> {
        Some(match letter {
            's' => Class::of((9..=13).chain([b' '])),
            'S' => Class::shorthand('s')?.complement(),
            'd' => Class::of(b'0'..=b'9'),
            _ => return None,
        })
    }

    /// What is in either. Both may list code points only if both add.
    pub(crate) fn union(mut self, other: Class) -> Self {
        for (mine, theirs) in self.symbols.iter_mut().zip(other.symbols) {
            *mine |= theirs;
        }
        self.listed = match (self.listed, other.listed) {
            (mine, Listed::None) => mine,
            (Listed::None, theirs) => theirs,
            (Listed::Added(mine), Listed::Added(theirs)) => Listed::Added([mine, theirs].concat()),
            _ => unreachable!("no pattern joins a complement of listed code points with others; a test reads all"),
        };
        self
    }

    /// What is in both. One of them must not list code points, and the other not add any.
    pub(crate) fn intersection(self, other: Class) -> Self {
        self.complement().union(other.complement()).complement()
    }

    /// What is not in it.
    pub(crate) fn complement(self) -> Self {
        let mut symbols = self.symbols.map(|bits| !bits);
        symbols[2] &= (1 << (SYMBOLS - 128)) - 1;
        let listed = match self.listed {
            Listed::None => Listed::None,
            Listed::Added(ranges) => Listed::Removed(ranges),
            Listed::Removed(ranges) => Listed::Added(ranges),
        };
        Class { symbols, listed }
    }

    /// Both cases of its ASCII letters.
    pub(crate) fn ignore_ascii_case(self) -> Self {
        let cased = (b'A'..=b'Z').chain(b'a'..=b'z').filter(|c| self.contains(c ^ 0x20, 0));
        let added = Class::of(cased);
        self.union(added)
    }

    /// Whether it holds the code point, of which `symbol` is the symbol.
    pub(crate) fn contains(&self, symbol: Symbol, code_point: u32) -> bool {
        let by_symbol = self.symbols[usize::from(symbol) / 64] >> (symbol % 64) & 1 != 0;
        let within = |ranges: &[(u32, u32)]| {
            symbol >= 128 && ranges.iter().any(|&(first, last)| (first..=last).contains(&code_point))
        };
        match &self.listed {
            Listed::None => by_symbol,
            Listed::Added(ranges) => by_symbol || within(ranges),
            Listed::Removed(ranges) => by_symbol && !within(ranges),
        }
    }
}

/// The blocks of Han ideographs that llama.cpp counts, unassigned code points in them included.
const HAN: [(u32, u32); 9] = [
    (0x4e00, 0x9fff),
    (0x3400, 0x4dbf),
    (0x2_0000, 0x2_a6df),
    (0x2_a700, 0x2_b73f),
    (0x2_b740, 0x2_b81f),
    (0x2_b820, 0x2_ceaf),
    (0x2_ceb0, 0x2_ebef),
    (0xf900, 0xfaff),
    (0x2_f800, 0x2_fa1f),
];

const _: () = assert!(OTHER as usize == SYMBOLS - 1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unicode::symbol;

    fn has(class: &Class, c: char) -> bool {
        class.contains(symbol(c as u32), c as u32)
    }

    #[test]
    fn set_operations() {
        let han = Class::property("Han").unwrap_or_else(Class::empty);
        let letters = Class::property("L").unwrap_or_else(Class::empty);
        let others = letters.intersection(han.clone().complement());
        for (c, is_han, is_other) in [('日', true, false), ('é', false, true), ('a', false, true), ('1', false, false)]
        {
            assert_eq!((has(&han, c), has(&others, c)), (is_han, is_other), "{c}");
            assert_eq!(has(&han.clone().complement(), c), !is_han, "{c}");
        }
    }

    #[test]
    fn ascii_case() {
        let class = Class::of(*b"s'").ignore_ascii_case();
        assert!(has(&class, 's') && has(&class, 'S') && has(&class, '\''));
        assert!(!has(&class, '\u{7}') && !has(&class, 't'));
    }

    #[test]
    fn every_ascii_character_has_the_category_it_should() {
        let sets: Vec<Class> = ["N", "L", "M", "P", "S"].iter().filter_map(|name| Class::property(name)).collect();
        for c in '\0'..='\x7f' {
            let count = sets.iter().filter(|set| has(set, c)).count();
            assert_eq!(count, usize::from(c.is_ascii_graphic()), "{c:?}");
        }
    }
}
