//! Session files: JSON, a line for each thing, exact and made to be read. docs/chat.md describes them.
//!
//! Knows the format and its bounds; nothing of what is computed. A file that comes from elsewhere is believed in nothing; where and
//! when one is written is `kept`'s.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::ChatError;
use crate::model::Model;
use crate::session::{Ending, Session, Turn};
use crate::settings::{Settings, day};

/// The version of the format.
const VERSION: u32 = 1;
/// Larger files are no conversations.
pub(crate) const MOST_BYTES: u64 = 64 << 20;
/// What they are.
pub(crate) const NOUN: &str = "session";
/// What a session begins with.
const BEGIN: &[u8] = b"{\"samebit\":";
/// Most turns of a file.
const MOST_TURNS: usize = 10_000;
/// Most ids of a turn's prompt and answer together.
const MOST_IDS: usize = 1 << 24;

/// What a session was made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// The version of the format.
    version: u32,
    /// The model's name, for people.
    name: String,
    model: String,
    numerics: String,
    kv: String,
    template: String,
}

/// A turn as it stands in a line; its settings are those of the line before it that has some.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    number: usize,
    parent: usize,
    seed: u64,
    user: String,
    answer: String,
    finish: Ending,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<usize>,
    kept: usize,
    prompt: Vec<u32>,
    tokens: Vec<u32>,
    digest: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Samebit(Head),
    Settings(Box<Settings>),
    Turn(Written),
    At(usize),
}

fn head(model: &Model) -> Head {
    Head {
        version: VERSION,
        name: model.name.clone(),
        model: model.digest.clone(),
        numerics: model.numerics.clone(),
        kv: model.kv.clone(),
        template: model.template_digest(),
    }
}

/// Whether a file begins as sessions do.
pub(crate) fn is_session(path: &Path) -> bool {
    disk::beginning(path, BEGIN.len() as u64).is_some_and(|begin| begin.is_empty() || begin == BEGIN)
}

/// A session as it stands in a file, with the settings of the turns to come.
pub(crate) fn text(model: &Model, session: &Session, settings: &Settings) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut line = |line: &Line| {
        serde_json::to_writer(&mut out, line)?;
        out.push(b'\n');
        Ok(())
    };
    line(&Line::Samebit(head(model)))?;
    let mut latest: Option<&Settings> = None;
    for (index, turn) in session.turns().iter().enumerate() {
        if latest != Some(&turn.settings) {
            line(&Line::Settings(Box::new((*turn.settings).clone())))?;
            latest = Some(&turn.settings);
        }
        line(&Line::Turn(Written {
            number: index + 1,
            parent: turn.parent,
            seed: turn.seed,
            user: turn.user.clone(),
            answer: turn.answer.clone(),
            finish: turn.finish,
            context: turn.context,
            kept: turn.kept,
            prompt: turn.prompt.clone(),
            tokens: turn.tokens.clone(),
            digest: turn.digest.clone(),
        }))?;
    }
    if latest != Some(settings) {
        line(&Line::Settings(Box::new(settings.clone())))?;
    }
    line(&Line::At(session.at()))?;
    Ok(out)
}

/// Reads a session for this model, and the settings of the turns to come.
///
/// # Errors
/// The file cannot be read, is too large, or no session; it was made with another model, template, numerics or type of cache.
pub fn load(path: &Path, model: &Model) -> Result<(Session, Settings), ChatError> {
    parse(path, &disk::read_any(path, MOST_BYTES, NOUN)?, model)
}

/// What these bytes of a file say.
pub(crate) fn parse(path: &Path, bytes: &[u8], model: &Model) -> Result<(Session, Settings), ChatError> {
    if bytes.is_empty() {
        return Err(disk::access(path, "is empty, and no session: /save FILE and --session FILE write one"));
    }
    if !bytes.starts_with(b"{") {
        let model = if bytes.starts_with(b"GGUF") {
            "is a GGUF model, and no session"
        } else {
            "is no session, and no GGUF model either"
        };
        return Err(disk::access(path, model));
    }
    let file = path.display().to_string();
    let mut reader =
        Reader { file: &file, model, session: Session::default(), settings: None, line: 0, head: false, ended: false };
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        reader.line += 1;
        reader.take(line.strip_suffix(b"\n").unwrap_or(line))?;
    }
    match reader {
        // What begins such a file has been there, so that the line before is whole.
        Reader { ended: false, line, .. } => {
            let what = "the file ends without its last line, {\"at\":N}: was it cut off? With that line, what is there is a session";
            Err(ChatError::File { file, line, what: what.into() })
        }
        Reader { settings: None, line, .. } => Err(ChatError::File { file, line, what: "no settings".into() }),
        Reader { session, settings: Some(settings), .. } => Ok((session, (*settings).clone())),
    }
}

struct Reader<'a> {
    file: &'a str,
    model: &'a Model,
    session: Session,
    /// Of the turns that follow.
    settings: Option<Arc<Settings>>,
    line: usize,
    head: bool,
    ended: bool,
}

impl Reader<'_> {
    fn wrong(&self, what: impl Into<String>) -> ChatError {
        ChatError::File { file: self.file.to_owned(), line: self.line, what: what.into() }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), ChatError> {
        let line: Line = serde_json::from_slice(line).map_err(|error| {
            let (what, column) = (error.to_string(), error.column());
            let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
            self.wrong(format!("column {column}: {what}"))
        })?;
        if self.ended {
            return Err(self.wrong("something follows the end"));
        }
        match (line, self.head) {
            (Line::Samebit(head), false) => {
                self.head = true;
                self.check(&head)
            }
            (_, false) => Err(self.wrong("a session begins with a line {\"samebit\":…}")),
            (Line::Samebit(_), true) => Err(self.wrong("a second beginning")),
            (Line::Settings(settings), true) => self.settings(*settings),
            (Line::Turn(turn), true) => self.turn(turn),
            (Line::At(at), true) => {
                self.ended = true;
                if self.session.go_to(at) { Ok(()) } else { Err(self.wrong(format!("there is no turn {at}"))) }
            }
        }
    }

    fn check(&self, said: &Head) -> Result<(), ChatError> {
        if said.version != VERSION {
            return Err(self.wrong(format!("format {}: this samebit reads {VERSION}", said.version)));
        }
        let here = head(self.model);
        let same = [
            ("model", &said.model, &here.model),
            ("numerics", &said.numerics, &here.numerics),
            ("type of cache (--kv)", &said.kv, &here.kv),
            ("chat template (--chat-template)", &said.template, &here.template),
        ];
        match same.into_iter().find(|(_, said, here)| said != here) {
            None => Ok(()),
            Some((what, said, here)) => {
                let short = |text: &String| text.chars().take(64).collect();
                Err(ChatError::Other { file: self.file.to_owned(), what, said: short(said), here: short(here) })
            }
        }
    }

    fn settings(&mut self, settings: Settings) -> Result<(), ChatError> {
        self.model.sampler(&settings, settings.seed, 0).map_err(|error| self.wrong(error.to_string()))?;
        if let Some(date) = settings.date.as_ref().filter(|date| day(date).is_none()) {
            return Err(self.wrong(format!("date: {date:.20} is no day")));
        }
        settings.stops_fit().and(settings.variables_fit()).map_err(|what| self.wrong(what))?;
        self.settings = Some(Arc::new(settings));
        Ok(())
    }

    fn turn(&mut self, turn: Written) -> Result<(), ChatError> {
        let number = self.session.turns().len() + 1;
        let Some(settings) = self.settings.clone() else {
            return Err(self.wrong("a turn before any settings"));
        };
        if turn.number != number || number > MOST_TURNS {
            return Err(
                self.wrong(format!("turn {} where turn {number} of at most {MOST_TURNS} would be", turn.number))
            );
        }
        let vocabulary = self.model.tokenizer.vocab_size();
        let unknown = turn.prompt.iter().chain(&turn.tokens).find(|&&token| token as usize >= vocabulary);
        if let Some(token) = unknown {
            return Err(self.wrong(format!("token {token} is not in the vocabulary of {vocabulary}")));
        }
        if turn.tokens.is_empty() {
            return Err(self.wrong("an answer without tokens"));
        }
        if turn.digest.len() != 64 || !turn.digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(self.wrong("digest: not 64 hexadecimal digits"));
        }
        let ids = turn.kept.saturating_add(turn.prompt.len()).saturating_add(turn.tokens.len());
        if ids > MOST_IDS {
            return Err(self.wrong(format!("{ids} ids: no turn has more than {MOST_IDS}")));
        }
        let Written { parent, seed, user, answer, finish, context, kept, prompt, tokens, digest, .. } = turn;
        let turn = Turn { parent, settings, seed, user, kept, prompt, answer, tokens, finish, context, digest };
        match self.session.push(turn) {
            Some(_) => Ok(()),
            None => Err(self.wrong(format!("turn {number} cannot follow turn {parent} and keep {kept} of its ids"))),
        }
    }
}
