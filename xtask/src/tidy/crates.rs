//! Arrows between the workspace's crates point down, as drawn here, and every crate introduces itself.

use super::Finding;
use super::tree::Tree;

/// What each crate may build on. A crate that is not listed may build on none of the others.
const ARROWS: [(&str, &[&str]); 18] = [
    ("samebit-numerics", &[]),
    ("samebit-hub", &[]),
    ("samebit-gguf", &[]),
    ("samebit-kernels", &["samebit-numerics"]),
    ("samebit-text", &["samebit-gguf"]),
    ("samebit-synth", &["samebit-gguf", "samebit-numerics"]),
    ("samebit-model", &["samebit-gguf", "samebit-kernels", "samebit-numerics"]),
    ("samebit-engine", &["samebit-gguf", "samebit-kernels", "samebit-model", "samebit-numerics"]),
    ("samebit-grammar", &["samebit-engine", "samebit-text"]),
    ("samebit-server", &["samebit-engine", "samebit-grammar", "samebit-text"]),
    ("samebit-chat", &["samebit-engine", "samebit-grammar", "samebit-numerics", "samebit-text"]),
    ("samebit-trace", &["samebit-gguf", "samebit-kernels", "samebit-model", "samebit-numerics"]),
    ("samebit-diagnose", &["samebit-gguf", "samebit-kernels", "samebit-model", "samebit-numerics", "samebit-trace"]),
    (
        "samebit-conform",
        &["samebit-engine", "samebit-gguf", "samebit-kernels", "samebit-model", "samebit-numerics", "samebit-synth"],
    ),
    ("samebit-accuracy", &["samebit-gguf", "samebit-kernels", "samebit-model", "samebit-numerics"]),
    ("checkkern", &["samebit-kernels", "samebit-numerics"]),
    (
        "samebit",
        &[
            "samebit-chat",
            "samebit-conform",
            "samebit-diagnose",
            "samebit-engine",
            "samebit-gguf",
            "samebit-hub",
            "samebit-kernels",
            "samebit-model",
            "samebit-numerics",
            "samebit-server",
            "samebit-synth",
            "samebit-text",
            "samebit-trace",
        ],
    ),
    ("xtask", &[]),
];
/// What tests may build on besides.
const TEST_ARROWS: [(&str, &[&str]); 7] = [
    ("samebit-model", &["samebit-synth"]),
    ("samebit-engine", &["samebit-synth", "samebit-text"]),
    ("samebit-grammar", &["samebit-gguf"]),
    ("samebit-server", &["samebit-gguf", "samebit-synth"]),
    ("samebit-chat", &["samebit-gguf", "samebit-kernels", "samebit-synth"]),
    ("samebit-trace", &["samebit-synth"]),
    ("samebit-diagnose", &["samebit-synth"]),
];

pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files() {
        let Some(folder) = file.path.strip_suffix("Cargo.toml") else {
            continue;
        };
        let manifest = Manifest::read(file.text.as_deref().unwrap_or_default());
        let Some(name) = manifest.name else { continue };
        if !folder.starts_with("fuzz/") && tree.file(&format!("{folder}README.md")).is_none() {
            findings.push(Finding::new(&file.path, 1, "readme", format!("{name} has no README.md")));
        }
        for Dependency { line, name: other, for_tests } in manifest.dependencies {
            if other == name || (!other.starts_with("samebit") && other != "checkkern" && other != "xtask") {
                continue;
            }
            let allowed = may_use(&ARROWS, name, other) || (for_tests && may_use(&TEST_ARROWS, name, other));
            // Fuzz targets and nothing else may look at everything.
            if !allowed && !folder.starts_with("fuzz/") {
                let message = format!("{name} may not build on {other}");
                findings.push(Finding::new(&file.path, line, "arrows", message));
            }
        }
    }
}

fn may_use(arrows: &[(&str, &[&str])], from: &str, to: &str) -> bool {
    arrows.iter().any(|(name, below)| *name == from && below.contains(&to))
}

struct Dependency<'a> {
    line: usize,
    name: &'a str,
    for_tests: bool,
}

/// As much of a Cargo.toml as the rules need.
struct Manifest<'a> {
    name: Option<&'a str>,
    dependencies: Vec<Dependency<'a>>,
}

impl<'a> Manifest<'a> {
    fn read(text: &'a str) -> Self {
        let mut manifest = Self { name: None, dependencies: Vec::new() };
        let mut table = "";
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[') {
                table = header.split(']').next().unwrap_or_default();
                // [dependencies.NAME]
                if let Some((parent, name)) = table.rsplit_once('.') {
                    manifest.add(parent, name, index + 1);
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let key = key.trim();
            if table == "package" && key == "name" {
                manifest.name = Some(value.trim().trim_matches('"'));
            }
            // `NAME = …` or `NAME.workspace = …`
            manifest.add(table, key.split('.').next().unwrap_or(key), index + 1);
        }
        manifest
    }

    fn add(&mut self, table: &str, name: &'a str, line: usize) {
        let kind = table.rsplit('.').next().unwrap_or(table);
        let is_workspace = table.starts_with("workspace");
        if matches!(kind, "dependencies" | "dev-dependencies" | "build-dependencies") && !is_workspace {
            self.dependencies.push(Dependency { line, name, for_tests: kind == "dev-dependencies" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(name: &str, dependencies: &str) -> Vec<(&'static str, usize)> {
        let manifest = format!("[package]\nname = \"{name}\"\n{dependencies}");
        let mut findings = Vec::new();
        let tree = Tree::of(&[("crates/x/Cargo.toml", manifest.as_str()), ("crates/x/README.md", "")]);
        check(&tree, &mut findings);
        findings.iter().map(|finding| (finding.rule, finding.line)).collect()
    }

    #[test]
    fn arrows_that_point_up_are_found() {
        let up = "samebit-engine.workspace = true";
        assert_eq!(rules("samebit-engine", "[dependencies]\nsamebit-model.workspace = true"), []);
        assert_eq!(rules("samebit-model", &format!("[dependencies]\n{up}")), [("arrows", 4)]);
        assert_eq!(rules("samebit-model", &format!("[dev-dependencies]\n{up}")), [("arrows", 4)]);
        assert_eq!(rules("samebit-model", "[dependencies.samebit-engine]\nworkspace = true"), [("arrows", 3)]);
        assert_eq!(rules("samebit-gguf", "[target.'cfg(unix)'.dependencies]\nsamebit-text = \"1\""), [("arrows", 4)]);
        assert_eq!(rules("newcomer", "[dependencies]\nsamebit-numerics.workspace = true"), [("arrows", 4)]);
    }

    #[test]
    fn tests_may_use_what_is_listed_for_them() {
        assert_eq!(rules("samebit-engine", "[dev-dependencies]\nsamebit-text.workspace = true"), []);
        assert_eq!(rules("samebit-engine", "[dependencies]\nsamebit-text.workspace = true"), [("arrows", 4)]);
    }

    #[test]
    fn a_missing_readme_is_found() {
        let mut findings = Vec::new();
        check(&Tree::of(&[("crates/x/Cargo.toml", "[package]\nname = \"x\"\n")]), &mut findings);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].rule, "readme");
    }
}
