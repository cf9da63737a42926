//! Backslash escapes of Python string literals.

/// The text of a string literal's inside. A backslash before an unknown character stays.
///
/// # Errors
/// A message for an escape cut short, one that names no Unicode scalar value, and `\N{…}`.
pub(super) fn unescape(literal: &str) -> Result<String, String> {
    let mut out = String::with_capacity(literal.len());
    let mut rest = literal;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else {
            return Err("backslash at the end of a string".into());
        };
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(c),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            '0'..='7' => {
                let more = rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b));
                let digits = 1 + more.count();
                let start = literal.len() - rest.len() - 1;
                out.push(code_point(&literal[start..start + digits], 8)?);
                rest = &rest[digits - 1..];
            }
            'x' | 'u' | 'U' => {
                let digits = match c {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code = rest
                    .get(..digits)
                    .filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))
                    .ok_or_else(|| format!("escape \\{c} needs {digits} hexadecimal digits"))?;
                out.push(code_point(code, 16)?);
                rest = &rest[digits..];
            }
            'N' => return Err("escape \\N{…} is not supported; write the character".into()),
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn code_point(digits: &str, radix: u32) -> Result<char, String> {
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .ok_or_else(|| format!("escape {digits} is no Unicode character"))
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn follows_python() {
        let cases = [
            (r"a\n\t\\\'\q", "a\n\t\\'\\q"),
            (r"\x41\u00e9\U0001F600\101\7é", "Aé😀A\x07é"),
            ("a\\\nb", "ab"),
            (r"\0001", "\x001"),
        ];
        for (literal, text) in cases {
            assert_eq!(unescape(literal).as_deref(), Ok(text), "{literal}");
        }
        for bad in [r"\x4", r"\u12", r"\ud800", r"\N{BULLET}", "\\"] {
            assert!(unescape(bad).is_err(), "{bad}");
        }
    }
}
