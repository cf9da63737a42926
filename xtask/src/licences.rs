//! Which licences the project accepts, and whether every dependency has one of them.
//!
//! Knows SPDX expressions as far as they are used: AND, OR, WITH, brackets, and the old slash for OR.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Permissive, and compatible with both of the project's own.
const ACCEPTED: [&str; 10] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "CC0-1.0",
];

/// Prints each package whose licence is not accepted; true if there is none.
pub(crate) fn check(root: &Path) -> Result<bool> {
    let output = crate::cargo::command(root)
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    let (count, refused) = judge(&metadata)?;
    for line in &refused {
        println!("{line}");
    }
    eprintln!("licences: {count} packages, {} refused", refused.len());
    Ok(refused.is_empty())
}

/// How many packages there are, and a line for each that is refused.
fn judge(metadata: &Value) -> Result<(usize, Vec<String>)> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut refused = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or("?");
        let version = package["version"].as_str().unwrap_or("?");
        match package["license"].as_str() {
            None => refused.push(format!("{name} {version}: states no SPDX licence")),
            Some(licence) => match accepts(licence) {
                Some(true) => {}
                Some(false) => refused.push(format!("{name} {version}: {licence} is not among the accepted licences")),
                None => refused.push(format!("{name} {version}: cannot read the licence expression {licence:?}")),
            },
        }
    }
    Ok((packages.len(), refused))
}

/// Whether the expression can be met with accepted licences alone; `None` if it is not an expression.
fn accepts(expression: &str) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, next: 0, depth: 0 };
    let answer = parser.any()?;
    (parser.next == words.len()).then_some(answer)
}

/// How deep brackets may nest.
const MAX_DEPTH: usize = 16;

struct Parser<'a> {
    words: &'a [&'a str],
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.next) == Some(&word);
        self.next += usize::from(found);
        found
    }

    /// all (OR all)*
    fn any(&mut self) -> Option<bool> {
        let mut answer = self.all()?;
        while self.take("OR") {
            answer |= self.all()?;
        }
        Some(answer)
    }

    /// one (AND one)*
    fn all(&mut self) -> Option<bool> {
        let mut answer = self.one()?;
        while self.take("AND") {
            answer &= self.one()?;
        }
        Some(answer)
    }

    /// A licence, with or without an exception, or a bracket
    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return None;
            }
            let answer = self.any()?;
            self.depth -= 1;
            return self.take(")").then_some(answer);
        }
        let licence = *self.words.get(self.next)?;
        if matches!(licence, ")" | "AND" | "OR" | "WITH") {
            return None;
        }
        self.next += 1;
        if self.take("WITH") {
            let exception = *self.words.get(self.next)?;
            self.next += 1;
            return Some(ACCEPTED.contains(&format!("{licence} WITH {exception}").as_str()));
        }
        Some(ACCEPTED.contains(&licence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0-only OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "CC0-1.0 OR Apache-2.0 OR Apache-2.0 WITH LLVM-exception",
        ] {
            assert_eq!(accepts(good), Some(true), "{good}");
        }
        for bad in ["GPL-3.0-only", "MIT AND GPL-2.0-only", "(MIT OR Zlib) AND MPL-2.0", "MIT WITH Odd-exception"] {
            assert_eq!(accepts(bad), Some(false), "{bad}");
        }
        for nonsense in ["", "MIT AND", "(MIT", "MIT MIT", ") MIT", "OR"] {
            assert_eq!(accepts(nonsense), None, "{nonsense}");
        }
        assert_eq!(accepts(&"(".repeat(1000)), None);
    }

    #[test]
    fn a_refused_package_is_named() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "good", "version": "1.0.0", "license": "MIT" },
            { "name": "copyleft", "version": "2.0.0", "license": "GPL-3.0-only" },
            { "name": "silent", "version": "3.0.0", "license": null },
        ]});
        let (count, refused) = judge(&metadata).unwrap();
        assert_eq!(count, 3);
        assert_eq!(refused.len(), 2);
        assert!(refused[0].starts_with("copyleft 2.0.0") && refused[1].starts_with("silent 3.0.0"));
    }
}
