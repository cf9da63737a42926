//! The models of this machine, as the environment has them.

use crate::failure::Failure;
use samebit_hub::{HubError, Library, Settings};

/// The library; `quiet` silences pip.
pub(crate) fn open(quiet: bool) -> Result<Library, Failure> {
    let settings = Settings::from_environment(|name| std::env::var_os(name), std::env::home_dir()).map_err(failure)?;
    Ok(Library::new(Settings { quiet, ..settings }))
}

/// A name that cannot be one is a slip of the user's; everything else is what was found.
pub(crate) fn failure(error: HubError) -> Failure {
    match error {
        HubError::Name(line) => Failure::Usage(line),
        other => Failure::Input(other.to_string()),
    }
}
