//! Cargo builds the programs for a target and says where they lie.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Target;
use super::toolchain::Tools;

/// Programs of one target.
pub(crate) struct Programs {
    paths: Vec<(String, PathBuf)>,
}

impl Programs {
    /// Builds the programs of these packages for release.
    pub(super) fn build(root: &Path, target: &Target, tools: &Tools, packages: &[&str]) -> Result<Self> {
        let started = Instant::now();
        let mut command = crate::cargo::command(root);
        command.args(["build", "--release", "--locked", "--quiet", "--message-format=json-render-diagnostics"]);
        if let Some(triple) = target.triple {
            command.args(["--target", triple]);
        }
        for package in packages {
            command.args(["--package", package, "--bin", package]);
        }
        tools.set(&mut command);
        let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
        if !output.status.success() {
            bail!("cargo could not build {} for {}", packages.join(", "), target.name);
        }
        eprintln!("targets: {} built ({:.0}s)", target.name, started.elapsed().as_secs_f64());
        Ok(Self { paths: executables(&String::from_utf8_lossy(&output.stdout)) })
    }

    /// Where a program lies.
    pub(crate) fn path(&self, name: &str) -> Result<&Path> {
        let found = self.paths.iter().find(|(other, _)| other == name);
        Ok(&found.with_context(|| format!("cargo built no program {name}"))?.1)
    }

    /// Each program's name, and where it lies.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.paths.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }
}

/// The programs in cargo's messages, one JSON object a line.
fn executables(messages: &str) -> Vec<(String, PathBuf)> {
    let program = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = message["executable"].as_str()?;
        Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
    };
    messages.lines().filter_map(program).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"blake3"},"executable":null}"#,
            "\nno json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"samebit-conform"},"executable":"/t/samebit-conform.wasm"}"#,
        );
        assert_eq!(executables(messages), [("samebit-conform".to_owned(), PathBuf::from("/t/samebit-conform.wasm"))]);
    }
}
