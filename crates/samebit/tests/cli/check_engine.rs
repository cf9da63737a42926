//! `check-engine`: servers and commands that keep their promises, and such that break one.

use crate::support::{assert_fails, folder, json, output, stderr, tiny};
use serde_json::{Value, json as object};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a server knows of a request when it answers.
struct Asked {
    body: Value,
    /// How many were served at once at most while this one was.
    company: usize,
    /// How many came before.
    earlier: usize,
}

/// A server on a port of its own, which answers each request by `answer`; its URL. It ends with the test's process.
fn serve(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (answer, count, busy) = (Arc::new(answer), AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, busy, earlier) =
                (Arc::clone(&answer), Arc::clone(&busy), count.fetch_add(1, Ordering::SeqCst));
            std::thread::spawn(move || one(stream, earlier, &busy, &*answer));
        }
    });
    url
}

fn one(stream: TcpStream, earlier: usize, busy: &AtomicUsize, answer: &dyn Fn(&Asked) -> (u16, Value)) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|_| !line.trim().is_empty()) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the whole body");
    let before = busy.fetch_add(1, Ordering::SeqCst) + 1;
    std::thread::sleep(Duration::from_millis(15));
    let company = before.max(busy.fetch_sub(1, Ordering::SeqCst));
    let asked = Asked { body: serde_json::from_slice(&body).expect("JSON"), company, earlier };
    let (status, value) = answer(&asked);
    let text = value.to_string();
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    // The client may be gone.
    let _ = reader.into_inner().write_all(format!("{head}{text}").as_bytes());
}

/// Four tokens made of the prompt; the third is `third`, with that log-probability.
fn completion(asked: &Asked, third: &str, logprob: f64) -> (u16, Value) {
    let words = asked.body["prompt"].as_str().expect("a prompt").len().to_string();
    let tokens = [words.as_str(), " and", third, "."];
    let content: Vec<Value> = tokens
        .iter()
        .map(|token| object!({"token": token, "logprob": logprob, "top_logprobs": [{"token": token, "logprob": -0.5}, {"token": "x", "logprob": -0.75}]}))
        .collect();
    (200, object!({"choices": [{"text": tokens.concat(), "logprobs": {"content": content}}]}))
}

fn check(url: &str) -> Output {
    output(&["check-engine", "--url", url, "-n", "4", "--repeats", "2", "--json", "-q"])
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

#[test]
fn a_server_that_gives_the_same_keeps_its_promises() {
    let checked = check(&serve(|asked| completion(asked, " so", -0.5)));
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    let report = report(&checked);
    assert_eq!(report["broken"], object!([]));
    let tried: Vec<&str> =
        report["experiments"].as_array().expect("a list").iter().filter_map(|e| e["promise"].as_str()).collect();
    assert_eq!(tried.concat(), "RRKKKKB");
}

#[test]
fn company_that_changes_a_token_breaks_b_and_is_named() {
    let url = serve(|asked| completion(asked, if asked.company > 1 { " no" } else { " so" }, -0.5));
    let checked = check(&url);
    assert_eq!(checked.status.code(), Some(1), "{}", stderr(&checked));
    let report = report(&checked);
    assert_eq!(report["broken"], object!(["B"]));
    let last = report["experiments"].as_array().expect("a list").last().cloned().expect("some");
    let first = &last["first"];
    assert_eq!((&first["at"], &first["first"], &first["other"]), (&object!(2), &object!(" so"), &object!(" no")));
    assert_eq!(first["margin"], object!(0.25));
}

#[test]
fn a_cache_that_changes_a_number_breaks_k() {
    let url =
        serve(|asked| completion(asked, " so", if asked.body["cache_prompt"] == true { -0.5000001 } else { -0.5 }));
    let checked = check(&url);
    let report = report(&checked);
    assert_eq!((checked.status.code(), &report["broken"]), (Some(1), &object!(["K"])));
    let text = String::from_utf8(output(&["check-engine", "--url", &url, "-q"]).stdout).expect("UTF-8");
    assert!(text.contains("other log-probabilities, the same text") && text.contains("Broken: K ("), "{text}");
}

#[test]
fn chance_breaks_r_and_chats_are_asked_too() {
    let url = serve(|asked| {
        let content = if asked.earlier == 5 { "another" } else { "an answer" };
        (200, object!({"choices": [{"message": {"role": "assistant", "content": content}}]}))
    });
    let checked = output(&["check-engine", "--url", &url, "--chat", "--json", "-q"]);
    assert_eq!((checked.status.code(), &report(&checked)["broken"]), (Some(1), &object!(["R"])));
}

#[test]
fn servers_that_cannot_be_asked() {
    assert_fails(&check(&serve(|_| (404, object!({})))), 3, &["404", "--chat"]);
    assert_fails(&check(&serve(|_| (200, object!({"hello": 1})))), 3, &["choices"]);
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    assert_fails(&check(&format!("http://{closed}")), 3, &["/v1/completions"]);
    assert_fails(&check("https://127.0.0.1"), 2, &["http://"]);
}

/// A script in a folder of its own: `$1` is the prompt, `$2` the threads.
#[cfg(unix)]
fn script(folder: &std::path::Path, text: &str) -> Output {
    let path = folder.join("engine.sh");
    std::fs::write(&path, text).expect("written");
    let path = path.display().to_string();
    output(&["check-engine", "--json", "-q", "-p", "a b", "-p", "c", "--", "sh", &path, "{prompt}", "{threads}"])
}

#[test]
#[cfg(unix)]
fn commands_that_print_keep_or_break_r_and_t() {
    let folder = folder();
    let same = script(folder.path(), "printf 'it is %s, %s words' \"$1\" \"$(printf %s \"$1\" | wc -w)\"");
    assert_eq!((same.status.code(), &report(&same)["broken"]), (Some(0), &object!([])));
    let threads = script(folder.path(), "if [ $2 -gt 2 ]; then echo \"$1 indeed\"; else echo \"$1 in short\"; fi");
    let told = report(&threads);
    assert_eq!((threads.status.code(), &told["broken"]), (Some(1), &object!(["T"])));
    let differs = told["experiments"].as_array().expect("a list").iter().find(|e| e["first"].is_object()).expect("one");
    assert_eq!((&differs["what"], &differs["first"]["at"]), (&object!("with 4 threads"), &object!(6)));
    let chance = script(folder.path(), &format!("echo x >> {0}/n; wc -c < {0}/n", folder.path().display()));
    assert_eq!(chance.status.code(), Some(1));
    assert_eq!(report(&chance)["broken"][0], "R");
    assert_fails(&script(folder.path(), "exit 7"), 3, &["sh", "7"]);
    let deaf = output(&["check-engine", "--", "echo", "hello"]);
    assert_fails(&deaf, 2, &["{prompt}"]);
}

#[test]
fn this_program_keeps_its_promises() {
    let program = env!("CARGO_BIN_EXE_samebit");
    let run =
        ["run", "-m", tiny(), "-n", "{n}", "-t", "{threads}", "--temp", "0", "--ignore-eos", "-q", "-p", "{prompt}"];
    let told = json(
        &[&["check-engine", "--json", "-q", "-n", "6", "--repeats", "1", "-p", "Hello", "--", program][..], &run]
            .concat(),
    );
    assert_eq!(told["broken"], object!([]));
}
