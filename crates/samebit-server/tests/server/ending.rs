//! The end: answers that run are waited for, those that take too long are told, and nobody else holds it up.

use crate::support::{Server, go_on, model, read_until, rest, start};
use samebit_server::{Options, Stopped};
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A server that gives running answers so long.
fn with_grace(grace: Duration) -> Server {
    start(model(), Options { grace, ..Options::default() })
}

/// A request that runs for long.
fn long(server: &Server, path: &str, fields: Value) -> BufReader<TcpStream> {
    let mut body = go_on("x", json!({"max_tokens": -1, "n": 64}));
    if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
        body.extend(fields);
    }
    server.open(path, &body)
}

/// Waits until so many run.
fn until_running(server: &Server, count: f64) {
    let started = Instant::now();
    while server.metric("samebit_running") + server.metric("samebit_waiting") < count {
        assert!(started.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn answers_that_are_broken_off_are_told_so() {
    let server = with_grace(Duration::from_millis(50));
    let mut streams = Vec::new();
    let mut wholes = Vec::new();
    for number in 0..3 {
        let mut stream = long(&server, "/v1/completions", json!({"stream": true}));
        if number == 0 {
            read_until(&mut stream, "data: ");
        }
        // Read as they come, as clients do.
        streams.push(std::thread::spawn(|| rest(stream)));
        wholes.push(long(&server, "/v1/completions", json!({})));
    }
    let mut response = server.open("/v1/responses", &json!({"input": "x", "stream": true, "ignore_eos": true}));
    read_until(&mut response, "data: ");
    until_running(&server, 7.0);
    let server = server.take();
    server.stop();
    assert_eq!(server.wait(), Stopped::BrokenOff);
    for stream in streams {
        let text = stream.join().expect("read");
        let end = text.lines().rev().take(12).collect::<Vec<_>>();
        assert!(text.contains("the answer broke off: resume it") && !text.contains("[DONE]"), "{end:?}");
        // The body is whole: the connection was not torn.
        assert!(text.ends_with("0\r\n\r\n"), "{end:?}");
    }
    for whole in wholes {
        let text = rest(whole);
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("--grace"), "{text}");
    }
    // This one may have come to the end of its context.
    let text = rest(response);
    assert!(text.contains("response.failed") || text.contains("response.incomplete"), "{text}");
}

#[test]
fn half_a_request_holds_up_nothing() {
    let server = with_grace(Duration::from_secs(60));
    let head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let halves = ["", "POST /v1/comp", head, &format!("{head}Content-Length: 100\r\n\r\n{{\"prompt\": ")];
    let halves: Vec<TcpStream> = halves
        .iter()
        .map(|half| {
            let mut stream = TcpStream::connect(server.address).expect("connected");
            stream.write_all(half.as_bytes()).expect("sent");
            stream
        })
        .collect();
    let started = Instant::now();
    while server.metric("samebit_connections") < 4.0 {
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    let server = server.take();
    let started = Instant::now();
    server.stop();
    assert_eq!(server.wait(), Stopped::Finished);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    drop(halves);
}

#[test]
fn nothing_is_broken_off_where_nothing_runs() {
    let server = with_grace(Duration::ZERO);
    let half = TcpStream::connect(server.address).expect("connected");
    let server = server.take();
    server.stop();
    assert_eq!(server.wait(), Stopped::Finished);
    drop(half);
}

/// A client that reads slowly is sent all of an answer that is complete.
#[test]
fn what_is_done_is_sent() {
    let server = with_grace(Duration::from_secs(60));
    // More than the system takes for a client that does not.
    let body = go_on("x", json!({"n": 128, "max_tokens": 300, "logprobs": 20, "samebit": true}));
    let mut stream = server.open("/v1/completions", &body);
    read_until(&mut stream, "HTTP/1.1 200");
    let server = server.take();
    server.stop();
    std::thread::sleep(Duration::from_secs(2));
    let text = rest(stream);
    assert!(text.ends_with('}') && text.contains("\"index\":127") && text.len() > 9_000_000, "{}", text.len());
    assert_eq!(server.wait(), Stopped::Finished);
}
