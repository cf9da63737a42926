//! Files by a pattern: `*` and `?` within a name, `[a-z]`, and `**` for any folders.
//!
//! Knows names; reads no file. Names come in the same order everywhere, and bounds are on all that a pattern may cost.

use std::path::{Path, PathBuf};

use crate::complete::at_home;

/// Most files of a pattern.
pub(crate) const MOST: usize = 100;
/// Most names that are looked at.
const LOOKED_AT: usize = 100_000;
/// Folders within folders, for `**`; twice as many parts of a pattern.
const DEEPEST: usize = 32;

/// The files that a pattern names, sorted, and whether there were more than [`MOST`].
pub(crate) fn glob(pattern: &str) -> (Vec<PathBuf>, bool) {
    let start = if pattern.starts_with('/') {
        PathBuf::from("/")
    } else if pattern.starts_with("~/") {
        at_home("~")
    } else {
        PathBuf::new()
    };
    let parts: Vec<&str> =
        pattern.strip_prefix("~/").unwrap_or(pattern).split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    // Each part is a call within a call.
    if parts.len() > 2 * DEEPEST {
        return (Vec::new(), false);
    }
    let mut walk = Walk { found: Vec::new(), looked_at: 0 };
    walk.folder(&start, &parts, 0);
    walk.found.sort();
    walk.found.dedup();
    let more = walk.found.len() > MOST || walk.looked_at >= LOOKED_AT;
    walk.found.truncate(MOST);
    (walk.found, more)
}

struct Walk {
    found: Vec<PathBuf>,
    looked_at: usize,
}

impl Walk {
    fn folder(&mut self, folder: &Path, parts: &[&str], depth: usize) {
        let Some((&part, rest)) = parts.split_first() else { return };
        if part == ".." {
            return self.folder(&folder.join(".."), rest, depth);
        }
        if part == "**" {
            self.folder(folder, rest, depth);
        }
        for (name, path, is_folder, is_link) in self.names(folder) {
            match part {
                // Through links one might go in circles.
                "**" if is_folder && !is_link && !name.starts_with('.') && depth < DEEPEST => {
                    self.folder(&path, parts, depth + 1);
                }
                "**" if rest.is_empty() && !is_folder && !name.starts_with('.') => self.found.push(path),
                "**" => {}
                _ if !fits(part, &name) => {}
                _ if rest.is_empty() && !is_folder => self.found.push(path),
                _ if is_folder => self.folder(&path, rest, depth),
                _ => {}
            }
        }
    }

    /// What is in a folder: names, paths, whether they are folders, whether they are links. Sorted.
    fn names(&mut self, folder: &Path) -> Vec<(String, PathBuf, bool, bool)> {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let Ok(entries) = std::fs::read_dir(here) else { return Vec::new() };
        let room = LOOKED_AT.saturating_sub(self.looked_at);
        let mut names: Vec<_> = entries
            .filter_map(Result::ok)
            .take(room)
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let path = folder.join(&name);
                let (is_folder, is_link) = (path.is_dir(), path.is_symlink());
                (is_folder || path.is_file()).then_some((name, path, is_folder, is_link))
            })
            .collect();
        self.looked_at += names.len();
        names.sort();
        names
    }
}

/// Whether a name fits a part of a pattern. What begins with a dot must be asked for.
fn fits(part: &str, name: &str) -> bool {
    let (part, name): (Vec<char>, Vec<char>) = (part.chars().collect(), name.chars().collect());
    if name.first() == Some(&'.') && part.first() != Some(&'.') {
        return false;
    }
    // After each character of the pattern, which beginnings of the name it can stand for.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let mut rest = &part[..];
    while let Some((&first, after)) = rest.split_first() {
        let set = if first == '[' { after.iter().skip(1).position(|&c| c == ']').map(|at| at + 1) } else { None };
        if first == '*' {
            let from = reached.iter().position(|&yes| yes).unwrap_or(name.len() + 1);
            reached.iter_mut().enumerate().for_each(|(at, yes)| *yes = at >= from);
            rest = after;
            continue;
        }
        let one = |c: char| match set {
            Some(end) => within(&after[..end], c),
            None => first == '?' || first == c,
        };
        let mut next = vec![false; name.len() + 1];
        for (at, &c) in name.iter().enumerate() {
            next[at + 1] = reached[at] && one(c);
        }
        reached = next;
        rest = &after[set.map_or(0, |end| end + 1)..];
    }
    reached[name.len()]
}

/// Whether a set, such as `a-z_` or `!0-9`, has a character.
fn within(set: &[char], c: char) -> bool {
    let (set, wanted) = match set.split_first() {
        Some(('!' | '^', rest)) => (rest, false),
        _ => (set, true),
    };
    let mut has = false;
    let mut at = 0;
    while at < set.len() {
        let last = if set.get(at + 1) == Some(&'-') { set.get(at + 2) } else { None };
        has |= (set[at]..=*last.unwrap_or(&set[at])).contains(&c);
        at += if last.is_some() { 3 } else { 1 };
    }
    has == wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit() {
        for (part, name, yes) in [
            ("*.rs", "a.rs", true),
            ("*.rs", ".rs", false),
            (".*", ".rs", true),
            ("a?c*", "abcd", true),
            ("a?c", "ac", false),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[]x]", "]", true),
            ("a[", "a[", true),
            ("*a*b*", "xxaxxbx", true),
            ("*a*b", "xxaxx", false),
            ("日*", "日本", true),
        ] {
            assert_eq!(fits(part, name), yes, "{part} {name}");
        }
        // No pattern takes for ever.
        assert!(!fits(&"*a".repeat(500), &"a".repeat(400)));
    }

    #[test]
    fn files_are_found_in_order_and_not_without_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        std::fs::create_dir_all(root.join("x/y/z")).expect("made");
        for name in ["b.txt", "a.txt", "x/c.txt", "x/y/z/d.txt", "x/.hidden.txt", "x/e.md"] {
            std::fs::write(root.join(name), "").expect("written");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(root, root.join("x/loop")).expect("linked");
        let found = |pattern: &str| {
            let (files, _) = glob(&format!("{}/{pattern}", root.display()));
            let names = files.iter().map(|path| path.strip_prefix(root).expect("inside").display().to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(found("*.txt"), ["a.txt", "b.txt"]);
        assert_eq!(found("**/*.txt"), ["a.txt", "b.txt", "x/c.txt", "x/y/z/d.txt"]);
        assert_eq!(found("x/*"), ["x/c.txt", "x/e.md"]);
        assert_eq!(found("**"), ["a.txt", "b.txt", "x/c.txt", "x/e.md", "x/y/z/d.txt"]);
        assert!(found("nothing*").is_empty());
        assert!(found(&"../".repeat(1_000_000)).is_empty());
        for number in 0..=MOST {
            std::fs::write(root.join(format!("{number}.many")), "").expect("written");
        }
        let (files, more) = glob(&format!("{}/*.many", root.display()));
        assert_eq!((files.len(), more), (MOST, true));
    }
}
