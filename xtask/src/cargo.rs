//! Starting cargo: the one that started us, in the repository's root. May not know what it is started for.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// `cargo`, to be run in `root`.
pub(crate) fn command(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Runs it to its end; true if it exits with 0.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    Ok(status.success())
}

/// Builds the program `package` for release and runs it with `args`; relative paths in them are meant from where
/// the user stands.
pub(crate) fn run_release(root: &Path, package: &str, args: &[String]) -> Result<bool> {
    let mut build = command(root);
    build.args(["run", "--quiet", "--release", "--locked", "--package", package, "--"]).args(args);
    succeeds(&mut build)
}
