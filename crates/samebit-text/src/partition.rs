//! Taking special tokens out of a text by what they look like. Knows nothing of what becomes of the rest.

use memchr::memmem::Finder;

/// A stretch of a text, or a special token that stood in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// From a byte to before another; not empty.
    Text(usize, usize),
    Token(u32),
}

/// A token to look for.
#[derive(Clone, Debug)]
pub(crate) struct Sought {
    pub(crate) id: u32,
    /// Not empty.
    pub(crate) text: Box<[u8]>,
    /// Only where special tokens are parsed.
    pub(crate) only_parsed: bool,
    pub(crate) strip_left: bool,
    pub(crate) strip_right: bool,
}

/// All tokens to look for, longest first.
pub(crate) struct Partition {
    sought: Vec<Sought>,
}

impl Partition {
    pub(crate) fn new(mut sought: Vec<Sought>) -> Self {
        sought.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then(a.id.cmp(&b.id)));
        Partition { sought }
    }

    /// Takes out each token in turn, from the left, from what the longer ones left of the text.
    pub(crate) fn split(&self, text: &[u8], parse_special: bool) -> Vec<Fragment> {
        let mut fragments = if text.is_empty() { Vec::new() } else { vec![Fragment::Text(0, text.len())] };
        let present = Pairs::of(text);
        for sought in self.sought.iter().filter(|sought| parse_special || !sought.only_parsed) {
            if !present.may_hold(&sought.text) {
                continue;
            }
            let finder = Finder::new(&sought.text);
            if finder.find(text).is_some() {
                fragments = split_by(sought, &finder, text, &fragments);
            }
        }
        fragments
    }
}

fn split_by(sought: &Sought, finder: &Finder<'_>, text: &[u8], fragments: &[Fragment]) -> Vec<Fragment> {
    let mut out = Vec::with_capacity(fragments.len() + 2);
    for &fragment in fragments {
        let Fragment::Text(mut start, end) = fragment else {
            out.push(fragment);
            continue;
        };
        while let Some(at) = finder.find(&text[start..end]) {
            let (before, after) = (start, start + at + sought.text.len());
            let mut before_end = start + at;
            if sought.strip_left {
                before_end -= trailing_spaces(&text[before..before_end]);
            }
            start = after;
            if sought.strip_right {
                start += leading_spaces(&text[after..end]);
            }
            if before < before_end {
                out.push(Fragment::Text(before, before_end));
            }
            out.push(Fragment::Token(sought.id));
        }
        if start < end {
            out.push(Fragment::Text(start, end));
        }
    }
    out
}

/// ASCII white space as C counts it.
fn is_space(byte: &&u8) -> bool {
    matches!(**byte, 9..=13 | b' ')
}

fn leading_spaces(text: &[u8]) -> usize {
    text.iter().take_while(is_space).count()
}

fn trailing_spaces(text: &[u8]) -> usize {
    text.iter().rev().take_while(is_space).count()
}

/// Which pairs of neighbouring bytes a text has: rules out most of thousands of tokens without a search.
struct Pairs {
    seen: Vec<u64>,
}

impl Pairs {
    fn of(text: &[u8]) -> Self {
        let mut seen = vec![0; (1 << 16) / 64];
        for pair in text.windows(2) {
            let bit = Self::bit(pair);
            seen[bit / 64] |= 1 << (bit % 64);
        }
        Pairs { seen }
    }

    fn bit(pair: &[u8]) -> usize {
        usize::from(pair[0]) << 8 | usize::from(pair[1])
    }

    fn may_hold(&self, text: &[u8]) -> bool {
        text.windows(2).map(Self::bit).all(|bit| self.seen[bit / 64] >> (bit % 64) & 1 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought(id: u32, text: &str) -> Sought {
        Sought { id, text: text.as_bytes().into(), only_parsed: false, strip_left: false, strip_right: false }
    }

    #[test]
    fn longer_tokens_go_first_wherever_they_are() {
        let partition = Partition::new(vec![sought(1, "ab"), sought(2, "bcd")]);
        assert_eq!(partition.split(b"abcdab", false), [Fragment::Text(0, 1), Fragment::Token(2), Fragment::Token(1)]);
    }

    #[test]
    fn repeats_do_not_overlap() {
        let partition = Partition::new(vec![sought(1, "aa")]);
        assert_eq!(partition.split(b"aaaaa", false), [Fragment::Token(1), Fragment::Token(1), Fragment::Text(4, 5)]);
        assert_eq!(partition.split(b"", true), []);
    }

    #[test]
    fn control_tokens_only_where_parsed() {
        let partition = Partition::new(vec![Sought { only_parsed: true, ..sought(7, "<s>") }]);
        assert_eq!(partition.split(b"<s>x", false), [Fragment::Text(0, 4)]);
        assert_eq!(partition.split(b"<s>x", true), [Fragment::Token(7), Fragment::Text(3, 4)]);
    }

    #[test]
    fn white_space_goes_along() {
        let partition = Partition::new(vec![Sought { strip_left: true, strip_right: true, ..sought(7, "<m>") }]);
        assert_eq!(
            partition.split(b"a \t<m>\n b", false),
            [Fragment::Text(0, 1), Fragment::Token(7), Fragment::Text(8, 9)]
        );
        assert_eq!(partition.split(b" <m> ", false), [Fragment::Token(7)]);
    }
}
