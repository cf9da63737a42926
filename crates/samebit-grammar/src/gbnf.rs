//! Grammars as llama.cpp has them (GBNF, its grammars/README.md), in llguidance's Lark.
//!
//! Knows both notations; what a grammar means is llguidance's.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Deeper groups are no grammar.
const DEEPEST: usize = 64;

/// Whether a grammar is written so.
pub(crate) fn is_gbnf(text: &str) -> bool {
    text.contains("::=")
}

/// The same grammar in Lark. Rules are numbered, since Lark's names are narrower.
///
/// # Errors
/// What is no GBNF, with its line; a rule that is not there.
pub(crate) fn to_lark(text: &str) -> Result<String, String> {
    let words = words(text)?;
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for pair in words.windows(2) {
        if let [(_, Word::Name(name)), (line, Word::Is)] = pair {
            let number = names.len();
            let short = if name == "root" { "start".into() } else { format!("r{number}") };
            if names.insert(name, short).is_some() {
                return Err(format!("line {line}: {name} is there already"));
            }
        }
    }
    if !names.contains_key("root") {
        return Err("there is no rule that is named root".into());
    }
    let (mut out, mut depth, mut bare) = (String::new(), 0, true);
    let mut rest = &words[..];
    while let Some(((line, word), after)) = rest.split_first() {
        let begins = matches!(after.first(), Some((_, Word::Is)));
        if bare && (begins || matches!(word, Word::Or | Word::Close)) && !out.is_empty() {
            // What stands for nothing is written.
            out.push_str(" \"\"");
        }
        bare = begins || matches!(word, Word::Or | Word::Open);
        match word {
            Word::Name(name) if begins && depth == 0 => {
                let _ = write!(out, "{}{}:", if out.is_empty() { "" } else { "\n" }, names[name.as_str()]);
            }
            _ if out.is_empty() || begins || *word == Word::Is => {
                return Err(format!("line {line}: a rule begins with its name and ::="));
            }
            Word::Name(name) => {
                let short = names.get(name.as_str()).ok_or_else(|| format!("line {line}: there is no rule {name}"))?;
                let _ = write!(out, " {short}");
            }
            Word::Literal(text) | Word::Class(text) => {
                let _ = write!(out, " {text}");
            }
            Word::Repeat(text) => out.push_str(text),
            Word::Or => out.push_str(" |"),
            Word::Open => {
                depth += 1;
                out.push_str(" (");
            }
            Word::Close => {
                depth = usize::checked_sub(depth, 1).ok_or_else(|| format!("line {line}: ) without ("))?;
                out.push_str(" )");
            }
            Word::Is => {}
        }
        if depth > DEEPEST {
            return Err(format!("line {line}: more than {DEEPEST} groups within each other"));
        }
        rest = if begins { &after[1..] } else { after };
    }
    if depth > 0 {
        return Err("( without )".into());
    }
    out.push_str(if bare { " \"\"\n" } else { "\n" });
    Ok(out)
}

#[derive(Debug, PartialEq)]
enum Word {
    Name(String),
    /// `::=`
    Is,
    /// A text, quoted as in JSON.
    Literal(String),
    /// A regular expression of one character.
    Class(String),
    /// `*`, `+`, `?`, `{2,3}`
    Repeat(String),
    Or,
    Open,
    Close,
}

/// The words of a grammar, and their lines.
fn words(text: &str) -> Result<Vec<(usize, Word)>, String> {
    let mut words = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = word(rest).map_err(|why| format!("line {}: {why}", index + 1))?;
            words.push((index + 1, word));
            rest = after.trim_start();
        }
    }
    Ok(words)
}

/// The word that a text begins with, and the rest.
fn word(text: &str) -> Result<(Word, &str), String> {
    if let Some(rest) = text.strip_prefix("::=") {
        return Ok((Word::Is, rest));
    }
    // There is a character: the text is not empty.
    let first = text.chars().next().unwrap_or_default();
    let after = &text[first.len_utf8()..];
    Ok(match first {
        '|' => (Word::Or, after),
        '(' => (Word::Open, after),
        ')' => (Word::Close, after),
        '*' | '+' | '?' => (Word::Repeat(first.into()), after),
        '.' => (Word::Class("/(?s:.)/".into()), after),
        '{' => {
            let (counts, rest) = after.split_once('}').ok_or("{ without }")?;
            let counts: String = counts.chars().filter(|c| !c.is_whitespace()).collect();
            if counts.is_empty() || !counts.bytes().all(|byte| byte.is_ascii_digit() || byte == b',') {
                return Err(format!("{{{counts}}} is no number of times"));
            }
            (Word::Repeat(format!("{{{counts}}}")), rest)
        }
        '"' => literal(after)?,
        '[' => class(after)?,
        _ => {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')).unwrap_or(text.len());
            if end == 0 {
                return Err(format!("{first} has no meaning here"));
            }
            (Word::Name(text[..end].into()), &text[end..])
        }
    })
}

fn literal(text: &str) -> Result<(Word, &str), String> {
    let (mut rest, mut out) = (text, String::new());
    loop {
        if let Some(rest) = rest.strip_prefix('"') {
            return Ok((Word::Literal(serde_json::Value::from(out).to_string()), rest));
        }
        let (character, after) = character(rest)?;
        out.push(character);
        rest = after;
    }
}

fn class(text: &str) -> Result<(Word, &str), String> {
    let (mut rest, mut out) = (text, String::from("/["));
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    loop {
        if let Some(rest) = rest.strip_prefix(']') {
            return Ok((Word::Class(format!("{out}]/")), rest));
        }
        if out.len() > 2 && rest.starts_with('-') && !rest.starts_with("-]") && !out.ends_with(['-', '^']) {
            out.push('-');
            rest = &rest[1..];
        }
        let (character, after) = character(rest)?;
        // By its number none has a meaning of its own.
        let _ = write!(out, "\\x{{{:x}}}", u32::from(character));
        rest = after;
    }
}

/// A character, perhaps escaped, and what follows.
fn character(text: &str) -> Result<(char, &str), String> {
    let mut characters = text.chars();
    let first = characters.next().ok_or("a text or a set has no end on its line")?;
    if first != '\\' {
        return Ok((first, characters.as_str()));
    }
    let escaped = characters.next().ok_or("\\ at the end of a line")?;
    let digits = match escaped {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        'n' => return Ok(('\n', characters.as_str())),
        'r' => return Ok(('\r', characters.as_str())),
        't' => return Ok(('\t', characters.as_str())),
        '\\' | '"' | '[' | ']' | '-' | '^' | '/' => return Ok((escaped, characters.as_str())),
        other => return Err(format!("\\{other} has no meaning")),
    };
    let rest = characters.as_str();
    let code = rest.get(..digits).and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
    code.map(|code| (code, &rest[digits..])).ok_or_else(|| format!("\\{escaped} wants {digits} hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_in_lark() {
        let text = "# a list\nroot ::= item-a+ (\",\" | )\n  | \"\\\"x\\u00e9\"\nitem-a ::= [a-z_/] [^\"\\]\\n-] . {2,3} B? |\nB ::= \"b\"";
        let lark = "start: r1+ ( \",\" | \"\" ) | \"\\\"x\u{e9}\"\n\
                    r1: /[\\x{61}-\\x{7a}\\x{5f}\\x{2f}]/ /[^\\x{22}\\x{5d}\\x{a}\\x{2d}]/ /(?s:.)/{2,3} r2? | \"\"\n\
                    r2: \"b\"\n";
        assert_eq!(to_lark(text).as_deref(), Ok(lark));
        assert_eq!(to_lark("root ::= ( )").as_deref(), Ok("start: ( \"\" )\n"));
        assert!(is_gbnf(text) && !is_gbnf(lark));
    }

    #[test]
    fn what_is_no_grammar_is_told_with_its_line() {
        for (text, why) in [
            ("a ::= \"a\"", "root"),
            ("root ::= b", "line 1: there is no rule b"),
            ("root ::= \"a", "line 1: a text or a set has no end"),
            ("root ::= [a", "line 1: a text or a set has no end"),
            ("\nroot ::= \"\\q\"", "line 2: \\q"),
            ("root ::= \"\\u12\"", "4 hexadecimal"),
            ("root ::= (", "( without )"),
            ("root ::= )", ") without ("),
            ("root ::= \"a\"{x}", "no number of times"),
            ("root ::= <x>", "< has no meaning"),
            ("\"a\" root ::= \"a\"", "line 1: a rule begins"),
            ("root ::= \"a\"\nroot ::= \"b\"", "line 2: root is there already"),
            ("root ::= (a ::= \"b\")", "a rule begins"),
            ("::= ::=", "root"),
            (&format!("root ::= {}", "(".repeat(100)), "more than 64"),
        ] {
            let error = to_lark(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
