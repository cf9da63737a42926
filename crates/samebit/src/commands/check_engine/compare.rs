//! Two answers: the first token or character in which they part, and by what margin it had been chosen.

use super::ask::Answer;
use samebit_gguf::report::escaped;
use serde::Serialize;

/// Where two answers part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    prompt: String,
    /// Only the numbers differ.
    pub(super) same_text: bool,
    /// Which token, where the engine tells tokens; else which character.
    at: usize,
    unit: &'static str,
    first: String,
    other: String,
    /// By how much the first answer's token was more likely than the next.
    margin: Option<f64>,
    /// The largest difference of a log-probability up to there.
    largest: Option<f64>,
}

/// The first difference; nothing if the answers are the same.
pub(super) fn difference(prompt: &str, first: &Answer, other: &Answer) -> Option<Difference> {
    if first == other {
        return None;
    }
    let tokens = || first.tokens.iter().zip(&other.tokens);
    let text = tokens().position(|(a, b)| a.text != b.text);
    let same_text = first.text == other.text;
    let end = text.unwrap_or(first.tokens.len().min(other.tokens.len()));
    let largest = tokens()
        .take(end)
        .map(|(a, b)| (a.logprob - b.logprob).abs())
        .fold(None, |most: Option<f64>, d| Some(most.map_or(d, |most| most.max(d))));
    let make = |at: usize, unit, a: String, b: String, margin| {
        let prompt = prompt.chars().take(60).collect();
        Some(Difference { prompt, same_text, at, unit, first: a, other: b, margin, largest })
    };
    let found = if same_text { tokens().position(|(a, b)| a.logprob != b.logprob) } else { text };
    if let Some(at) = found {
        let (a, b) = (&first.tokens[at], &other.tokens[at]);
        let show =
            |token: &super::ask::Token| if same_text { format!("{}", token.logprob) } else { token.text.clone() };
        return make(at, "token", show(a), show(b), a.margin);
    }
    let at = first.text.chars().zip(other.text.chars()).take_while(|(a, b)| a == b).count();
    let from = |text: &str| text.chars().skip(at).take(24).collect::<String>();
    make(at, "character", from(&first.text), from(&other.text), None)
}

impl Difference {
    pub(super) fn text(&self) -> String {
        let Self { prompt, at, unit, first, other, margin, largest, .. } = self;
        let mut out =
            format!("       '{}…': {unit} {at} is '{}', then '{}'", escaped(prompt), escaped(first), escaped(other));
        if let Some(margin) = margin {
            out.push_str(&format!("; it had been ahead by {margin:.4}"));
        }
        if let Some(largest) = largest.filter(|&largest| largest > 0.0) {
            out.push_str(&format!("; log-probabilities before it differ by up to {largest:.1e}"));
        }
        out.push('\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::Token;
    use super::*;

    fn answer(tokens: &[(&str, f64)]) -> Answer {
        let tokens: Vec<Token> =
            tokens.iter().map(|&(text, logprob)| Token { text: text.into(), logprob, margin: Some(0.25) }).collect();
        Answer { text: tokens.iter().map(|token| token.text.as_str()).collect(), tokens }
    }

    #[test]
    fn the_first_difference_is_named() {
        let (a, b) = (answer(&[("x", -1.0), ("y", -2.0)]), answer(&[("x", -1.5), ("z", -2.0)]));
        assert_eq!(difference("p", &a, &a), None);
        let found = difference("p", &a, &b).expect("they differ");
        assert_eq!((found.at, found.unit, found.margin, found.largest), (1, "token", Some(0.25), Some(0.5)));
        assert!(!found.same_text);
        let numbers = difference("p", &a, &answer(&[("x", -1.0), ("y", -2.5)])).expect("they differ");
        assert!(numbers.same_text && numbers.at == 1);
        let plain = |text: &str| Answer { text: text.into(), tokens: Vec::new() };
        let found = difference("p", &plain("grün"), &plain("grau")).expect("they differ");
        assert_eq!((found.at, found.unit), (2, "character"));
    }
}
