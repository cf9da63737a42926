//! Commands, obeyed.
//!
//! Knows the conversation and the view; how reports read is `report`.

use std::ops::ControlFlow;
use std::path::Path;

use crate::command::{self, COMMANDS, SHOWN, nearest};
use crate::complete::at_home;
use crate::copy::{last_code, to_clipboard};
use crate::disk;
use crate::error::ChatError;
use crate::export::export;
use crate::file;
use crate::glob;
use crate::kept::Kept;
use crate::look::parted;
use crate::repl::{Asked, Next, Repl};
use crate::report;
use crate::session::Ending;
use crate::settings::Settings;
use crate::talk::Talk;
use crate::thinking::Marks;

/// A larger file is no message.
const MOST_READ: u64 = 8 << 20;
/// Alternatives that `/why` shows, unless it is told, and at most.
const ALTERNATIVES: usize = 3;
const MOST_ALTERNATIVES: usize = 20;

impl Repl<'_> {
    pub(crate) fn obey(&mut self, name: &str, rest: &str) -> Result<Next, ChatError> {
        let editing = std::mem::take(&mut self.editing);
        match name {
            "help" => match report::help(rest) {
                Some(text) => self.view.report(&text)?,
                None => {
                    let line = unknown("help", rest, COMMANDS.iter().map(|command| command.name));
                    self.view.note(&line)?;
                }
            },
            "bye" => return Ok(Next::Leave),
            "set" => self.set(rest)?,
            "show" => self.show(rest)?,
            "regen" => self.regen(rest)?,
            "undo" => self.undo()?,
            "edit" => self.edit(rest, editing)?,
            "branch" => self.branch(rest)?,
            "why" => self.why(rest)?,
            "tokens" => self.view.report(&report::tokens(&self.talk, rest))?,
            "read" => self.read_file(rest)?,
            "glob" => self.glob(rest)?,
            "copy" => self.copy(rest)?,
            "export" => self.export(rest)?,
            "model" => self.model(rest)?,
            "list" => self.list()?,
            "save" => self.save(rest)?,
            "load" => self.load(rest)?,
            "clear" => self.clear()?,
            // `understand` gives names of the list alone.
            _ => {}
        }
        Ok(Next::Stay)
    }

    fn regen(&mut self, rest: &str) -> Result<(), ChatError> {
        let seed = match rest {
            "" => None,
            seed => match seed.parse() {
                Ok(seed) => Some(seed),
                Err(_) => return self.view.note("/regen takes a seed, which is a whole number"),
            },
        };
        self.answer(Asked::Again(seed))
    }

    fn undo(&mut self) -> Result<(), ChatError> {
        let Some(turn) = self.talk.session().latest() else { return Err(ChatError::NoAnswer) };
        let (number, parent) = (self.talk.session().at(), turn.parent);
        self.talk.session_mut().go_to(parent);
        self.view.note(&format!("turn {number} is taken back; /branch {number} brings it back"))?;
        self.autosave()
    }

    fn clear(&mut self) -> Result<(), ChatError> {
        let at = self.talk.session().at();
        self.talk.session_mut().go_to(0);
        self.files.clear();
        match at {
            0 => self.view.note("a new conversation"),
            at => self.view.note(&format!("a new conversation; /branch {at} goes back to the old one")),
        }?;
        self.autosave()
    }

    fn edit(&mut self, rest: &str, editing: bool) -> Result<(), ChatError> {
        let Some(turn) = self.talk.session().latest() else { return Err(ChatError::NoAnswer) };
        if rest.is_empty() {
            // A message that would be taken for a command, or cut at its end, goes between quotes.
            let message = turn.user.clone();
            let plain = command::understand(&message) == command::Said::Message(message.clone());
            let plain = plain && !command::is_open(&message);
            self.begin = if plain { message } else { format!("\"\"\"\n{message}\n\"\"\"") };
            self.editing = true;
            return if editing {
                Ok(())
            } else {
                self.view.note("change the message, and press Enter; Ctrl-C leaves it as it is")
            };
        }
        self.editing = true;
        self.say(rest)
    }

    fn branch(&mut self, rest: &str) -> Result<(), ChatError> {
        if rest.is_empty() {
            return self.view.report(&report::branches(self.talk.session()));
        }
        let number: Option<usize> = rest.parse().ok();
        match number.filter(|&number| self.talk.session_mut().go_to(number)) {
            None => {
                let last = self.talk.session().turns().len();
                self.view.note(&format!("there is no turn {rest}: they are numbered from 0, the beginning, to {last}"))
            }
            Some(0) => {
                self.view.note("at the beginning")?;
                self.autosave()
            }
            Some(number) => {
                self.recall(number)?;
                self.autosave()
            }
        }
    }

    /// Shows a turn that one has come to.
    fn recall(&mut self, number: usize) -> Result<(), ChatError> {
        let Some(turn) = self.talk.session().turn(number) else { return Ok(()) };
        let (user, answer, stopped) = (turn.user.clone(), turn.answer.clone(), turn.finish == Ending::Cancelled);
        let thinking = report::opens_thought(&self.talk, turn)?;
        self.view.note(&format!("at turn {number}"))?;
        self.view.report(&format!(">>> {user}"))?;
        let mut showing = self.view.show(thinking);
        self.view.piece(&mut showing, &answer)?;
        self.view.end(showing)?;
        if stopped { self.view.note("(stopped)") } else { Ok(()) }
    }

    fn why(&mut self, rest: &str) -> Result<(), ChatError> {
        let count = match rest {
            "" => ALTERNATIVES,
            count => match count.parse() {
                Ok(count) if count <= MOST_ALTERNATIVES => count,
                _ => {
                    return self
                        .view
                        .note(&format!("/why takes a number of alternatives, at most {MOST_ALTERNATIVES}"));
                }
            },
        };
        let interrupted = self.options.interrupted;
        let mut broken = false;
        self.hush = self.input.hush();
        // One more, for the one that was chosen may be among them.
        let rows = self.talk.explain(count + 1, &mut |_| {
            broken |= interrupted();
            if broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.hush = None;
        let rows = rows?;
        let size = (self.view.looks.size)();
        let text = report::why(&self.talk.model().tokenizer, &rows, count, size.map(|(width, _)| width));
        self.view.report(&text.0)?;
        if text.1 && !rest.is_empty() {
            self.view.note("(as many alternatives as there is room for in a line)")?;
        }
        if broken { self.view.note("(stopped)") } else { Ok(()) }
    }

    fn read_file(&mut self, rest: &str) -> Result<(), ChatError> {
        if rest.is_empty() {
            return self.view.note("/read FILE: which file?");
        }
        let text = read_text(&at_home(rest))?;
        let lines = text.lines().count();
        let go = if lines == 1 { "goes" } else { "go" };
        let lines = counted(lines, "line");
        self.put_before(rest.to_owned(), text)?;
        let names: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
        let more = if names.len() > 1 { format!("; waiting: {}", names.join(", ")) } else { String::new() };
        self.view.note(&format!("{rest}: {lines} {go} before your next message (/clear lets go of them){more}"))
    }

    /// A file is to go before the next message.
    fn put_before(&mut self, name: String, text: String) -> Result<(), ChatError> {
        let waiting: usize = self.files.iter().map(|(_, text)| text.len()).sum();
        if waiting.saturating_add(text.len()) as u64 > MOST_READ {
            return Err(ChatError::Access {
                file: name,
                what: format!("more than {} MiB wait with it", MOST_READ >> 20),
            });
        }
        self.files.push((name, text));
        Ok(())
    }

    fn glob(&mut self, rest: &str) -> Result<(), ChatError> {
        if rest.is_empty() {
            return self.view.note("/glob PATTERN: which files? Such as *.txt, or src/**/*.rs");
        }
        let (files, more) = glob::glob(rest);
        let mut taken = 0;
        for path in &files {
            // What is no text among them is told of, and the others are taken.
            let name = path.display().to_string();
            match read_text(path).and_then(|text| self.put_before(name.clone(), text)) {
                Ok(()) => {
                    self.view.note(&name)?;
                    taken += 1;
                }
                Err(error) => self.view.note(&error.to_string())?,
            }
        }
        if more {
            self.view.note(&format!("there are more: {} files are all that a pattern gives", glob::MOST))?;
        }
        match taken {
            0 => self.view.note(&format!("{rest}: no text files")),
            1 => self.view.note("1 file goes before your next message (/clear lets go of it)"),
            _ => self.view.note(&format!("{taken} files go before your next message (/clear lets go of them)")),
        }
    }

    fn copy(&mut self, rest: &str) -> Result<(), ChatError> {
        let turn = self.talk.session().latest().ok_or(ChatError::NoAnswer)?;
        let (thought, speech) = parted(&turn.answer, report::opens_thought(&self.talk, turn)?);
        let text = match rest {
            "" => Some(speech.trim().to_owned()),
            "code" => last_code(&speech),
            "thinking" => Some(thought.trim().to_owned()).filter(|text| !text.is_empty()),
            _ => return self.view.note("/copy takes nothing, code, or thinking"),
        };
        let Some(text) = text else { return self.view.note(&format!("the last answer has no {rest}")) };
        if !self.view.looks.terminal {
            return self.view.note("there is no terminal with a clipboard");
        }
        let Some(sequence) = to_clipboard(&text) else { return self.view.note("too long for a clipboard") };
        self.view.write(&sequence)?;
        let count = counted(text.chars().count(), "character");
        self.view.note(&format!("{count} for the clipboard, if this terminal gives programs one (OSC 52)"))
    }

    fn export(&mut self, rest: &str) -> Result<(), ChatError> {
        if rest.is_empty() {
            return self.view.note("/export FILE: which file?");
        }
        let path = at_home(rest);
        export(&path, &self.talk)?;
        self.view.note(&format!("{}: from now on written after each turn", path.display()))?;
        self.options.transcript = Some(path);
        Ok(())
    }

    fn list(&mut self) -> Result<(), ChatError> {
        let Some(shelf) = &mut self.shelf else { return self.view.note("there are no other models here") };
        let names = shelf.names().map_err(ChatError::Model)?;
        if names.is_empty() {
            return self.view.note("no models are here: `samebit pull smollm2` fetches a small one");
        }
        self.view.report(&report::table(names.into_iter()))
    }

    fn model(&mut self, rest: &str) -> Result<(), ChatError> {
        if rest.is_empty() {
            let text = report::info(&self.talk);
            return self.view.report(&text);
        }
        let Some(shelf) = &mut self.shelf else { return self.view.note("there are no other models here") };
        self.hush = self.input.hush();
        let loaded = shelf.load(rest).map_err(ChatError::Model);
        self.hush = None;
        let model = loaded?;
        // What was meant for the one model, and means nothing or something else to the other, stays behind.
        let mut settings = Settings { think: None, effort: None, ..self.talk.settings().clone() };
        let before = self.talk.settings();
        settings.think = before.think.filter(|_| model.may_think());
        settings.effort = before.effort.clone().filter(|_| model.has_effort());
        settings.think_budget = before.think_budget.filter(|_| Marks::of(&model.tokenizer).is_some());
        settings.sampling.logit_bias.clear();
        let (turns, name, context) = (self.talk.session().turns().len(), model.name.clone(), model.engine.context());
        let mut talk = Talk::new(model.into(), settings.clone());
        talk.set(settings)?;
        self.talk = talk;
        self.files.clear();
        let kept = self.options.session.take();
        self.options.transcript = None;
        let old = match (turns, kept) {
            (0, _) => String::new(),
            (_, Some(kept)) => format!("; the conversation before is in {}", kept.path().display()),
            (_, None) => "; the conversation before is over".into(),
        };
        self.view.note(&format!("{name}: {context} tokens of context; a new conversation{old}"))
    }

    fn save(&mut self, rest: &str) -> Result<(), ChatError> {
        let mut kept = match (rest, self.options.session.take()) {
            ("", None) => return self.view.note("/save FILE: which file?"),
            (path, Some(kept)) if path.is_empty() || kept.is_at(&at_home(path)) => kept,
            (path, before) => {
                self.options.session = before;
                Kept::new(at_home(path))?
            }
        };
        let saved = kept.save(self.talk.model(), self.talk.session(), self.talk.settings());
        if matches!(saved, Ok(()) | Err(ChatError::Elsewhere { .. })) || rest.is_empty() {
            self.options.session = Some(kept.clone());
        }
        saved?;
        let turns = counted(self.talk.session().turns().len(), "turn");
        self.view.note(&format!("{}: {turns}; from now on written after each turn", kept.path().display()))
    }

    fn load(&mut self, rest: &str) -> Result<(), ChatError> {
        if rest.is_empty() {
            return self.view.note("/load FILE|MODEL: which?");
        }
        let path = at_home(rest);
        if self.shelf.is_some() && !file::is_session(&path) && (!path.exists() || is_model(&path)) {
            return self.model(rest);
        }
        disk::regular(&path)?;
        let (kept, found) = Kept::open(path.clone(), self.talk.model())?;
        let Some((session, settings)) = found else { return Err(disk::access(&path, "is empty: there is no session")) };
        let (turns, at) = (counted(session.turns().len(), "turn"), session.at());
        self.talk.resume(session, settings);
        self.options.session = Some(kept);
        self.view.note(&format!("{rest}: {turns}, at turn {at}; written after each turn"))
    }

    fn show(&mut self, rest: &str) -> Result<(), ChatError> {
        let text = match rest {
            "info" => report::info(&self.talk),
            "parameters" => report::parameters(self.talk.settings()),
            "system" => self.talk.settings().system.clone().unwrap_or_else(|| "no system prompt".into()),
            "format" => self.talk.settings().format.to_string(),
            "license" => report::license(&self.talk),
            "modelfile" => report::modelfile(&self.talk),
            "template" => self.talk.model().template.source().to_owned(),
            "seed" => report::seed(&self.talk),
            "digest" => report::digest(&self.talk),
            "thinking" => report::thinking(&self.talk)?,
            "" => report::shown(),
            name => {
                let line = unknown("show", name, SHOWN.iter().map(|(name, _)| *name));
                return self.view.note(&line);
            }
        };
        self.view.report(&text)
    }
}

pub(crate) fn unknown<'a>(command: &str, name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let meant = nearest(name, names).map_or(
        if command == "help" {
            "/help lists what there is".into()
        } else {
            format!("/help {command} lists what there is")
        },
        |name| format!("did you mean {name}?"),
    );
    let name: String = name.chars().take(40).collect();
    format!("/{command} {name}: there is no such thing; {meant}")
}

/// So many of something.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Whether a file begins as GGUF files do.
fn is_model(path: &Path) -> bool {
    disk::beginning(path, 4).is_some_and(|begin| begin == b"GGUF")
}

/// A file's text.
fn read_text(path: &Path) -> Result<String, ChatError> {
    String::from_utf8(disk::read(path, MOST_READ, "message")?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        disk::access(path, format!("byte {at} is not UTF-8: convert the text to UTF-8"))
    })
}
