//! An editor with history, search and completion (reedline), for terminals that can.
//!
//! Knows keys; nothing of what is meant but where a message ends.

use std::borrow::Cow;
use std::io::{ErrorKind, StdinLock, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use reedline::{
    ColumnarMenu, Completer, EditCommand, EditMode, Emacs, FileBackedHistory, Highlighter, Hinter, History, KeyCode,
    KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline,
    ReedlineEvent, ReedlineMenu, ReedlineRawEvent, Signal, Span, StyledText, Suggestion, ValidationResult, Validator,
    default_emacs_keybindings,
};

use crate::command;
use crate::complete::completions;
use crate::disk::{self, Before, Readers};
use crate::input::{Input, LONGEST, Lines, MORE, PROMPT, Typed};
use crate::look::shown;
use crate::terminal::{Hush, Meanwhile, suspend};

/// Most messages that are remembered.
const REMEMBERED: usize = 1000;
/// A larger file of them is cut to its end.
const MOST_BYTES: u64 = 4 << 20;
const MENU: &str = "commands";
/// What an empty line shows.
const PLACEHOLDER: &str = "a message, or /help";
/// What the editor leaves to do: a message to be written in the editor that the person likes, and Ctrl-Z.
const ELSEWHERE: &str = "elsewhere";
const SUSPEND: &str = "suspend";

/// Lines with editing.
pub struct Editor {
    line: Reedline,
    history: Option<PathBuf>,
    styled: bool,
    interrupted: fn() -> bool,
    /// Beginnings of the message that ended with a `\` when Enter was pressed.
    continued: Arc<Mutex<Vec<String>>>,
    /// Whether an empty line has said what may be typed.
    hinted: Arc<AtomicBool>,
    /// In place of all that, once the terminal has not answered as an editor needs it.
    plain: Option<Lines<StdinLock<'static>>>,
}

impl Editor {
    /// Remembers in a file, if there is one; also why that cannot be, in which case nothing is remembered beyond the conversation.
    /// `interrupted` is for a terminal that turns out to know lines alone: see [`Lines::heeding`].
    pub fn new(history: Option<PathBuf>, styled: bool, interrupted: fn() -> bool) -> (Self, Option<String>) {
        let continued = Arc::new(Mutex::new(Vec::new()));
        let hinted = Arc::new(AtomicBool::new(false));
        let (line, trouble) = editor(history.as_deref(), styled, true, &continued, &hinted);
        (Self { line, history, styled, interrupted, continued, hinted, plain: None }, trouble)
    }

    /// Takes what an empty line has said away: the cursor is a line below.
    fn unhinted(&self, typed: Typed) -> std::io::Result<Typed> {
        if self.hinted.swap(false, Ordering::Relaxed) {
            let mut out = std::io::stdout();
            write!(out, "\x1b[A\r\x1b[2K{PROMPT}\r\n")?;
            out.flush()?;
        }
        Ok(typed)
    }

    /// Puts a text into the line, to be changed.
    fn begin_with(&mut self, text: &str) {
        let text = text.chars().map(shown).collect();
        self.line.run_edit_commands(&[EditCommand::Clear, EditCommand::InsertString(text)]);
    }

    /// Lets the message be written in the editor that the environment names.
    fn write_elsewhere(&mut self) {
        match elsewhere(self.line.current_buffer_contents()) {
            Ok(text) => self.begin_with(&text),
            // Nobody is left to tell if that cannot be written.
            Err(why) => drop(writeln!(std::io::stderr(), "\r\n{why}")),
        }
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

/// Emacs's keys, and those that other programs like this one have.
fn keys() -> reedline::Keybindings {
    let mut keys = default_emacs_keybindings();
    let mut bind = |modifiers, code, event| keys.add_binding(modifiers, code, event);
    let host = |name: &str| ReedlineEvent::ExecuteHostCommand(name.into());
    let edit = |command| ReedlineEvent::Edit(vec![command]);
    let menu = vec![ReedlineEvent::Menu(MENU.into()), ReedlineEvent::MenuNext];
    bind(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(menu));
    bind(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    bind(KeyModifiers::ALT, KeyCode::Enter, edit(EditCommand::InsertNewline));
    bind(KeyModifiers::CONTROL, KeyCode::Char('j'), edit(EditCommand::InsertNewline));
    bind(KeyModifiers::CONTROL, KeyCode::Char('g'), host(ELSEWHERE));
    bind(KeyModifiers::CONTROL, KeyCode::Char('o'), host(ELSEWHERE));
    bind(KeyModifiers::CONTROL, KeyCode::Char('z'), host(SUSPEND));
    // Ctrl-_, which terminals send as Ctrl-7.
    bind(KeyModifiers::CONTROL, KeyCode::Char('7'), edit(EditCommand::Undo));
    bind(KeyModifiers::ALT, KeyCode::Char('_'), edit(EditCommand::Redo));
    keys
}

fn editor(
    history: Option<&Path>,
    styled: bool,
    remember: bool,
    continued: &Arc<Mutex<Vec<String>>>,
    hinted: &Arc<AtomicBool>,
) -> (Reedline, Option<String>) {
    let keys = keys();
    let menu = ColumnarMenu::default().with_name(MENU);
    let line = Reedline::create()
        .use_bracketed_paste(true)
        .with_ansi_colors(styled)
        .with_highlighter(Box::new(Plain))
        .with_completer(Box::new(Commands))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_hinter(Box::new(Placeholder { styled, shown: Arc::clone(hinted) }))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_edit_mode(Box::new(Harmless(Emacs::new(keys))))
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

/// A text, changed in the person's own editor: `VISUAL`, `EDITOR`, or vi.
fn elsewhere(text: &str) -> Result<String, String> {
    let named = ["VISUAL", "EDITOR"].into_iter().filter_map(|name| std::env::var(name).ok());
    let editor = named.into_iter().find(|editor| !editor.trim().is_empty()).unwrap_or_else(|| "vi".into());
    let folder = tempfile::Builder::new().prefix("samebit-").tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("message.md");
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    let ended = command_line(&editor, &path).status();
    let ended = ended.map_err(|error| format!("{editor}: {error}: set EDITOR to the editor that you like"))?;
    match ended.code() {
        Some(0) => {}
        Some(NOT_FOUND) => return Err(format!("{editor}: no such program: set EDITOR to the editor that you like")),
        _ => return Err(format!("{editor}: {ended}: the message stays as it was")),
    }
    let text = disk::read(&path, LONGEST, "message").map_err(|error| error.to_string())?;
    let text = String::from_utf8(text).map_err(|_| format!("{editor}: what it wrote is not UTF-8"))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// What a shell ends with where there is no such program.
const NOT_FOUND: i32 = 127;

/// An editor with its own arguments, quoted as for a shell, and a file.
#[cfg(unix)]
fn command_line(editor: &str, file: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg("sh").arg(file);
    command
}

/// An editor with its own arguments, parted by spaces, and a file.
#[cfg(not(unix))]
fn command_line(editor: &str, file: &Path) -> Command {
    let mut words = editor.split_whitespace();
    // It has a word that is not white space.
    let mut command = Command::new(words.next().unwrap_or("vi"));
    command.args(words).arg(file);
    command
}

/// The history of a file, which can be written. It is nobody else's, and gives the terminal no orders.
fn remembered(path: &Path) -> Result<FileBackedHistory, String> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    let first = disk::put(path, b"", Readers::Owner, Before::Stays);
    first.or_else(|error| if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error.to_string()) })?;
    let open = std::fs::OpenOptions::new().append(true).open(path);
    let length = open.and_then(|file| file.metadata()).map_err(|error| error.to_string())?.len();
    let most = if length > MOST_BYTES { MOST_BYTES / 2 } else { MOST_BYTES };
    let bytes = disk::ending(path, most).map_err(|error| error.to_string())?;
    // What was cut begins in the middle of a line.
    let whole =
        if length > most { bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1) } else { 0 };
    let text: String = String::from_utf8_lossy(&bytes[whole..]).chars().map(shown).collect();
    if length > most || text.as_bytes() != bytes {
        disk::put(path, text.as_bytes(), Readers::Owner, Before::Replaced).map_err(|error| error.to_string())?;
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
            self.begin_with(begin);
        }
        loop {
            match self.line.read_line(&Arrows) {
                // It does not say where its cursor is, or is gone: then there is no line to come either.
                Err(_) => {
                    let lines = Lines::new(std::io::stdin().lock()).heeding(self.interrupted);
                    return self.plain.insert(lines).read(begin);
                }
                Ok(Signal::Success(text)) => {
                    // A history that cannot be written has been told of.
                    let _ = self.line.sync_history();
                    return Ok(Typed::Text(self.joined(&text)));
                }
                Ok(Signal::CtrlC) => return self.unhinted(Typed::Interrupt),
                Ok(Signal::CtrlD) => return self.unhinted(Typed::End),
                Ok(Signal::HostCommand(command)) if command == SUSPEND => suspend(),
                Ok(Signal::HostCommand(_)) => self.write_elsewhere(),
                Ok(_) => {}
            }
        }
    }

    fn remember(&mut self, wanted: bool) {
        self.line = editor(self.history.as_deref(), self.styled, wanted, &self.continued, &self.hinted).0;
    }

    fn hush(&self) -> Option<Hush> {
        match &self.plain {
            Some(plain) => plain.hush(),
            None => Hush::begin(Meanwhile::Waits),
        }
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

/// Emacs's keys; but what is typed or pasted gives the terminal no orders: their pictures are shown, as in answers.
struct Harmless(Emacs);

impl EditMode for Harmless {
    fn parse_event(&mut self, event: ReedlineRawEvent) -> ReedlineEvent {
        harmless(self.0.parse_event(event))
    }

    fn edit_mode(&self) -> PromptEditMode {
        self.0.edit_mode()
    }
}

fn harmless(event: ReedlineEvent) -> ReedlineEvent {
    let edit = |command| match command {
        EditCommand::InsertChar(c) => EditCommand::InsertChar(shown(c)),
        EditCommand::InsertString(text) => EditCommand::InsertString(text.chars().map(shown).collect()),
        other => other,
    };
    match event {
        ReedlineEvent::Edit(commands) => ReedlineEvent::Edit(commands.into_iter().map(edit).collect()),
        ReedlineEvent::Multiple(events) => ReedlineEvent::Multiple(events.into_iter().map(harmless).collect()),
        other => other,
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
        let (start, words) = completions(line);
        let suggestion = |word: String| Suggestion {
            // In a folder one goes on.
            append_whitespace: !word.ends_with('/'),
            value: word,
            span: Span::new(start, at),
            ..Suggestion::default()
        };
        words.into_iter().map(suggestion).collect()
    }
}

/// Says on an empty line what may be typed.
struct Placeholder {
    styled: bool,
    shown: Arc<AtomicBool>,
}

impl Hinter for Placeholder {
    fn handle(&mut self, line: &str, _: usize, _: &dyn History, _: bool, _: &str) -> String {
        let shown = line.is_empty() && self.styled;
        self.shown.store(shown, Ordering::Relaxed);
        if shown { format!("\x1b[2m{PLACEHOLDER}\x1b[0m") } else { String::new() }
    }

    fn complete_hint(&self) -> String {
        String::new()
    }

    fn next_hint_token(&self) -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_backslash_that_was_typed_before_enter_goes() {
        let (editor, _) = Editor::new(None, false, || false);
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
        let (_, trouble) = Editor::new(Some(file.join("history")), false, || false);
        assert!(trouble.is_some_and(|why| why.contains("not remembered") && why.lines().count() == 1));
        let long = folder.path().join("new").join("history");
        assert!(Editor::new(Some(long.clone()), false, || false).1.is_none());
        std::fs::write(&long, "line\n".repeat(1 << 20)).expect("written");
        assert!(Editor::new(Some(long.clone()), false, || false).1.is_none());
        assert!(std::fs::metadata(&long).expect("there").len() <= MOST_BYTES / 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_history_is_its_owners_and_a_regular_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("history");
        assert!(remembered(&path).is_ok());
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "a\x1b[2Jb\nplain\n").expect("written");
        assert!(remembered(&path).is_ok());
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "a␛[2Jb\nplain\n");
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo starts").success());
        assert!(remembered(&pipe).is_err_and(|why| why.contains("no regular file")));
    }

    #[test]
    fn no_order_comes_into_the_line() {
        let pasted = |text: &str| match harmless(ReedlineEvent::Edit(vec![EditCommand::InsertString(text.into())])) {
            ReedlineEvent::Edit(commands) => commands,
            other => panic!("{other:?}"),
        };
        let expected = vec![EditCommand::InsertString("a␛[2J\n\tb␇\u{fffd}".into())];
        assert_eq!(pasted("a\x1b[2J\n\tb\x07\u{9b}"), expected);
    }

    #[cfg(unix)]
    #[test]
    fn an_editor_is_named_as_for_a_shell() {
        let folder = tempfile::tempdir().expect("a folder");
        let (program, file) = (folder.path().join("my editor"), folder.path().join("a message"));
        std::fs::write(&program, "printf '%s|' \"$@\" > \"$2\"\n").expect("written");
        let editor = format!("sh '{}' 'two words'", program.display());
        assert!(command_line(&editor, &file).status().expect("sh starts").success());
        assert_eq!(std::fs::read_to_string(&file).expect("written"), format!("two words|{}|", file.display()));
    }
}
