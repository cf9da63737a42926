//! What could stand at the end of a line: commands, what follows them, and names of files.
//!
//! Knows words, and the folders that are typed; changes nothing.

use std::path::{Path, PathBuf};

use crate::command::{COMMANDS, PARAMETERS, SETTINGS, SHOWN};

/// Most names that are offered.
const MOST: usize = 200;
/// Commands that a file's name follows.
const WITH_FILE: [&str; 5] = ["read", "glob", "save", "load", "export"];

/// The place where the last word begins, and what could stand there.
pub(crate) fn completions(line: &str) -> (usize, Vec<String>) {
    let Some(rest) = line.strip_prefix('/') else { return (0, Vec::new()) };
    if let Some((command, file)) = rest.split_once(' ').filter(|(command, _)| WITH_FILE.contains(command)) {
        return (command.len() + 2, files(file));
    }
    let start = rest.rfind(' ').map_or(1, |space| space + 2);
    let words: Vec<&str> = rest.split(' ').collect();
    let last = words.last().copied().unwrap_or_default();
    let known: Vec<&'static str> = match words[..] {
        [_] => COMMANDS.iter().map(|command| command.name).collect(),
        ["set", _] => SETTINGS.iter().map(|(name, ..)| *name).collect(),
        ["show", _] => SHOWN.iter().map(|(name, _)| *name).collect(),
        ["help" | "?", _] => COMMANDS.iter().map(|command| command.name).chain(["shortcuts"]).collect(),
        ["set", "format", _] => vec!["json"],
        ["set", "think", _] => vec!["low", "medium", "high"],
        ["set", "parameter", _] => PARAMETERS.iter().copied().chain(["num_ctx"]).collect(),
        ["copy", _] => vec!["code", "thinking"],
        _ => Vec::new(),
    };
    (start, known.into_iter().filter(|name| name.starts_with(last)).map(str::to_owned).collect())
}

/// Files whose names begin so; folders end with `/`.
fn files(begin: &str) -> Vec<String> {
    let (folder, name) = begin.rsplit_once('/').map_or(("", begin), |(folder, name)| (folder, name));
    let kept = &begin[..begin.len() - name.len()];
    let folder = match (folder, kept) {
        ("", "/") => PathBuf::from("/"),
        ("", _) => PathBuf::from("."),
        (folder, _) => at_home(folder),
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let found = entry.file_name().into_string().ok()?;
            let wanted = found.starts_with(name) && (name.starts_with('.') || !found.starts_with('.'));
            let end = if entry.path().is_dir() { "/" } else { "" };
            // What a name could order the terminal to do is not offered: it would not be the name if it were shown.
            let wanted = wanted && !found.chars().any(char::is_control);
            wanted.then(|| format!("{kept}{found}{end}"))
        })
        .take(MOST)
        .collect();
    names.sort_unstable();
    names
}

/// A path that was typed: `~` is the home directory.
pub(crate) fn at_home(path: &str) -> PathBuf {
    let rest = path.strip_prefix("~/").or((path == "~").then_some(""));
    match (rest, std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => Path::new(path).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed() {
        assert_eq!(completions("/s"), (1, vec!["set".into(), "show".into(), "save".into()]));
        assert_eq!(completions("/set no").1, ["nothink", "noformat", "nohistory", "nowordwrap"]);
        assert_eq!(completions("/show t"), (6, vec!["template".into(), "thinking".into()]));
        assert_eq!(completions("/set parameter xtc_t").1, ["xtc_threshold"]);
        assert_eq!(completions("hello /s").1, Vec::<String>::new());
    }

    #[test]
    fn files_are_completed_spaces_and_all() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "a b.txt",
            "a c.txt",
            ".hidden",
            #[cfg(unix)]
            "a\x1b[2J",
        ] {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        std::fs::create_dir(folder.path().join("an")).expect("made");
        let at = folder.path().to_str().expect("UTF-8");
        let named = |names: &[&str]| names.iter().map(|name| format!("{at}/{name}")).collect::<Vec<_>>();
        assert_eq!(completions(&format!("/read {at}/a")), (6, named(&["a b.txt", "a c.txt", "an/"])));
        assert_eq!(completions(&format!("/load {at}/a b")), (6, named(&["a b.txt"])));
        assert_eq!(completions(&format!("/save {at}/.")).1, named(&[".hidden"]));
        assert!(completions("/read /no/such/folder/").1.is_empty());
    }
}
