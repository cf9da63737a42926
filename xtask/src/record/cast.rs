//! A recording: screens one after another, as what changes each into the next (asciicast v2).
//!
//! Knows screens and the rhythm that they are given; nothing of what was played. The times are no measurements: each key
//! and each word takes as long as the next, so that the same screens are the same file.

use std::num::NonZeroU16;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use vt100::{Parser, Screen};

use super::terminal;

/// Screens so far.
pub(crate) struct Cast {
    header: String,
    lines: Vec<String>,
    /// Milliseconds since the beginning.
    clock: u64,
    last: Screen,
}

impl Cast {
    /// No screens yet, in a terminal of this size.
    pub(crate) fn new(title: &str, columns: NonZeroU16, rows: NonZeroU16) -> Self {
        // Written out, since the order of a `json!` object's members depends on what else is built beside this.
        let title = Value::from(title);
        Self {
            header: format!(r#"{{"version":2,"width":{columns},"height":{rows},"title":{title}}}"#),
            lines: Vec::new(),
            clock: 0,
            last: Parser::new(rows, columns, 0).screen().clone(),
        }
    }

    /// Nothing happens.
    pub(crate) fn pause(&mut self, milliseconds: u64) {
        self.clock += milliseconds;
    }

    /// The screen looks so, this much later; nothing is written and no time passes if it does already.
    pub(crate) fn frame(&mut self, screen: &Screen, milliseconds: u64) {
        let change = screen.contents_diff(&self.last);
        if change.is_empty() {
            return;
        }
        self.clock += milliseconds;
        let text = Value::from(change);
        self.lines.push(format!("[{}.{:03}, \"o\", {text}]", self.clock / 1000, self.clock % 1000));
        self.last = screen.clone();
    }

    /// The file.
    pub(crate) fn finish(&self) -> String {
        let end = format!("[{}.{:03}, \"o\", \"\"]", self.clock / 1000, self.clock % 1000);
        let lines = [&self.header].into_iter().chain(&self.lines).chain([&end]);
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// The first thing in which two recordings differ, in words; none if they are the same.
pub(crate) fn difference(theirs: &str, ours: &str) -> Option<String> {
    if theirs == ours {
        return None;
    }
    let (mut a, mut b) = (theirs.lines(), ours.lines());
    let mut screens = a.clone().next().and_then(|header| Some((screen(header).ok()?, screen(header).ok()?)));
    for number in 1.. {
        let (one, other) = (a.next(), b.next());
        let (Some(one), Some(other)) = (one, other) else {
            let longer = if one.is_some() { "the file goes on" } else { "the program shows more" };
            return Some(format!("line {number}: {longer}"));
        };
        if let (Some((one_screen, other_screen)), true) = (&mut screens, number > 1) {
            one_screen.process(&output(one).unwrap_or_default());
            other_screen.process(&output(other).unwrap_or_default());
            if let Some(rows) = row(one_screen.screen(), other_screen.screen()) {
                return Some(format!("line {number}, at {} s: {rows}", time(one)));
            }
        }
        if one != other {
            return Some(format!("line {number}: the file has {}, the program gives {}", short(one), short(other)));
        }
    }
    None
}

/// The first row in which two screens differ in their text.
fn row(theirs: &Screen, ours: &Screen) -> Option<String> {
    let (rows, columns) = ours.size();
    (0..rows.get()).find_map(|row| {
        let text = |screen| terminal::text(screen, row, columns.get()).trim_end().to_owned();
        let (one, other) = (text(theirs), text(ours));
        (one != other).then(|| format!("row {} of the screen is `{one}` in the file, and now `{other}`", row + 1))
    })
}

/// A screen as large as the recording's first line says.
fn screen(header: &str) -> Result<Parser> {
    let header: Value = serde_json::from_str(header)?;
    let size = |name: &str| {
        let size = header[name].as_u64().and_then(|size| NonZeroU16::new(u16::try_from(size).ok()?.min(1000)));
        size.with_context(|| format!("no {name}"))
    };
    if header["version"] != 2 {
        bail!("another version");
    }
    Ok(Parser::new(size("height")?, size("width")?, 0))
}

/// What an event draws.
fn output(line: &str) -> Option<Vec<u8>> {
    let event: Value = serde_json::from_str(line).ok()?;
    Some(event[2].as_str()?.as_bytes().to_vec())
}

/// When an event happens.
fn time(line: &str) -> &str {
    line.trim_start_matches('[').split(',').next().unwrap_or_default()
}

/// The beginning of a line.
pub(crate) fn short(line: &str) -> String {
    const MOST: usize = 120;
    match line.char_indices().nth(MOST) {
        Some((at, _)) => format!("`{}…`", &line[..at]),
        None => format!("`{line}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(size: u16) -> NonZeroU16 {
        NonZeroU16::new(size).unwrap()
    }

    /// A recording of these screens, each drawn upon the one before.
    fn recording(drawn: &[&str]) -> String {
        let mut cast = Cast::new("t", size(30), size(4));
        let mut parser = Parser::new(size(4), size(30), 0);
        for text in drawn {
            parser.process(text.as_bytes());
            cast.frame(parser.screen(), 50);
        }
        cast.pause(1000);
        cast.finish()
    }

    #[test]
    fn a_recording_shows_the_screens() {
        let text = recording(&["one\r\n", "", "\x1b[1mtwo", "\x1b[2J\x1b[H日"]);
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(r#"{"version":2,"width":30,"height":4,"title":"t"}"#));
        let events: Vec<&str> = lines.collect();
        assert_eq!(events.len(), 4, "what shows nothing new is no event: {text}");
        assert_eq!(time(events[1]), "0.100");
        assert_eq!(events[3], r#"[1.150, "o", ""]"#);
        let mut played = screen(text.lines().next().unwrap()).unwrap();
        events.iter().for_each(|event| played.process(&output(event).unwrap()));
        assert_eq!(played.screen().contents(), "日");
    }

    #[test]
    fn the_first_frame_that_differs_is_named() {
        let ours = recording(&["one\r\n", "two\r\n", "three"]);
        assert_eq!(difference(&ours, &ours), None);
        let changed = difference(&recording(&["one\r\n", "twa\r\n", "three"]), &ours);
        let expected = "line 3, at 0.100 s: row 2 of the screen is `twa` in the file, and now `two`";
        assert_eq!(changed.as_deref(), Some(expected));
        let coloured = difference(&recording(&["one\r\n", "\x1b[31mtwo\x1b[m\r\n", "three"]), &ours).unwrap();
        assert!(coloured.starts_with("line 3: the file has `[0.100, "), "{coloured}");
        let cut = ours.lines().take(2).map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!(difference(&cut, &ours).as_deref(), Some("line 3: the program shows more"));
        assert_eq!(difference(&ours, &cut).as_deref(), Some("line 3: the file goes on"));
        let later = ours.replace("0.150", "0.151");
        assert!(difference(&later, &ours).unwrap().starts_with("line 4: "));
        assert_eq!(difference("", &ours).as_deref(), Some("line 1: the program shows more"));
        // The bytes differ though no line does.
        assert!(difference(&format!("{ours}\n"), &ours).is_some());
        assert!(difference(&ours.replace('\n', "\r\n"), &ours).is_some());
    }
}
