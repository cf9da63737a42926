//! Models split over several files: the pattern of their names and the keys that must agree.
//! Source: the `gguf-split` tool of the ggml project (`split.no`, `split.count`, `split.tensors.count`).

use std::path::{Path, PathBuf};

use crate::error::{ErrorKind, shown};
use crate::metadata::Metadata;

const NO: &str = "split.no";
const COUNT: &str = "split.count";
const TENSORS: &str = "split.tensors.count";

/// The most parts: their number is a u16 in files.
const MAX_PARTS: u64 = u16::MAX as u64;

/// What a file says of the model it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split {
    /// Which part this is, from 0.
    pub(crate) no: u64,
    /// How many parts there are; at least 2.
    pub(crate) count: u64,
    /// How many tensors all parts hold together, where the file says.
    pub(crate) tensors: Option<u64>,
}

impl Split {
    /// `None` for a model in one file.
    pub(crate) fn of(metadata: &Metadata) -> Result<Option<Split>, ErrorKind> {
        let count = integer(metadata, COUNT)?.unwrap_or(1);
        if count <= 1 {
            return Ok(None);
        }
        if count > MAX_PARTS {
            let wanted = "a number of parts up to 65535";
            return Err(ErrorKind::WrongType { key: COUNT.into(), found: count.to_string(), wanted });
        }
        let no = integer(metadata, NO)?.ok_or(ErrorKind::MissingKey { key: NO.into() })?;
        if no >= count {
            let wanted = "a number below split.count";
            return Err(ErrorKind::WrongType { key: NO.into(), found: no.to_string(), wanted });
        }
        Ok(Some(Split { no, count, tensors: integer(metadata, TENSORS)? }))
    }

    /// Checks that this is the first part, and is named as one; `path` is its path.
    pub(crate) fn check_first(self, path: &Path) -> Result<(), ErrorKind> {
        let Split { no, count, .. } = self;
        if no != 0 {
            let first = match part_path(path, no, 0, count) {
                Some(first) => shown(&first.to_string_lossy()),
                None => format!("whose name ends in {}", suffix(0, count)),
            };
            return Err(ErrorKind::SplitNotFirst { part: no + 1, count, first });
        }
        match part_path(path, 0, 0, count) {
            Some(_) => Ok(()),
            None => Err(ErrorKind::SplitName { count }),
        }
    }

    /// Checks that a file opened as part `no` says the same of itself.
    pub(crate) fn check_part(self, no: u64, metadata: &Metadata) -> Result<(), ErrorKind> {
        for (key, wanted) in [(COUNT, self.count), (NO, no)] {
            let found = integer(metadata, key)?;
            if found != Some(wanted) {
                let found = found.map_or("missing".to_owned(), |n| n.to_string());
                return Err(ErrorKind::SplitMismatch { key, found, wanted, part: no + 1, count: self.count });
            }
        }
        Ok(())
    }

    /// Checks the number of tensors in all parts.
    pub(crate) fn check_tensors(self, found: u64) -> Result<(), ErrorKind> {
        match self.tensors {
            Some(wanted) if wanted != found => Err(ErrorKind::SplitTensors { count: self.count, found, wanted }),
            _ => Ok(()),
        }
    }
}

/// The path of part `to`, given that of part `from`; `None` unless that is named by the pattern.
pub(crate) fn part_path(path: &Path, from: u64, to: u64, count: u64) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(&suffix(from, count))?;
    Some(path.with_file_name(format!("{stem}{}", suffix(to, count))))
}

/// The end of part `no`'s name: `-00001-of-00003.gguf` for part 0 of 3.
fn suffix(no: u64, count: u64) -> String {
    format!("-{:05}-of-{count:05}.gguf", no + 1)
}

/// A number that is not negative. (The metadata's own getter would name the file; the caller does that.)
fn integer(metadata: &Metadata, key: &'static str) -> Result<Option<u64>, ErrorKind> {
    let Some(value) = metadata.get(key) else {
        return Ok(None);
    };
    match value.as_integer().and_then(|n| u64::try_from(n).ok()) {
        Some(n) => Ok(Some(n)),
        None => {
            let found = value.as_integer().map_or_else(|| value.type_name(), |n| n.to_string());
            Err(ErrorKind::WrongType { key: key.into(), found, wanted: "an integer from 0" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_names_follow_the_pattern() {
        let first = Path::new("dir/m-00001-of-00003.gguf");
        assert_eq!(part_path(first, 0, 2, 3), Some(PathBuf::from("dir/m-00003-of-00003.gguf")));
        assert_eq!(part_path(first, 1, 2, 3), None, "it is not the second part");
        assert_eq!(part_path(first, 0, 2, 4), None, "it is not one of four");
        assert_eq!(part_path(Path::new("m.gguf"), 0, 1, 3), None);
    }
}
