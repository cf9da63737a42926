//! Small rules of turning tokens into text. Knows no vocabulary.

/// The byte that a token `<0xXX>` stands for: its fourth and fifth characters as a hexadecimal number, as far as
/// they are one.
pub(crate) fn byte_of(text: &[u8]) -> u8 {
    let digits = text.get(3..).unwrap_or_default().iter().take(2);
    let digits = digits.map_while(|&c| char::from(c).to_digit(16));
    digits.fold(0, |byte, digit| byte << 4 | digit as u8)
}

/// Removes spaces that old tokenizers put into English: before `? ! . ,`, around a lone apostrophe, and before
/// `'s 'm 're 've` (what `clean_up_tokenization_spaces` stands for, as far as llama.cpp goes).
pub(crate) fn clean_spaces(text: &[u8]) -> Vec<u8> {
    let text = drop_spaces(text, |rest| matches!(rest, [b'?' | b'!' | b'.' | b',', ..]));
    let text = close_apostrophes(&text);
    drop_spaces(&text, |rest| matches!(rest, [b'\'', b's' | b'm', ..] | [b'\'', b'r' | b'v', b'e', ..]))
}

/// Drops each space that joins what follows it.
fn drop_spaces(text: &[u8], joins: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let keeps = |i: &usize| !(text[*i] == b' ' && joins(&text[i + 1..]));
    (0..text.len()).filter(keeps).map(|i| text[i]).collect()
}

/// `a ' b` becomes `a'b`; a space that closed one apostrophe opens no other.
fn close_apostrophes(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    while let Some((&byte, rest)) = text.split_first() {
        match text.strip_prefix(b" ' ") {
            Some(after) => {
                out.push(b'\'');
                text = after;
            }
            None => {
                out.push(byte);
                text = rest;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_by_name() {
        assert_eq!(byte_of(b"<0x0A>"), 10);
        assert_eq!(byte_of(b"<0xfF>"), 255);
        assert_eq!(byte_of(b"<0x"), 0);
        assert_eq!(byte_of(b"<0xG1>"), 0);
        assert_eq!(byte_of(b"<0x4>"), 4);
    }

    #[test]
    fn spaces_before_punctuation() {
        let clean = |text: &str| String::from_utf8_lossy(&clean_spaces(text.as_bytes())).into_owned();
        assert_eq!(clean("Well , what ?  !"), "Well, what? !");
        assert_eq!(clean("a ' b ' ' c"), "a'b'' c");
        assert_eq!(clean("I 'm, you 're, he 's, they 'll, I 'd 'v"), "I'm, you're, he's, they 'll, I 'd 'v");
        assert_eq!(clean(""), "");
        assert_eq!(clean(" ."), ".");
    }
}
