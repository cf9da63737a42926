//! A file on its way: the bytes beside the name that it will have, and which of them are there already.
//!
//! Knows nothing of servers. What is here is a claim until the whole file's digest has been checked.

use crate::error::HubError;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Added to the name that the file will have.
const SUFFIX: &str = ".samebit.incomplete";
/// A piece smaller than this is not worth a connection of its own.
const LEAST_PIECE: u64 = 4 << 20;
/// Bytes that may come before what is there is written down.
const MEMORY: u64 = 2 << 20;

/// A piece of the file: bytes `from` to `to`, of which the first `done` are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) done: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct State {
    /// What the bytes are of: a digest, or a server's validator.
    source: String,
    bytes: u64,
    pieces: Vec<Piece>,
}

impl State {
    fn new(source: &str, bytes: u64, pieces: usize) -> Self {
        let count = (bytes / LEAST_PIECE).clamp(1, pieces.max(1) as u64);
        let edge = |index: u64| bytes / count * index + (bytes % count).min(index);
        let pieces = (0..count).map(|index| Piece { from: edge(index), to: edge(index + 1), done: 0 }).collect();
        Self { source: source.to_owned(), bytes, pieces }
    }

    /// Whether it is about that file, and could be true.
    fn fits(&self, source: &str, bytes: u64) -> bool {
        let mut at = 0;
        let joined = self.pieces.iter().all(|piece| {
            let follows = piece.from == at && piece.to >= at && piece.done <= piece.to - piece.from;
            at = piece.to;
            follows
        });
        self.source == source && self.bytes == bytes && joined && at == bytes
    }
}

/// A file on its way to `target`.
pub(crate) struct Partial {
    path: PathBuf,
    state_path: PathBuf,
    state: Mutex<(State, u64)>,
}

/// The file's path while it is not whole.
pub(crate) fn path_of(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(SUFFIX);
    target.with_file_name(name)
}

/// Where what is there of it is written down.
pub(crate) fn state_path_of(target: &Path) -> PathBuf {
    path_of(target).with_extension("incomplete.json")
}

impl Partial {
    /// Goes on with what is there of the same file, or begins anew.
    pub(crate) fn open(target: &Path, source: &str, bytes: u64, pieces: usize) -> Result<Self, HubError> {
        let (path, state_path) = (path_of(target), state_path_of(target));
        let there = fs::metadata(&path).is_ok_and(|file| file.len() == bytes);
        let old = fs::read(&state_path).ok().and_then(|text| serde_json::from_slice::<State>(&text).ok());
        let state = match old.filter(|state| there && state.fits(source, bytes)) {
            Some(state) => state,
            None => {
                let file = File::create(&path).map_err(|error| HubError::at(&path, &error))?;
                file.set_len(bytes).map_err(|error| HubError::at(&path, &error))?;
                State::new(source, bytes, pieces)
            }
        };
        let partial = Self { path, state_path, state: Mutex::new((state, 0)) };
        partial.save(&partial.lock().0)?;
        Ok(partial)
    }

    /// What is to be fetched, piece by piece.
    pub(crate) fn pieces(&self) -> usize {
        self.lock().0.pieces.len()
    }

    /// What is missing of a piece.
    pub(crate) fn missing(&self, index: usize) -> (u64, u64) {
        self.lock().0.pieces.get(index).map_or((0, 0), |piece| (piece.from + piece.done, piece.to))
    }

    /// Bytes that are there.
    pub(crate) fn done(&self) -> u64 {
        self.lock().0.pieces.iter().map(|piece| piece.done).sum()
    }

    /// A writer for the rest of a piece.
    pub(crate) fn writer(&self, index: usize) -> Result<Writer<'_>, HubError> {
        let at = |error| HubError::at(&self.path, &error);
        let mut file = File::options().write(true).open(&self.path).map_err(at)?;
        file.seek(SeekFrom::Start(self.missing(index).0)).map_err(at)?;
        Ok(Writer { partial: self, index, file })
    }

    /// Writes down what is there.
    pub(crate) fn remember(&self) -> Result<(), HubError> {
        let mut guard = self.lock();
        guard.1 = 0;
        self.save(&guard.0)
    }

    fn save(&self, state: &State) -> Result<(), HubError> {
        let at = |error| HubError::at(&self.state_path, &error);
        let draft = self.state_path.with_extension("tmp");
        let text = serde_json::to_vec(state).map_err(|error| at(error.into()))?;
        fs::write(&draft, text).and_then(|()| fs::rename(&draft, &self.state_path)).map_err(at)
    }

    fn lock(&self) -> MutexGuard<'_, (State, u64)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes bytes of one piece where they belong.
pub(crate) struct Writer<'a> {
    partial: &'a Partial,
    index: usize,
    file: File,
}

impl Writer<'_> {
    /// The piece's next bytes; never more than it has.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).map_err(|error| HubError::at(&self.partial.path, &error))?;
        let mut guard = self.partial.lock();
        let (state, unsaved) = &mut *guard;
        if let Some(piece) = state.pieces.get_mut(self.index) {
            piece.done += bytes.len() as u64;
        }
        *unsaved += bytes.len() as u64;
        if *unsaved < MEMORY {
            return Ok(());
        }
        *unsaved = 0;
        self.partial.save(state)
    }
}

/// Removes what is there of a file; where there is nothing, nothing happens.
pub(crate) fn discard(target: &Path) -> Result<(), HubError> {
    for path in [path_of(target), state_path_of(target)] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(HubError::at(&path, &error)),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_file() {
        for bytes in [1, LEAST_PIECE, 3 * LEAST_PIECE + 1, 100 * LEAST_PIECE + 3] {
            let state = State::new("s", bytes, 4);
            assert!(state.fits("s", bytes) && state.pieces.len() <= 4, "{state:?}");
            assert!(!state.fits("t", bytes) && !state.fits("s", bytes + 1));
        }
        assert_eq!(State::new("s", 100 * LEAST_PIECE, 4).pieces.len(), 4);
    }

    #[test]
    fn what_is_there_is_found_again_and_of_another_file_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("x.gguf");
        let bytes = 2 * LEAST_PIECE;
        let partial = Partial::open(&target, "a", bytes, 2).expect("begun");
        let mut writer = partial.writer(1).expect("a writer");
        writer.write(b"abc").expect("written");
        partial.remember().expect("written down");
        assert!(path_of(&target).ends_with("x.gguf.samebit.incomplete"));
        let again = Partial::open(&target, "a", bytes, 2).expect("found");
        assert_eq!((again.done(), again.missing(0), again.missing(1)), (3, (0, LEAST_PIECE), (LEAST_PIECE + 3, bytes)));
        assert_eq!(Partial::open(&target, "b", bytes, 2).expect("begun anew").done(), 0);
        discard(&target).expect("removed");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_state_that_cannot_be_is_not_believed() {
        let state = |pieces: &[(u64, u64, u64)]| State {
            source: "s".into(),
            bytes: 10,
            pieces: pieces.iter().map(|&(from, to, done)| Piece { from, to, done }).collect(),
        };
        assert!(state(&[(0, 4, 4), (4, 10, 0)]).fits("s", 10));
        for wrong in [&[(0, 4, 5), (4, 10, 0)][..], &[(0, 4, 0), (5, 10, 0)], &[(0, 4, 0)], &[(4, 0, 0)], &[]] {
            assert!(!state(wrong).fits("s", 10), "{wrong:?}");
        }
    }
}
