//! Commands, obeyed.
//!
//! Knows the conversation and the view; how reports read is `report`.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::command::{self, SETTINGS, SHOWN, nearest, unquoted};
use crate::error::ChatError;
use crate::file;
use crate::repl::{Asked, Next, Repl};
use crate::report;
use crate::session::Ending;
use crate::settings::{Format, Settings};

/// A larger file is no message.
const MOST_READ: u64 = 8 << 20;
/// Alternatives that `/why` shows, unless it is told, and at most.
const ALTERNATIVES: usize = 3;
const MOST_ALTERNATIVES: usize = 20;

impl Repl<'_> {
    pub(crate) fn obey(&mut self, name: &str, rest: &str) -> Result<Next, ChatError> {
        let editing = std::mem::take(&mut self.editing);
        match name {
            "help" => self.view.report(&report::help(rest))?,
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
        self.answer(Asked::Again(seed))?;
        self.autosave()
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
        let rows = self.talk.explain(count, &mut |_| {
            broken |= interrupted();
            if broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let size = (self.view.looks.size)();
        let text = report::why(&self.talk.model().tokenizer, &rows, size.map(|(width, _)| width));
        self.view.report(&text)?;
        if broken { self.view.note("(stopped)") } else { Ok(()) }
    }

    fn read_file(&mut self, rest: &str) -> Result<(), ChatError> {
        if rest.is_empty() {
            return self.view.note("/read FILE: which file?");
        }
        let text = read_text(Path::new(rest))?;
        let lines = text.lines().count();
        self.files.push((rest.to_owned(), text));
        let names: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
        let more = if names.len() > 1 { format!("; waiting: {}", names.join(", ")) } else { String::new() };
        self.view.note(&format!("{rest}: {lines} lines go before your next message (/clear lets go of them){more}"))
    }

    fn save(&mut self, rest: &str) -> Result<(), ChatError> {
        let path = match (rest, &self.options.session) {
            ("", None) => return self.view.note("/save FILE: which file?"),
            ("", Some(path)) => path.clone(),
            (path, _) => PathBuf::from(path),
        };
        file::save(&path, self.talk.model(), self.talk.session(), self.talk.settings())?;
        let turns = self.talk.session().turns().len();
        self.view.note(&format!("{}: {turns} turns; from now on written after each turn", path.display()))?;
        self.options.session = Some(path);
        Ok(())
    }

    fn load(&mut self, rest: &str) -> Result<(), ChatError> {
        if rest.is_empty() {
            return self.view.note("/load FILE: which file?");
        }
        let path = PathBuf::from(rest);
        let (session, settings) = file::load(&path, self.talk.model())?;
        let (turns, at) = (session.turns().len(), session.at());
        self.talk.resume(session, settings);
        self.options.session = Some(path);
        self.view.note(&format!("{rest}: {turns} turns, at turn {at}; written after each turn"))
    }

    fn set(&mut self, rest: &str) -> Result<(), ChatError> {
        let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let value = unquoted(value.trim());
        let change = |settings: &mut Settings| -> Result<String, String> {
            match (name, value) {
                ("parameter", value) => {
                    // Nothing is a value too where it takes all away.
                    let parted = value.split_once(char::is_whitespace).or((value == "stop").then_some(("stop", "")));
                    let (name, value) = parted.ok_or("/set parameter NAME VALUE; /show parameters lists them")?;
                    settings.set(name, value.trim())?;
                    let known = settings.parameters().into_iter().find(|(known, _)| *known == name);
                    Ok(format!("{name} is {}", known.map_or(value.trim().to_owned(), |(_, value)| value)))
                }
                ("seed", value) => {
                    settings.set("seed", value).map(|()| format!("seed is {value}; it counts from the next answer on"))
                }
                ("system", "") => {
                    settings.system = None;
                    Ok("no system prompt".into())
                }
                ("system", value) => {
                    settings.system = Some(value.to_owned());
                    Ok("the system prompt is set; the conversation is read anew with it".into())
                }
                ("format", "json") => {
                    settings.format = Format::Json;
                    Ok("each answer is one JSON object; it helps to say in the message what is to be in it".into())
                }
                ("format", _) => Err("/set format json; /set noformat for any text".into()),
                ("noformat", _) => {
                    settings.format = Format::Text;
                    Ok("answers are any text".into())
                }
                _ => Err(String::new()),
            }
        };
        let mut settings = self.talk.settings().clone();
        match change(&mut settings) {
            Ok(line) => {
                self.talk.set(settings)?;
                self.view.note(&line)
            }
            Err(line) if !line.is_empty() => self.view.note(&line),
            Err(_) => self.set_looks(name),
        }
    }

    /// What concerns the terminal, and thinking, which not every template knows.
    fn set_looks(&mut self, name: &str) -> Result<(), ChatError> {
        let line = match name {
            "think" | "nothink" if !self.talk.model().may_think() => {
                "this model's template has no choice about thinking".into()
            }
            "think" | "nothink" => {
                let think = name == "think";
                self.talk.set(Settings { think: Some(think), ..self.talk.settings().clone() })?;
                if think { "the model thinks first".into() } else { "the model does not think first".into() }
            }
            "verbose" | "quiet" => {
                self.options.verbose = name == "verbose";
                if self.options.verbose {
                    "times and counts after each answer".into()
                } else {
                    "no times and counts".into()
                }
            }
            "wordwrap" | "nowordwrap" => {
                self.view.looks.wordwrap = name == "wordwrap";
                if self.view.looks.wordwrap {
                    "lines are broken between words".into()
                } else {
                    "the terminal breaks lines".into()
                }
            }
            "history" | "nohistory" => {
                self.input.remember(name == "history");
                if name == "history" {
                    "what you type is remembered".into()
                } else {
                    "what you type is not remembered".into()
                }
            }
            "" => return self.view.report(&report::help("set")),
            name => unknown("set", name, SETTINGS.iter().map(|(name, ..)| *name)),
        };
        self.view.note(&line)
    }

    fn show(&mut self, rest: &str) -> Result<(), ChatError> {
        let text = match rest {
            "info" => report::info(&self.talk),
            "parameters" => report::parameters(self.talk.settings()),
            "system" => self.talk.settings().system.clone().unwrap_or_else(|| "no system prompt".into()),
            "template" => self.talk.model().template.source().to_owned(),
            "seed" => report::seed(&self.talk),
            "digest" => report::digest(&self.talk),
            "thinking" => report::thinking(&self.talk)?,
            "" => report::help("show"),
            name => {
                let line = unknown("show", name, SHOWN.iter().map(|(name, _)| *name));
                return self.view.note(&line);
            }
        };
        self.view.report(&text)
    }
}

fn unknown<'a>(command: &str, name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let meant = nearest(name, names)
        .map_or(format!("/help {command} lists what there is"), |name| format!("did you mean {name}?"));
    let name: String = name.chars().take(40).collect();
    format!("/{command} {name}: there is no such thing; {meant}")
}

/// A file's text.
fn read_text(path: &Path) -> Result<String, ChatError> {
    let access = |what: String| ChatError::Access { file: path.display().to_string(), what };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| access(error.to_string()))?;
    file.take(MOST_READ + 1).read_to_end(&mut bytes).map_err(|error| access(error.to_string()))?;
    if bytes.len() as u64 > MOST_READ {
        return Err(access(format!("more than {} MiB is no message", MOST_READ >> 20)));
    }
    let text = String::from_utf8(bytes);
    text.map_err(|error| {
        access(format!("byte {} is not UTF-8: convert the text to UTF-8", error.utf8_error().valid_up_to()))
    })
}
