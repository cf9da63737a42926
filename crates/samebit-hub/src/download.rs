//! From an address to a whole, verified file: in pieces at once, gone on with where it stopped.
//!
//! A file has its name only once its length and digest are right and it is on the disk. Knows nothing of hubs.

use crate::digest;
use crate::error::HubError;
use crate::http::{Answer, Client, Range, broken};
use crate::partial::{self, Partial};
use crate::settings::Settings;
use crate::watch::{Event, Watch};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Attempts that may bring nothing, one after the other.
const ATTEMPTS: u32 = 5;
/// Between two looks at how much is there.
const TICK: Duration = Duration::from_millis(100);
/// Bytes read at once.
const STEP: usize = 1 << 17;
/// How every model file begins.
const MAGIC: &[u8; 4] = b"GGUF";

/// A file to fetch.
pub(crate) struct Job<'a> {
    pub(crate) url: &'a str,
    /// What to call it.
    pub(crate) label: &'a str,
    /// The name it will have; its folder is there.
    pub(crate) target: &'a Path,
    /// Its length, if that is known beforehand.
    pub(crate) bytes: Option<u64>,
    /// Its digest, if that is known beforehand.
    pub(crate) sha256: Option<&'a str>,
}

/// A file that was fetched.
pub(crate) struct Fetched {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Whether somebody had said what the digest should be.
    pub(crate) expected: bool,
}

/// What a server says of a file before it is fetched.
struct Remote {
    bytes: Option<u64>,
    ranges: bool,
    etag: Option<String>,
    sha256: Option<String>,
}

/// Fetches and verifies; afterwards the file has its name.
pub(crate) fn fetch(
    client: &Client,
    settings: &Settings,
    job: &Job<'_>,
    watch: &mut Watch<'_>,
) -> Result<Fetched, HubError> {
    let remote = probe(client, job)?;
    let sha256 = job.sha256.map(str::to_owned).or(remote.sha256);
    let bytes = job.bytes.or(remote.bytes);
    let source = sha256.as_ref().map(|digest| format!("sha256:{digest}")).or_else(|| remote.etag.clone());
    match (bytes, source) {
        (Some(bytes), Some(source)) if remote.ranges => {
            let partial = Partial::open(job.target, &source, bytes, settings.parts)?;
            let validator = remote.etag.as_deref().filter(|_| sha256.is_none());
            Pieces { client, settings, job, partial: &partial, validator, stop: AtomicBool::new(false) }
                .fetch(bytes, watch)?;
        }
        _ => whole(client, settings, job, bytes, watch)?,
    }
    finish(job, bytes, sha256.as_deref(), watch)
}

/// Asks for the first byte, to learn about all of them.
fn probe(client: &Client, job: &Job<'_>) -> Result<Remote, HubError> {
    let answer = client.get(job.url, Some(Range { from: 0, to: Some(1), unless_changed: None }))?;
    let total = content_range(&answer).map(|(_, _, total)| total);
    let (bytes, ranges) = match answer.status {
        206 => (total, total.is_some()),
        _ => (answer.header("content-length").and_then(|text| text.parse().ok()), false),
    };
    if let (Some(expected), Some(bytes)) = (job.bytes, bytes)
        && expected != bytes
    {
        let (label, host) = (job.label, &answer.host);
        return Err(HubError::Wrong(format!(
            "{label}: {host} has {bytes} bytes where {expected} were announced: try again later, or from another endpoint"
        )));
    }
    // A weak validator does not promise the same bytes.
    let etag = answer.header("etag").filter(|etag| etag.starts_with('"')).map(str::to_owned);
    Ok(Remote { bytes, ranges, etag, sha256: answer.linked_sha256.clone() })
}

/// From, to and total of `bytes 0-0/1000`; `to` is the last byte's index.
fn content_range(answer: &Answer) -> Option<(u64, u64, u64)> {
    let (range, total) = answer.header("content-range")?.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?, total.parse().ok()?))
}

/// A file that is fetched in pieces.
struct Pieces<'a> {
    client: &'a Client,
    settings: &'a Settings,
    job: &'a Job<'a>,
    partial: &'a Partial,
    /// What the server must still have, where no digest will tell.
    validator: Option<&'a str>,
    /// Set when one piece has failed for good.
    stop: AtomicBool,
}

impl Pieces<'_> {
    fn fetch(&self, bytes: u64, watch: &mut Watch<'_>) -> Result<(), HubError> {
        let outcome = std::thread::scope(|scope| {
            let (ended, ends) = mpsc::channel();
            for index in 0..self.partial.pieces() {
                let ended = ended.clone();
                // Nobody hears of it if the receiver is gone, which waits for all.
                scope.spawn(move || ended.send(self.piece(index)));
            }
            drop(ended);
            let mut outcome = Ok(());
            loop {
                let end = ends.recv_timeout(TICK);
                watch(Event::Fetching { file: self.job.label, done: self.partial.done(), total: Some(bytes) });
                match end {
                    Ok(Err(error)) => {
                        self.stop.store(true, Ordering::Relaxed);
                        outcome = outcome.and(Err(error));
                    }
                    Ok(Ok(())) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return outcome,
                }
            }
        });
        self.partial.remember()?;
        outcome
    }

    /// One piece, however often its connection breaks, as long as something comes.
    fn piece(&self, index: usize) -> Result<(), HubError> {
        let mut patience = Patience::new(self.settings.pause);
        loop {
            let (from, to) = self.partial.missing(index);
            if from == to || self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            match self.stream(index, from, to) {
                Err(error @ HubError::Network { .. }) => {
                    patience.lose(self.partial.missing(index).0 > from, error, &self.stop)?;
                }
                other => other?,
            }
        }
    }

    /// One request, and what comes of it.
    fn stream(&self, index: usize, from: u64, to: u64) -> Result<(), HubError> {
        let range = Range { from, to: Some(to), unless_changed: self.validator };
        let answer = self.client.get(self.job.url, Some(range))?;
        let host = answer.host.clone();
        if answer.status != 206 || content_range(&answer).map(|(first, last, _)| (first, last)) != Some((from, to - 1))
        {
            let label = self.job.label;
            return Err(HubError::Wrong(format!(
                "{label}: {host} did not give the bytes that were asked for, perhaps because the file has changed: pull again"
            )));
        }
        let mut writer = self.partial.writer(index)?;
        // Not a byte more than the piece has, whatever the server sends.
        let mut reader = answer.reader().take(to - from);
        let mut buffer = vec![0; STEP];
        loop {
            match read(&mut reader, &mut buffer) {
                Ok(0) if self.partial.missing(index).0 < to => {
                    return Err(broken(&host, &io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(0) => return Ok(()),
                Ok(count) => writer.write(&buffer[..count])?,
                Err(error) => return Err(broken(&host, &error)),
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }
}

/// How often a connection may break.
struct Patience {
    pause: Duration,
    failures: u32,
}

impl Patience {
    fn new(pause: Duration) -> Self {
        Self { pause, failures: 0 }
    }

    /// Waits a while, or gives up.
    fn lose(&mut self, progress: bool, error: HubError, stop: &AtomicBool) -> Result<(), HubError> {
        self.failures = if progress { 1 } else { self.failures + 1 };
        if self.failures >= ATTEMPTS {
            return Err(error);
        }
        let mut left = self.pause * (1 << (self.failures - 1));
        while !left.is_zero() && !stop.load(Ordering::Relaxed) {
            let step = left.min(TICK);
            std::thread::sleep(step);
            left -= step;
        }
        Ok(())
    }
}

/// The whole file in one stream, from a server that gives no pieces. A broken connection begins it anew.
fn whole(
    client: &Client,
    settings: &Settings,
    job: &Job<'_>,
    bytes: Option<u64>,
    watch: &mut Watch<'_>,
) -> Result<(), HubError> {
    partial::discard(job.target)?;
    let mut patience = Patience::new(settings.pause);
    loop {
        match whole_once(client, job, bytes, watch) {
            Err(error @ HubError::Network { .. }) => patience.lose(false, error, &AtomicBool::new(false))?,
            other => return other,
        }
    }
}

fn whole_once(client: &Client, job: &Job<'_>, bytes: Option<u64>, watch: &mut Watch<'_>) -> Result<(), HubError> {
    let path = partial::path_of(job.target);
    let at = |error| HubError::at(&path, &error);
    let answer = client.get(job.url, None)?;
    let host = answer.host.clone();
    let mut file = File::create(&path).map_err(at)?;
    // One byte more than there should be is enough to know.
    let mut reader = answer.reader().take(bytes.map_or(u64::MAX, |bytes| bytes.saturating_add(1)));
    let mut buffer = vec![0; STEP];
    let mut done = 0;
    loop {
        match read(&mut reader, &mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                file.write_all(&buffer[..count]).map_err(at)?;
                done += count as u64;
                watch(Event::Fetching { file: job.label, done, total: bytes });
            }
            Err(error) => return Err(broken(&host, &error)),
        }
    }
    match bytes {
        Some(bytes) if done < bytes => Err(broken(&host, &io::ErrorKind::UnexpectedEof.into())),
        _ => Ok(()),
    }
}

fn read(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Verifies what came, puts it on the disk and gives it its name; or removes it.
fn finish(job: &Job<'_>, bytes: Option<u64>, sha256: Option<&str>, watch: &mut Watch<'_>) -> Result<Fetched, HubError> {
    let path = partial::path_of(job.target);
    let found = match verify(&path, job.label, bytes, sha256, watch) {
        Err(error @ HubError::Wrong(_)) => {
            partial::discard(job.target)?;
            return Err(error);
        }
        other => other?,
    };
    settle(&path, job.target)?;
    partial::discard(job.target)?;
    Ok(found)
}

/// What a file is, if its length, beginning and digest are as they should be.
pub(crate) fn verify(
    path: &Path,
    label: &str,
    bytes: Option<u64>,
    sha256: Option<&str>,
    watch: &mut Watch<'_>,
) -> Result<Fetched, HubError> {
    let at = |error| HubError::at(path, &error);
    let mut file = File::open(path).map_err(at)?;
    let length = file.metadata().map_err(at)?.len();
    let wrong = |why: String| {
        Err(HubError::Wrong(format!(
            "{label}: {why}; it was not kept: pull again, and if it comes again so, the server has another file"
        )))
    };
    if let Some(bytes) = bytes
        && bytes != length
    {
        return wrong(format!("{length} bytes came where {bytes} were announced"));
    }
    let mut head = [0; MAGIC.len()];
    if file.read_exact(&mut head).is_err() || head != *MAGIC {
        return wrong("what came is no GGUF file".to_owned());
    }
    let mut told = |done| watch(Event::Verifying { file: label, done, total: length });
    let found = digest::sha256(&mut head.as_slice().chain(file), &mut told).map_err(at)?;
    match sha256 {
        Some(sha256) if sha256 != found => wrong(format!("its SHA-256 is {found} where {sha256} is right")),
        _ => Ok(Fetched { bytes: length, sha256: found, expected: sha256.is_some() }),
    }
}

/// Puts a file on the disk, under another name of the same folder.
pub(crate) fn settle(from: &Path, to: &Path) -> Result<(), HubError> {
    let synced = File::options().write(true).open(from).and_then(|file| file.sync_all());
    synced.map_err(|error| HubError::at(from, &error))?;
    fs::rename(from, to).map_err(|error| HubError::at(to, &error))?;
    // The name is on the disk when its folder is; where folders cannot be synced, the system sees to it.
    if let Some(folder) = to.parent().filter(|_| cfg!(unix)) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| HubError::at(folder, &error))?;
    }
    Ok(())
}
