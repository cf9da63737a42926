//! Every Rust file is compiled: it is a crate's root, or a `mod` or `include!` leads to it from one.

use std::collections::BTreeSet;

use syn::{Attribute, Expr, Item, Lit, Meta};

use super::Finding;
use super::tree::Tree;

pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let mut reached = BTreeSet::new();
    let mut open: Vec<(String, bool)> = roots(tree).into_iter().map(|path| (path, true)).collect();
    while let Some((path, is_root)) = open.pop() {
        if !reached.insert(path.clone()) {
            continue;
        }
        let parsed = tree.file(&path).and_then(|file| syn::parse_file(file.rust()?).ok());
        let Some(parsed) = parsed else { continue };
        let (folder, name) = split(&path);
        let owns_folder = is_root || name == "mod.rs";
        let base = if owns_folder { folder.to_owned() } else { join(folder, name.trim_end_matches(".rs")) };
        let mut children = Vec::new();
        modules(&parsed.items, folder, &base, &mut children);
        open.extend(children.into_iter().filter(|child| tree.file(child).is_some()).map(|child| (child, false)));
    }
    for file in tree.files() {
        if file.rust().is_some() && !reached.contains(&file.path) {
            findings.push(Finding::new(&file.path, 1, "dead-file", "no crate's root leads to it"));
        }
    }
}

/// The files that cargo compiles of itself, package by package.
fn roots(tree: &Tree) -> Vec<String> {
    let packages: Vec<&str> = tree.files().iter().filter_map(|file| file.path.strip_suffix("Cargo.toml")).collect();
    let is_root = |path: &str| {
        packages.iter().any(|package| {
            let Some(rest) = path.strip_prefix(package) else {
                return false;
            };
            let parts: Vec<&str> = rest.split('/').collect();
            matches!(
                parts[..],
                ["build.rs"]
                    | ["src", "lib.rs" | "main.rs"]
                    | ["src", "bin", _]
                    | ["src", "bin", _, "main.rs"]
                    | ["tests" | "benches" | "examples" | "fuzz_targets", _]
                    | ["tests" | "benches" | "examples", _, "main.rs"]
            )
        })
    };
    tree.files()
        .iter()
        .filter(|file| file.rust().is_some() && is_root(&file.path))
        .map(|file| file.path.clone())
        .collect()
}

/// Where the modules declared in `items` may lie. `folder` is the file's own, `base` that of its modules.
fn modules(items: &[Item], folder: &str, base: &str, out: &mut Vec<String>) {
    for item in items {
        match item {
            Item::Mod(module) => {
                let name = module.ident.to_string();
                let name = name.trim_start_matches("r#");
                if let Some((_, inner)) = &module.content {
                    modules(inner, folder, &join(base, name), out);
                } else if let Some(path) = path_attribute(&module.attrs) {
                    out.push(join(folder, &path));
                } else {
                    out.push(join(base, &format!("{name}.rs")));
                    out.push(join(base, &format!("{name}/mod.rs")));
                }
            }
            Item::Macro(call) if call.mac.path.is_ident("include") => {
                if let Ok(name) = call.mac.parse_body::<syn::LitStr>() {
                    out.push(join(folder, &name.value()));
                }
            }
            _ => {}
        }
    }
}

/// The string of `#[path = "…"]`.
fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(path) => Some(path.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The two joined by a slash, with `..` taken away.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(files: &[(&str, &str)]) -> Vec<String> {
        let mut findings = Vec::new();
        check(&Tree::of(files), &mut findings);
        findings.into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn files_that_nothing_leads_to_are_found() {
        let tree = [
            ("crates/a/Cargo.toml", ""),
            ("crates/a/src/lib.rs", "mod used;\nmod inline { mod inner; }\n#[path = \"odd/name.rs\"]\nmod other;"),
            ("crates/a/src/used.rs", "mod below;"),
            ("crates/a/src/used/below.rs", ""),
            ("crates/a/src/used/forgotten.rs", ""),
            ("crates/a/src/inline/inner.rs", ""),
            ("crates/a/src/odd/name.rs", ""),
            ("crates/a/src/below.rs", ""),
            ("crates/a/tests/one.rs", "mod common;\ninclude!(\"../shared/extra.rs\");"),
            ("crates/a/tests/common/mod.rs", ""),
            ("crates/a/shared/extra.rs", ""),
            ("scripts/lonely.rs", ""),
        ];
        let expected = ["crates/a/src/used/forgotten.rs", "crates/a/src/below.rs", "scripts/lonely.rs"];
        assert_eq!(dead(&tree), expected);
    }
}
