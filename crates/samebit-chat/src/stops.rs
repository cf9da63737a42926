//! Texts that end an answer, found as it comes.
//!
//! Knows text; nothing of tokens. What may still become such a text waits.

/// Most texts that end an answer.
pub(crate) const MOST: usize = 16;
/// Most bytes of one.
pub(crate) const LONGEST: usize = 400;

/// Looks for the texts in an answer on its way.
#[derive(Clone, Debug)]
pub(crate) struct Stops<'a> {
    stops: &'a [String],
    held: String,
    found: bool,
}

impl<'a> Stops<'a> {
    pub(crate) fn new(stops: &'a [String]) -> Self {
        Self { stops, held: String::new(), found: false }
    }

    /// Whether the answer has ended.
    pub(crate) fn found(&self) -> bool {
        self.found
    }

    /// What of the answer is certain by now.
    pub(crate) fn push(&mut self, text: &str) -> String {
        if self.found {
            return String::new();
        }
        self.held.push_str(text);
        let first = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        let certain = match first {
            Some(at) => {
                self.found = true;
                at
            }
            None => {
                let mut ends = self.held.char_indices().map(|(at, _)| at);
                let may = |at: &usize| self.stops.iter().any(|stop| stop.starts_with(&self.held[*at..]));
                ends.find(may).unwrap_or(self.held.len())
            }
        };
        let rest = self.held.split_off(certain);
        let certain = std::mem::replace(&mut self.held, rest);
        if self.found {
            self.held.clear();
        }
        certain
    }

    /// What waited for nothing.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// A text up to the first that ends it, and whether there is one.
pub(crate) fn cut(text: &str, stops: &[String]) -> (String, bool) {
    let first = stops.iter().filter_map(|stop| text.find(stop.as_str())).min();
    (text[..first.unwrap_or(text.len())].to_owned(), first.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_the_text_comes_it_ends_at_the_first() {
        let stops = ["###".to_owned(), "Ende.".to_owned()];
        for text in ["a ## b ### c", "日本 Ende. ###", "nothing of it", "a ##", "Ende", "####"] {
            let (expected, ends) = cut(text, &stops);
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            for &cut in &places {
                let mut found = Stops::new(&stops);
                let mut out = found.push(&text[..cut]);
                out.push_str(&found.push(&text[cut..]));
                out.push_str(&found.finish());
                assert_eq!((out, found.found()), (expected.clone(), ends), "{text} at {cut}");
            }
        }
        assert_eq!(cut("a ## b ### c", &stops), ("a ## b ".to_owned(), true));
        assert_eq!(cut("x", &[]), ("x".to_owned(), false));
    }
}
