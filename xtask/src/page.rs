//! The chat page's tests, in a headless Chromium driven by Node against a scripted server.
//!
//! Knows which programs are needed and how Debian calls them; what is tested is in the page's own folder.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo;

/// Programs, of which one must be there, and the package that brings it.
const NEEDED: [(&[&str], &str); 2] =
    [(&["node"], "nodejs"), (&["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"], "chromium")];

/// Runs the page's tests; installs what they need where it is missing and this user may.
pub(crate) fn check(root: &Path) -> Result<bool> {
    let missing: Vec<&str> = NEEDED
        .into_iter()
        .filter(|(names, _)| !names.iter().any(|name| runs(name)))
        .map(|(_, package)| package)
        .collect();
    // A browser named by the environment needs no package.
    let missing: Vec<&str> =
        missing.into_iter().filter(|&package| package == "nodejs" || std::env::var_os("CHROMIUM").is_none()).collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    let folder = root.join("crates/samebit-server/page/tests");
    let mut tests: Vec<_> = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    tests.sort();
    if tests.is_empty() {
        bail!("no tests in {}", folder.display());
    }
    cargo::succeeds(Command::new("node").arg("--test").args(tests))
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn install(packages: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| -> Result<bool> {
        let status = Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status();
        Ok(status
            .with_context(|| format!("install by hand what the page's tests need: {}", packages.join(", ")))?
            .success())
    };
    let install = [&["install", "-y", "-q", "--no-install-recommends"], packages].concat();
    if !(apt(&["update", "-q"])? && apt(&install)?) {
        bail!("apt-get could not install {}: do it by hand", packages.join(" and "));
    }
    Ok(())
}
