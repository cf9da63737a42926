//! What a person types: an editor with history, search and completion where the terminal can, plain lines where it cannot.
//!
//! Knows keys and lines; nothing of what they mean but where a message ends.

use std::borrow::Cow;
use std::io::{BufRead, IsTerminal, Read, StdinLock, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use reedline::{
    ColumnarMenu, Completer, EditCommand, Emacs, FileBackedHistory, Highlighter, KeyCode, KeyModifiers, MenuBuilder,
    Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline, ReedlineEvent, ReedlineMenu,
    Signal, Span, StyledText, Suggestion, ValidationResult, Validator, default_emacs_keybindings,
};

use crate::command;

/// What came of waiting for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A text, complete.
    Text(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or the end of the input.
    End,
}

/// Where messages come from.
pub trait Input {
    /// Waits for a message; `begin` is there already, to be changed.
    ///
    /// # Errors
    /// The terminal cannot be read.
    fn read(&mut self, begin: &str) -> std::io::Result<Typed>;

    /// Whether to remember from here on what is typed.
    fn remember(&mut self, wanted: bool);
}

/// Most messages that are remembered.
const REMEMBERED: usize = 1000;
/// A larger file of them is cut to its end.
const MOST_BYTES: u64 = 4 << 20;
/// A longer message is none.
const LONGEST: u64 = 32 << 20;
/// What stands before a message, and before its further lines.
const PROMPT: &str = ">>> ";
const MORE: &str = "... ";
const MENU: &str = "commands";

/// Lines with editing.
pub struct Editor {
    line: Reedline,
    history: Option<PathBuf>,
    styled: bool,
    /// Beginnings of the message that ended with a `\` when Enter was pressed.
    continued: Arc<Mutex<Vec<String>>>,
    /// In place of all that, once the terminal has not answered as an editor needs it.
    plain: Option<Lines<StdinLock<'static>>>,
}

impl Editor {
    /// Remembers in a file, if there is one; also why that cannot be, in which case nothing is remembered beyond the conversation.
    pub fn new(history: Option<PathBuf>, styled: bool) -> (Self, Option<String>) {
        let continued = Arc::new(Mutex::new(Vec::new()));
        let (line, trouble) = editor(history.as_deref(), styled, true, &continued);
        (Self { line, history, styled, continued, plain: None }, trouble)
    }

    /// Leaves out each `\` that only said that the message goes on.
    fn joined(&self, text: &str) -> String {
        let Ok(mut continued) = self.continued.lock() else { return text.to_owned() };
        let mut text = text.to_owned();
        // From the last, so that the places of the others stay.
        for begin in continued.drain(..).rev() {
            if text.strip_prefix(&begin).is_some_and(|rest| rest.starts_with('\n')) {
                text.remove(begin.len() - 1);
            }
        }
        text
    }
}

fn editor(
    history: Option<&Path>,
    styled: bool,
    remember: bool,
    continued: &Arc<Mutex<Vec<String>>>,
) -> (Reedline, Option<String>) {
    let mut keys = default_emacs_keybindings();
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(vec![ReedlineEvent::Menu(MENU.into()), ReedlineEvent::MenuNext]),
    );
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, ReedlineEvent::Edit(vec![EditCommand::InsertNewline]));
    let menu = ColumnarMenu::default().with_name(MENU);
    let line = Reedline::create()
        .use_bracketed_paste(true)
        .with_ansi_colors(styled)
        .with_highlighter(Box::new(Plain))
        .with_completer(Box::new(Commands))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_validator(Box::new(Ends { continued: Arc::clone(continued) }));
    if !remember {
        // A history of its own that holds nothing: the editor's default remembers until it ends.
        let forgetful = FileBackedHistory::new(0).map(|history| line.with_history(Box::new(history)));
        return (forgetful.unwrap_or_else(|_| Reedline::create()), None);
    }
    let Some(path) = history else { return (line, None) };
    match remembered(path) {
        Ok(history) => (line.with_history(Box::new(history)), None),
        Err(why) => (line, Some(format!("what you type is not remembered: {}: {why}", path.display()))),
    }
}

/// The history of a file, which can be written.
fn remembered(path: &Path) -> Result<FileBackedHistory, String> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    let open = std::fs::OpenOptions::new().create(true).append(true).read(true).open(path);
    let length = open.and_then(|file| file.metadata()).map_err(|error| error.to_string())?.len();
    if length > MOST_BYTES {
        let text = std::fs::read(path).map_err(|error| error.to_string())?;
        let from = text.len() - (MOST_BYTES / 2) as usize;
        let line = text[from..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |at| from + at + 1);
        std::fs::write(path, &text[line..]).map_err(|error| error.to_string())?;
    }
    FileBackedHistory::with_file(REMEMBERED, path.to_owned()).map_err(|error| error.to_string())
}

impl Input for Editor {
    fn read(&mut self, begin: &str) -> std::io::Result<Typed> {
        if let Some(plain) = &mut self.plain {
            return plain.read(begin);
        }
        if let Ok(mut continued) = self.continued.lock() {
            continued.clear();
        }
        if !begin.is_empty() {
            self.line.run_edit_commands(&[EditCommand::Clear, EditCommand::InsertString(begin.to_owned())]);
        }
        loop {
            match self.line.read_line(&Arrows) {
                // It does not say where its cursor is, or is gone: then there is no line to come either.
                Err(_) => return self.plain.insert(Lines::new(std::io::stdin().lock())).read(begin),
                Ok(Signal::Success(text)) => {
                    // A history that cannot be written has been told of.
                    let _ = self.line.sync_history();
                    return Ok(Typed::Text(self.joined(&text)));
                }
                Ok(Signal::CtrlC) => return Ok(Typed::Interrupt),
                Ok(Signal::CtrlD) => return Ok(Typed::End),
                Ok(_) => {}
            }
        }
    }

    fn remember(&mut self, wanted: bool) {
        self.line = editor(self.history.as_deref(), self.styled, wanted, &self.continued).0;
    }
}

impl std::fmt::Debug for Editor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Editor").field("history", &self.history).finish_non_exhaustive()
    }
}

/// The prompt.
struct Arrows;

impl Prompt for Arrows {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed(PROMPT)
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed(MORE)
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let found = match search.status {
            PromptHistorySearchStatus::Passing => "search",
            PromptHistorySearchStatus::Failing => "not found",
        };
        Cow::Owned(format!("({found}: {}) ", search.term))
    }
}

/// Says where a message ends.
struct Ends {
    continued: Arc<Mutex<Vec<String>>>,
}

impl Validator for Ends {
    fn validate(&self, text: &str) -> ValidationResult {
        if !command::is_open(text) {
            return ValidationResult::Complete;
        }
        // Within quotes a `\` is a part of the message.
        if !command::is_quoted(text)
            && let Ok(mut continued) = self.continued.lock()
        {
            continued.push(text.to_owned());
        }
        ValidationResult::Incomplete
    }
}

/// What is typed, in the terminal's own colour, whatever that is.
struct Plain;

impl Highlighter for Plain {
    fn highlight(&self, line: &str, _: usize) -> StyledText {
        let mut text = StyledText::new();
        text.push((Default::default(), line.to_owned()));
        text
    }
}

/// Completes commands.
struct Commands;

impl Completer for Commands {
    fn complete(&mut self, line: &str, at: usize) -> Vec<Suggestion> {
        let Some(line) = line.get(..at) else { return Vec::new() };
        let (start, words) = command::completions(line);
        let suggestion = |word: &str| Suggestion {
            value: word.to_owned(),
            span: Span::new(start, at),
            append_whitespace: true,
            ..Suggestion::default()
        };
        words.into_iter().map(suggestion).collect()
    }
}

/// Lines as they come, without editing.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    /// Whether a person is to be shown where to type.
    shown: bool,
}

impl<R: BufRead> Lines<R> {
    /// Reads from `reader`, and shows the prompt on standard output if a person looks.
    pub fn new(reader: R) -> Self {
        Self { reader, shown: std::io::stdout().is_terminal() }
    }

    fn show(&self, prompt: &str) -> std::io::Result<()> {
        if !self.shown {
            return Ok(());
        }
        let mut out = std::io::stdout();
        out.write_all(prompt.as_bytes())?;
        out.flush()
    }
}

impl<R: BufRead> Input for Lines<R> {
    fn read(&mut self, begin: &str) -> std::io::Result<Typed> {
        let mut text = begin.to_owned();
        self.show(PROMPT)?;
        loop {
            let before = text.len();
            let mut line = Vec::new();
            if self.reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                return Ok(if text.is_empty() { Typed::End } else { Typed::Text(text) });
            }
            let line = String::from_utf8_lossy(&line);
            text.push_str(line.strip_suffix('\n').map_or(&*line, |line| line.strip_suffix('\r').unwrap_or(line)));
            if !command::is_open(&text) || text.len() as u64 > LONGEST {
                return Ok(Typed::Text(text));
            }
            // The `\` of the line that has just come; within quotes it is a part of the message.
            if !command::is_quoted(&text) && text.len() > before {
                text.pop();
            }
            text.push('\n');
            self.show(MORE)?;
        }
    }

    fn remember(&mut self, _: bool) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Typed> {
        let mut lines = Lines { reader: text.as_bytes(), shown: false };
        let mut all = Vec::new();
        loop {
            let typed = lines.read("").expect("read");
            all.push(typed.clone());
            if typed == Typed::End {
                return all;
            }
        }
    }

    #[test]
    fn lines_go_on_after_backslashes_and_within_quotes() {
        let text = |text: &str| Typed::Text(text.into());
        assert_eq!(all("a\r\nb \\\nc\\\nd\n"), [text("a"), text("b \nc\nd"), Typed::End]);
        assert_eq!(all("\"\"\"a \\\n\nb\"\"\"\nc"), [text("\"\"\"a \\\n\nb\"\"\""), text("c"), Typed::End]);
        assert_eq!(all("a\\"), [text("a\n"), Typed::End]);
    }

    #[test]
    fn only_a_backslash_that_was_typed_before_enter_goes() {
        let (editor, _) = Editor::new(None, false);
        let ends = Ends { continued: Arc::clone(&editor.continued) };
        for typed in ["make \\\n  x \\", "make \\\n  x \\\nand \\"] {
            assert!(matches!(ends.validate(typed), ValidationResult::Incomplete));
        }
        assert!(matches!(ends.validate("\"\"\"a\\"), ValidationResult::Incomplete));
        assert_eq!(editor.joined("make \\\n  x \\\nand \\\nmore"), "make \\\n  x \nand \nmore");
    }

    #[test]
    fn a_history_that_cannot_be_written_is_told_of_and_a_long_one_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "x").expect("written");
        let (_, trouble) = Editor::new(Some(file.join("history")), false);
        assert!(trouble.is_some_and(|why| why.contains("not remembered") && why.lines().count() == 1));
        let long = folder.path().join("new").join("history");
        assert!(Editor::new(Some(long.clone()), false).1.is_none());
        std::fs::write(&long, "line\n".repeat(1 << 20)).expect("written");
        assert!(Editor::new(Some(long.clone()), false).1.is_none());
        assert!(std::fs::metadata(&long).expect("there").len() <= MOST_BYTES / 2);
    }
}
