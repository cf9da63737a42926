//! A small model with ChatML, and a person who types what is written down.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use samebit_chat::{Answered, Heard, Input, Kept, Looks, Model, Options, Repl, Settings, Shelf, Talk, Typed, View};
use samebit_engine::sampler::SamplerConfig;
use samebit_engine::{Engine, EngineOptions};
use samebit_gguf::Gguf;
use samebit_synth::{Plan, Request};
use samebit_text::Tokenizer;
use samebit_text::template::ChatTemplate;

pub(crate) fn model(options: &EngineOptions) -> Arc<Model> {
    model_with(options, None)
}

/// With another template.
pub(crate) fn model_with(options: &EngineOptions, template: Option<&str>) -> Arc<Model> {
    let request = Request { shape: "tiny-llama", quant: "Q8_0", pure: false, seed: 5, layers: None, vocab_from: None };
    let bytes = Plan::new(&request).expect("a known shape").bytes().expect("made");
    let gguf = Gguf::from_bytes(bytes).expect("a GGUF file");
    let tokenizer = Tokenizer::from_metadata(gguf.metadata()).expect("a vocabulary");
    let template = match template {
        None => ChatTemplate::from_metadata(gguf.metadata(), &tokenizer),
        Some(source) => ChatTemplate::parse(source, None, None),
    };
    let template = template.expect("a template");
    let engine = Engine::load(gguf, options).expect("a model");
    Arc::new(Model {
        engine,
        draft: None,
        tokenizer: Arc::new(tokenizer),
        template,
        name: "tiny".into(),
        path: "tiny.gguf".into(),
        license: None,
        facts: Vec::new(),
        digest: "0".repeat(64),
        numerics: "v1".into(),
        kv: "f16".into(),
    })
}

/// Answers of at most eight tokens, drawn widely.
pub(crate) fn settings() -> Settings {
    let config = SamplerConfig { seed: 42, temperature: 1.5, ..SamplerConfig::default() };
    Settings { predict: Some(8), ..Settings::new(&config) }
}

pub(crate) fn talk() -> Talk {
    Talk::new(model(&EngineOptions { context: 4096, ..EngineOptions::default() }), settings())
}

pub(crate) fn ask(talk: &mut Talk, text: &str) -> Answered {
    talk.ask(text, &mut |_: Heard<'_>| ControlFlow::Continue(())).expect("an answer")
}

/// Types what is written down, and then leaves.
struct Script(VecDeque<Typed>, Arc<Mutex<Vec<String>>>);

impl Input for Script {
    fn read(&mut self, begin: &str) -> std::io::Result<Typed> {
        self.1.lock().expect("one thread").push(begin.to_owned());
        Ok(self.0.pop_front().unwrap_or(Typed::End))
    }

    fn remember(&mut self, _: bool) {}
}

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Nothing is kept, and nobody presses Ctrl-C.
pub(crate) fn quiet() -> Options {
    Options { verbose: false, session: None, transcript: None, first: None, single: false, interrupted: || false }
}

/// What came of a conversation.
pub(crate) struct Seen {
    /// All that was written.
    pub(crate) screen: String,
    /// What each message began with.
    pub(crate) begun: Vec<String>,
    /// What was still to be typed when it ended.
    pub(crate) untyped: bool,
}

/// Types these messages; `^C` is Ctrl-C.
pub(crate) fn converse(talk: Talk, typed: &[&str], check: impl FnOnce(&Talk)) -> Seen {
    converse_in(None, talk, typed, check)
}

/// The same, kept in a file.
pub(crate) fn converse_in(file: Option<Kept>, talk: Talk, typed: &[&str], check: impl FnOnce(&Talk)) -> Seen {
    converse_with(None, Options { session: file, ..quiet() }, talk, typed, check)
}

/// The same, with all that there may be.
pub(crate) fn converse_with(
    shelf: Option<Box<dyn Shelf>>,
    options: Options,
    talk: Talk,
    typed: &[&str],
    check: impl FnOnce(&Talk),
) -> Seen {
    let (screen, begun) = (Screen::default(), Arc::new(Mutex::new(Vec::new())));
    let typed: VecDeque<Typed> = typed
        .iter()
        .map(|text| if *text == "^C" { Typed::Interrupt } else { Typed::Text((*text).to_owned()) })
        .collect();
    let many = typed.len();
    let looks = Looks { terminal: true, styled: false, wordwrap: false, thoughts: true, size: || Some((80, 24)) };
    let view = View::new(Box::new(screen.clone()), looks);
    let mut repl = Repl::new(talk, view, Box::new(Script(typed, Arc::clone(&begun))), options);
    if let Some(shelf) = shelf {
        repl = repl.with_shelf(shelf);
    }
    repl.run().expect("an end");
    check(repl.talk());
    drop(repl);
    let begun = begun.lock().expect("one thread").clone();
    let untyped = begun.len() < many;
    let bytes = screen.0.lock().expect("one thread").clone();
    Seen { screen: String::from_utf8(bytes).expect("UTF-8"), begun, untyped }
}
