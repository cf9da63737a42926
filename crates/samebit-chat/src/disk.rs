//! Files, read within bounds and written as a whole: whatever opens one does it here.
//!
//! Knows bytes and names; nothing of what they mean. A regular file is replaced by one that was written beside it, so that nobody finds
//! half of it; a link stays a link, and a file keeps its mode. What is no regular file, such as a device, is never replaced.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::ChatError;

/// Links that lead to links.
const MOST_LINKS: usize = 40;

/// Who may read a file that is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Whoever owns it: what was said is nobody else's.
    Owner,
    /// Whoever the system lets read new files.
    Usual,
}

/// What to do where a file is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// It goes.
    Replaced,
    /// It stays: then nothing is written, and the error is [`ErrorKind::AlreadyExists`].
    Stays,
}

/// An error that names the file.
pub(crate) fn access(path: &Path, what: impl Into<String>) -> ChatError {
    ChatError::Access { file: path.display().to_string(), what: what.into() }
}

/// Why a file cannot be read, and what helps.
pub(crate) fn unread(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file: check its name and folder".into(),
        ErrorKind::IsADirectory => "is a folder: name a file in it".into(),
        ErrorKind::PermissionDenied => "may not be read: see who owns it, and its mode".into(),
        _ => format!("cannot be read: {error}"),
    }
}

/// A regular file's bytes, at most so many: more are no `noun`. What else bears a name could be without end, or keep one waiting.
pub(crate) fn read(path: &Path, most: u64, noun: &str) -> Result<Vec<u8>, ChatError> {
    regular(path)?;
    read_any(path, most, noun)
}

/// The same of whatever can be read, a pipe too.
pub(crate) fn read_any(path: &Path, most: u64, noun: &str) -> Result<Vec<u8>, ChatError> {
    let bytes = File::open(path).and_then(|file| bounded(file, most)).map_err(|error| access(path, unread(&error)))?;
    bytes.ok_or_else(|| access(path, format!("more than {} MiB is no {noun}", most >> 20)))
}

/// All bytes, `None` where there are more than so many.
fn bounded(file: File, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

/// What a regular file begins with, as far as it goes; `None` where there is none.
pub(crate) fn beginning(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    regular(path).ok()?;
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).ok().map(|_| bytes)
}

/// What a file ends with.
pub(crate) fn ending(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map(|_| bytes)
}

/// Refuses what is no regular file.
pub(crate) fn regular(path: &Path) -> Result<Metadata, ChatError> {
    let found = std::fs::metadata(path).map_err(|error| access(path, unread(&error)))?;
    if found.is_file() { Ok(found) } else { Err(access(path, kind(&found))) }
}

fn kind(found: &Metadata) -> &'static str {
    if found.is_dir() { "is a folder: name a file in it" } else { "is no regular file: name one" }
}

/// Writes a file as a whole.
///
/// # Errors
/// It is there and to stay, or no regular file, or cannot be written.
pub(crate) fn put(path: &Path, text: &[u8], readers: Readers, before: Before) -> io::Result<()> {
    let target = followed(path)?;
    let had = match std::fs::metadata(&target) {
        Ok(found) if !found.is_file() => return Err(io::Error::other(kind(&found))),
        Ok(_) if before == Before::Stays => return Err(ErrorKind::AlreadyExists.into()),
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut part = new_part(readers, folder)?;
    part.write_all(text)?;
    part.as_file().sync_all()?;
    if let Some(had) = had {
        // Who may give files away lets others keep theirs; where one may not, it is one's own already, or becomes it.
        #[cfg(unix)]
        let _ = {
            use std::os::unix::fs::{MetadataExt, fchown};
            fchown(part.as_file(), Some(had.uid()), Some(had.gid()))
        };
        part.as_file().set_permissions(had.permissions())?;
    }
    // What is half done is removed when it is dropped.
    match before {
        Before::Replaced => part.persist(&target),
        Before::Stays => part.persist_noclobber(&target),
    }
    .map(drop)
    .map_err(|error| error.error)
}

fn new_part(readers: Readers, folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".samebit-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The system takes away what its user's mask does.
        let mode = if readers == Readers::Owner { 0o600 } else { 0o666 };
        builder.permissions(std::fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = readers;
    builder.tempfile_in(folder).map_err(|error| match error.kind() {
        ErrorKind::NotFound => io::Error::other("there is no such folder: make it, or name another"),
        // The name of a file that nobody asked for helps nobody.
        kind => kind.into(),
    })
}

/// [`put`] in place of what was there, with an error that names the file.
pub(crate) fn replace(path: &Path, text: &[u8], readers: Readers) -> Result<(), ChatError> {
    put(path, text, readers, Before::Replaced).map_err(|error| unwritten(path, &error))
}

/// Why a file cannot be written.
pub(crate) fn unwritten(path: &Path, error: &io::Error) -> ChatError {
    access(path, format!("cannot be written: {error}"))
}

/// Where links lead, whether there is something or not.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        match std::fs::read_link(&at) {
            Ok(to) => at = at.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => return Ok(at),
        }
    }
    Err(io::Error::other("links lead to links without end"))
}

/// Writes into what is there and no regular file: a device, or a pipe that somebody reads.
pub(crate) fn through(path: &Path, text: &[u8]) -> Result<(), ChatError> {
    system::open_to_write(path)
        .and_then(|mut file| file.write_all(text))
        .map_err(|error| access(path, system::unwritten(&error).unwrap_or(format!("cannot be written: {error}"))))
}

/// Keeps others of this program from writing the file, while it lives; as far as the system lets it.
pub(crate) fn alone(path: &Path) -> Option<File> {
    const TRIES: usize = 100;
    let file = File::open(path).ok()?;
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(10)),
            Err(std::fs::TryLockError::Error(_)) => return None,
        }
    }
    None
}

#[cfg(unix)]
mod system {
    use super::{File, Path, io};
    use rustix::fs::{OFlags, fcntl_setfl};
    use std::os::unix::fs::OpenOptionsExt;

    /// Without waiting for a reader to come; one that is there is waited for.
    pub(super) fn open_to_write(path: &Path) -> io::Result<File> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().write(true).custom_flags(flags).open(path)?;
        fcntl_setfl(&file, OFlags::empty())?;
        Ok(file)
    }

    pub(super) fn unwritten(error: &io::Error) -> Option<String> {
        let nobody = error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error());
        nobody.then(|| "is a pipe that nobody reads: begin to read it first".into())
    }
}

#[cfg(not(unix))]
mod system {
    use super::{File, Path, io};

    pub(super) fn open_to_write(path: &Path) -> io::Result<File> {
        File::options().write(true).open(path)
    }

    pub(super) fn unwritten(_: &io::Error) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_bounded_and_a_regular_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        std::fs::write(&path, vec![b'x'; (1 << 20) + 1]).expect("written");
        let why = |read: Result<Vec<u8>, ChatError>| read.expect_err("refused").to_string();
        assert!(why(read(&path, 1 << 20, "novel")).contains("more than 1 MiB is no novel"));
        assert_eq!(read(&path, 2 << 20, "novel").expect("read").len(), (1 << 20) + 1);
        assert_eq!(beginning(&path, 3).as_deref(), Some(&b"xxx"[..]));
        assert_eq!(ending(&path, 2).expect("read"), b"xx");
        assert!(why(read(folder.path(), 9, "novel")).contains("is a folder"));
        assert!(why(read(&folder.path().join("y"), 9, "novel")).contains("no such file: check"));
        #[cfg(unix)]
        assert!(why(read(Path::new("/dev/zero"), 9, "novel")).contains("no regular file"));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_modes_stay_and_new_files_have_one_reader() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        replace(&at("new"), b"1", Readers::Owner).expect("written");
        assert_eq!(mode(&at("new")), 0o600);
        std::fs::set_permissions(at("new"), std::fs::Permissions::from_mode(0o640)).expect("changed");
        std::os::unix::fs::symlink("new", at("link")).expect("linked");
        replace(&at("link"), b"2", Readers::Owner).expect("written");
        assert!(at("link").is_symlink() && mode(&at("new")) == 0o640);
        assert_eq!(std::fs::read(at("new")).expect("there"), b"2");
        std::os::unix::fs::symlink("later", at("dangling")).expect("linked");
        replace(&at("dangling"), b"3", Readers::Usual).expect("written");
        assert_eq!(std::fs::read(at("later")).expect("there"), b"3");
        let stays = put(&at("new"), b"4", Readers::Owner, Before::Stays).expect_err("there");
        assert_eq!(stays.kind(), ErrorKind::AlreadyExists);
        std::os::unix::fs::symlink("round", at("round")).expect("linked");
        assert!(replace(&at("round"), b"5", Readers::Usual).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 5, "nothing half written stays");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo starts").success());
        let why = |done: Result<(), ChatError>| done.expect_err("refused").to_string();
        assert!(why(replace(&pipe, b"x", Readers::Usual)).contains("no regular file"));
        assert!(why(through(&pipe, b"x")).contains("nobody reads"));
        assert!(why(replace(folder.path(), b"x", Readers::Usual)).contains("is a folder"));
        assert!(beginning(&pipe, 4).is_none());
        // Somebody reads: a pipe that is opened for both ends has a reader.
        let mut reader = File::options().read(true).write(true).open(&pipe).expect("opened");
        through(&pipe, b"hello").expect("written");
        let mut heard = [0; 5];
        reader.read_exact(&mut heard).expect("read");
        assert_eq!(&heard, b"hello");
    }
}
