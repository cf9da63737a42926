//! Starting cargo: the one that started us, in the repository's root. May not know what it is started for.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// `cargo`, to be run in `root`.
pub(crate) fn command(root: &Path) -> Command {
    let mut command = Command::new(program());
    command.current_dir(root);
    command
}

/// Runs it to its end; true if it exits with 0.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command.status().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    Ok(status.success())
}

/// Builds the program `package` for release and runs it with `args` where the user stands, so that relative paths are
/// the user's.
pub(crate) fn run_release(root: &Path, package: &str, args: &[String]) -> Result<bool> {
    let mut build = Command::new(program());
    build.args(["run", "--quiet", "--release", "--locked", "--package", package, "--manifest-path"]);
    build.arg(root.join("Cargo.toml")).arg("--").args(args);
    succeeds(&mut build)
}

fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
