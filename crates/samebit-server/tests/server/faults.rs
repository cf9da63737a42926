//! Clients that do everything wrong: each is told so, none harms another.

use crate::support::{go_on, model, rest, server, start};
use samebit_server::Options;
use serde_json::{Value, json};
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

const PATHS: [&str; 7] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/tokenize",
    "/detokenize",
    "/apply-template",
];

#[test]
fn broken_bodies_are_bad_requests() {
    let server = server();
    let deep = "[".repeat(50_000);
    let bodies: [&[u8]; 12] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"3",
        b"\xff\xfe{}",
        b"{\"prompt\": \"\xc3(\", \"messages\": \"\xc3(\"}",
        b"{} {}",
        b"{\"prompt\": \"x\", \"content\": \"x\", \"max_tokens\": 1e999}",
        b"{\"messages\": [], \"messages\": []}",
        b"\x00\x00\x00\x00",
        deep.as_bytes(),
    ];
    for path in PATHS {
        for body in bodies {
            let answer = server.post_bytes(path, body, &[]);
            let message = answer.error(400);
            assert!(!message.is_empty() && !message.contains('\n'), "{path}: {message}");
        }
    }
    let message = server.post_bytes("/v1/completions", b"{\"prompt\": \"\xff\"}", &[]).error(400);
    assert_eq!(message, "the body is not UTF-8: byte 12 is 0xff");
}

#[test]
fn wrong_types_everywhere() {
    let server = server();
    let odd =
        [json!(null), json!(true), json!(-1), json!(1e300), json!("\u{0}"), json!([]), json!([[[]]]), json!({"": {}})];
    let fields = [
        "messages",
        "prompt",
        "input",
        "model",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "n",
        "stop",
        "seed",
        "logit_bias",
        "stream",
        "stream_options",
        "response_format",
        "tools",
        "tool_choice",
        "logprobs",
        "top_logprobs",
        "echo",
        "samebit",
        "text",
        "encoding_format",
        "content",
        "tokens",
        "chat_template_kwargs",
        "priority",
        "ignore_eos",
        "parallel_tool_calls",
    ];
    for path in PATHS {
        for field in fields {
            for value in &odd {
                let mut body = json!({"messages": [{"role": "user", "content": "x"}], "prompt": "x", "input": "x", "content": "x",
                                      "tokens": [1], "max_tokens": 2});
                body[field] = value.clone();
                let answer = server.post(path, &body);
                assert!(answer.status < 500, "{path} {body}: {} {}", answer.status, answer.text);
            }
        }
    }
    server.settle();
    server.post("/v1/completions", &go_on("x", json!({}))).ok();
}

#[test]
fn bodies_have_a_size() {
    let server = start(model(), Options { body_bytes: 1000, ..Options::default() });
    let body = go_on(&"x".repeat(2000), json!({}));
    let message = server.post("/v1/completions", &body).error(413);
    assert!(message.contains("1000") && message.contains("--max-body"), "{message}");
    // Without a length told beforehand.
    let mut stream = TcpStream::connect(server.address).expect("connected");
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).expect("sent");
    for _ in 0..4 {
        let chunk = format!("200\r\n{}\r\n", "x".repeat(0x200));
        if stream.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    assert!(rest(BufReader::new(stream)).starts_with("HTTP/1.1 413"));
}

#[test]
fn slow_requests_time_out() {
    let server = start(model(), Options { io_timeout: Duration::from_millis(300), ..Options::default() });
    for sent in ["", "POST /v1/completions HT", "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = TcpStream::connect(server.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        stream.write_all(sent.as_bytes()).expect("sent");
        let mut answer = String::new();
        // Closed, with an answer or without.
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let mut stream = TcpStream::connect(server.address).expect("connected");
    let head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{";
    stream.write_all(head.as_bytes()).expect("sent");
    assert!(rest(BufReader::new(stream)).starts_with("HTTP/1.1 408"));
}

#[test]
fn garbage_on_the_socket() {
    let server = server();
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET\r\n\r\n", b"\r\n\r\n\r\n", &[0; 5000], b"GET /health HTTP/9.9\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(server.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        // The server may have closed already.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
    }
    server.post("/v1/completions", &go_on("x", json!({}))).ok();
}

#[test]
fn who_reads_nothing_holds_up_nobody() {
    let server = start(model(), Options { io_timeout: Duration::from_millis(700), ..Options::default() });
    let body = go_on("x", json!({"max_tokens": 2000, "n": 16, "stream": true, "logprobs": 20, "samebit": true}));
    let deaf: Vec<_> = (0..4).map(|_| server.open("/v1/completions", &body)).collect();
    let other = server.post("/v1/completions", &go_on("y", json!({"samebit": true}))).ok();
    assert_eq!(other["usage"]["completion_tokens"], 12);
    // They are cut off, for they take nothing.
    server.settle();
    drop(deaf);
}

#[test]
fn many_idle_connections() {
    let server = server();
    let idle: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(server.address).expect("connected")).collect();
    server.post("/v1/completions", &go_on("x", json!({}))).ok();
    assert!(server.metric("samebit_connections") >= 400.0);
    drop(idle);
    let few = start(model(), Options { connections: 3, io_timeout: Duration::from_millis(500), ..Options::default() });
    let idle: Vec<TcpStream> = (0..6).map(|_| TcpStream::connect(few.address).expect("connected")).collect();
    // Waits until idle ones have been closed.
    few.post("/v1/completions", &go_on("x", json!({}))).ok();
    drop(idle);
}

#[test]
fn schema_bombs_harm_nobody() {
    let server = server();
    let chain: serde_json::Map<String, Value> = (0..3000)
        .map(|i| (format!("d{i}"), json!({"properties": {"x": {"$ref": format!("#/$defs/d{}", i + 1)}}})))
        .collect();
    for schema in [
        json!({"pattern": "((a{100}){100}){100}"}),
        json!({"$ref": "#/$defs/d0", "$defs": chain}),
        json!({"allOf": vec![json!({"anyOf": [{"minimum": 1}, {"multipleOf": 7}, {"maxLength": 3}]}); 14]}),
        json!({"multipleOf": 1_000_003}),
        json!({"$ref": "#"}),
        json!({"not": {"not": {}}}),
    ] {
        let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
        let answer = server.post("/v1/completions", &go_on("x", json!({"response_format": format})));
        assert!(answer.status == 400, "{} {}", answer.status, answer.text);
    }
    server.post("/v1/completions", &go_on("x", json!({}))).ok();
}
