//! What is written while an answer comes: its text with its looks, thoughts folded to a line, and notes about it.
//!
//! Knows a terminal, or a file that is none; nothing of models.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::act::counted;
use crate::error::ChatError;
use crate::look::{Markdown, Part, Style, Thoughts, Wrap, columns};

/// What the output can do.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// Whether it is a terminal.
    pub terminal: bool,
    /// Whether it shows styles, and they are wanted.
    pub styled: bool,
    /// Whether lines are to be broken between words.
    pub wordwrap: bool,
    /// Whether thoughts are shown.
    pub thoughts: bool,
    /// Its columns and rows, asked for anew before each answer.
    pub size: fn() -> Option<(usize, usize)>,
}

/// The size of the terminal that standard output is, if it is one.
pub fn terminal_size() -> Option<(usize, usize)> {
    terminal_size::terminal_size().map(|(width, height)| (usize::from(width.0), usize::from(height.0)))
}

/// An output.
pub struct View<'a> {
    out: Box<dyn Write + 'a>,
    /// Where notes go, if not between the answers.
    notes: Option<Box<dyn Write + 'a>>,
    /// What it can do.
    pub looks: Looks,
}

/// Work shorter than this is not worth a word.
const PATIENCE: Duration = Duration::from_millis(700);

/// An answer on its way to the output.
pub struct Showing {
    thoughts: Thoughts,
    markdown: Markdown,
    /// What is shown of a thought, without styles.
    thought: Wrap,
    shown: String,
    /// Whether its text has begun.
    thought_begun: bool,
    size: Option<(usize, usize)>,
    /// Whether the line of progress is there.
    waiting: bool,
    /// Whether a thought comes that is not shown.
    hiding: bool,
    began: Instant,
    /// Whether anything was written, and what it ended with.
    last: Option<char>,
}

impl<'a> View<'a> {
    /// Writes to `out`.
    pub fn new(out: Box<dyn Write + 'a>, looks: Looks) -> Self {
        Self { out, notes: None, looks }
    }

    /// Writes notes elsewhere, so that there are answers alone in `out`.
    #[must_use]
    pub fn with_notes(mut self, notes: Box<dyn Write + 'a>) -> Self {
        self.notes = Some(notes);
        self
    }

    /// Writes and flushes.
    pub fn write(&mut self, text: &str) -> Result<(), ChatError> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    /// A line about what is done, set off from answers where that can be.
    pub fn note(&mut self, text: &str) -> Result<(), ChatError> {
        // What a file or a model gave may be in it.
        let text: String = text.chars().map(crate::look::shown).collect();
        if let Some(notes) = &mut self.notes {
            // Nobody is left to tell if they cannot be written.
            let _ = notes.write_all(format!("samebit: {text}\n").as_bytes());
            return Ok(());
        }
        if !self.looks.styled {
            return self.write(&format!("{text}\n"));
        }
        let mut wrap = Wrap::new(self.width());
        wrap.push(Style::DIM, &text);
        let line = wrap.finish();
        self.write(&format!("{line}\n"))
    }

    /// Lines of a report, broken between words as answers are.
    pub fn report(&mut self, text: &str) -> Result<(), ChatError> {
        let text = match self.width() {
            None => text.chars().map(crate::look::shown).collect(),
            width => {
                let mut wrap = Wrap::new(width);
                text.split_inclusive('\n').for_each(|line| push_row(&mut wrap, line));
                wrap.finish()
            }
        };
        self.write(&text)?;
        if text.ends_with('\n') || text.is_empty() { Ok(()) } else { self.write("\n") }
    }

    /// Columns to break lines at, if they are to be broken here.
    fn width(&self) -> Option<usize> {
        let wanted = self.looks.styled && self.looks.wordwrap;
        (self.looks.size)().map(|(width, _)| width).filter(|_| wanted)
    }

    /// An answer begins.
    pub fn show(&self, thinking: bool) -> Showing {
        let size = (self.looks.size)().filter(|_| self.looks.styled);
        let width = self.width();
        Showing {
            thoughts: Thoughts::new(thinking),
            markdown: Markdown::new(width),
            thought: Wrap::new(width),
            shown: String::new(),
            thought_begun: false,
            size,
            waiting: false,
            hiding: false,
            began: Instant::now(),
            last: None,
        }
    }

    /// So much of the prompt is taken in; said only where it takes a while.
    pub fn progress(&mut self, showing: &mut Showing, done: usize, total: usize) -> Result<(), ChatError> {
        if !self.looks.styled || showing.began.elapsed() < PATIENCE {
            return Ok(());
        }
        showing.waiting = done < total;
        let line = if showing.waiting {
            format!("\r\x1b[2K\x1b[2mreading: {done} of {total} tokens\x1b[0m")
        } else {
            "\r\x1b[2K".into()
        };
        self.write(&line)
    }

    /// A piece of the answer.
    pub fn piece(&mut self, showing: &mut Showing, text: &str) -> Result<(), ChatError> {
        if !showing.hiding {
            self.tidy(showing)?;
        }
        if text.is_empty() {
            return Ok(());
        }
        if !self.looks.styled && self.looks.thoughts {
            return self.plain(showing, text);
        }
        let width = self.width();
        showing.markdown.resize(width);
        showing.thought.resize(width);
        let parts = showing.thoughts.push(text);
        self.parts(showing, parts)
    }

    /// Text without styles.
    fn plain(&mut self, showing: &mut Showing, text: &str) -> Result<(), ChatError> {
        let safe: String =
            if self.looks.terminal { text.chars().map(crate::look::shown).collect() } else { text.into() };
        showing.last = safe.chars().next_back();
        self.write(&safe)
    }

    /// Takes the line of progress away.
    fn tidy(&mut self, showing: &mut Showing) -> Result<(), ChatError> {
        if std::mem::take(&mut showing.waiting) { self.write("\r\x1b[2K") } else { Ok(()) }
    }

    fn parts(&mut self, showing: &mut Showing, parts: Vec<Part>) -> Result<(), ChatError> {
        for part in parts {
            let text = match part {
                Part::Thought(_) if !self.looks.thoughts => self.unseen(showing),
                Part::Over if !self.looks.thoughts => {
                    (showing.hiding, showing.last) = (false, None);
                    self.tidy(showing)?;
                    continue;
                }
                Part::Speech(text) if !self.looks.styled => {
                    self.plain(showing, &text)?;
                    continue;
                }
                Part::Thought(text) => {
                    // A thought begins where its text does.
                    let text = if showing.thought_begun { &text } else { text.trim_start() };
                    showing.thought_begun |= !text.is_empty();
                    showing.thought.push(Style::PLAIN, text);
                    let text = showing.thought.take();
                    showing.shown.push_str(&text);
                    if text.is_empty() { text } else { format!("\x1b[2m{text}\x1b[0m") }
                }
                Part::Over => fold(showing, (self.looks.size)()),
                Part::Speech(text) => showing.markdown.push(&text),
            };
            if !text.is_empty() {
                showing.last = text.chars().next_back();
                self.write(&text)?;
            }
        }
        Ok(())
    }

    /// What stands where a thought is that is not shown: a line that goes when it is over, where lines can.
    fn unseen(&self, showing: &mut Showing) -> String {
        let first = !std::mem::replace(&mut showing.hiding, true);
        showing.waiting |= self.looks.styled;
        if first && self.looks.styled { "\x1b[2mthinking\x1b[0m".into() } else { String::new() }
    }

    /// The answer is over; the line that it ends in is too.
    pub fn end(&mut self, mut showing: Showing) -> Result<(), ChatError> {
        self.tidy(&mut showing)?;
        if self.looks.styled || !self.looks.thoughts {
            let parts = showing.thoughts.finish();
            self.parts(&mut showing, parts)?;
            let rest = showing.markdown.finish();
            if !rest.is_empty() {
                showing.last = rest.trim_end_matches("\x1b[0m").chars().next_back();
                self.write(&rest)?;
            }
        }
        // An empty line parts it from what is typed next.
        match showing.last {
            Some('\n') if self.looks.terminal => self.write("\n"),
            Some(_) if self.looks.terminal => self.write("\n\n"),
            _ => Ok(()),
        }
    }
}

/// A line of a report; one of a table goes on under its second column.
fn push_row(wrap: &mut Wrap, line: &str) {
    let first = line.strip_prefix("  ").and_then(|row| row.find("  ")).map_or(0, |at| at + 2);
    let (left, right) = line.split_at(first);
    let gap = right.len() - right.trim_start_matches(' ').len();
    wrap.push(Style::PLAIN, left);
    if first > 0 {
        wrap.push(Style::PLAIN, &right[..gap]);
        wrap.hang();
    }
    wrap.push(Style::PLAIN, &right[if first > 0 { gap } else { 0 }..]);
}

/// Takes a thought away and leaves a line in its place, where all of it is still on the screen and has kept its shape.
fn fold(showing: &mut Showing, size: Option<(usize, usize)>) -> String {
    let rest = showing.thought.finish();
    let mut out = format!("\x1b[2m{rest}\x1b[0m");
    showing.shown.push_str(&rest);
    let words = showing.shown.split_whitespace().count();
    if words == 0 {
        return String::new();
    }
    let rows =
        |width: usize| showing.shown.split('\n').map(|line| columns(line).max(1).div_ceil(width.max(1))).sum::<usize>();
    match (showing.size, size) {
        (before, Some((width, height))) if before == size && rows(width) < height => {
            let up = rows(width) - 1;
            let up = if up > 0 { format!("\x1b[{up}A") } else { String::new() };
            out = format!("\r{up}\x1b[J");
        }
        _ => out.push('\n'),
    }
    out.push_str(&format!("\x1b[2m▸ thought for {} (/show thinking)\x1b[0m\n", counted(words, "word")));
    out
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("looks", &self.looks).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Showing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Showing").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written of an answer that comes in these pieces.
    fn written(looks: Looks, pieces: &[&str]) -> String {
        let mut out = Vec::new();
        let mut view = View::new(Box::new(&mut out), looks);
        let mut showing = view.show(false);
        for piece in pieces {
            view.piece(&mut showing, piece).expect("written");
        }
        view.end(showing).expect("written");
        drop(view);
        String::from_utf8(out).expect("UTF-8")
    }

    const STYLED: Looks =
        Looks { terminal: true, styled: true, wordwrap: true, thoughts: true, size: || Some((20, 10)) };
    const PLAIN: Looks = Looks { styled: false, ..STYLED };
    const PIPE: Looks = Looks { terminal: false, ..PLAIN };

    #[test]
    fn a_thought_is_folded_to_a_line_once_it_is_over() {
        let seen = written(STYLED, &["<thi", "nk>\nlet", " me", " see how\nthat", " goes</thi", "nk>\n\n**Yes**"]);
        let (thought, answer) = seen.split_once("\r\x1b[1A\x1b[J").expect("two rows were taken away");
        assert_eq!(thought.replace("\x1b[2m", "").replace("\x1b[0m", ""), "let me see how\nthat");
        assert_eq!(answer, "\x1b[2m▸ thought for 6 words (/show thinking)\x1b[0m\n\x1b[0;1mYes\x1b[0m\n\n");
    }

    #[test]
    fn a_thought_longer_than_the_screen_stays_and_an_empty_one_is_not_told_of() {
        let long = "word ".repeat(60);
        let seen = written(STYLED, &["<think>", &long, "</think>", "ok"]);
        assert!(!seen.contains("\x1b[J") && seen.contains("thought for 60 words"), "{seen:?}");
        assert_eq!(written(STYLED, &["<think>\n\n</think>\n\nok"]), "ok\n\n");
        let stopped = written(STYLED, &["<think>and so"]);
        assert!(stopped.contains("thought for 2 words"), "{stopped:?}");
    }

    #[test]
    fn thoughts_that_are_not_wanted_are_not_shown() {
        let pieces = ["<think>let me", " see", "</think>\n\nYes"];
        let hidden = |looks| written(Looks { thoughts: false, ..looks }, &pieces);
        assert_eq!(hidden(STYLED), "\x1b[2mthinking\x1b[0m\r\x1b[2KYes\n\n");
        assert_eq!((hidden(PLAIN), hidden(PIPE)), ("Yes\n\n".into(), "Yes".into()));
        let stopped = written(Looks { thoughts: false, ..STYLED }, &["<think>and"]);
        assert!(stopped.ends_with("\r\x1b[2K"), "{stopped:?}");
    }

    #[test]
    fn lines_are_broken_for_the_terminal_as_it_is() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static WIDTH: AtomicUsize = AtomicUsize::new(30);
        let looks = Looks { size: || Some((WIDTH.load(Ordering::Relaxed), 10)), ..STYLED };
        let mut out = Vec::new();
        let mut view = View::new(Box::new(&mut out), looks);
        let mut showing = view.show(false);
        view.piece(&mut showing, "one two three four ").expect("written");
        WIDTH.store(12, Ordering::Relaxed);
        view.piece(&mut showing, "five six seven eight nine ten eleven").expect("written");
        view.end(showing).expect("written");
        drop(view);
        let out = String::from_utf8(out).expect("UTF-8");
        assert_eq!(out, "one two three four five six\nseven eight\nnine ten\neleven\n\n");
    }

    #[test]
    fn without_styles_the_text_is_as_it_came() {
        let text = "<think>x</think>\n# **a** `b`\n日本語 \x1b[31m";
        assert_eq!(written(PIPE, &[text]), text);
        assert_eq!(written(PLAIN, &[text]), text.replace('\x1b', "␛") + "\n\n");
        assert_eq!(written(PLAIN, &["a\n"]), "a\n\n");
        assert_eq!(written(STYLED, &[]), "");
    }

    #[test]
    fn rows_go_on_under_their_second_column() {
        let mut out = Vec::new();
        View::new(Box::new(&mut out), STYLED).report("  a b  one two three\nplain  text").expect("written");
        assert_eq!(String::from_utf8_lossy(&out), "  a b  one two three\nplain  text\n");
        let mut out = Vec::new();
        View::new(Box::new(&mut out), STYLED).report("  a b  one two three four").expect("written");
        assert_eq!(String::from_utf8_lossy(&out), "  a b  one two three\n       four\n");
    }

    #[test]
    fn notes_are_set_off_or_go_elsewhere() {
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        View::new(Box::new(&mut out), STYLED).note("a\x1b[Jb").expect("written");
        let view = View::new(Box::new(std::io::sink()), PIPE);
        view.with_notes(Box::new(&mut notes)).note("apart").expect("written");
        assert_eq!(String::from_utf8_lossy(&out), "\x1b[0;2ma␛[Jb\x1b[0m\n");
        assert_eq!(String::from_utf8_lossy(&notes), "samebit: apart\n");
    }
}
