//! Lines broken between words, as text comes; and styles, where they change.
//!
//! Knows columns; nothing of markdown. A word waits until it is known to fit.

use unicode_width::UnicodeWidthChar;

use super::style::Style;

/// A line being filled.
#[derive(Clone, Debug)]
pub struct Wrap {
    /// Columns of the terminal; `None`: the terminal breaks lines itself.
    width: Option<usize>,
    /// Columns from the next line on.
    next: Option<usize>,
    /// Columns that are taken.
    column: usize,
    /// Columns that a broken line begins with.
    indent: usize,
    /// Spaces before the word.
    spaces: usize,
    word: Vec<(Style, char)>,
    word_width: usize,
    /// In a word that is longer than a line: the terminal breaks it.
    long: bool,
    /// What the terminal was last told.
    style: Style,
    /// The last character, for those that join two.
    last: char,
    out: String,
}

/// Narrower terminals are taken for so many columns.
const LEAST: usize = 8;

/// Joins the characters on its two sides into one.
const JOINER: char = '\u{200d}';

impl Wrap {
    /// An empty line.
    pub fn new(width: Option<usize>) -> Self {
        let width = width.map(|width| width.max(LEAST));
        Self {
            width,
            next: width,
            column: 0,
            indent: 0,
            spaces: 0,
            word: Vec::new(),
            word_width: 0,
            long: false,
            style: Style::PLAIN,
            last: ' ',
            out: String::new(),
        }
    }

    /// The terminal has other columns: they count from the next line on, for this one was begun without them.
    pub fn resize(&mut self, width: Option<usize>) {
        self.next = width.map(|width| width.max(LEAST));
        if !self.in_line() {
            self.width = self.next;
        }
    }

    /// Lines that are broken from here on begin where the text is now, but leave half of the width at least.
    pub fn hang(&mut self) {
        let indent = self.column + self.spaces + self.word_width;
        self.indent = self.width.map_or(0, |width| indent.min(width / 2));
    }

    /// Adds text.
    pub fn push(&mut self, style: Style, text: &str) {
        text.chars().for_each(|character| self.character(style, character));
    }

    /// Adds text that is not to be broken: code, tables.
    pub fn push_whole(&mut self, style: Style, text: &str) {
        self.flush();
        for character in text.chars() {
            if character == '\n' {
                self.line_break();
            } else {
                self.emit(style, character);
            }
        }
    }

    fn character(&mut self, style: Style, character: char) {
        self.long &= !matches!(character, ' ' | '\t' | '\n');
        match character {
            '\n' => {
                self.flush();
                self.line_break();
            }
            ' ' | '\t' => {
                self.flush();
                self.spaces += if character == '\t' { 4 } else { 1 };
                self.last = character;
            }
            _ => self.visible(style, character),
        }
    }

    fn visible(&mut self, style: Style, character: char) {
        let width = character.width().unwrap_or(0);
        // Characters two columns wide are words of their own, unless something joins them to what stands before.
        let wide = width > 1;
        self.long &= !wide;
        let joined = self.last == JOINER || width == 0 || ('\u{1f3fb}'..='\u{1f3ff}').contains(&character);
        if wide && !joined {
            self.flush();
        }
        self.last = character;
        if self.long || joined && self.word.is_empty() && self.spaces == 0 {
            self.emit(style, character);
            return;
        }
        self.word.push((style, character));
        self.word_width += width;
        let too_long = self.width.is_none_or(|width| self.word_width >= width.saturating_sub(self.indent));
        if wide || too_long {
            self.flush();
            self.long = too_long && !wide;
        }
    }

    /// Lets go of the word.
    fn flush(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let end = self.column + self.spaces + self.word_width;
        if self.width.is_some_and(|width| end > width) && self.column > self.indent {
            self.out.push('\n');
            self.width = self.next;
            self.indent = self.width.map_or(0, |width| self.indent.min(width / 2));
            self.out.extend(std::iter::repeat_n(' ', self.indent));
            self.column = self.indent;
            self.spaces = 0;
        }
        let style = self.word.first().map_or(Style::PLAIN, |(style, _)| *style);
        self.write_spaces(style);
        for (style, character) in std::mem::take(&mut self.word) {
            self.emit(style, character);
        }
        self.word_width = 0;
    }

    fn write_spaces(&mut self, style: Style) {
        // A space under which a line goes on should not end it.
        if self.spaces > 0 && style != self.style {
            self.set(Style { colour: None, ..common(style, self.style) });
        }
        self.out.extend(std::iter::repeat_n(' ', self.spaces));
        self.column += self.spaces;
        self.spaces = 0;
    }

    fn line_break(&mut self) {
        self.set(Style::PLAIN);
        self.out.push('\n');
        (self.column, self.indent, self.spaces, self.last) = (0, 0, 0, '\n');
        self.width = self.next;
    }

    fn emit(&mut self, style: Style, character: char) {
        self.write_spaces(style);
        self.set(style);
        self.out.push(shown(character));
        self.column += character.width().unwrap_or(0);
    }

    fn set(&mut self, style: Style) {
        if style != self.style {
            style.write(&mut self.out);
            self.style = style;
        }
    }

    /// What can be written by now.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// All that is left, in no style.
    pub fn finish(&mut self) -> String {
        self.flush();
        self.spaces = 0;
        self.set(Style::PLAIN);
        self.take()
    }

    /// Whether a line has begun.
    pub fn in_line(&self) -> bool {
        self.column > 0 || !self.word.is_empty()
    }
}

/// What two styles have in common.
fn common(a: Style, b: Style) -> Style {
    Style {
        bold: a.bold && b.bold,
        dim: a.dim && b.dim,
        italic: a.italic && b.italic,
        underline: a.underline && b.underline,
        strike: a.strike && b.strike,
        colour: a.colour.filter(|_| a.colour == b.colour),
    }
}

/// A terminal obeys control characters, and a model should not give it orders: their pictures are shown.
pub(crate) fn shown(character: char) -> char {
    match character {
        '\t' | '\n' => character,
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(character)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}' => char::REPLACEMENT_CHARACTER,
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(width: usize, text: &str) -> String {
        let mut wrap = Wrap::new(Some(width));
        wrap.push(Style::PLAIN, text);
        wrap.finish()
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped(10, "one two three four"), "one two\nthree four");
        assert_eq!(wrapped(10, "a  b"), "a  b");
        assert_eq!(wrapped(10, "12345 123456789012 1"), "12345\n123456789012\n1");
        assert_eq!(wrapped(10, "one\n\ntwo  \nthree"), "one\n\ntwo\nthree");
    }

    #[test]
    fn wide_characters_are_broken_anywhere_and_joined_ones_nowhere() {
        assert_eq!(wrapped(10, "日本語の文章です"), "日本語の文\n章です");
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(wrapped(8, &format!("aaaaa {family}")), format!("aaaaa {family}"));
        assert_eq!(wrapped(8, "e\u{301}e\u{301}"), "e\u{301}e\u{301}");
    }

    #[test]
    fn other_columns_count_from_the_next_line_on() {
        let mut wrap = Wrap::new(Some(20));
        wrap.push(Style::PLAIN, "one two three ");
        wrap.resize(Some(10));
        wrap.push(Style::PLAIN, "four five six seven");
        assert_eq!(wrap.finish(), "one two three four\nfive six\nseven");
        let mut wrap = Wrap::new(Some(20));
        wrap.resize(Some(9));
        wrap.push(Style::PLAIN, "one two three");
        assert_eq!(wrap.finish(), "one two\nthree");
    }

    #[test]
    fn broken_lines_hang() {
        let mut wrap = Wrap::new(Some(12));
        wrap.push(Style::PLAIN, "- ");
        wrap.hang();
        wrap.push(Style::PLAIN, "one two three four");
        assert_eq!(wrap.finish(), "- one two\n  three four");
    }

    #[test]
    fn no_order_reaches_the_terminal() {
        assert_eq!(wrapped(80, "a\x1b[31mb\x07\u{9b}\x7f"), "a␛[31mb␇\u{fffd}␡");
    }
}
