//! GPT-2's alphabet: a printable character for each byte, so that any bytes are a text. Knows nothing else.

use std::fmt::Write;

use crate::unicode;

/// Whether a byte stands as the Latin-1 character of its number.
const fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

/// Code points of the letters, by byte: those without a printable form follow from U+0100 on, in order.
const LETTERS: [u16; 256] = {
    let mut letters = [0; 256];
    let (mut byte, mut next) = (0, 256);
    while byte < 256 {
        letters[byte] = if stands_for_itself(byte as u8) { byte as u16 } else { next };
        next += !stands_for_itself(byte as u8) as u16;
        byte += 1;
    }
    letters
};

/// Bytes by letter; the last letter is U+0143.
const BYTES: [Option<u8>; 0x144] = {
    let mut bytes = [None; 0x144];
    let mut byte = 0;
    while byte < 256 {
        bytes[LETTERS[byte] as usize] = Some(byte as u8);
        byte += 1;
    }
    bytes
};

/// Appends the letter of `byte`, as UTF-8.
pub(crate) fn push_letter(out: &mut Vec<u8>, byte: u8) {
    unicode::push_utf8(out, u32::from(LETTERS[usize::from(byte)]));
}

/// The bytes that a token's text stands for. A character that is no letter becomes a note of it, as llama.cpp
/// prints it: `[UNK_BYTE_0x`, its UTF-8 in hexadecimal, the whole text, `]`.
pub(crate) fn read(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for code_point in unicode::code_points(text) {
        match BYTES.get(code_point as usize).copied().flatten() {
            Some(byte) => out.push(byte),
            None => {
                let mut utf8 = Vec::new();
                unicode::push_utf8(&mut utf8, code_point);
                let mut note = String::from("[UNK_BYTE_0x");
                for byte in utf8 {
                    write!(note, "{byte:02x}").ok(); // writing to a String cannot fail
                }
                out.extend_from_slice(note.as_bytes());
                out.extend_from_slice(text);
                out.push(b']');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let mut letters = Vec::new();
        (0..=255).for_each(|byte| push_letter(&mut letters, byte));
        assert_eq!(read(&letters), (0..=255).collect::<Vec<u8>>());
        assert!(String::from_utf8_lossy(&letters).chars().all(|c| !c.is_whitespace() && !c.is_control()));
    }

    #[test]
    fn known_letters() {
        assert_eq!(read("Ġhello".as_bytes()), b" hello");
        assert_eq!(read("Ċ".as_bytes()), b"\n");
        assert_eq!(read("日".as_bytes()), "[UNK_BYTE_0xe697a5日]".as_bytes());
    }
}
