//! Jinja source to tokens, whitespace control included. Knows no grammar beyond balanced brackets.
//!
//! Follows Jinja 3.1 with `trim_blocks` (a newline after a block or comment tag is dropped), `lstrip_blocks` (blanks from the
//! start of a line to such a tag are dropped) and without `keep_trailing_newline` (one newline at the end is dropped).

use super::error::TemplateError;
use super::unescape::unescape;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tok {
    Data(String),
    VarBegin,
    VarEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    Str(String),
    Int(i128),
    Float(f64),
    Op(&'static str),
    Eof,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) line: u32,
    pub(super) tok: Tok,
}

/// Longer ones first.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

/// What counts as a blank in Python's `str.isspace` and in its regular expressions.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// Tokens of a source, the last one [`Tok::Eof`].
pub(super) fn tokenize(source: &str) -> Result<Vec<Token>, TemplateError> {
    let mut source = source.replace("\r\n", "\n").replace('\r', "\n");
    if source.ends_with('\n') {
        source.pop();
    }
    let mut lexer = Lexer { source: &source, pos: 0, line: 1, line_starting: true, tokens: Vec::new() };
    lexer.root()?;
    let line = lexer.line;
    lexer.tokens.push(Token { line, tok: Tok::Eof });
    Ok(lexer.tokens)
}

struct Lexer<'s> {
    source: &'s str,
    pos: usize,
    line: u32,
    /// Whether what was consumed last ended with a newline.
    line_starting: bool,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, PartialEq)]
enum Tag {
    Var,
    Block,
    Comment,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.pos..]
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError::Syntax { line: self.line, message: message.into() })
    }

    fn emit(&mut self, tok: Tok) {
        self.tokens.push(Token { line: self.line, tok });
    }

    /// Moves past `bytes` bytes, counting lines.
    fn advance(&mut self, bytes: usize) {
        let passed = &self.rest()[..bytes];
        self.line += passed.matches('\n').count() as u32;
        if bytes > 0 {
            self.line_starting = passed.ends_with('\n');
        }
        self.pos += bytes;
    }

    /// Text and the tags in it, to the end of the source.
    fn root(&mut self) -> Result<(), TemplateError> {
        while let Some((at, tag)) = find_tag(self.rest()) {
            let text = &self.rest()[..at];
            let sign = self.rest()[at + 2..].chars().next();
            let sign = sign.filter(|c| matches!(c, '-' | '+'));
            let raw = match tag {
                Tag::Block => raw_begin(&self.rest()[at..]),
                _ => None,
            };
            self.data(text, sign, tag != Tag::Var);
            let head = raw.unwrap_or(2 + sign.map_or(0, char::len_utf8));
            self.advance(text.len() + head);
            match tag {
                _ if raw.is_some() => self.raw()?,
                Tag::Comment => self.comment()?,
                Tag::Var => {
                    self.emit(Tok::VarBegin);
                    self.inside(Tag::Var)?;
                }
                Tag::Block => {
                    self.emit(Tok::BlockBegin);
                    self.inside(Tag::Block)?;
                }
            }
        }
        if !self.rest().is_empty() {
            self.emit(Tok::Data(self.rest().into()));
            self.advance(self.rest().len());
        }
        Ok(())
    }

    /// Emits the text before a tag, stripped as the tag's sign and `lstrip_blocks` say.
    fn data(&mut self, text: &str, sign: Option<char>, lstrip: bool) {
        let mut text = text;
        if sign == Some('-') {
            text = text.trim_end_matches(is_space);
        } else if sign.is_none() && lstrip {
            let start = text.rfind('\n').map_or(0, |at| at + 1);
            if (start > 0 || self.line_starting) && text[start..].chars().all(is_space) {
                text = &text[..start];
            }
        }
        if !text.is_empty() {
            self.emit(Tok::Data(text.into()));
        }
    }

    fn comment(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let Some(end) = rest.find("#}") else {
            if rest.is_empty() {
                return Ok(());
            }
            return self.fail("missing end of comment tag");
        };
        let after = &rest[end + 2..];
        let tail = match rest[..end].chars().next_back() {
            Some('-') => spaces(after),
            Some('+') => 0,
            _ => usize::from(after.starts_with('\n')),
        };
        self.advance(end + 2 + tail);
        Ok(())
    }

    /// `{% raw %}` up to and including `{% endraw %}`.
    fn raw(&mut self) -> Result<(), TemplateError> {
        let rest = self.rest();
        let mut from = 0;
        while let Some(found) = rest[from..].find("{%") {
            let at = from + found;
            if let Some((sign, end)) = raw_end(&rest[at..]) {
                self.data(&rest[..at], sign, true);
                self.advance(at + end);
                return Ok(());
            }
            from = at + 2;
        }
        self.fail("missing end of raw directive")
    }

    /// The tokens of a tag, up to and including its end.
    fn inside(&mut self, tag: Tag) -> Result<(), TemplateError> {
        let mut open = Vec::new();
        loop {
            self.advance(spaces(self.rest()));
            let rest = self.rest();
            if rest.is_empty() {
                return Ok(());
            }
            if open.is_empty()
                && let Some(bytes) = tag_end(rest, tag)
            {
                self.emit(if tag == Tag::Var { Tok::VarEnd } else { Tok::BlockEnd });
                self.advance(bytes);
                return Ok(());
            }
            let (tok, bytes) = self.token(rest)?;
            if let Tok::Op(op) = tok {
                self.balance(op, &mut open)?;
            }
            self.emit(tok);
            self.advance(bytes);
        }
    }

    fn balance(&self, op: &str, open: &mut Vec<&str>) -> Result<(), TemplateError> {
        match op {
            "{" => open.push("}"),
            "(" => open.push(")"),
            "[" => open.push("]"),
            "}" | ")" | "]" => match open.pop() {
                None => return self.fail(format!("unexpected '{op}'")),
                Some(expected) if expected != op => {
                    return self.fail(format!("unexpected '{op}', expected '{expected}'"));
                }
                Some(_) => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// One token at the start of `rest`, and its length.
    fn token(&self, rest: &str) -> Result<(Tok, usize), TemplateError> {
        let first = rest.chars().next().unwrap_or(' ');
        if first.is_ascii_digit() {
            return self.number(rest);
        }
        let name = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if name > 0 {
            return Ok((Tok::Name(rest[..name].into()), name));
        }
        if first == '\'' || first == '"' {
            let mut escaped = false;
            for (at, c) in rest.char_indices().skip(1) {
                if escaped {
                    escaped = false;
                } else if c == '\\' {
                    escaped = true;
                } else if c == first {
                    return match unescape(&rest[1..at]) {
                        Ok(text) => Ok((Tok::Str(text), at + 1)),
                        Err(message) => self.fail(message),
                    };
                }
            }
            return self.fail("string without end");
        }
        match OPERATORS.iter().find(|op| rest.starts_with(**op)) {
            Some(op) => Ok((Tok::Op(op), op.len())),
            None => self.fail(format!("unexpected character {first:?}")),
        }
    }

    fn number(&self, rest: &str) -> Result<(Tok, usize), TemplateError> {
        let after_dot = self.source[..self.pos].ends_with('.');
        if let Some(bytes) = float_len(rest).filter(|_| !after_dot) {
            let text = rest[..bytes].replace('_', "");
            return match text.parse() {
                Ok(value) => Ok((Tok::Float(value), bytes)),
                Err(_) => self.fail(format!("bad number {text}")),
            };
        }
        let lower = rest.get(..2).map(str::to_ascii_lowercase);
        let (radix, head) = match lower.as_deref() {
            Some("0b") => (2, 2),
            Some("0o") => (8, 2),
            Some("0x") => (16, 2),
            _ => (10, 0),
        };
        let body = grouped(&rest[head..], radix, head > 0);
        // `0x` without digits is a zero and a name, and a decimal may not start with zero.
        let (radix, head, body) = match body {
            0 => (10, 0, 1),
            _ if radix == 10 && rest.starts_with('0') => (10, 0, zeros(rest)),
            _ => (radix, head, body),
        };
        let text = rest[head..head + body].replace('_', "");
        match i128::from_str_radix(&text, radix) {
            Ok(value) => Ok((Tok::Int(value), head + body)),
            Err(_) => self.fail(format!("number {text} is too large")),
        }
    }
}

/// First opening of a tag.
fn find_tag(text: &str) -> Option<(usize, Tag)> {
    let bytes = text.as_bytes();
    bytes.windows(2).enumerate().find_map(|(at, pair)| {
        let tag = match pair {
            b"{{" => Tag::Var,
            b"{%" => Tag::Block,
            b"{#" => Tag::Comment,
            _ => return None,
        };
        Some((at, tag))
    })
}

/// Bytes of blanks at the start.
fn spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_space).len()
}

/// Length of `{% raw %}` at the start, with the blanks after `-%}`.
fn raw_begin(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("{%")?;
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    let rest = rest.trim_start_matches(is_space).strip_prefix("raw")?;
    let rest = rest.trim_start_matches(is_space);
    let rest = match rest.strip_prefix("-%}") {
        Some(rest) => rest.trim_start_matches(is_space),
        None => rest.strip_prefix("%}")?,
    };
    Some(text.len() - rest.len())
}

/// Sign and length of `{% endraw %}` at the start, with what it trims.
fn raw_end(text: &str) -> Option<(Option<char>, usize)> {
    let rest = text.strip_prefix("{%")?;
    let sign = rest.chars().next().filter(|c| matches!(c, '-' | '+'));
    let rest = &rest[sign.map_or(0, char::len_utf8)..];
    let rest = rest.trim_start_matches(is_space).strip_prefix("endraw")?;
    let rest = rest.trim_start_matches(is_space);
    let end = tag_end(rest, Tag::Block)?;
    Some((sign, text.len() - rest.len() + end))
}

/// Length of a tag's end at the start, with what it trims.
fn tag_end(rest: &str, tag: Tag) -> Option<usize> {
    let close = if tag == Tag::Var { "}}" } else { "%}" };
    if let Some(after) = rest.strip_prefix('-').and_then(|r| r.strip_prefix(close)) {
        return Some(3 + spaces(after));
    }
    if tag == Tag::Var {
        return rest.starts_with(close).then_some(2);
    }
    if rest.starts_with("+%}") {
        return Some(3);
    }
    let after = rest.strip_prefix(close)?;
    Some(2 + usize::from(after.starts_with('\n')))
}

/// Length of digits at the start, with single underscores between them (and before them, after a prefix).
fn grouped(text: &str, radix: u32, prefixed: bool) -> usize {
    let mut end = 0;
    let mut underscore = !prefixed;
    for (at, c) in text.char_indices() {
        if c.is_digit(radix) {
            end = at + 1;
            underscore = false;
        } else if c == '_' && !underscore {
            underscore = true;
        } else {
            break;
        }
    }
    end
}

/// Length of a decimal zero such as `0` or `00`.
fn zeros(text: &str) -> usize {
    let digits = grouped(text, 10, false);
    text[..digits].find(|c| c != '0' && c != '_').map_or(digits, |at| text[..at].trim_end_matches('_').len())
}

/// Length of a float at the start: with a fraction, an exponent or both.
fn float_len(text: &str) -> Option<usize> {
    let mut end = grouped(text, 10, false);
    let mut is_float = false;
    if end == 0 {
        return None;
    }
    if let Some(rest) = text[end..].strip_prefix('.') {
        let fraction = grouped(rest, 10, false);
        if fraction > 0 {
            end += 1 + fraction;
            is_float = true;
        }
    }
    if let Some(rest) = text[end..].strip_prefix(['e', 'E']) {
        let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        let exponent = grouped(digits, 10, false);
        if exponent > 0 {
            end += 1 + (rest.len() - digits.len()) + exponent;
            is_float = true;
        }
    }
    is_float.then_some(end)
}
