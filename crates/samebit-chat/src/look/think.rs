//! Thoughts parted from what is said: `<think>` … `</think>`, or Harmony's channels before the final one, as text comes.
//!
//! Knows the marks; nothing of looks.

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
const CHANNEL: &str = "<|channel|>";
const MESSAGE: &str = "<|message|>";
/// What ends a message of a channel; `<|end|>` is a token that need not be written.
const ENDS: [&str; 3] = ["<|end|>", "<|start|>", CHANNEL];
/// The channel of what is said. Others hold thoughts and calls.
const FINAL: &str = "final";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It may be that a thought comes.
    Before,
    Thinking,
    /// After the mark of a channel: its name comes.
    Named,
    /// In a channel that is not the final one.
    Channel,
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
    /// Whether a channel before had thoughts.
    thought: bool,
}

impl Thoughts {
    /// For an answer that begins inside a thought, or not.
    pub fn new(thinking: bool) -> Self {
        let state = if thinking { State::Thinking } else { State::Before };
        Self { state, held: String::new(), thought: false }
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
            State::Thinking | State::Channel => {
                add(&mut parts, Part::Thought(held));
                parts.push(Part::Over);
            }
            State::Named if self.thought => parts.push(Part::Over),
            State::Named => {}
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
                if begun == OPEN || begun == CHANNEL {
                    self.state = if begun == OPEN { State::Thinking } else { State::Named };
                    self.held.clear();
                } else if !OPEN.starts_with(begun) && !CHANNEL.starts_with(begun) {
                    self.state = State::Speaking;
                    add(parts, Part::Speech(std::mem::take(&mut self.held)));
                }
            }
            State::Thinking => {
                if self.until(character, &[CLOSE], parts) {
                    self.state = State::Between;
                    parts.push(Part::Over);
                }
            }
            State::Named => self.name(character, parts),
            State::Channel => {
                if self.until(character, &ENDS, parts) {
                    self.state = State::Named;
                }
            }
            State::Between if character.is_whitespace() => {}
            State::Between | State::Speaking => {
                self.state = State::Speaking;
                add(parts, Part::Speech(character.into()));
            }
        }
    }

    /// What stands between messages: `<|start|>`, who speaks, `<|channel|>` and its name, up to `<|message|>`.
    fn name(&mut self, character: char, parts: &mut Vec<Part>) {
        self.held.push(character);
        let Some(said) = self.held.strip_suffix(MESSAGE) else { return };
        let name = said.rsplit_once(CHANNEL).map_or(said, |(_, name)| name);
        let last = name.trim().starts_with(FINAL);
        self.held.clear();
        if last {
            self.state = State::Between;
            if std::mem::take(&mut self.thought) {
                parts.push(Part::Over);
            }
            return;
        }
        if std::mem::replace(&mut self.thought, true) {
            add(parts, Part::Thought("\n".into()));
        }
        self.state = State::Channel;
    }

    /// Takes a character of a thought; true if it completes a mark that ends it.
    fn until(&mut self, character: char, marks: &[&str], parts: &mut Vec<Part>) -> bool {
        self.held.push(character);
        if marks.contains(&self.held.as_str()) {
            self.held.clear();
            return true;
        }
        // The longest end that may still become a mark stays.
        let may = |at: &usize| marks.iter().any(|mark| mark.starts_with(&self.held[*at..]));
        let whole = self.held.char_indices().map(|(at, _)| at).find(may);
        let rest = self.held.split_off(whole.unwrap_or(self.held.len()));
        let done = std::mem::replace(&mut self.held, rest);
        add(parts, Part::Thought(done));
        false
    }
}

/// Whether an answer is written in Harmony's channels.
pub(crate) fn has_channels(answer: &str) -> bool {
    answer.trim_start().starts_with(CHANNEL)
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
    fn channels_before_the_final_one_are_thoughts_however_the_stream_is_cut() {
        let whole = "<|channel|>analysis<|message|>They < ask.<|end|><|start|>assistant<|channel|>commentary \
                     to=x<|message|>{}<|start|>assistant<|channel|>final<|message|>\nYes <|channel|>.";
        let expected = [Part::Thought("They < ask.\n{}".into()), Part::Over, Part::Speech("Yes <|channel|>.".into())];
        for cut in 0..=whole.len() {
            let mut thoughts = Thoughts::new(false);
            let mut parts: Vec<Part> = Vec::new();
            let came = [thoughts.push(&whole[..cut]), thoughts.push(&whole[cut..]), thoughts.finish()].concat();
            came.into_iter().for_each(|part| add(&mut parts, part));
            assert_eq!(parts, expected, "{cut}");
        }
        assert!(has_channels(whole) && !has_channels("<think>"));
        assert_eq!(parted("<|channel|>final<|message|>Yes", false), (String::new(), "Yes".into()));
        assert_eq!(parted("<|channel|>analysis<|message|>hm", false), ("hm".into(), String::new()));
        assert_eq!(parted("<|channel|>analysis<|message|>hm<|end|><|start|>assis", false).0, "hm");
        assert_eq!(parted("<|chan", false), (String::new(), "<|chan".into()));
    }

    #[test]
    fn answers_without_thoughts_and_thoughts_without_answers() {
        assert_eq!(parted("  <thing>", false), (String::new(), "  <thing>".into()));
        assert_eq!(parted("<thi", false), (String::new(), "<thi".into()));
        assert_eq!(parted("hm</think>ok", true), ("hm".into(), "ok".into()));
        assert_eq!(parted("<think>hm</th", false), ("hm</th".into(), String::new()));
    }
}
