//! Markdown to a terminal, as it comes: headings, lists, quotes, fenced code, and what `inline` finds within lines.
//!
//! A character is decided as soon as it can be; only what may still become a mark waits, at most to the end of its line. Marks that
//! set something off are shown as what they mean, everything else as it is.

use super::highlight::Highlight;
use super::inline::{self, Mark, Piece};
use super::style::Style;
use super::wrap::Wrap;

const CODE: Style = Style::coloured(36);
const ADDRESS: Style = Style { dim: true, underline: true, ..Style::PLAIN };
/// Longer lines that begin like a fence are none.
const LONGEST_FENCE: usize = 200;
/// Marks within marks are looked for so deep.
const DEPTH: usize = 4;

/// Where a text stands.
#[derive(Clone, Debug)]
enum State {
    /// A line has begun, and what it is is not known.
    Start,
    /// In a line of this style; in a table, where no line is broken.
    Line { style: Style, table: bool },
    /// In code, at the beginning of a line that may end it, or not.
    Code { fence: char, length: usize, start: bool, highlight: Highlight },
}

/// What a line turns out to be.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Unknown,
    Text,
    Heading(usize),
    /// A bullet after so many spaces.
    Bullet(usize),
    /// So many bytes of a number.
    Number(usize),
    Quote(usize),
    Table,
    Fence,
}

/// A text on its way to a terminal.
#[derive(Clone, Debug)]
pub struct Markdown {
    state: State,
    /// What is not decided.
    held: String,
    /// The last character of the line that is.
    before: char,
    wrap: Wrap,
}

impl Markdown {
    /// For a terminal so wide; `None`: it breaks lines itself.
    pub fn new(width: Option<usize>) -> Self {
        Self { state: State::Start, held: String::new(), before: ' ', wrap: Wrap::new(width) }
    }

    /// The terminal has other columns, which count from the next line on.
    pub fn resize(&mut self, width: Option<usize>) {
        self.wrap.resize(width);
    }

    /// What a text lets be written.
    pub fn push(&mut self, text: &str) -> String {
        text.chars().for_each(|character| self.character(character));
        self.wrap.take()
    }

    /// What is left.
    pub fn finish(&mut self) -> String {
        if let State::Start = self.state {
            self.begin(true);
        }
        match &mut self.state {
            State::Code { .. } => self.end_code(),
            _ => self.drain(true),
        }
        self.state = State::Start;
        self.wrap.finish()
    }

    fn character(&mut self, character: char) {
        match self.state {
            State::Code { .. } => self.code(character),
            _ if character == '\n' => self.line_ends(),
            State::Start => {
                self.held.push(character);
                self.begin(false);
            }
            State::Line { .. } => {
                self.held.push(character);
                self.drain(false);
            }
        }
    }

    fn line_ends(&mut self) {
        if let State::Start = self.state {
            self.begin(true);
        }
        if let State::Line { .. } = self.state {
            self.drain(true);
            self.state = State::Start;
        }
        self.wrap.push(Style::PLAIN, "\n");
        self.before = ' ';
    }

    /// Decides what a line is, if that is certain.
    fn begin(&mut self, ends: bool) {
        let line = |style| State::Line { style, table: false };
        match kind(&self.held, ends) {
            Kind::Unknown => return,
            Kind::Text => self.state = line(Style::PLAIN),
            Kind::Table => self.state = State::Line { style: Style::PLAIN, table: true },
            Kind::Heading(level) => {
                self.held.drain(..(level + 1).min(self.held.len()));
                self.state = line(Style { bold: true, underline: level == 1, ..Style::PLAIN });
            }
            Kind::Bullet(indent) => {
                self.wrap.push(Style::PLAIN, &" ".repeat(indent));
                self.wrap.push(Style::coloured(36), "•");
                self.wrap.push(Style::PLAIN, " ");
                self.wrap.hang();
                self.held.drain(..indent + 2);
                self.state = line(Style::PLAIN);
            }
            Kind::Number(length) => {
                self.wrap.push(Style::PLAIN, &self.held[..length]);
                self.wrap.hang();
                self.held.drain(..length);
                self.state = line(Style::PLAIN);
            }
            Kind::Quote(length) => {
                self.wrap.push(Style::DIM, &self.held[..length]);
                self.held.drain(..length);
                // What is quoted may be anything.
                if !self.held.is_empty() || ends {
                    self.begin(ends);
                }
                return;
            }
            Kind::Fence => return self.begin_code(),
        }
        self.drain(ends);
    }

    /// Writes what is certain.
    fn drain(&mut self, ends: bool) {
        let State::Line { style, table } = self.state else { return };
        while !self.held.is_empty() {
            let length = match inline::first(&self.held, self.before, ends) {
                Piece::Unknown => return,
                Piece::Literal(length) => {
                    let text = self.held[..length].to_owned();
                    self.write(style, &text, table);
                    length
                }
                Piece::Marked(length, mark, inner) => {
                    self.marked(style, mark, &inner, table, DEPTH);
                    length
                }
                Piece::Link(length, name, address) => {
                    self.link(style, &name, &address, table);
                    length
                }
            };
            self.before = self.held[..length].chars().next_back().unwrap_or(' ');
            self.held.drain(..length);
        }
    }

    fn marked(&mut self, style: Style, mark: Mark, inner: &str, table: bool, depth: usize) {
        let style = match mark {
            Mark::Code => return self.write(Style { colour: CODE.colour, ..style }, inner, table),
            Mark::Italic => Style { italic: true, ..style },
            Mark::Bold => Style { bold: true, ..style },
            Mark::BoldItalic => Style { bold: true, italic: true, ..style },
            Mark::Strike => Style { strike: true, ..style },
        };
        if depth == 0 {
            return self.write(style, inner, table);
        }
        let (mut rest, mut before) = (inner, ' ');
        while !rest.is_empty() {
            let length = match inline::first(rest, before, true) {
                // A line that ends leaves nothing unknown.
                Piece::Unknown => rest.len(),
                Piece::Literal(length) => length,
                Piece::Marked(length, mark, inner) => {
                    self.marked(style, mark, &inner, table, depth - 1);
                    before = ' ';
                    rest = &rest[length..];
                    continue;
                }
                Piece::Link(length, name, address) => {
                    self.link(style, &name, &address, table);
                    rest = &rest[length..];
                    continue;
                }
            };
            self.write(style, &rest[..length], table);
            before = rest[..length].chars().next_back().unwrap_or(' ');
            rest = &rest[length..];
        }
    }

    fn link(&mut self, style: Style, name: &str, address: &str, table: bool) {
        self.write(Style { underline: true, colour: Some(34), ..style }, name, table);
        self.write(style, " (", table);
        self.write(ADDRESS, address, table);
        self.write(style, ")", table);
    }

    fn write(&mut self, style: Style, text: &str, table: bool) {
        if table {
            self.wrap.push_whole(style, text);
        } else {
            self.wrap.push(style, text);
        }
    }

    fn begin_code(&mut self) {
        let line = std::mem::take(&mut self.held);
        self.wrap.push_whole(Style::DIM, &line);
        let text = line.trim_start();
        let fence = text.chars().next().unwrap_or('`');
        let name = text.trim_start_matches(fence).trim();
        let length = text.len() - text.trim_start_matches(fence).len();
        let name = name.split([' ', ',', '{', ':']).next().unwrap_or_default();
        // The line's own end comes now.
        self.state = State::Code { fence, length, start: true, highlight: Highlight::new(name) };
    }

    fn code(&mut self, character: char) {
        let State::Code { fence, length, start, highlight } = &mut self.state else { return };
        let wrap = &mut self.wrap;
        if *start {
            self.held.push(character);
            let line = self.held.strip_suffix('\n').unwrap_or(&self.held);
            let text = line.trim_start_matches(' ');
            let marks = text.trim_end_matches(' ');
            let only_marks = marks.chars().all(|mark| mark == *fence);
            if character != '\n' && only_marks && line.len() - text.len() <= 12 && line.len() < LONGEST_FENCE {
                return;
            }
            if character == '\n' && only_marks && marks.len() >= *length {
                let line = line.to_owned();
                highlight.finish(&mut |style, text| wrap.push_whole(style, text));
                wrap.push_whole(Style::DIM, &line);
                wrap.push_whole(Style::PLAIN, "\n");
                self.held.clear();
                self.state = State::Start;
                return;
            }
            let held = std::mem::take(&mut self.held);
            held.chars().for_each(|held| highlight.push(held, &mut |style, text| wrap.push_whole(style, text)));
        } else {
            highlight.push(character, &mut |style, text| wrap.push_whole(style, text));
        }
        *start = character == '\n';
    }

    fn end_code(&mut self) {
        let State::Code { fence, length, start, highlight } = &mut self.state else { return };
        let wrap = &mut self.wrap;
        let text = self.held.trim();
        let closes = *start && text.len() >= *length && text.chars().all(|mark| mark == *fence);
        highlight.finish(&mut |style, text| wrap.push_whole(style, text));
        wrap.push_whole(if closes { Style::DIM } else { Style::PLAIN }, &self.held);
        self.held.clear();
    }

    /// Whether a line has begun.
    pub fn in_line(&self) -> bool {
        self.wrap.in_line() || !self.held.is_empty()
    }
}

/// What a line is that begins so, and ends so or goes on.
fn kind(line: &str, ends: bool) -> Kind {
    let text = line.trim_start_matches(' ');
    let indent = line.len() - text.len();
    let Some(first) = text.chars().next() else { return if ends { Kind::Text } else { Kind::Unknown } };
    let unknown = |otherwise| if ends { otherwise } else { Kind::Unknown };
    match first {
        '#' => {
            let level = text.len() - text.trim_start_matches('#').len();
            match text[level..].chars().next() {
                _ if level > 6 || indent > 3 => Kind::Text,
                None => unknown(Kind::Text),
                Some(' ') if indent == 0 => Kind::Heading(level),
                Some(_) => Kind::Text,
            }
        }
        '-' | '*' | '+' => match text[1..].chars().next() {
            None => unknown(Kind::Text),
            Some(' ') => Kind::Bullet(indent),
            Some(_) => Kind::Text,
        },
        '0'..='9' => {
            let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let mut rest = text[digits..].chars();
            match (rest.next(), rest.next()) {
                _ if digits > 9 => Kind::Text,
                (None, _) | (Some('.' | ')'), None) => unknown(Kind::Text),
                (Some('.' | ')'), Some(' ')) => Kind::Number(indent + digits + 2),
                _ => Kind::Text,
            }
        }
        '>' => Kind::Quote(indent + 1),
        '|' => Kind::Table,
        '`' | '~' => fence(text, first, ends),
        _ => Kind::Text,
    }
}

fn fence(text: &str, mark: char, ends: bool) -> Kind {
    let length = text.len() - text.trim_start_matches(mark).len();
    let rest = &text[length..];
    if length < 3 && !rest.is_empty() || rest.contains('`') || text.len() > LONGEST_FENCE {
        return Kind::Text;
    }
    match (ends, length >= 3) {
        (false, _) => Kind::Unknown,
        (true, true) => Kind::Fence,
        (true, false) => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sequences that set styles, left out.
    fn stripped(text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("\x1b[") {
            out.push_str(before);
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        out + rest
    }

    fn rendered(width: Option<usize>, text: &str) -> String {
        let mut markdown = Markdown::new(width);
        let mut out = markdown.push(text);
        out.push_str(&markdown.finish());
        out
    }

    #[test]
    fn what_is_set_off_is_shown_so() {
        assert_eq!(rendered(None, "# Title\nx"), "\x1b[0;1;4mTitle\x1b[0m\nx");
        assert_eq!(rendered(None, "a **b** `c`"), "a \x1b[0;1mb\x1b[0m \x1b[0;36mc\x1b[0m");
        assert_eq!(stripped(&rendered(None, "* a\n  - b\n1. c\n> d *e*")), "• a\n  • b\n1. c\n> d e");
        assert_eq!(stripped(&rendered(None, "[docs](https://a.b/c_d_e)")), "docs (https://a.b/c_d_e)");
        assert_eq!(rendered(None, "```rust\nfn x\n```\n*y*"), {
            "\x1b[0;2m```rust\x1b[0m\n\x1b[0;35mfn\x1b[0m x\n\x1b[0;2m```\x1b[0m\n\x1b[0;3my\x1b[0m"
        });
    }

    #[test]
    fn what_only_looks_like_marks_stays() {
        for text in [
            "2*3*4 and snake_case_name and **kwargs",
            "#hashtag\n-5 + 3\n*\n1.5 and 7)x",
            "\\( x_1 \\) and \\[ y \\]",
            "a < b > c | d ~ e",
            "```inline``` text `",
            "~~~",
            "[1] and [x] (y)",
            "| a | b |\n|---|---|\n| 1 | 2 |\n",
            "---\n***\n___",
        ] {
            let shown = stripped(&rendered(None, text));
            assert_eq!(shown.replace("inline", "```inline```"), text.to_owned(), "{text}");
        }
    }

    #[test]
    fn a_fence_ends_with_a_line_of_its_own_kind() {
        let text = "````\n```\n``` x\n````\n*a*";
        assert!(rendered(None, text).ends_with("\x1b[0;3ma\x1b[0m"), "{:?}", rendered(None, text));
        assert_eq!(stripped(&rendered(Some(20), text)), text.replace('*', ""));
        assert_eq!(stripped(&rendered(Some(20), "```\ncode that is longer than the line")).lines().count(), 2);
    }

    /// Letters, digits, and marks where they may stand for something: all that may not be lost.
    fn words(text: &str) -> String {
        text.chars().filter(|c| c.is_alphanumeric()).collect()
    }

    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-z日本語é]{1,9}",
            "[*_`~#>|\\[\\]()\\\\-]{1,4}",
            " {1,3}",
            Just("\n".to_owned()),
            Just("```py\n".to_owned()),
            Just("\n```\n".to_owned()),
            Just("[a](b)".to_owned()),
            Just("1. ".to_owned()),
            Just("👩\u{200d}👧 مرحبا".to_owned()),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_cut_shows(text in texts(), cuts in prop::collection::vec(0..400usize, 0..8), width in 8..60usize) {
            for width in [None, Some(width)] {
                let whole = rendered(width, &text);
                prop_assert_eq!(words(&stripped(&whole)), words(&text));
                let mut markdown = Markdown::new(width);
                let (mut out, mut rest) = (String::new(), text.as_str());
                for &cut in &cuts {
                    let at = rest.char_indices().nth(cut).map_or(rest.len(), |(at, _)| at);
                    out.push_str(&markdown.push(&rest[..at]));
                    rest = &rest[at..];
                }
                out.push_str(&markdown.push(rest));
                out.push_str(&markdown.finish());
                prop_assert_eq!(&out, &whole);
            }
        }

        #[test]
        fn without_marks_every_character_stays(text in "[a-z ,.]{0,80}(\n[a-z][a-z ,.]{0,80}){0,4}") {
            let spaces = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(spaces(&rendered(Some(30), &text)), spaces(&text));
        }
    }
}
