//! The conversation with a person: what is typed goes to the model or is obeyed, what comes back is shown.
//!
//! Knows the order of things; how a command is obeyed is `act`, how things look is `view`. The clock here measures, and nothing else.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::act::counted;
use crate::command::{Said, understand};
use crate::error::ChatError;
use crate::export::export;
use crate::hangup;
use crate::input::{Input, Typed};
use crate::kept::Kept;
use crate::session::Ending;
use crate::shelf::Shelf;
use crate::talk::{Answered, Heard, Hearer, Talk};
use crate::terminal::Hush;
use crate::view::View;

/// What a conversation is begun with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Show times and counts after each answer.
    pub verbose: bool,
    /// Write the session here after each turn.
    pub session: Option<Kept>,
    /// Write the conversation here as markdown after each turn.
    pub transcript: Option<PathBuf>,
    /// The first message, which is not typed.
    pub first: Option<String>,
    /// Leave after the first answer.
    pub single: bool,
    /// Whether Ctrl-C was pressed since this was last asked.
    pub interrupted: fn() -> bool,
}

/// A conversation with a person.
pub struct Repl<'a> {
    pub(crate) talk: Talk,
    pub(crate) view: View<'a>,
    pub(crate) input: Box<dyn Input + 'a>,
    pub(crate) options: Options,
    pub(crate) shelf: Option<Box<dyn Shelf + 'a>>,
    /// While nobody reads what is typed.
    pub(crate) hush: Option<Hush>,
    /// Files that go before the next message: their names and texts.
    pub(crate) files: Vec<(String, String)>,
    /// What the next message begins with.
    pub(crate) begin: String,
    /// Whether the next message takes the place of the latest.
    pub(crate) editing: bool,
}

/// Whether the conversation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Stay,
    Leave,
}

/// What is asked of the model.
pub(crate) enum Asked<'a> {
    Message(&'a str),
    /// The latest message again.
    Again(Option<u64>),
}

/// Ctrl-C pressed twice within this time leaves.
const TWICE: Duration = Duration::from_secs(2);
/// Fewer tokens of room for an answer are worth a warning.
const LITTLE_ROOM: usize = 128;

impl<'a> Repl<'a> {
    /// A conversation that goes on from where `talk` is.
    pub fn new(talk: Talk, view: View<'a>, input: Box<dyn Input + 'a>, options: Options) -> Self {
        let (files, begin) = (Vec::new(), String::new());
        Self { talk, view, input, options, shelf: None, hush: None, files, begin, editing: false }
    }

    /// The same, where there are other models.
    #[must_use]
    pub fn with_shelf(mut self, shelf: Box<dyn Shelf + 'a>) -> Self {
        self.shelf = Some(shelf);
        self
    }

    /// The conversation.
    pub fn talk(&self) -> &Talk {
        &self.talk
    }

    /// Goes on until the person leaves.
    ///
    /// # Errors
    /// The terminal has gone. Whatever else goes wrong is told, and the conversation goes on.
    pub fn run(&mut self) -> Result<(), ChatError> {
        if let Some(first) = self.options.first.take() {
            self.view.report(&format!(">>> {first}"))?;
            if self.heed(&format!("\"\"\"\n{first}\n\"\"\""))? == Next::Leave {
                return Ok(());
            }
        }
        let mut pressed: Option<Instant> = None;
        loop {
            let begin = std::mem::take(&mut self.begin);
            match self.input.read(&begin)? {
                Typed::End => return Ok(()),
                Typed::Interrupt if pressed.is_some_and(|before| before.elapsed() < TWICE) => return Ok(()),
                Typed::Interrupt => {
                    pressed = Some(Instant::now());
                    if std::mem::take(&mut self.editing) {
                        self.view.note("nothing was changed; Ctrl-C again, Ctrl-D or /bye leaves")?;
                    } else {
                        self.view.note("Ctrl-C again, Ctrl-D or /bye leaves")?;
                    }
                }
                Typed::Text(text) => {
                    pressed = None;
                    if self.heed(&text)? == Next::Leave {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Does what was typed. What goes wrong is told.
    fn heed(&mut self, text: &str) -> Result<Next, ChatError> {
        // One pressed before belongs to what was done before.
        let _ = (self.options.interrupted)();
        let done = self.take(text);
        self.hush = None;
        match done {
            Ok(next) => Ok(next),
            Err(error @ ChatError::Output(_)) => Err(error),
            Err(error) => self.view.note(&error.to_string()).map(|()| Next::Stay),
        }
    }

    fn take(&mut self, text: &str) -> Result<Next, ChatError> {
        match understand(text) {
            Said::Nothing => self.editing = false,
            Said::Message(message) => {
                self.say(&message)?;
                return Ok(if self.options.single { Next::Leave } else { Next::Stay });
            }
            Said::Command(name, rest) => return self.obey(name, &rest),
            Said::Unknown(why) => self.view.note(&why)?,
        }
        Ok(Next::Stay)
    }

    /// Says something, after the files that were read for it.
    pub(crate) fn say(&mut self, message: &str) -> Result<(), ChatError> {
        let parent = self.talk.session().latest().map(|turn| turn.parent).filter(|_| self.editing);
        self.editing = false;
        let mut whole = String::new();
        for (name, text) in &self.files {
            // Several are told from each other.
            if self.files.len() > 1 {
                whole.push_str(&format!("--- {name} ---\n"));
            }
            whole.push_str(text);
            whole.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
        }
        whole.push_str(message);
        let at = self.talk.session().at();
        self.talk.session_mut().go_to(parent.unwrap_or(at));
        let answered = self.answer(Asked::Message(&whole));
        if self.talk.session().at() == parent.unwrap_or(at) {
            // Nothing was said: one is where one was, and the files still wait.
            self.talk.session_mut().go_to(at);
        } else {
            self.files.clear();
        }
        answered
    }

    /// Lets the model answer, shows it, and writes it where it is to be kept: whoever looks by then.
    pub(crate) fn answer(&mut self, asked: Asked<'_>) -> Result<(), ChatError> {
        let mut times = Times::new();
        let _held = hangup::Held::begin();
        self.hush = self.input.hush();
        let context = self.talk.model().engine.context();
        let interrupted = self.options.interrupted;
        let (view, talk, hush) = (&mut self.view, &mut self.talk, &self.hush);
        let mut showing = view.show(false);
        let mut trouble = None;
        let mut hear = |heard: Heard<'_>| {
            if let Some(hush) = hush {
                hush.again();
            }
            let shown = match heard {
                Heard::Begin { thinking, prompt } => {
                    showing = view.show(thinking);
                    match context.saturating_sub(prompt) {
                        room if room < LITTLE_ROOM.min(context / 8) => view.note(&format!(
                            "the context is nearly full: {room} tokens are left for the answer (/undo, /clear, or a larger num_ctx)"
                        )),
                        _ => Ok(()),
                    }
                }
                Heard::Prefill { done, total, .. } => view.progress(&mut showing, done, total),
                Heard::Text(text) => {
                    times.token();
                    view.piece(&mut showing, text)
                }
            };
            trouble = shown.err();
            // A message is kept with its first token: where the terminal has gone it is waited for.
            let waits = hangup::came() && !matches!(heard, Heard::Text(_));
            if interrupted() || !waits && (trouble.is_some() || hangup::came()) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let answered = ask(talk, asked, &mut hear);
        let ended = view.end(showing);
        self.hush = None;
        let saved = if answered.is_ok() { self.autosave() } else { Ok(()) };
        if hangup::came() {
            return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
        }
        ended.and(trouble.map_or(Ok(()), Err))?;
        self.after(answered?, &times).and(saved)
    }

    /// What is to be said of an answer that has come.
    fn after(&mut self, answered: Answered, times: &Times) -> Result<(), ChatError> {
        let Some(turn) = self.talk.session().turn(answered.number) else { return Ok(()) };
        let (tokens, finish) = (turn.tokens.len(), turn.finish);
        let full = answered.prompt + tokens >= self.talk.model().engine.context();
        match finish {
            Ending::Cancelled => {
                self.view.note("(stopped: the answer is kept as far as it went; /regen makes it again)")?
            }
            Ending::Length if full => {
                self.view
                    .note("(the context is full, and the answer ends here: /undo, /clear, or a larger num_ctx)")?;
            }
            Ending::Length => {
                self.view.note(&format!("(ended after {}, which is num_predict)", counted(tokens, "token")))?;
            }
            Ending::Stop => {}
        }
        if answered.again {
            self.view.note(&format!(
                "(turn {}, which was there already: the same seed gave the same answer)",
                answered.number
            ))?;
        }
        if self.options.verbose {
            let new = answered.prompt - answered.cached;
            let line = format!(
                "turn {}: prompt {} tokens, {} from the cache, {new} computed; first token after {:.0} ms; answer {tokens} tokens, {}",
                answered.number,
                answered.prompt,
                answered.cached,
                milliseconds(times.first()),
                times.rate(),
            );
            self.view.note(&line)?;
        }
        Ok(())
    }

    /// Writes the session where it is to be kept.
    pub(crate) fn autosave(&mut self) -> Result<(), ChatError> {
        let written = self.options.transcript.as_ref().map_or(Ok(()), |path| export(path, &self.talk));
        let Some(kept) = &mut self.options.session else { return written };
        kept.save(self.talk.model(), self.talk.session(), self.talk.settings()).and(written)
    }

    /// One message, its answer, and no conversation.
    ///
    /// # Errors
    /// As [`Talk::ask`](crate::Talk::ask). True if it was broken off.
    pub fn once(&mut self, message: &str) -> Result<bool, ChatError> {
        self.answer(Asked::Message(message))?;
        Ok(self.talk.session().latest().is_some_and(|turn| turn.finish == Ending::Cancelled))
    }
}

fn ask(talk: &mut Talk, asked: Asked<'_>, hear: &mut Hearer<'_>) -> Result<Answered, ChatError> {
    match asked {
        Asked::Message(text) => talk.ask(text, hear),
        Asked::Again(seed) => talk.regenerate(seed, hear),
    }
}

/// When tokens came.
struct Times {
    began: Instant,
    first: Option<Instant>,
    last: Instant,
    count: usize,
}

impl Times {
    fn new() -> Self {
        let now = Instant::now();
        Self { began: now, first: None, last: now, count: 0 }
    }

    fn token(&mut self) {
        self.last = Instant::now();
        self.first.get_or_insert(self.last);
        self.count += 1;
    }

    fn first(&self) -> Duration {
        self.first.unwrap_or(self.last) - self.began
    }

    fn rate(&self) -> String {
        let took = (self.last - self.first.unwrap_or(self.last)).as_secs_f64();
        let later = self.count.saturating_sub(1) as f64;
        if took > 0.0 { format!("{:.1} a second", later / took) } else { "at once".into() }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl std::fmt::Debug for Repl<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repl").field("talk", &self.talk).field("options", &self.options).finish_non_exhaustive()
    }
}
