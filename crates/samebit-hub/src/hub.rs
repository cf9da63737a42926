//! A repository of the hub, and its place in Hugging Face's cache:
//! `models--owner--repo/{blobs/<digest>, refs/<revision>, snapshots/<commit>/<path>}`, the last a link to the first.
//!
//! What other tools fetched is found here, and what is fetched here is found by them.

use crate::choose::{self, Miss, Model};
use crate::download::{self, Job};
use crate::error::HubError;
use crate::http::Client;
use crate::library::{Entry, Pulled, Removed};
use crate::lock::Lock;
use crate::name::{HubName, Wanted, is_sha256, part, safe_path};
use crate::partial;
use crate::settings::Settings;
use crate::watch::Watch;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How folders of models begin.
const PREFIX: &str = "models--";
/// Folders of a snapshot deeper than this are not looked into.
const MOST_DEEP: usize = 4;

/// What the hub says of a revision.
#[derive(Deserialize)]
struct Revision {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
    size: u64,
}

/// A repository's folder in the cache.
struct Folder {
    root: PathBuf,
    locks: PathBuf,
}

impl Folder {
    fn of(settings: &Settings, name: &HubName) -> Self {
        let folder = format!("{PREFIX}{}--{}", name.owner, name.repo);
        Self { root: settings.hub_cache.join(&folder), locks: settings.hub_cache.join(".locks").join(folder) }
    }

    fn blob(&self, sha256: &str) -> PathBuf {
        self.root.join("blobs").join(sha256)
    }

    fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.root.join("refs").join(revision)
    }

    fn lock(&self, sha256: &str, watch: &mut Watch<'_>) -> Result<Lock, HubError> {
        Lock::take(&self.locks.join(format!("{sha256}.lock")), watch)
    }

    /// The snapshot of a revision, if there is one here: a commit's own, or what a branch was when it was fetched.
    fn snapshot(&self, revision: &str) -> Option<PathBuf> {
        let commit = fs::read_to_string(self.reference(revision)).ok();
        let commit = commit.as_deref().map_or(revision, str::trim);
        Some(self.snapshots().join(commit)).filter(|path| part(commit) && path.is_dir())
    }
}

/// The path that opens the model, if it is here.
///
/// # Errors
/// Several models that fit.
pub(crate) fn find(settings: &Settings, name: &HubName) -> Result<Option<PathBuf>, HubError> {
    let Some(snapshot) = Folder::of(settings, name).snapshot(&name.revision) else { return Ok(None) };
    let models = models_in(&snapshot);
    match choose::choose(&models, &name.wanted) {
        Ok(model) => Ok(Some(snapshot.join(model.name()))),
        Err(why @ Miss::Several(_)) => Err(HubError::Choice(format!("{name}: the cache {why}"))),
        Err(Miss::None(_)) => Ok(None),
    }
}

/// The models of a snapshot.
fn models_in(snapshot: &Path) -> Vec<Model> {
    let mut paths = Vec::new();
    walk(snapshot, "", 0, &mut paths);
    choose::models(paths.iter().map(String::as_str))
}

/// Files below a folder, as paths with `/`. A link that leads nowhere is no file.
fn walk(folder: &Path, prefix: &str, depth: usize, paths: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        match fs::metadata(entry.path()) {
            Ok(data) if data.is_dir() && depth < MOST_DEEP => walk(&entry.path(), &path, depth + 1, paths),
            Ok(data) if data.is_file() => paths.push(path),
            _ => {}
        }
    }
}

/// Makes sure that the model is here and whole.
pub(crate) fn pull(
    client: &Client,
    settings: &Settings,
    name: &HubName,
    watch: &mut Watch<'_>,
) -> Result<Pulled, HubError> {
    let endpoint = &settings.endpoint;
    let place = name.place();
    let revision: Revision =
        client.json(&format!("{endpoint}/api/models/{place}/revision/{}?blobs=true", escaped(&name.revision)))?;
    if !part(&revision.sha) || revision.siblings.iter().any(|file| !safe_path(&file.rfilename)) {
        return Err(HubError::Refused(format!("{place}: the hub lists a name that no file may have")));
    }
    let models = choose::models(revision.siblings.iter().map(|file| file.rfilename.as_str()));
    let model = choose::choose(&models, &name.wanted).map_err(|why| HubError::Choice(format!("hf:{place} {why}")))?;
    let folder = Folder::of(settings, name);
    let mut pulled = Pulled { path: folder.snapshots().join(&revision.sha).join(model.name()), ..Pulled::default() };
    for path in &model.files {
        let lfs = revision.siblings.iter().find(|file| file.rfilename == *path).and_then(|file| file.lfs.as_ref());
        let Some(lfs) = lfs.filter(|lfs| is_sha256(&lfs.sha256)) else {
            return Err(HubError::Refused(format!("{place}: the hub has no SHA-256 of {path}: it cannot be verified")));
        };
        let url = format!("{endpoint}/{place}/resolve/{}/{}", revision.sha, escaped(path));
        pulled.fetched |= file(client, settings, &folder, (path, &url, lfs), watch)?;
        link(&folder, &revision.sha, path, &lfs.sha256)?;
        pulled.bytes += lfs.size;
        pulled.sha256.push(lfs.sha256.clone());
    }
    if name.revision != revision.sha {
        write(&folder.reference(&name.revision), &revision.sha)?;
    }
    pulled.expected = true;
    Ok(pulled)
}

/// Makes sure that a blob is here; whether it had to be fetched.
fn file(
    client: &Client,
    settings: &Settings,
    folder: &Folder,
    (path, url, lfs): (&str, &str, &Lfs),
    watch: &mut Watch<'_>,
) -> Result<bool, HubError> {
    let target = folder.blob(&lfs.sha256);
    let blobs = folder.root.join("blobs");
    fs::create_dir_all(&blobs).map_err(|error| HubError::at(&blobs, &error))?;
    let _lock = folder.lock(&lfs.sha256, watch)?;
    if target.exists() && download::verify(&target, path, Some(lfs.size), Some(&lfs.sha256), watch).is_ok() {
        return Ok(false);
    }
    let job = Job { url, label: path, target: &target, bytes: Some(lfs.size), sha256: Some(&lfs.sha256) };
    download::fetch(client, settings, &job, watch).map(|_| true)
}

/// Bytes of a path that an address may not have, in hexadecimal.
fn escaped(path: &str) -> String {
    path.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(byte.into());
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

/// Puts the blob into the snapshot under its path.
fn link(folder: &Folder, commit: &str, path: &str, sha256: &str) -> Result<(), HubError> {
    let place = folder.snapshots().join(commit).join(path);
    let parent = place.parent().unwrap_or(&place);
    fs::create_dir_all(parent).map_err(|error| HubError::at(parent, &error))?;
    let up = "../".repeat(2 + path.matches('/').count());
    let draft = partial::path_of(&place);
    let _ = fs::remove_file(&draft); // left by a pull that was broken off; else there is none
    let linked = symlink(Path::new(&format!("{up}blobs/{sha256}")), &folder.blob(sha256), &draft);
    linked.and_then(|()| fs::rename(&draft, &place)).map_err(|error| HubError::at(&place, &error))
}

#[cfg(unix)]
fn symlink(relative: &Path, _absolute: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(relative, link)
}

/// Where links want privileges the file has two names.
#[cfg(not(unix))]
fn symlink(_relative: &Path, absolute: &Path, link: &Path) -> std::io::Result<()> {
    fs::hard_link(absolute, link)
}

fn write(path: &Path, text: &str) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|error| HubError::at(parent, &error))?;
    let draft = partial::path_of(path);
    fs::write(&draft, text).and_then(|()| fs::rename(&draft, path)).map_err(|error| HubError::at(path, &error))
}

/// The models of the cache.
pub(crate) fn list(settings: &Settings) -> Vec<Entry> {
    let mut entries = Vec::new();
    for folder in subfolders(&settings.hub_cache) {
        let Some((owner, repo)) = folder.strip_prefix(PREFIX).and_then(|rest| rest.split_once("--")) else { continue };
        let root = settings.hub_cache.join(&folder);
        let main = fs::read_to_string(root.join("refs/main")).unwrap_or_default();
        for commit in subfolders(&root.join("snapshots")) {
            let snapshot = root.join("snapshots").join(&commit);
            let at = if main.trim() == commit { String::new() } else { format!("@{commit}") };
            for model in models_in(&snapshot) {
                let sizes = model.files.iter().filter_map(|file| Some(fs::metadata(snapshot.join(file)).ok()?.len()));
                entries.push(Entry {
                    name: format!("hf:{owner}/{repo}{at}:{}", model.name()),
                    path: snapshot.join(model.name()),
                    bytes: sizes.sum(),
                });
            }
        }
    }
    entries
}

fn subfolders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// Removes the model: its links, and its blobs unless another snapshot has them.
pub(crate) fn remove(settings: &Settings, name: &HubName, watch: &mut Watch<'_>) -> Result<Removed, HubError> {
    let folder = Folder::of(settings, name);
    let gone = || HubError::Choice(format!("{name} is not here: `samebit list` shows what is"));
    let snapshot = folder.snapshot(&name.revision).ok_or_else(gone)?;
    let models = models_in(&snapshot);
    if models.len() > 1 && name.wanted == Wanted::Default {
        let names: Vec<String> = models.iter().map(|model| format!("{name}:{}", model.name())).collect();
        return Err(HubError::Choice(format!("{name}: several models are here: say which, {}", names.join(" or "))));
    }
    let model = choose::choose(&models, &name.wanted).map_err(|_| gone())?;
    let mut removed = Removed::default();
    for file in &model.files {
        let link = snapshot.join(file);
        let at = |error| HubError::at(&link, &error);
        let blob = fs::canonicalize(&link).map_err(at)?;
        let sha256 = blob.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let _lock = folder.lock(&sha256, watch)?;
        let bytes = fs::metadata(&blob).map_err(at)?.len();
        fs::remove_file(&link).map_err(at)?;
        removed.files.push(link.clone());
        if blob.exists() && !linked_elsewhere(&folder, &blob) {
            fs::remove_file(&blob).map_err(|error| HubError::at(&blob, &error))?;
            removed.bytes += bytes;
        }
        prune(link.parent(), &folder.root);
    }
    Ok(removed)
}

/// Whether another link of any snapshot leads to the blob.
fn linked_elsewhere(folder: &Folder, blob: &Path) -> bool {
    let mut paths = Vec::new();
    walk(&folder.snapshots(), "", 0, &mut paths);
    let targets: BTreeSet<PathBuf> =
        paths.iter().filter_map(|path| fs::canonicalize(folder.snapshots().join(path)).ok()).collect();
    targets.contains(blob)
}

/// Removes folders that have become empty, and a repository's own when no snapshot is left.
fn prune(mut folder: Option<&Path>, root: &Path) {
    while let Some(path) = folder.filter(|path| path.starts_with(root) && *path != root) {
        if fs::remove_dir(path).is_err() {
            return; // not empty
        }
        folder = path.parent();
    }
    let blobs = root.join("blobs");
    let empty = fs::read_dir(&blobs).is_ok_and(|mut entries| entries.next().is_none());
    if empty && !root.join("snapshots").exists() {
        // What is left of it are names of commits.
        let _ = fs::remove_dir_all(root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_fit_for_addresses() {
        assert_eq!(escaped("a b/ü#?.gguf"), "a%20b/%C3%BC%23%3F.gguf");
    }
}
