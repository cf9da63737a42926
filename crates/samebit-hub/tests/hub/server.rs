//! A server that speaks the hub's protocol, and breaks it when told to. One connection, one request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The commit that the hub is at.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// The repository that it has.
pub(crate) const REPO: &str = "owner/repo-GGUF";

/// A file of the repository.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) sha256: String,
}

/// What is wrong with the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault {
    /// Answer everything so.
    pub(crate) status: Option<u16>,
    /// Close the connection after so many bytes of a file.
    pub(crate) close_after: Option<usize>,
    /// Give so many bytes of files in all, and nothing after.
    pub(crate) budget: Option<usize>,
    /// Change the byte at this place.
    pub(crate) change: Option<usize>,
    /// Know no ranges.
    pub(crate) no_ranges: bool,
    /// Say that files are longer than they are by so much.
    pub(crate) longer: u64,
    /// Files have no validator.
    pub(crate) no_etag: bool,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
}

#[derive(Default)]
struct State {
    files: Vec<File>,
    fault: Fault,
    asked: Vec<Asked>,
    given: usize,
    /// Where files really lie, if not here.
    elsewhere: Option<String>,
}

/// A server that runs until the process ends.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// A server with these files.
    pub(crate) fn start(files: &[File]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { files: files.to_vec(), ..State::default() }));
        let server = Self { url, state };
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = shared.clone();
                // A client that has gone is no failure of the server's.
                std::thread::spawn(move || server.answer(stream).ok());
            }
        });
        server
    }

    /// A hub, and the server that its files really lie on.
    pub(crate) fn pair(files: &[File]) -> (Self, Self) {
        let (hub, files) = (Self::start(files), Self::start(files));
        hub.with(|state| state.elsewhere = Some(files.url.clone()));
        (hub, files)
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.with(|state| {
            state.fault = fault;
            state.given = 0;
        });
    }

    /// Everything that was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.with(|state| std::mem::take(&mut state.asked))
    }

    /// Bytes of files that were given since the last fault.
    pub(crate) fn given(&self) -> usize {
        self.with(|state| state.given)
    }

    fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut self.state.lock().expect("no test panics with it"))
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let asked = read(&stream)?;
        let (fault, elsewhere) = self.with(|state| {
            state.asked.push(asked.clone());
            (state.fault.clone(), state.elsewhere.clone())
        });
        if let Some(status) = fault.status {
            let head =
                format!("HTTP/1.1 {status} No\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return stream.write_all(head.as_bytes());
        }
        if asked.path.starts_with("/api/models/") {
            return self.list(&mut stream, &asked);
        }
        let file = self.with(|state| state.files.iter().find(|file| asked.path.ends_with(&file.path)).cloned());
        match (file, elsewhere) {
            (None, _) => stream.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            (Some(file), Some(url)) => {
                let head = format!(
                    "HTTP/1.1 302 Found\r\nLocation: {url}/blob/{}?signature=x\r\nX-Linked-Etag: \"{}\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    file.path, file.sha256
                );
                stream.write_all(head.as_bytes())
            }
            (Some(file), None) => self.give(&mut stream, &asked, &file, &fault),
        }
    }

    fn list(&self, stream: &mut TcpStream, asked: &Asked) -> std::io::Result<()> {
        let siblings: Vec<String> = self.with(|state| {
            let json = |file: &File| {
                format!(
                    "{{\"rfilename\":\"{}\",\"size\":{1},\"lfs\":{{\"sha256\":\"{2}\",\"size\":{1}}}}}",
                    file.path,
                    file.bytes.len(),
                    file.sha256
                )
            };
            state.files.iter().map(json).collect()
        });
        let known = asked.path.starts_with(&format!("/api/models/{REPO}/revision/"));
        let body =
            format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[{{\"rfilename\":\"README.md\"}},{}]}}", siblings.join(","));
        let status = if known { "200 OK" } else { "404 No" };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())
    }

    fn give(&self, stream: &mut TcpStream, asked: &Asked, file: &File, fault: &Fault) -> std::io::Result<()> {
        let mut bytes = file.bytes.clone();
        if let Some(byte) = fault.change.and_then(|at| bytes.get_mut(at)) {
            *byte ^= 1;
        }
        let total = bytes.len() as u64 + fault.longer;
        let range = asked.range.as_deref().filter(|_| !fault.no_ranges).and_then(|range| parse(range, bytes.len()));
        let (from, to) = range.unwrap_or((0, bytes.len()));
        let mut head = match range {
            Some(_) => format!(
                "HTTP/1.1 206 Part\r\nContent-Range: bytes {from}-{}/{total}\r\nContent-Length: {}\r\n",
                to - 1,
                to - from
            ),
            None => format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n"),
        };
        if !fault.no_etag {
            head.push_str(&format!("ETag: \"{}-v1\"\r\n", file.path));
        }
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
        let mut part = &bytes[from..to];
        part = &part[..part.len().min(fault.close_after.unwrap_or(usize::MAX))];
        for step in part.chunks(1 << 16) {
            let within = self.with(|state| {
                let fits = fault.budget.is_none_or(|budget| state.given + step.len() <= budget);
                state.given += if fits { step.len() } else { 0 };
                fits
            });
            if !within {
                break;
            }
            stream.write_all(step)?;
        }
        Ok(())
    }
}

fn parse(range: &str, len: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let to = to.parse::<usize>().map_or(len, |last| last + 1);
    Some((from.parse().ok()?, to.min(len)))
}

fn read(stream: &TcpStream) -> std::io::Result<Asked> {
    let mut lines = BufReader::new(stream.take(1 << 16)).lines();
    let first = lines.next().unwrap_or_else(|| Err(std::io::ErrorKind::UnexpectedEof.into()))?;
    let path = first.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let mut asked = Asked { path, authorization: None, range: None };
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                asked.authorization = Some(value.into())
            }
            Some((name, value)) if name.eq_ignore_ascii_case("range") => asked.range = Some(value.into()),
            Some(_) => {}
            None => break,
        }
    }
    Ok(asked)
}
