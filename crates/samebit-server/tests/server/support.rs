//! A server with a small model, and a client.

use samebit_engine::{Engine, EngineOptions, Limits};
use samebit_gguf::Gguf;
use samebit_server::{Model, Options, Running};
use samebit_synth::{Plan, Request};
use samebit_text::Tokenizer;
use samebit_text::template::ChatTemplate;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The model of most tests: its tokens are bytes and short words, its answers noise.
pub(crate) fn model() -> Model {
    with_template(None)
}

/// The same with another chat template.
pub(crate) fn with_template(template: Option<&str>) -> Model {
    let request = Request { shape: "tiny-llama", quant: "Q8_0", pure: false, seed: 5, layers: None, vocab_from: None };
    let bytes = Plan::new(&request).expect("a known shape").bytes().expect("made");
    let gguf = Gguf::from_bytes(bytes).expect("a GGUF file");
    let tokenizer = Tokenizer::from_metadata(gguf.metadata()).expect("a tokenizer");
    let template = match template {
        None => ChatTemplate::from_metadata(gguf.metadata(), &tokenizer),
        Some(source) => ChatTemplate::parse(source, None, None),
    };
    let engine = Engine::load(gguf, &EngineOptions::default()).expect("a model");
    Model {
        engine,
        draft: None,
        tokenizer: Arc::new(tokenizer),
        template: template.map_err(|error| error.to_string()),
        id: "tiny".into(),
        path: "tiny.gguf".into(),
        digest: "5eed5eed5eed5eed5eed5eed5eed5eed".into(),
        numerics: "v1".into(),
    }
}

/// A server that stops when this is dropped.
pub(crate) struct Server {
    running: Option<Running>,
    pub(crate) address: SocketAddr,
    agent: ureq::Agent,
}

/// A response, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A good answer's body.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// The message of an error of this status.
    pub(crate) fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()["error"]["message"].as_str().expect("a message").to_owned()
    }

    /// The data of each event; the last must be `[DONE]` and is left out.
    pub(crate) fn events(&self) -> Vec<Value> {
        let mut data: Vec<&str> = self.text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data.pop(), Some("[DONE]"), "{}", self.text);
        data.into_iter().map(|data| serde_json::from_str(data).expect("JSON")).collect()
    }

    /// The header `name`.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// A server with the usual options on a free port.
pub(crate) fn server() -> Server {
    start(model(), Options::default())
}

/// A server on a free port.
pub(crate) fn start(model: Model, options: Options) -> Server {
    let running = samebit_server::start(model, Options { port: 0, ..options }).expect("a server");
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(120)));
    Server { address: running.address(), running: Some(running), agent: config.build().new_agent() }
}

/// Options whose batch is small.
pub(crate) fn narrow(sequences: usize, queue: usize) -> Options {
    Options { limits: Limits { sequences, queue, ..Limits::default() }, ..Options::default() }
}

impl Server {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = headers.iter().fold(self.agent.get(self.url(path)), |r, (name, value)| r.header(*name, *value));
        read(request.call())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, body, &[])
    }

    pub(crate) fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        self.post_bytes(path, body.to_string().as_bytes(), headers)
    }

    pub(crate) fn post_bytes(&self, path: &str, body: &[u8], headers: &[(&str, &str)]) -> Answer {
        let request = self.agent.post(self.url(path)).header("Content-Type", "application/json");
        let request = headers.iter().fold(request, |r, (name, value)| r.header(*name, *value));
        read(request.send(body))
    }

    /// A request of which the answer is left to be read.
    pub(crate) fn open(&self, path: &str, body: &Value) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("sent");
        BufReader::new(stream)
    }

    /// A metric's value.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
    }

    /// Waits until nothing runs.
    pub(crate) fn settle(&self) {
        let started = Instant::now();
        while self.metric("samebit_running") + self.metric("samebit_waiting") > 0.0 {
            assert!(started.elapsed() < Duration::from_secs(30), "still running");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The running server itself.
    pub(crate) fn take(mut self) -> Running {
        self.running.take().expect("taken once")
    }
}

fn read(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = result.expect("a response");
    let bytes = response.body_mut().with_config().limit(64 << 20).read_to_vec().expect("a body");
    let text = String::from_utf8(bytes).expect("UTF-8");
    Answer { status: response.status().as_u16(), headers: response.headers().clone(), text }
}

/// Reads lines until one begins so.
pub(crate) fn read_until(reader: &mut BufReader<TcpStream>, beginning: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).expect("read") > 0, "ended before {beginning}");
        if line.starts_with(beginning) {
            return line;
        }
    }
}

/// All that is left.
pub(crate) fn rest(mut reader: BufReader<TcpStream>) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has no rest.
    let _ = reader.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One user's message.
pub(crate) fn ask(text: &str, fields: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": text}], "max_tokens": 12, "ignore_eos": true});
    merge(&mut body, fields);
    body
}

/// A text to be continued.
pub(crate) fn go_on(text: &str, fields: Value) -> Value {
    let mut body = json!({"prompt": text, "max_tokens": 12, "ignore_eos": true});
    merge(&mut body, fields);
    body
}

fn merge(body: &mut Value, fields: Value) {
    if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
        body.extend(fields);
    }
}
