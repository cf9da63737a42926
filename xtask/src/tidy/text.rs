//! Rules that need only a file's text: lengths, headers, words that do not belong in a repository.

use super::Finding;
use super::tree::{File, Tree};

/// Longer files are two files.
const MAX_LINES: usize = 600;
/// Larger ones do not belong in a repository of source.
const MAX_BYTES: usize = 200_000;
/// The words below stand in these files because they are about them.
const ABOUT_WORDS: &str = "xtask/src/tidy/";
/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 5] = ["/work/", "/root/", "/home/", "/Users/", "C:\\"];
/// What is not finished is not committed.
const UNFINISHED: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files() {
        size(file, findings);
        if file.rust().is_some() {
            length(file, findings);
            header(file, findings);
        }
        if !file.path.starts_with(ABOUT_WORDS) {
            words(file, findings);
        }
    }
}

fn size(file: &File, findings: &mut Vec<Finding>) {
    if file.bytes > MAX_BYTES {
        let message = format!("{} bytes where {MAX_BYTES} are the most", file.bytes);
        findings.push(Finding::new(&file.path, 1, "file-size", message));
    }
}

fn length(file: &File, findings: &mut Vec<Finding>) {
    let lines = file.text.iter().flat_map(|text| text.lines()).count();
    if lines > MAX_LINES {
        let message = format!("{lines} lines where {MAX_LINES} are the most: split it");
        findings.push(Finding::new(&file.path, MAX_LINES + 1, "file-length", message));
    }
}

fn header(file: &File, findings: &mut Vec<Finding>) {
    let text = file.text.as_deref().unwrap_or_default();
    if !text.starts_with("//! ") {
        let message = "the first line must be a `//!` that says what the file is";
        findings.push(Finding::new(&file.path, 1, "header", message));
    }
}

fn words(file: &File, findings: &mut Vec<Finding>) {
    for (index, line) in file.text.iter().flat_map(|text| text.lines()).enumerate() {
        for path in MACHINE_PATHS.into_iter().filter(|path| mentions_path(line, path)) {
            let message = format!("{path} is a path of one machine");
            findings.push(Finding::new(&file.path, index + 1, "machine-path", message));
        }
        for word in UNFINISHED.into_iter().filter(|word| has_word(line, word)) {
            let message = format!("{word}: finish it or leave it out");
            findings.push(Finding::new(&file.path, index + 1, "unfinished", message));
        }
    }
}

/// Whether `path` begins a path in `line`, rather than going on with one ("a/home/b").
fn mentions_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '}' | '>' | '~'))
    })
}

/// Whether `word` stands in `line` by itself.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !part_of_word(line[..at].chars().next_back()) && !part_of_word(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        let mut findings = Vec::new();
        check(&Tree::of(&[(path, text)]), &mut findings);
        findings.iter().map(|finding| (finding.rule, finding.line)).collect()
    }

    #[test]
    fn long_files_are_found() {
        let at_most = format!("//! A file.\n{}", "\n".repeat(599));
        assert_eq!(rules("crates/a/src/lib.rs", &at_most), []);
        assert_eq!(rules("crates/a/src/lib.rs", &format!("{at_most}\n")), [("file-length", 601)]);
    }

    #[test]
    fn large_files_are_found() {
        assert_eq!(rules("data.txt", &"x".repeat(200_000)), []);
        assert_eq!(rules("data.txt", &"x".repeat(200_001)), [("file-size", 1)]);
    }

    #[test]
    fn a_missing_header_is_found() {
        assert_eq!(rules("crates/a/src/lib.rs", "fn f() {}\n"), [("header", 1)]);
        assert_eq!(rules("crates/a/src/lib.rs", "// Not this kind.\n"), [("header", 1)]);
        assert_eq!(rules("script.sh", "echo\n"), []);
    }

    #[test]
    fn machine_paths_are_found() {
        for line in ["see /home/ann/x", "\"/work/models\"", "PATH=C:\\x", "cd /root/"] {
            assert_eq!(rules("notes.md", line), [("machine-path", 1)], "{line}");
        }
        for line in ["~/.cache", "https://example.org/home/x", "src/work/x.rs", "${HOME}/work/x"] {
            assert_eq!(rules("notes.md", line), [], "{line}");
        }
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(rules("x.toml", "a = 1\n# TODO: b\n"), [("unfinished", 2)]);
        assert_eq!(rules("x.toml", "# FIXME\n"), [("unfinished", 1)]);
        assert_eq!(rules("x.toml", "TODOS = 1\n"), []);
    }
}
