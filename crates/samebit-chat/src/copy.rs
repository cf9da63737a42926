//! A text for the clipboard of whoever looks at the terminal, wherever that is: OSC 52 of xterm.
//!
//! Knows the escape sequence; whether the terminal heeds it nobody can say.

/// Longer texts are heeded by few terminals.
const MOST_BYTES: usize = 1 << 20;

/// What puts a text into the clipboard; `None` where it is too long.
pub(crate) fn to_clipboard(text: &str) -> Option<String> {
    (text.len() <= MOST_BYTES).then(|| format!("\x1b]52;c;{}\x07", base64(text.as_bytes())))
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            out.push(if digit <= three.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    out
}

/// The last fenced block of code of a text.
pub(crate) fn last_code(text: &str) -> Option<String> {
    let (mut last, mut open) = (None, None::<(&str, Vec<&str>)>);
    for line in text.lines() {
        let trimmed = line.trim_start();
        match &mut open {
            Some((fence, lines))
                if trimmed.starts_with(*fence) && trimmed.trim_end().trim_matches(['`', '~']).is_empty() =>
            {
                last = Some(std::mem::take(lines));
                open = None;
            }
            Some((_, lines)) => lines.push(line),
            None => {
                let fence = ["```", "~~~"].into_iter().find(|fence| trimmed.starts_with(fence));
                open = fence.map(|fence| (fence, Vec::new()));
            }
        }
    }
    // An answer may have been cut within it.
    let lines = open.map(|(_, lines)| lines).or(last)?;
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("日", "5pel")]
        {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(to_clipboard("foo").as_deref(), Some("\x1b]52;c;Zm9v\x07"));
        assert_eq!(to_clipboard(&"x".repeat(MOST_BYTES + 1)), None);
    }

    #[test]
    fn the_last_code_is_found() {
        let text = "a\n```rust\nfn a() {}\n```\nb\n  ~~~\n`x`\ny\n  ~~~\n";
        assert_eq!(last_code(text).as_deref(), Some("`x`\ny"));
        assert_eq!(last_code("```\ncut").as_deref(), Some("cut"));
        assert_eq!(last_code("none"), None);
    }
}
