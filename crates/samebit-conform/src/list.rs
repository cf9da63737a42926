//! The list of vectors as text, and how two lists differ.
//!
//! One line for each vector: its name, how many bytes of results it covers, and the BLAKE3 of those bytes.

use std::fmt::Write;

/// Longest list that is read.
const MAX_VECTORS: usize = 10_000;

/// The digest of one operation's results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// `group/case`, without spaces.
    pub name: String,
    /// Bytes of results.
    pub bytes: usize,
    /// BLAKE3 of the results, little-endian.
    pub digest: blake3::Hash,
}

impl Vector {
    /// Whether it is of a whole model, not of one operation.
    pub fn is_model(&self) -> bool {
        self.name.starts_with("model/")
    }
}

/// A line that is no vector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Not three words, or not the right ones.
    #[error("line {0}: expected a name, a number of bytes and 64 hexadecimal digits")]
    Line(usize),
    /// A name that stands there already.
    #[error("line {line}: {name} is there twice")]
    Twice {
        /// Which line, from 1.
        line: usize,
        /// The name.
        name: String,
    },
    /// More lines than any list has.
    #[error("more than {MAX_VECTORS} vectors: this is no list of them")]
    TooMany,
}

/// One vector that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// What it should be; none if it should not be.
    pub expected: Option<blake3::Hash>,
    /// What it is; none if it is not there.
    pub found: Option<blake3::Hash>,
}

/// The text of a list.
pub fn render(vectors: &[Vector]) -> String {
    let mut text = String::from(
        "# Conformance vectors of numerics v1: name, bytes of results, BLAKE3 of them (little-endian).\n\
         # A change of any line is a new version of the numerics. `cargo xtask conformance` checks it.\n",
    );
    for Vector { name, bytes, digest } in vectors {
        // Writing to a string cannot fail.
        writeln!(text, "{name} {bytes} {}", digest.to_hex()).expect("a string takes every line");
    }
    text
}

/// The vectors of a text; empty lines and those that begin with `#` say nothing.
///
/// # Errors
/// A line that is no vector, or a name that comes twice.
pub fn parse(text: &str) -> Result<Vec<Vector>, ListError> {
    let mut vectors: Vec<Vector> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if vectors.len() == MAX_VECTORS {
            return Err(ListError::TooMany);
        }
        let vector = parse_line(line).ok_or(ListError::Line(line_number))?;
        if vectors.iter().any(|other| other.name == vector.name) {
            return Err(ListError::Twice { line: line_number, name: vector.name });
        }
        vectors.push(vector);
    }
    Ok(vectors)
}

fn parse_line(line: &str) -> Option<Vector> {
    let mut words = line.split(' ');
    let vector = Vector {
        name: words.next().filter(|name| !name.is_empty())?.to_owned(),
        bytes: words.next()?.parse().ok()?,
        digest: blake3::Hash::from_hex(words.next()?).ok()?,
    };
    words.next().is_none().then_some(vector)
}

/// What is missing, wrong or too much in `found`, in the order of the lists.
pub fn differences(expected: &[Vector], found: &[Vector]) -> Vec<Difference> {
    let by_name = |list: &[Vector], name: &str| list.iter().find(|vector| vector.name == name).cloned();
    let mut differences = Vec::new();
    for vector in expected {
        let found = by_name(found, &vector.name);
        if found.as_ref() != Some(vector) {
            differences.push(Difference {
                name: vector.name.clone(),
                expected: Some(vector.digest),
                found: found.map(|found| found.digest),
            });
        }
    }
    for vector in found.iter().filter(|vector| by_name(expected, &vector.name).is_none()) {
        differences.push(Difference { name: vector.name.clone(), expected: None, found: Some(vector.digest) });
    }
    differences
}

/// One digest of a whole list: the BLAKE3 of its text.
pub fn summary(vectors: &[Vector]) -> blake3::Hash {
    blake3::hash(render(vectors).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(name: &str, of: &str) -> Vector {
        Vector { name: name.into(), bytes: of.len(), digest: blake3::hash(of.as_bytes()) }
    }

    #[test]
    fn lists_survive_their_text() {
        let vectors = [vector("math/exp", "x"), vector("matmul/Q4_K", "yz")];
        assert_eq!(parse(&render(&vectors)).unwrap(), vectors);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let good = render(&[vector("a/b", "x")]);
        let line = good.lines().last().unwrap();
        assert_eq!(parse("a/b 1"), Err(ListError::Line(1)));
        assert_eq!(parse("a/b one 00"), Err(ListError::Line(1)));
        assert_eq!(parse(&format!("\n{line} more")), Err(ListError::Line(2)));
        assert_eq!(parse(&format!("{line}\n{line}")), Err(ListError::Twice { line: 2, name: "a/b".into() }));
    }

    #[test]
    fn differences_name_what_is_missing_wrong_and_too_much() {
        let expected = [vector("a", "1"), vector("b", "2"), vector("c", "3")];
        let found = [vector("a", "1"), vector("b", "9"), vector("d", "4")];
        let names: Vec<_> = differences(&expected, &found)
            .iter()
            .map(|d| (d.name.clone(), d.expected.is_some(), d.found.is_some()))
            .collect();
        let expected_names =
            [("b".to_owned(), true, true), ("c".to_owned(), true, false), ("d".to_owned(), false, true)];
        assert_eq!(names, expected_names);
        assert_eq!(differences(&expected, &expected), []);
        assert_ne!(summary(&expected), summary(&found));
    }
}
