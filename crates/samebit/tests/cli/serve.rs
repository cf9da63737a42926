//! `samebit serve`: begins, answers as `samebit run` does, ends when asked to.

use crate::support::{assert_fails, folder, json, output, samebit, synth};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

/// A server on a free port, and where it listens.
fn serve(args: &[&str]) -> (Child, String) {
    let (child, address, mut notes) = unread(args);
    // The rest is read so that the server never waits for a reader.
    std::thread::spawn(move || std::io::copy(&mut notes, &mut std::io::sink()));
    (child, address)
}

/// The same, and what it says from there on.
fn unread(args: &[&str]) -> (Child, String, BufReader<ChildStderr>) {
    let args = [&["serve", "--port", "0"], args].concat();
    let mut child = samebit(&args).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut notes = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert!(notes.read_line(&mut line).expect("a note") > 0, "ended without serving");
        if let Some((_, address)) = line.split_once("serving on ") {
            break address.trim().to_owned();
        }
    };
    (child, address, notes)
}

#[cfg(unix)]
#[test]
fn a_server_answers_as_a_run_and_ends_when_asked() {
    let folder = folder();
    let model = synth(folder.path(), "tiny-llama", &[]);
    let draft = synth(folder.path(), "tiny-llama-rope", &[]);
    let record = json(&["run", "-m", &model, "-p", "hello", "-n", "9", "-s", "4", "--json"]);
    for flags in [&[][..], &["-np", "1", "-ub", "3", "--spec"], &["-md", &draft, "-t", "2"]] {
        let (mut child, address) = serve(&[&["-m", model.as_str()], flags].concat());
        let body = r#"{"prompt": "hello", "max_tokens": 9, "seed": 4, "samebit": true}"#;
        let request = ureq::post(format!("{address}/v1/completions")).header("Content-Type", "application/json");
        let text = request.send(body).expect("an answer").body_mut().read_to_string().expect("a body");
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer["samebit"]["logits_digest"], record["logits_digest"]);
        assert_eq!(answer["samebit"]["model_digest"], record["model"]["digest"]);
        assert_eq!(answer["choices"][0]["text"], record["text"]);
        let ended = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(ended.expect("kill starts").success());
        assert!(child.wait().expect("the program ends").success());
    }
}

/// A full disk under the log loses lines and nothing else.
#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_stops_no_answer() {
    let folder = folder();
    let model = synth(folder.path(), "tiny-llama", &[]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    drop(listener);
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let args = ["serve", "-v", "--log-json", "-m", &model, "--port", &port];
    let mut child = samebit(&args).stderr(full).spawn().expect("the program starts");
    let request = || {
        let request = ureq::post(format!("http://127.0.0.1:{port}/v1/completions"));
        request.header("Content-Type", "application/json").send(r#"{"prompt": "hello", "max_tokens": 3}"#)
    };
    let mut answer = request();
    for _ in 0..600 {
        if answer.is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        answer = request();
    }
    let ended = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(ended.expect("kill starts").success());
    assert!(child.wait().expect("the program ends").success());
    assert_eq!(answer.expect("an answer").status(), 200);
}

/// Sends a signal, and waits until the program has ended.
#[cfg(unix)]
fn ends_by(signal: &str, child: &mut Child) {
    let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill starts").success());
    for _ in 0..600 {
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "{status}");
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().expect("a child");
    panic!("{signal} did not end it");
}

/// A log that nobody reads loses lines: no answer waits for a reader, and neither does the end.
#[cfg(unix)]
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let folder = folder();
    let model = synth(folder.path(), "tiny-llama", &[]);
    let (mut child, address, mut notes) = unread(&["-v", "-m", &model]);
    // Many times what a pipe holds, and more than the server keeps.
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(std::time::Duration::from_secs(20)))
        .build()
        .into();
    let path = "x".repeat(16_000);
    for _ in 0..600 {
        let answer = agent.get(format!("{address}/{path}")).call().expect("an answer");
        assert_eq!(answer.status(), 404);
    }
    // Read at last, the log says what is missing, in its place.
    let mut lines = (&mut notes).lines().map(|line| line.expect("UTF-8"));
    let lost = lines.find(|line| line.contains("log lines were dropped")).expect("lines were dropped");
    assert!(lost.contains("WARN"), "{lost}");
    drop(agent.get(format!("{address}/{path}")).call());
    for _ in 0..100 {
        let answer = agent.get(format!("{address}/{path}")).call().expect("an answer");
        assert_eq!(answer.status(), 404);
    }
    ends_by("-TERM", &mut child);
}

/// A terminal that is closed ends a server as one that is asked to.
#[cfg(target_os = "linux")]
#[test]
fn hanging_up_is_asking() {
    let folder = folder();
    let model = synth(folder.path(), "tiny-llama", &[]);
    let (mut child, _) = serve(&["-m", &model]);
    ends_by("-HUP", &mut child);
}

#[test]
fn what_makes_no_sense_is_said() {
    let folder = folder();
    let model = synth(folder.path(), "tiny-llama", &[]);
    let fails = |flags: &[&str], code: i32, words: &[&str]| {
        let args = [&["serve", "-q", "-m", model.as_str(), "--port", "0"], flags].concat();
        assert_fails(&output(&args), code, words);
    };
    let empty = folder.path().join("keys.txt");
    std::fs::write(&empty, "\n \n").expect("written");
    let text = |path: &Path| path.display().to_string();
    fails(&["--api-key-file", &text(&empty)], 3, &["keys.txt", "no key"]);
    fails(&["--api-key", ""], 2, &["--api-key"]);
    fails(&["--no-kv-cache"], 2, &["--no-kv-cache"]);
    fails(&["--chat-template", "nowhere.jinja"], 3, &["nowhere.jinja"]);
    fails(&["--host", "256.256.256.256"], 3, &["256.256.256.256"]);
    fails(&["--top-p", "2"], 2, &["top_p"]);
    fails(&["--repeat-penalty", "1e-38"], 2, &["repeat_penalty", "0.001"]);
    fails(&["--logit-bias", "7+1e9"], 2, &["logit_bias"]);
    fails(&["--cors-origin", "garbage"], 2, &["--cors-origin", "https://example.com"]);
    fails(&["--allowed-host", "http://x"], 2, &["--allowed-host"]);
    fails(&["--api-key", "a\tb"], 2, &["--api-key"]);
    fails(&["--otlp-endpoint", "https://collector"], 3, &["--otlp-endpoint"]);
    let other = synth(folder.path(), "tiny-gemma3", &[]);
    let mut bytes = std::fs::read(&other).expect("made");
    let at = bytes.windows(12).position(|bytes| bytes == b"<|im_start|>").expect("a token");
    bytes[at + 2..at + 4].copy_from_slice(b"om");
    let draft = folder.path().join("draft.gguf");
    std::fs::write(&draft, &bytes).expect("written");
    fails(&["-md", &text(&draft)], 3, &["draft.gguf", "token 1", "<|om_start|>", "<|im_start|>"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    assert_fails(&output(&["serve", "-q", "-m", &other, "--port", &port]), 3, &[&port, "listen", "--port"]);
}
