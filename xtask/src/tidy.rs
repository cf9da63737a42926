//! The rules of the house, checked: `cargo xtask tidy`.
//!
//! Clippy and rustfmt look at code; these rules look at the house that it stands in. Each rule is a function from
//! the tree of files to findings, and each has a test in which it finds something. May not know the runtime.

mod crates;
mod functions;
mod modules;
mod text;
mod tokens;
mod tree;

use std::path::Path;

use anyhow::Result;

use tree::Tree;

/// One thing to mend.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into() }
    }
}

/// Prints what breaks a rule; true if nothing does.
pub(crate) fn check(root: &Path) -> Result<bool> {
    let tree = Tree::of_repository(root)?;
    let findings = findings(&tree);
    for Finding { path, line, rule, message } in &findings {
        println!("{path}:{line}: {rule}: {message}");
    }
    eprintln!("tidy: {} files, {} findings", tree.files().len(), findings.len());
    Ok(findings.is_empty())
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in [text::check, functions::check, tokens::check, modules::check, crates::check] {
        rule(tree, &mut findings);
    }
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small house in order: every negative test changes one thing in it.
    #[test]
    fn a_tidy_tree_has_no_findings() {
        let tree = Tree::of(&[
            ("crates/samebit-gguf/Cargo.toml", "[package]\nname = \"samebit-gguf\"\n[dependencies]\nmemmap2 = \"1\"\n"),
            ("crates/samebit-gguf/README.md", "# samebit-gguf\n"),
            ("crates/samebit-gguf/src/lib.rs", "//! Reads.\nmod backing;\n"),
            ("crates/samebit-gguf/src/backing.rs", "//! Maps.\n#[allow(unsafe_code)]\nfn map() { unsafe {} }\n"),
        ]);
        assert_eq!(findings(&tree), []);
    }
}
