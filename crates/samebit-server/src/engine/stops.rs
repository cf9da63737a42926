//! Stop strings, found in decoded text however it is cut into tokens. Knows text alone.

use std::sync::Arc;

/// Looks for stop strings in a text that comes in pieces, and holds back what may be the start of one.
///
/// The first to be complete stops the text, the longest of those that are complete at once: so it does not matter how the text was cut.
#[derive(Debug)]
pub(crate) struct Stops {
    stops: Arc<[String]>,
    held: String,
}

impl Stops {
    /// `stops` are not empty strings.
    pub(crate) fn new(stops: Arc<[String]>) -> Self {
        Self { stops, held: String::new() }
    }

    /// Takes a piece; gives what may be shown, and whether the text has come to its stop.
    pub(crate) fn push(&mut self, piece: String) -> (String, bool) {
        if self.stops.is_empty() {
            return (piece, false);
        }
        self.held.push_str(&piece);
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str()).map(|at| (at + stop.len(), at)));
        if let Some((_, start)) = found.min() {
            self.held.truncate(start);
            return (std::mem::take(&mut self.held), true);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What was held back, at the end of the text.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes at the end of `text` that `stop` begins with: a proper beginning.
pub(crate) fn overlap(text: &str, stop: &str) -> usize {
    let most = text.len().min(stop.len().saturating_sub(1));
    (1..=most).rev().find(|&n| text.as_bytes().ends_with(&stop.as_bytes()[..n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut matcher = Stops::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut shown = String::new();
        for piece in pieces {
            let (text, stopped) = matcher.push((*piece).to_owned());
            shown.push_str(&text);
            if stopped {
                return (shown, true);
            }
        }
        shown.push_str(&matcher.finish());
        (shown, false)
    }

    #[test]
    fn cut_exactly_however_the_text_comes() {
        for pieces in [&["hello END more"][..], &["hel", "lo E", "N", "D more"], &["hello EN", "D"]] {
            assert_eq!(run(&["END"], pieces), ("hello ".into(), true), "{pieces:?}");
        }
        assert_eq!(run(&["END"], &["hello EN"]), ("hello EN".into(), false));
        assert_eq!(run(&[], &["x", "y"]), ("xy".into(), false));
    }

    #[test]
    fn the_first_to_be_complete_wins() {
        let letters: Vec<String> = "xabcy".chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        for stops in [["abc", "b"], ["b", "abc"]] {
            assert_eq!(run(&stops, &["xabcy"]), ("xa".into(), true));
            assert_eq!(run(&stops, &letters), ("xa".into(), true));
        }
        assert_eq!(run(&["bc", "abc"], &["xabcy"]), ("x".into(), true));
    }

    #[test]
    fn whole_characters_are_held() {
        assert_eq!(run(&["\u{e4}\u{f6}"], &["a\u{e4}", "\u{fc}"]), ("a\u{e4}\u{fc}".into(), false));
        assert_eq!(run(&["\u{e4}\u{f6}"], &["a\u{e4}", "\u{f6}"]), ("a".into(), true));
        // U+00E4 and U+00F6 begin with the same byte: a stop must not be held back by half a character.
        assert_eq!(overlap("x\u{f6}", "\u{e4}\u{f6}"), 0);
    }
}
