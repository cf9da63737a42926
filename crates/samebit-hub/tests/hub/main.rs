//! Pulling from a server that speaks the hub's protocol: what comes, what is kept, and what is not when the server fails.

mod server;

use samebit_hub::{HubError, Library, Name, Pulled, Settings};
use server::{COMMIT, Fault, File, REPO, Server};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Three pieces and a bit.
const LARGE: usize = (13 << 20) + 77;

/// A file that begins as models do.
fn file(path: &str, len: usize) -> File {
    let mut bytes: Vec<u8> = (0..len).map(|at| (at / 251 + at * 7) as u8).collect();
    bytes[..4].copy_from_slice(b"GGUF");
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    File { path: path.to_owned(), bytes, sha256 }
}

/// A machine with empty folders, that knows one hub.
struct Machine {
    folder: TempDir,
    endpoint: String,
}

impl Machine {
    fn new(endpoint: &str) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), endpoint: endpoint.to_owned() }
    }

    fn library(&self) -> Library {
        let settings = Settings {
            hub_cache: self.cache(),
            store: self.folder.path().join("store"),
            endpoint: self.endpoint.clone(),
            token: Some("hf_secret".to_owned()),
            offline: false,
            parts: 4,
            pause: Duration::from_millis(1),
            quiet: true,
        };
        Library::new(settings)
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("hub")
    }

    fn pull(&self, name: &str) -> Result<Pulled, HubError> {
        self.library().pull(&parse(name), &mut |_| {})
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        self.library().find(&parse(name)).expect("one at most")
    }

    /// Everything that lies below, folders and locks aside.
    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(self.folder.path(), &mut found);
        let relative = |path: &PathBuf| path.strip_prefix(self.folder.path()).expect("below").display().to_string();
        let mut names: Vec<String> = found.iter().map(relative).filter(|name| !name.ends_with(".lock")).collect();
        names.sort();
        names
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path().is_dir() {
            true => walk(&entry.path(), found),
            false => found.push(entry.path()),
        }
    }
}

fn parse(name: &str) -> Name {
    Name::require(name).expect("a name")
}

fn hf(what: &str) -> String {
    format!("hf:{REPO}{what}")
}

#[test]
fn a_model_is_pulled_found_listed_and_removed() {
    let files = [file("m-Q8_0.gguf", 1000), file("m-Q4_K_M.gguf", LARGE)];
    let (hub, far) = Server::pair(&files);
    let machine = Machine::new(&hub.url);
    assert_eq!(machine.find(&hf("")), None);
    let pulled = machine.pull(&hf("")).expect("pulled");
    assert!(pulled.fetched && pulled.expected && pulled.bytes == LARGE as u64);
    assert_eq!(pulled.sha256, [files[1].sha256.clone()]);
    assert_eq!(std::fs::read(&pulled.path).expect("the model"), files[1].bytes);

    let root = format!("hub/models--{}", REPO.replace('/', "--"));
    let (blob, link) =
        (format!("{root}/blobs/{}", files[1].sha256), format!("{root}/snapshots/{COMMIT}/m-Q4_K_M.gguf"));
    assert_eq!(machine.files(), [blob, format!("{root}/refs/main"), link.clone()]);
    let target = std::fs::read_link(machine.folder.path().join(link)).expect("a link");
    assert_eq!(target, PathBuf::from(format!("../../blobs/{}", files[1].sha256)));
    assert_eq!(std::fs::read_to_string(machine.folder.path().join(root).join("refs/main")).expect("a commit"), COMMIT);

    let ranges = far.asked().iter().filter(|asked| asked.range.as_deref() != Some("bytes=0-0")).count();
    assert_eq!(ranges, 3, "as many pieces at once");
    for name in ["", ":Q4_K_M", ":m-Q4_K_M.gguf", &format!("@{COMMIT}")] {
        assert_eq!(machine.find(&hf(name)).as_ref(), Some(&pulled.path), "{name}");
    }
    assert_eq!(machine.find(&hf(":Q8_0")), None);
    let again = machine.pull(&hf("")).expect("here already");
    assert!(!again.fetched && again.path == pulled.path && far.asked().is_empty());

    let entries = machine.library().list();
    assert_eq!(entries.len(), 1);
    assert_eq!((&*entries[0].name, entries[0].bytes), (&*hf(":m-Q4_K_M.gguf"), LARGE as u64));
    machine.pull(&hf(":Q8_0")).expect("another one");
    assert!(machine.library().remove(&parse(&hf("")), &mut |_| {}).is_err_and(|e| e.to_string().contains("say which")));
    for entry in machine.library().list() {
        let removed = machine.library().remove(&parse(&entry.name), &mut |_| {}).expect("removed");
        assert_eq!(removed.bytes, entry.bytes);
    }
    assert_eq!(machine.files(), Vec::<String>::new());
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let (hub, far) = Server::pair(&[file("m.gguf", 1000)]);
    let machine = Machine::new(&hub.url);
    machine.pull(&hf("")).expect("pulled");
    let (near, far) = (hub.asked(), far.asked());
    assert!(near.len() >= 2 && near.iter().all(|asked| asked.authorization.as_deref() == Some("Bearer hf_secret")));
    assert!(!far.is_empty() && far.iter().all(|asked| asked.authorization.is_none()));
}

#[test]
fn a_pull_goes_on_where_it_stopped() {
    let files = [file("m.gguf", LARGE)];
    let (hub, far) = Server::pair(&files);
    let machine = Machine::new(&hub.url);
    far.fail(Fault { budget: Some(9 << 20), ..Fault::default() });
    let error = machine.pull(&hf("")).expect_err("the server ends early").to_string();
    assert!(error.contains("the connection broke") && error.contains("pull again"), "{error}");
    assert_eq!(machine.find(&hf("")), None);
    assert!(machine.files().iter().all(|name| name.contains(".incomplete")), "{:?}", machine.files());
    far.fail(Fault::default());
    let pulled = machine.pull(&hf("")).expect("the rest");
    assert_eq!(std::fs::read(&pulled.path).expect("the model"), files[0].bytes);
    // Some buffers were under way when the server ended.
    assert!(far.given() < LARGE - (8 << 20), "{} bytes again", far.given());
    assert!(!machine.files().iter().any(|name| name.contains("incomplete")));
}

#[test]
fn broken_connections_are_made_again() {
    let files = [file("m.gguf", LARGE)];
    let (hub, far) = Server::pair(&files);
    far.fail(Fault { close_after: Some(1 << 20), ..Fault::default() });
    let pulled = Machine::new(&hub.url);
    let pulled = (pulled.pull(&hf("")).expect("piece by piece"), pulled);
    assert_eq!(std::fs::read(&pulled.0.path).expect("the model"), files[0].bytes);
}

#[test]
fn what_is_wrong_is_not_kept() {
    let (hub, far) = Server::pair(&[file("m.gguf", LARGE)]);
    for (fault, words) in [
        (Fault { change: Some(5 << 20), ..Fault::default() }, &["SHA-256", "not kept"][..]),
        (Fault { change: Some(5), no_ranges: true, ..Fault::default() }, &["SHA-256", "not kept"]),
        (Fault { change: Some(0), ..Fault::default() }, &["no GGUF file"]),
        (Fault { longer: 1, ..Fault::default() }, &["bytes where", "were announced"]),
    ] {
        let machine = Machine::new(&hub.url);
        far.fail(fault.clone());
        let error = machine.pull(&hf("")).expect_err("wrong").to_string();
        assert!(words.iter().all(|word| error.contains(word)) && error.lines().count() == 1, "{fault:?}: {error}");
        assert_eq!((machine.find(&hf("")), machine.files()), (None, Vec::new()), "{fault:?}");
        far.fail(Fault::default());
        machine.pull(&hf("")).expect("the right one");
    }
}

#[test]
fn a_length_that_is_a_lie_is_noticed() {
    let files = [file("m.gguf", 3 << 20)];
    let server = Server::start(&files);
    let machine = Machine::new(&server.url);
    // The server says more than it gives, and knows no ranges: the end is a broken connection.
    server.fail(Fault { longer: 9, no_ranges: true, ..Fault::default() });
    let error = machine.pull(&format!("{}/m.gguf", server.url)).expect_err("a lie").to_string();
    assert!(error.contains("the connection broke"), "{error}");
    assert!(machine.library().list().is_empty());
}

#[test]
fn a_damaged_file_is_fetched_again() {
    let (hub, _far) = Server::pair(&[file("m.gguf", 5000)]);
    let machine = Machine::new(&hub.url);
    let path = machine.pull(&hf("")).expect("pulled").path;
    let mut bytes = std::fs::read(&path).expect("the model");
    bytes[4000] ^= 1;
    std::fs::write(std::fs::canonicalize(&path).expect("a blob"), bytes).expect("damaged");
    assert!(machine.pull(&hf("")).expect("mended").fetched);
    assert!(!machine.pull(&hf("")).expect("whole").fetched);
}

#[test]
fn two_pulls_at_once_fetch_once() {
    let (hub, far) = Server::pair(&[file("m.gguf", LARGE)]);
    let machine = Machine::new(&hub.url);
    let pulled: Vec<Pulled> = std::thread::scope(|scope| {
        let pulls: Vec<_> = (0..2).map(|_| scope.spawn(|| machine.pull(&hf("")).expect("pulled"))).collect();
        pulls.into_iter().map(|pull| pull.join().expect("no panic")).collect()
    });
    assert_eq!(pulled.iter().filter(|pulled| pulled.fetched).count(), 1);
    assert_eq!(far.given(), LARGE + 1, "the file, and the first byte of the question");
}

#[test]
fn split_models_come_whole() {
    let names = ["q/m-Q4_0-00001-of-00002.gguf", "q/m-Q4_0-00002-of-00002.gguf"];
    let (hub, _far) = Server::pair(&[file(names[0], 1000), file(names[1], 2000)]);
    let machine = Machine::new(&hub.url);
    let pulled = machine.pull(&hf(":Q4_0")).expect("pulled");
    assert!(pulled.bytes == 3000 && pulled.sha256.len() == 2 && pulled.path.ends_with(names[0]));
    assert_eq!(
        std::fs::metadata(pulled.path.with_file_name("m-Q4_0-00002-of-00002.gguf")).expect("beside it").len(),
        2000
    );
    let removed = machine.library().remove(&parse(&hf("")), &mut |_| {}).expect("removed");
    assert_eq!((removed.bytes, machine.files()), (3000, Vec::new()));
}

#[test]
fn refusals_say_what_to_do() {
    let (hub, far) = Server::pair(&[file("m-Q8_0.gguf", 1000), file("n-Q8_0.gguf", 1000)]);
    let machine = Machine::new(&hub.url);
    let said = |name: &str| machine.pull(name).expect_err("refused").to_string();
    for (status, words) in [
        (401, "HF_TOKEN does not open it"),
        (403, "accept the model's terms"),
        (404, "check the name"),
        (429, "in 7 seconds"),
        (503, "in trouble"),
    ] {
        hub.fail(Fault { status: Some(status), ..Fault::default() });
        let line = said(&hf(""));
        assert!(line.contains(words) && line.contains(&format!("HTTP {status}")), "{line}");
    }
    hub.fail(Fault::default());
    assert!(said("hf:nobody/nothing").contains("there is no such model"));
    assert!(said(&hf(":Q2_K")).contains("has no Q2_K; there are m-Q8_0.gguf, n-Q8_0.gguf"));
    assert!(said(&hf("")).contains("several models"));
    far.fail(Fault { status: Some(403), ..Fault::default() });
    assert!(said(&hf(":m-Q8_0.gguf")).contains("no way to log in"));
    // A port that was free a moment ago.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let line = Machine::new(&format!("http://{closed}")).pull(&hf("")).expect_err("nobody").to_string();
    assert!(line.contains("cannot be reached") && line.contains("HF_ENDPOINT"), "{line}");
    assert!(machine.library().list().is_empty());
}

#[test]
fn addresses_with_and_without_a_digest() {
    let files = [file("m.gguf", LARGE)];
    let server = Server::start(&files);
    let machine = Machine::new(&server.url);
    let url = format!("{}/m.gguf", server.url);
    let wrong = format!("{url}#sha256={}", "0".repeat(64));
    assert!(machine.pull(&wrong).is_err_and(|error| error.to_string().contains("SHA-256")));
    assert_eq!(machine.find(&url), None);
    // Without a digest the server's validator says whether the rest is of the same file.
    server.fail(Fault { budget: Some(9 << 20), ..Fault::default() });
    machine.pull(&url).expect_err("the server ends early");
    server.fail(Fault::default());
    let pulled = machine.pull(&url).expect("the rest");
    assert!(!pulled.expected && server.given() < LARGE - (8 << 20));
    assert_eq!((&*pulled.sha256[0], machine.find(&url)), (&*files[0].sha256, Some(pulled.path.clone())));
    assert_eq!(machine.find(&wrong), None);
    assert_eq!(machine.find(&format!("{url}#sha256={}", files[0].sha256)), Some(pulled.path));
    assert_eq!(machine.library().list()[0].name, url);
    machine.library().remove(&parse(&url), &mut |_| {}).expect("removed");
    assert_eq!(machine.files(), Vec::<String>::new());
}

#[test]
fn a_server_without_ranges_or_validators_will_do() {
    let files = [file("m.gguf", LARGE)];
    let server = Server::start(&files);
    for fault in [Fault { no_ranges: true, ..Fault::default() }, Fault { no_etag: true, ..Fault::default() }] {
        let machine = Machine::new(&server.url);
        server.fail(fault);
        let pulled = machine.pull(&format!("{}/m.gguf", server.url)).expect("pulled");
        assert_eq!(pulled.sha256, [files[0].sha256.clone()]);
    }
}
