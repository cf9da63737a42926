//! All models of this machine, wherever they came from.

use crate::error::HubError;
use crate::http::Client;
use crate::hub;
use crate::name::Name;
use crate::settings::Settings;
use crate::store;
use crate::watch::Watch;
use std::path::PathBuf;

/// The models of this machine: found, fetched, listed, removed.
pub struct Library {
    settings: Settings,
    client: Client,
}

/// A model that is here now, whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pulled {
    /// What opens it: its first file.
    pub path: PathBuf,
    /// Bytes of all its files.
    pub bytes: u64,
    /// SHA-256 of each file, in order.
    pub sha256: Vec<String>,
    /// Whether anything had to be fetched.
    pub fetched: bool,
    /// Whether somebody else had said what the digests should be.
    pub expected: bool,
}

/// A model that is here.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name that finds it.
    pub name: String,
    /// What opens it: its first file.
    pub path: PathBuf,
    /// Bytes of all its files.
    pub bytes: u64,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Removed {
    /// Files and folders.
    pub files: Vec<PathBuf>,
    /// Bytes that are free now.
    pub bytes: u64,
}

impl Library {
    /// The models of these folders, and of this hub.
    pub fn new(settings: Settings) -> Self {
        Self { client: Client::new(&settings), settings }
    }

    /// What it goes by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The path that opens the model, if it is here. Asks nobody.
    ///
    /// # Errors
    /// Several models that fit the name.
    pub fn find(&self, name: &Name) -> Result<Option<PathBuf>, HubError> {
        match name {
            Name::Hub(name) => hub::find(&self.settings, name),
            name => Ok(store::find(&self.settings, name)),
        }
    }

    /// Makes sure that the model is here and whole; what is here already is read again and verified.
    ///
    /// # Errors
    /// Whatever keeps it from being here; then nothing of it can be found under its name.
    pub fn pull(&self, name: &Name, watch: &mut Watch<'_>) -> Result<Pulled, HubError> {
        match name {
            Name::Hub(name) => hub::pull(&self.client, &self.settings, name, watch),
            name => store::pull(&self.client, &self.settings, name, watch),
        }
    }

    /// The models that are here, by name.
    pub fn list(&self) -> Vec<Entry> {
        let mut entries = [store::list(&self.settings), hub::list(&self.settings)].concat();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries
    }

    /// Removes the model.
    ///
    /// # Errors
    /// A model that is not here, or several that fit; a file that cannot be removed.
    pub fn remove(&self, name: &Name, watch: &mut Watch<'_>) -> Result<Removed, HubError> {
        match name {
            Name::Hub(name) => hub::remove(&self.settings, name, watch),
            name => store::remove(&self.settings, name, watch),
        }
    }
}
