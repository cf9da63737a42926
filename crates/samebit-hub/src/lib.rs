//! Models by name: fetched, verified, kept, found again.
//!
//! A [`Name`] says which model; a [`Library`] has those of this machine. Nothing lies under a model's name that is not whole and
//! right to the last bit. Knows names, servers and folders; nothing of what is in a model.

mod choose;
mod digest;
mod download;
mod error;
mod http;
mod hub;
mod known;
mod library;
mod lock;
mod name;
mod partial;
mod pip;
mod settings;
mod store;
mod watch;

pub use error::HubError;
pub use known::{KNOWN, Known};
pub use library::{Entry, Library, Pulled, Removed};
pub use name::{HubName, Name, PackageName, UrlName};
pub use settings::Settings;
pub use watch::{Event, Watch};
