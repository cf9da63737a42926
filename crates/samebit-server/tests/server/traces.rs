//! Spans as a collector gets them.

use crate::support::{model, server, start};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use prost::Message;
use samebit_server::Options;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector's address, and what is sent to it.
fn collector() -> (String, Receiver<ExportTraceServiceRequest>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, received) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.expect("a connection"));
            let (mut length, mut first, mut line) = (0, String::new(), String::new());
            while reader.read_line(&mut line).is_ok_and(|_| !line.trim().is_empty()) {
                if first.is_empty() {
                    first.clone_from(&line);
                }
                if let Some((_, value)) = line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case("content-length"))
                {
                    length = value.trim().parse().expect("a length");
                }
                line.clear();
            }
            assert!(first.starts_with("POST /v1/traces "), "{first}");
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            reader
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .expect("sent");
            drop(sender.send(ExportTraceServiceRequest::decode(&body[..]).expect("spans")));
        }
    });
    (endpoint, received)
}

fn traced(endpoint: &str) -> Options {
    Options { otlp_endpoint: Some(endpoint.to_owned()), ..Options::default() }
}

fn spans(received: &Receiver<ExportTraceServiceRequest>) -> Vec<Span> {
    let mut spans = Vec::new();
    // The server has ended: what it had to send is here, or will be in no time.
    while let Ok(request) = received.recv_timeout(Duration::from_millis(if spans.is_empty() { 20_000 } else { 200 })) {
        let batches = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        spans.extend(batches.flat_map(|scope| scope.spans));
    }
    spans
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> &'a Value {
    let found = attributes.iter().find(|attribute| attribute.key == key).unwrap_or_else(|| panic!("no {key}"));
    found.value.as_ref().and_then(|value| value.value.as_ref()).expect("a value")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_request_is_a_span_and_each_choice_a_child() {
    let (endpoint, received) = collector();
    let server = start(model(), traced(&endpoint));
    let body = json!({"prompt": "Hello", "max_tokens": 3, "n": 2, "seed": 7, "samebit": true, "ignore_eos": true});
    let header = format!("00-{TRACE}-{PARENT}-01");
    let answer = server.post_with("/v1/completions", &body, &[("traceparent", &header)]).ok();
    drop(server);
    let spans = spans(&received);
    let root = spans.iter().find(|span| span.name == "POST /v1/completions").expect("the request's");
    assert_eq!((hex(&root.trace_id), hex(&root.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    let of = |key| attribute(&root.attributes, key);
    assert_eq!(of("gen_ai.request.model"), &Value::StringValue("tiny".into()));
    assert_eq!(of("gen_ai.request.seed"), &Value::IntValue(7));
    assert_eq!(of("gen_ai.usage.output_tokens"), &Value::IntValue(6));
    assert_eq!(of("http.response.status_code"), &Value::IntValue(200));
    let children: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == root.span_id).collect();
    assert_eq!(children.len(), 2);
    for child in children {
        let Value::IntValue(index) = attribute(&child.attributes, "samebit.choice") else { panic!("a number") };
        let digest = answer["samebit"]["choices"][usize::try_from(*index).expect("small")]["logits_digest"].clone();
        let told = attribute(&child.attributes, "samebit.logits_digest");
        assert_eq!(told, &Value::StringValue(digest.as_str().expect("a digest").into()));
        let first = child.events.iter().find(|event| event.name == "first_token").expect("a first token");
        assert!((child.start_time_unix_nano..=child.end_time_unix_nano).contains(&first.time_unix_nano));
        assert!(root.start_time_unix_nano <= child.start_time_unix_nano + 1_000_000);
    }
}

#[test]
fn a_streams_span_ends_with_the_stream_and_one_broken_off_says_so() {
    let (endpoint, received) = collector();
    let server = start(model(), traced(&endpoint));
    let body = json!({"prompt": "Hello", "max_tokens": 8, "stream": true, "ignore_eos": true});
    assert_eq!(server.post("/v1/completions", &body).status, 200);
    let long = json!({"prompt": "Hello", "max_tokens": 100_000, "stream": true, "ignore_eos": true});
    let mut reader = server.open("/v1/completions", &long);
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        reader.read_line(&mut line).expect("an event");
    }
    drop(reader);
    server.get("/health");
    assert_eq!(server.post("/nowhere", &json!({})).status, 404);
    drop(server);
    let spans = spans(&received);
    let status = |span: &Span| span.status.as_ref().map_or(0, |status| status.code);
    let broken = |span: &&Span| span.name == "POST /v1/completions" && status(span) == StatusCode::Error as i32;
    let whole = |span: &&Span| span.name == "POST /v1/completions" && status(span) == StatusCode::Unset as i32;
    assert_eq!(spans.iter().filter(broken).count(), 1, "the one that was left");
    let root = spans.iter().find(whole).expect("the one that was heard to its end");
    assert_eq!(attribute(&root.attributes, "gen_ai.usage.output_tokens"), &Value::IntValue(8));
    let child = spans.iter().find(|span| span.parent_span_id == root.span_id).expect("a choice");
    assert!(child.end_time_unix_nano <= root.end_time_unix_nano, "the request is no shorter than its choice");
    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["POST", "POST /v1/completions", "POST /v1/completions", "choice"]);
}

#[test]
fn a_collector_that_is_away_costs_no_answer() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let body = json!({"prompt": "Hello", "max_tokens": 4, "samebit": true});
    let digest = |answer: serde_json::Value| answer["samebit"]["logits_digest"].clone();
    let alone = digest(server().post("/v1/completions", &body).ok());
    let server = start(model(), traced(&format!("http://{gone}")));
    assert_eq!(digest(server.post("/v1/completions", &body).ok()), alone);
}
