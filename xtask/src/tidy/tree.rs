//! The files that the rules look at: those of the repository, or those that a test makes up.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// One file.
pub(crate) struct File {
    /// Relative to the repository's root, with slashes.
    pub(crate) path: String,
    /// Its length.
    pub(crate) bytes: usize,
    /// Its text; none if it is not UTF-8.
    pub(crate) text: Option<String>,
}

impl File {
    /// The file's text if it is Rust.
    pub(crate) fn rust(&self) -> Option<&str> {
        if self.path.ends_with(".rs") { self.text.as_deref() } else { None }
    }

    /// Whether all of the file is test code.
    pub(crate) fn is_test(&self) -> bool {
        let in_folder = |folder: &str| self.path.contains(&format!("/{folder}/"));
        let named = |suffix: &str| self.path.ends_with(suffix);
        in_folder("tests")
            || in_folder("benches")
            || in_folder("fuzz_targets")
            || named("/tests.rs")
            || named("_tests.rs")
    }
}

/// All files, in the order of their paths.
pub(crate) struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// What git tracks or would track: ignored files are nobody's concern.
    pub(crate) fn of_repository(root: &Path) -> Result<Self> {
        let output = Command::new("git")
            .current_dir(root)
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .output()
            .context("cannot start git")?;
        if !output.status.success() {
            bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let list = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
        let mut files = Vec::new();
        for path in list.split('\0').filter(|path| !path.is_empty()) {
            // A file may be deleted and not yet committed so.
            let Ok(contents) = std::fs::read(root.join(path)) else {
                continue;
            };
            files.push(File { path: path.to_owned(), bytes: contents.len(), text: String::from_utf8(contents).ok() });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|a, b| a.path == b.path);
        Ok(Self { files })
    }

    /// A tree made up of paths and texts.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File {
            path: path.to_owned(),
            bytes: text.len(),
            text: Some(text.to_owned()),
        };
        Self { files: files.iter().map(file).collect() }
    }

    /// Every file.
    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// The file at this path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}
