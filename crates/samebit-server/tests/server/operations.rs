//! Keys, limits, health: what whoever runs the server relies on.

use crate::support::{Server, ask, go_on, model, narrow, read_until, rest, server, start, with_template};
use samebit_server::{Options, Stopped};
use serde_json::{Value, json};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn what_there_is_to_see() {
    let server = server();
    assert_eq!(server.get("/health").ok(), json!({"status": "ok"}));
    assert_eq!(server.get("/v1/models").ok()["data"][0]["id"], "tiny");
    assert_eq!(server.get("/v1/models/tiny").ok()["object"], "model");
    assert!(server.get("/v1/models/other").error(404).contains("`tiny`"));
    let props = server.get("/props").ok();
    assert_eq!((&props["total_slots"], &props["model_alias"]), (&json!(16), &json!("tiny")));
    assert!(props["chat_template"].as_str().is_some_and(|template| template.contains("im_start")));
    assert_eq!(server.get("/slots").ok().as_array().map(Vec::len), Some(16));
    server.post("/v1/completions", &go_on("x", json!({}))).ok();
    server.settle();
    assert_eq!(server.metric("samebit_first_token_seconds_count"), 1.0);
    assert!(server.metric("samebit_generated_tokens_total") >= 12.0);
    assert!(server.metric("samebit_responses_total{status=\"2xx\"}") >= 6.0);
    assert!(server.get("/nowhere").error(404).contains("/nowhere"));
    assert!(server.get("/v1/completions").error(405).contains("GET"));
    assert!(server.post("/health", &json!({})).error(405).contains("POST"));
    let page = server.get("/");
    assert!(page.text.contains("<html") && page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
}

#[test]
fn the_description_describes_what_there_is() {
    let server = server();
    let document = server.get("/openapi.json").ok();
    assert_eq!(document["components"]["schemas"]["TokenId"]["maximum"], 511);
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 10);
    for (path, operations) in paths {
        let path = path.replace("{id}", "tiny");
        for method in operations.as_object().expect("operations").keys() {
            let status = if method == "get" { server.get(&path).status } else { server.post(&path, &json!({})).status };
            assert_eq!(status, if method == "get" { 200 } else { 400 }, "{method} {path}");
        }
    }
}

#[test]
fn keys() {
    let options = Options { api_keys: vec!["secret".into(), "other".into()], ..Options::default() };
    let server = start(model(), options);
    let body = go_on("x", json!({}));
    let denied = server.post("/v1/completions", &body);
    assert!(denied.error(401).contains("Authorization"));
    assert_eq!(denied.header("www-authenticate"), "Bearer");
    server.post_with("/v1/completions", &body, &[("Authorization", "Bearer wrong")]).error(401);
    server.get("/v1/models").error(401);
    server.get("/metrics").error(401);
    for open in ["/health", "/", "/openapi.json"] {
        assert_eq!(server.get(open).status, 200, "{open}");
    }
    server.post_with("/v1/completions", &body, &[("Authorization", "Bearer other")]).ok();
    assert_eq!(server.get_with("/metrics", &[("X-Api-Key", "secret")]).status, 200);
}

#[test]
fn origins_and_hosts() {
    let server = server();
    let body = go_on("x", json!({}));
    assert!(
        server.post_with("/v1/completions", &body, &[("Origin", "https://example.com")]).error(403).contains("origin")
    );
    let own = format!("http://{}", server.address);
    server.post_with("/v1/completions", &body, &[("Origin", &own)]).ok();
    assert!(server.get_with("/health", &[("Host", "example.com")]).error(403).contains("example.com"));
    let message = server.post_with("/v1/completions", &body, &[("Content-Type", "text/plain")]);
    assert!(message.status == 415 || message.status == 200, "{}", message.text);
    let options = Options {
        cors_origins: vec!["https://example.com".into()],
        allowed_hosts: vec!["models.example.com".into()],
        ..Options::default()
    };
    let open = start(model(), options);
    let answer = open.post_with("/v1/completions", &body, &[("Origin", "https://example.com")]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, "https://example.com"));
    open.post_with("/v1/completions", &body, &[("Origin", "https://example.org")]).error(403);
    assert_eq!(open.get_with("/health", &[("Host", "models.example.com:80")]).status, 200);
}

#[test]
fn a_form_is_no_request() {
    let server = server();
    let mut stream = TcpStream::connect(server.address).expect("connected");
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}",
        server.address
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let answer = rest(BufReader::new(stream));
    assert!(answer.starts_with("HTTP/1.1 415") && answer.contains("Content-Type: application/json"), "{answer}");
}

#[test]
fn requests_have_names() {
    let server = server();
    let named = server.get_with("/health", &[("X-Request-Id", "mine-7")]);
    assert_eq!(named.header("x-request-id"), "mine-7");
    let other = server.get_with("/health", &[("X-Request-Id", "not fit")]);
    assert!(other.header("x-request-id").starts_with("req-"));
}

#[test]
fn a_minute_has_its_measure() {
    let server = start(model(), Options { rate_requests: Some(3), ..Options::default() });
    let body = go_on("x", json!({}));
    (0..3).for_each(|_| drop(server.post("/v1/completions", &body).ok()));
    let refused = server.post("/v1/completions", &body);
    refused.error(429);
    assert!((1..=20).contains(&refused.header("retry-after").parse::<u32>().expect("seconds")));
    assert_eq!(server.get("/health").status, 200);
    let server = start(model(), Options { rate_tokens: Some(10), ..Options::default() });
    server.post("/v1/completions", &body).ok();
    server.post("/v1/completions", &body).error(429);
}

/// A request that runs until it is dropped.
fn endless(server: &Server) -> BufReader<TcpStream> {
    let mut stream = server.open("/v1/completions", &go_on("x", json!({"max_tokens": -1, "n": 64, "stream": true})));
    read_until(&mut stream, "data: ");
    stream
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let server = start(model(), narrow(1, 1));
    let running = endless(&server);
    let waiting = server.open("/v1/completions", &go_on("y", json!({"stream": true})));
    let started = Instant::now();
    while server.metric("samebit_waiting") < 1.0 {
        assert!(started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
    let refused = server.post("/v1/completions", &go_on("z", json!({})));
    refused.error(429);
    assert_eq!((refused.header("retry-after"), &refused.json()["error"]["code"]), ("1", &json!("queue_full")));
    drop(running);
    assert!(rest(waiting).contains("[DONE]"));
}

#[test]
fn whoever_hangs_up_frees_the_place() {
    let server = start(model(), narrow(1, 8));
    for stream in [true, false] {
        let body = go_on("x", json!({"max_tokens": -1, "n": 64, "stream": stream}));
        let mut running = server.open("/v1/completions", &body);
        if stream {
            read_until(&mut running, "data: ");
        } else {
            let started = Instant::now();
            while server.metric("samebit_running") < 1.0 {
                assert!(started.elapsed() < Duration::from_secs(20));
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let slots = server.get("/slots").ok();
        assert!(slots[0]["is_processing"] == true && slots[0]["n_choices"].as_u64() > Some(0), "{slots}");
        drop(running);
        // The only place is taken again at once: an endless answer would have kept it.
        server.post("/v1/completions", &go_on("y", json!({"max_tokens": 2}))).ok();
        server.settle();
    }
    assert!(server.metric("samebit_cancelled_total") >= 2.0);
}

#[test]
fn an_answer_has_its_time() {
    let server = start(model(), Options { timeout: Duration::from_millis(300), ..Options::default() });
    let answer = server.post("/v1/completions", &go_on("x", json!({"max_tokens": -1, "n": 64})));
    assert_eq!(answer.status, 504, "{}", answer.text);
    let answer = server.post("/v1/completions", &go_on("x", json!({"max_tokens": -1, "n": 64, "stream": true})));
    assert!(answer.text.contains("\"code\":\"timeout\"") && !answer.text.contains("[DONE]"));
    server.post("/v1/completions", &go_on("x", json!({"max_tokens": 1}))).ok();
}

#[test]
fn the_end_waits_for_those_who_are_served() {
    let server = server();
    let mut running = server.open("/v1/completions", &go_on("x", json!({"max_tokens": 200, "stream": true})));
    read_until(&mut running, "data: ");
    let mut idle = TcpStream::connect(server.address).expect("connected");
    let (address, server) = (server.address, server.take());
    server.stop();
    assert!(rest(running).contains("[DONE]"));
    assert_eq!(server.wait(), Stopped::Finished);
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(idle.read(&mut [0; 8]).unwrap_or(0), 0);
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let server = start(model(), Options { grace: Duration::from_millis(50), ..Options::default() });
    let running = endless(&server);
    let server = server.take();
    server.stop();
    assert_eq!(server.wait(), Stopped::BrokenOff);
    drop(running);
}

#[test]
fn a_model_without_a_template_can_still_go_on() {
    let mut bare = with_template(None);
    bare.template = Err("the model has no chat template".into());
    let server = start(bare, Options::default());
    let answer = server.post("/v1/chat/completions", &ask("x", json!({})));
    let message = answer.error(400);
    assert_eq!(message, "the model has no chat template; /v1/completions needs none");
    assert_eq!(answer.json()["error"]["code"], "chat_template_missing");
    server.post("/v1/completions", &go_on("x", json!({}))).ok();
    let template = start(with_template(Some("{{ raise_exception('no such talk') }}")), Options::default());
    let message = template.post("/v1/chat/completions", &ask("x", json!({}))).error(400);
    assert!(message.contains("no such talk"), "{message}");
    assert_eq!(template.get("/props").ok()["chat_template_caps"]["supports_tools"], Value::Bool(false));
}
