//! Thoughts parted from what is said: `<think>` … `</think>`, as text comes.
//!
//! Knows the two marks; nothing of looks.

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Of a thought.
    Thought(String),
    /// The thought is over.
    Over,
    /// Of what is said.
    Speech(String),
}

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It may be that a thought comes.
    Before,
    Thinking,
    /// Between a thought and what is said: blank lines are left out.
    Between,
    Speaking,
}

/// Parts the stream of one answer. Only what an answer begins with is a thought.
#[derive(Clone, Debug)]
pub struct Thoughts {
    state: State,
    /// What may be a mark.
    held: String,
}

impl Thoughts {
    /// For an answer that begins inside a thought, or not.
    pub fn new(thinking: bool) -> Self {
        Self { state: if thinking { State::Thinking } else { State::Before }, held: String::new() }
    }

    /// The parts that a text completes.
    pub fn push(&mut self, text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        text.chars().for_each(|character| self.character(character, &mut parts));
        parts
    }

    /// What is left.
    pub fn finish(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Thinking => {
                add(&mut parts, Part::Thought(held));
                parts.push(Part::Over);
            }
            _ => add(&mut parts, Part::Speech(held)),
        }
        self.state = State::Speaking;
        parts
    }

    fn character(&mut self, character: char, parts: &mut Vec<Part>) {
        match self.state {
            State::Before => {
                self.held.push(character);
                let begun = self.held.trim_start();
                if begun == OPEN {
                    self.held.clear();
                    self.state = State::Thinking;
                } else if !OPEN.starts_with(begun) {
                    self.state = State::Speaking;
                    add(parts, Part::Speech(std::mem::take(&mut self.held)));
                }
            }
            State::Thinking => self.thought(character, parts),
            State::Between if character.is_whitespace() => {}
            State::Between | State::Speaking => {
                self.state = State::Speaking;
                add(parts, Part::Speech(character.into()));
            }
        }
    }

    fn thought(&mut self, character: char, parts: &mut Vec<Part>) {
        self.held.push(character);
        if self.held == CLOSE {
            self.held.clear();
            self.state = State::Between;
            parts.push(Part::Over);
            return;
        }
        // The longest end that may still become the mark stays.
        let whole = self.held.char_indices().map(|(at, _)| at).find(|&at| CLOSE.starts_with(&self.held[at..]));
        let rest = self.held.split_off(whole.unwrap_or(self.held.len()));
        let done = std::mem::replace(&mut self.held, rest);
        add(parts, Part::Thought(done));
    }
}

fn add(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (_, Part::Thought(text) | Part::Speech(text)) if text.is_empty() => {}
        (Some(Part::Thought(known)), Part::Thought(text)) | (Some(Part::Speech(known)), Part::Speech(text)) => {
            known.push_str(&text);
        }
        (_, part) => parts.push(part),
    }
}

/// The thought that an answer begins with, and what is said after it.
pub(crate) fn parted(answer: &str, thinking: bool) -> (String, String) {
    let mut thoughts = Thoughts::new(thinking);
    let mut parts = thoughts.push(answer);
    parts.extend(thoughts.finish());
    let (mut thought, mut speech) = (String::new(), String::new());
    for part in parts {
        match part {
            Part::Thought(text) => thought.push_str(&text),
            Part::Speech(text) => speech.push_str(&text),
            Part::Over => {}
        }
    }
    (thought, speech)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_parted_however_the_stream_is_cut() {
        let text = "\n<think>\na < b, </thin, </think>\n\nSo <think> it is.</think>";
        for cut in 0..text.len() {
            let mut thoughts = Thoughts::new(false);
            let mut parts = thoughts.push(&text[..cut]);
            parts.extend(thoughts.push(&text[cut..]));
            parts.extend(thoughts.finish());
            let of = |want: fn(&Part) -> Option<&str>| parts.iter().filter_map(want).collect::<String>();
            let thought = of(|part| if let Part::Thought(text) = part { Some(text) } else { None });
            let speech = of(|part| if let Part::Speech(text) = part { Some(text) } else { None });
            assert_eq!(thought, "\na < b, </thin, ");
            assert_eq!(speech, "So <think> it is.</think>");
            assert_eq!(parts.iter().filter(|part| **part == Part::Over).count(), 1);
        }
    }

    #[test]
    fn answers_without_thoughts_and_thoughts_without_answers() {
        assert_eq!(parted("  <thing>", false), (String::new(), "  <thing>".into()));
        assert_eq!(parted("<thi", false), (String::new(), "<thi".into()));
        assert_eq!(parted("hm</think>ok", true), ("hm".into(), "ok".into()));
        assert_eq!(parted("<think>hm</th", false), ("hm</th".into(), String::new()));
    }
}
