//! The file that a conversation is kept in, and what it held when this program last read or wrote it.
//!
//! Knows one file; what stands in it is `file`'s. What another program has written there stays: the conversation goes on beside it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use blake3::Hash;

use crate::disk::{self, Before, Readers};
use crate::error::ChatError;
use crate::file::{self, MOST_BYTES, NOUN};
use crate::model::Model;
use crate::session::Session;
use crate::settings::Settings;

/// Most names that are tried for a file beside another.
const MOST_BESIDE: usize = 1000;

/// A session's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    path: PathBuf,
    /// What this program last read or wrote there; `None`: nothing was there.
    seen: Option<Hash>,
}

impl Kept {
    /// A file, and what is in it if there is something: a session for this model, and the settings of the turns to come.
    ///
    /// # Errors
    /// As [`load`](crate::load); what is no regular file.
    pub fn open(path: PathBuf, model: &Model) -> Result<(Self, Option<(Session, Settings)>), ChatError> {
        if !path.exists() {
            return Ok((Self { path, seen: None }, None));
        }
        let bytes = disk::read(&path, MOST_BYTES, NOUN)?;
        if bytes.is_empty() {
            return Ok((Self { path, seen: None }, None));
        }
        let found = file::parse(&path, &bytes, model)?;
        Ok((Self { path, seen: Some(blake3::hash(&bytes)) }, Some(found)))
    }

    /// A file for a conversation that is in none.
    ///
    /// # Errors
    /// Something is there already.
    pub fn new(path: PathBuf) -> Result<Self, ChatError> {
        if path.exists() && disk::regular(&path)?.len() > 0 {
            let what = if file::is_session(&path) { "another conversation" } else { "no session" };
            return Err(disk::access(&path, format!("is there already, and {what}: give another name")));
        }
        Ok(Self { path, seen: None })
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a path leads here.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        self.path == path || real(path).is_some_and(|path| real(&self.path) == Some(path))
    }

    /// Writes a session, and the settings of the turns to come, in place of what the file had.
    ///
    /// # Errors
    /// It cannot be written. [`ChatError::Elsewhere`]: another program has written to the file, which stays; the conversation is in a
    /// file beside it, and this stands for that from here on.
    pub fn save(&mut self, model: &Model, session: &Session, settings: &Settings) -> Result<(), ChatError> {
        let text = file::text(model, session, settings);
        let text = text.map_err(|error| disk::access(&self.path, error.to_string()))?;
        if text.len() as u64 > MOST_BYTES {
            let what = format!("more than {} MiB is no {NOUN}: /clear, and /save to another name", MOST_BYTES >> 20);
            return Err(disk::access(&self.path, what));
        }
        let seen = Some(blake3::hash(&text));
        if self.write(&text)? {
            self.seen = seen;
            return Ok(());
        }
        let beside = Self { path: self.write_beside(&text)?, seen };
        let before = std::mem::replace(self, beside);
        let (file, other) = (before.path.display().to_string(), self.path.display().to_string());
        Err(ChatError::Elsewhere { file, other })
    }

    /// Writes where nobody else has written; false where somebody has.
    fn write(&self, text: &[u8]) -> Result<bool, ChatError> {
        // What is no regular file could keep one waiting.
        let there = self.path.exists() && disk::regular(&self.path)?.is_file();
        let _alone = if there { disk::alone(&self.path) } else { None };
        if there {
            // A longer one is not what this program has seen.
            let length = disk::regular(&self.path)?.len();
            let bytes = if length > MOST_BYTES { None } else { Some(disk::read(&self.path, MOST_BYTES, NOUN)?) };
            let empty = |bytes: &Vec<u8>| bytes.is_empty() && self.seen.is_none();
            if !bytes.is_some_and(|bytes| empty(&bytes) || Some(blake3::hash(&bytes)) == self.seen) {
                return Ok(false);
            }
        }
        let before = if there { Before::Replaced } else { Before::Stays };
        match disk::put(&self.path, text, Readers::Owner, before) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(disk::unwritten(&self.path, &error)),
        }
    }

    /// The name of a new file beside this one: `talk-2.jsonl`, or the next that is free.
    fn write_beside(&self, text: &[u8]) -> Result<PathBuf, ChatError> {
        let part = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let (stem, end) = (part(self.path.file_stem()), part(self.path.extension()));
        let end = if end.is_empty() { end } else { format!(".{end}") };
        for number in 2..MOST_BESIDE {
            let path = self.path.with_file_name(format!("{stem}-{number}{end}"));
            match disk::put(&path, text, Readers::Owner, Before::Stays) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(disk::unwritten(&path, &error)),
            }
        }
        Err(disk::access(
            &self.path,
            "another program has written to it meanwhile: /save OTHER keeps this conversation",
        ))
    }
}
