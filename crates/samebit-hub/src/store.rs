//! samebit's own folder of models, for those that come from nowhere near the hub: one folder each, with a note of what it holds.
//!
//! The note is written last: without it nothing is here.

use crate::digest;
use crate::download::{self, Job};
use crate::error::HubError;
use crate::http::Client;
use crate::library::{Entry, Pulled, Removed};
use crate::lock::Lock;
use crate::name::{Name, UrlName, part};
use crate::partial;
use crate::pip;
use crate::settings::Settings;
use crate::watch::Watch;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The note's file name.
const NOTE: &str = "source.json";
/// Where locks lie.
const LOCKS: &str = ".locks";
/// Digits of an address's digest that name its folder.
const DIGITS: usize = 16;

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    name: String,
    file: String,
    bytes: u64,
    sha256: String,
}

/// A model's folder.
struct Shelf {
    folder: PathBuf,
    lock: PathBuf,
}

impl Shelf {
    fn of(settings: &Settings, name: &Name) -> Self {
        let slug = slug(name);
        Self { folder: settings.store.join(&slug), lock: settings.store.join(LOCKS).join(format!("{slug}.lock")) }
    }

    /// The note, if there is one and the file is as long as it says.
    fn note(&self) -> Option<Note> {
        let note: Note = serde_json::from_slice(&fs::read(self.folder.join(NOTE)).ok()?).ok()?;
        let whole = fs::metadata(self.folder.join(&note.file)).is_ok_and(|file| file.len() == note.bytes);
        (part(&note.file) && whole).then_some(note)
    }

    fn write(&self, note: &Note) -> Result<(), HubError> {
        let path = self.folder.join(NOTE);
        let draft = partial::path_of(&path);
        let text = serde_json::to_vec_pretty(note).map_err(|error| HubError::at(&path, &error.into()))?;
        fs::write(&draft, text).map_err(|error| HubError::at(&draft, &error))?;
        download::settle(&draft, &path)
    }
}

/// A folder's name for each model's.
fn slug(name: &Name) -> String {
    match name {
        Name::Short(known) => known.name.to_owned(),
        Name::Url(url) => format!("url--{}", &digest::of_text(&url.url)[..DIGITS]),
        Name::Package(package) => match &package.version {
            Some(version) => format!("pip--{}--{version}", package.package),
            None => format!("pip--{}", package.package),
        },
        // The hub's cache has these; a folder of theirs here would stay empty.
        Name::Hub(hub) => format!("hf--{}--{}", hub.owner, hub.repo),
    }
}

/// The path that opens the model, if it is here.
pub(crate) fn find(settings: &Settings, name: &Name) -> Option<PathBuf> {
    let shelf = Shelf::of(settings, name);
    let note = shelf.note()?;
    fits(name, &note).then(|| shelf.folder.join(note.file))
}

/// Whether what is here is what the name asks for.
fn fits(name: &Name, note: &Note) -> bool {
    match name {
        Name::Short(known) => note.sha256 == known.sha256,
        Name::Url(url) => url.sha256.as_ref().is_none_or(|sha256| *sha256 == note.sha256),
        Name::Package(_) | Name::Hub(_) => true,
    }
}

/// Makes sure that the model is here and whole.
pub(crate) fn pull(
    client: &Client,
    settings: &Settings,
    name: &Name,
    watch: &mut Watch<'_>,
) -> Result<Pulled, HubError> {
    let shelf = Shelf::of(settings, name);
    let _lock = Lock::take(&shelf.lock, watch)?;
    if let Some(note) = shelf.note().filter(|note| fits(name, note)) {
        let path = shelf.folder.join(&note.file);
        if download::verify(&path, &note.file, Some(note.bytes), Some(&note.sha256), watch).is_ok() {
            return Ok(pulled(path, &note, false, true));
        }
    }
    fs::create_dir_all(&shelf.folder).map_err(|error| HubError::at(&shelf.folder, &error))?;
    let (note, expected) = match name {
        Name::Short(known) => (pip::known(settings, known, &shelf.folder, watch)?, true),
        Name::Package(package) => (pip::package(settings, package, &shelf.folder, watch)?, false),
        Name::Url(url) => address(client, settings, url, &shelf.folder, watch)?,
        Name::Hub(_) => return Err(HubError::Name(format!("{name} lies in the hub's cache"))),
    };
    let note = Note { name: name.to_string(), file: note.0, bytes: note.1, sha256: note.2 };
    shelf.write(&note)?;
    Ok(pulled(shelf.folder.join(&note.file), &note, true, expected))
}

fn pulled(path: PathBuf, note: &Note, fetched: bool, expected: bool) -> Pulled {
    Pulled { path, bytes: note.bytes, sha256: vec![note.sha256.clone()], fetched, expected }
}

/// A file's name, length and digest.
pub(crate) type Kept = (String, u64, String);

fn address(
    client: &Client,
    settings: &Settings,
    name: &UrlName,
    folder: &Path,
    watch: &mut Watch<'_>,
) -> Result<(Kept, bool), HubError> {
    let target = folder.join(&name.file);
    let job = Job { url: &name.url, label: &name.file, target: &target, bytes: None, sha256: name.sha256.as_deref() };
    let fetched = download::fetch(client, settings, &job, watch)?;
    Ok(((name.file.clone(), fetched.bytes, fetched.sha256), fetched.expected))
}

/// The models of the folder.
pub(crate) fn list(settings: &Settings) -> Vec<Entry> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(&settings.store).into_iter().flatten().flatten() {
        let shelf = Shelf { folder: entry.path(), lock: PathBuf::new() };
        if let Some(note) = shelf.note() {
            entries.push(Entry { name: note.name, path: shelf.folder.join(note.file), bytes: note.bytes });
        }
    }
    entries
}

/// Removes the model, and what may be left of a pull that was broken off.
pub(crate) fn remove(settings: &Settings, name: &Name, watch: &mut Watch<'_>) -> Result<Removed, HubError> {
    let shelf = Shelf::of(settings, name);
    if !shelf.folder.is_dir() {
        return Err(HubError::Choice(format!("{name} is not here: `samebit list` shows what is")));
    }
    let _lock = Lock::take(&shelf.lock, watch)?;
    let files = fs::read_dir(&shelf.folder).into_iter().flatten().flatten();
    let bytes =
        files.filter_map(|file| file.metadata().ok()).filter(fs::Metadata::is_file).map(|data| data.len()).sum();
    // The note first: from then on nothing is here.
    match fs::remove_file(shelf.folder.join(NOTE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(HubError::at(&shelf.folder, &error)),
        _ => {}
    }
    fs::remove_dir_all(&shelf.folder).map_err(|error| HubError::at(&shelf.folder, &error))?;
    Ok(Removed { files: vec![shelf.folder], bytes })
}
