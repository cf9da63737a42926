//! Markdown within a line: what the next piece of it is, once that is certain.
//!
//! Knows one line; nothing of blocks or looks. Stricter than CommonMark on purpose: marks are taken for marks only where they stand
//! at the outside of words and are closed within the line, so that `2*3*4`, `snake_case_names` and `**kwargs` stay as they are.

/// Marks farther from each other than this are none.
const REACH: usize = 160;

/// What a line goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// It cannot be told yet.
    Unknown,
    /// So many bytes stand for themselves.
    Literal(usize),
    /// So many bytes are set off by marks; what is between these.
    Marked(usize, Mark, String),
    /// So many bytes are a link: its text, and where it leads.
    Link(usize, String, String),
}

/// How a text is set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Code,
    Italic,
    Bold,
    BoldItalic,
    Strike,
}

/// The first piece of `text`, which is not empty and follows `before`. Where the line may go on, nothing is said that more of it could
/// refute.
pub(super) fn first(text: &str, before: char, line_ends: bool) -> Piece {
    let within = text.char_indices().nth(REACH).map_or(text.len(), |(at, _)| at);
    let (window, ends) = (&text[..within], line_ends || within < text.len());
    let Some(mark) = window.chars().next() else { return Piece::Unknown };
    match mark {
        '`' => code(window, ends),
        '*' | '_' | '~' => emphasis(window, mark, before, ends),
        '[' => link(window, ends),
        '\\' => match window[1..].chars().next() {
            Some(next) if next.is_ascii_punctuation() => Piece::Literal(2),
            None if !ends => Piece::Unknown,
            _ => Piece::Literal(1),
        },
        _ => Piece::Literal(window.find(['`', '*', '_', '~', '[', '\\']).unwrap_or(window.len())),
    }
}

fn run(text: &str, mark: char) -> usize {
    text.len() - text.trim_start_matches(mark).len()
}

fn code(text: &str, ends: bool) -> Piece {
    let length = run(text, '`');
    let mut at = length;
    while let Some(next) = text[at..].find('`') {
        let start = at + next;
        let closing = run(&text[start..], '`');
        at = start + closing;
        if at == text.len() && !ends {
            return Piece::Unknown;
        }
        if closing == length {
            return Piece::Marked(at, Mark::Code, text[length..start].into());
        }
    }
    if ends { Piece::Literal(length) } else { Piece::Unknown }
}

fn emphasis(text: &str, mark: char, before: char, ends: bool) -> Piece {
    let length = run(text, mark);
    if length == text.len() && !ends {
        return Piece::Unknown;
    }
    let kind = match (mark, length) {
        ('~', 2) => Mark::Strike,
        ('*' | '_', 1) => Mark::Italic,
        ('*' | '_', 2) => Mark::Bold,
        ('*' | '_', 3) => Mark::BoldItalic,
        _ => return Piece::Literal(length),
    };
    let opens = text[length..].chars().next().is_some_and(|next| !next.is_whitespace());
    if !opens || before.is_alphanumeric() {
        return Piece::Literal(length);
    }
    let mut at = length;
    while let Some(next) = text[at..].find(mark) {
        let start = at + next;
        let closing = run(&text[start..], mark);
        at = start + closing;
        if at == text.len() && !ends {
            return Piece::Unknown;
        }
        let inside = text[..start].chars().next_back().is_some_and(|last| !last.is_whitespace() && last != '\\');
        let outside = text[at..].chars().next().is_none_or(|next| !next.is_alphanumeric());
        if closing == length && inside && outside {
            return Piece::Marked(at, kind, text[length..start].into());
        }
    }
    if ends { Piece::Literal(length) } else { Piece::Unknown }
}

fn link(text: &str, ends: bool) -> Piece {
    let unknown = if ends { Piece::Literal(1) } else { Piece::Unknown };
    let Some(close) = text.find(']') else { return unknown };
    match text[close + 1..].chars().next() {
        None => return unknown,
        Some('(') => {}
        Some(_) => return Piece::Literal(1),
    }
    let Some(length) = text[close + 2..].find(')') else { return unknown };
    let (name, address) = (&text[1..close], &text[close + 2..close + 2 + length]);
    if name.is_empty() || name.contains('[') || address.contains(char::is_whitespace) {
        return Piece::Literal(1);
    }
    Piece::Link(close + 3 + length, name.into(), address.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str) -> Option<(Mark, String)> {
        match first(text, ' ', true) {
            Piece::Marked(length, mark, inner) if length == text.len() => Some((mark, inner)),
            _ => None,
        }
    }

    #[test]
    fn marks_that_are_closed_set_off_what_is_between() {
        for (text, mark, inner) in [
            ("`a*b`", Mark::Code, "a*b"),
            ("``a`b``", Mark::Code, "a`b"),
            ("*a b*", Mark::Italic, "a b"),
            ("_a_", Mark::Italic, "a"),
            ("**a *b* c**", Mark::Bold, "a *b* c"),
            ("***a***", Mark::BoldItalic, "a"),
            ("~~a~~", Mark::Strike, "a"),
        ] {
            assert_eq!(marked(text), Some((mark, inner.into())), "{text}");
        }
    }

    #[test]
    fn other_marks_stand_for_themselves() {
        for text in ["**kwargs", "* a*", "*a *", "`a", "_a_b", "~a~", "****a****", "[a] (b)", "[a](b c)", "[](b)"] {
            assert!(matches!(first(text, ' ', true), Piece::Literal(_)), "{text}");
        }
        assert_eq!(first("*3*4", '2', true), Piece::Literal(1));
        assert_eq!(first("\\*a*", ' ', true), Piece::Literal(2));
        assert_eq!(first("plain *a*", ' ', true), Piece::Literal(6));
        let far = format!("*{}*", "a".repeat(REACH));
        assert_eq!(first(&far, ' ', true), Piece::Literal(1));
    }

    #[test]
    fn nothing_is_said_too_early() {
        for text in ["*", "*a", "*a*", "**a*", "`a`", "[a", "[a]", "[a](b", "\\", "~", "~~a~"] {
            assert_eq!(first(text, ' ', false), Piece::Unknown, "{text}");
        }
        assert_eq!(first("*a* ", ' ', false), Piece::Marked(3, Mark::Italic, "a".into()));
        assert_eq!(first("[a](b)", ' ', false), Piece::Link(6, "a".into(), "b".into()));
    }
}
