//! Chat templates against Python's Jinja: every text in `template/cases.json` is what Jinja 3.1.6 renders, configured as
//! transformers does. Then the templates of real models, where they are at hand.

use std::path::PathBuf;

use samebit_gguf::{Gguf, Metadata, Strings};
use samebit_text::Tokenizer;
use samebit_text::template::{ChatTemplate, CivilTime, Message, RenderOptions, TemplateError};
use serde_json::{Map, Value, json};

fn parse(source: &str) -> Result<ChatTemplate, TemplateError> {
    ChatTemplate::parse(source, Some("<s>"), Some("</s>"))
}

fn render(source: &str, messages: &[Message]) -> Result<String, TemplateError> {
    parse(source)?.render(messages, &RenderOptions::default())
}

fn messages(list: &Value) -> Vec<Message> {
    serde_json::from_value(list.clone()).unwrap()
}

#[test]
fn renders_what_python_renders() {
    let file: Value = serde_json::from_str(include_str!("template/cases.json")).unwrap();
    let context = &file["context"];
    let messages = messages(&context["messages"]);
    let options = RenderOptions {
        now: CivilTime::from_unix(context["now"].as_i64().unwrap()),
        extra: context["extra"].as_object().unwrap().clone(),
        ..RenderOptions::default()
    };
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 200);
    for case in cases {
        let source = case["source"].as_str().unwrap();
        let outcome = parse(source).and_then(|template| template.render(&messages, &options));
        match (case["text"].as_str(), case["raised"].as_str()) {
            (Some(text), _) => assert_eq!(outcome.as_deref(), Ok(text), "{source}"),
            (_, Some(raised)) => assert_eq!(outcome.unwrap_err().raised(), Some(raised), "{source}"),
            _ => assert!(outcome.is_err(), "{source}: {outcome:?}"),
        }
    }
}

#[test]
fn errors_name_their_line() {
    let user = [Message::new("user", "x")];
    let at = |source: &str| match render(source, &user).unwrap_err() {
        TemplateError::Syntax { line, .. } | TemplateError::Runtime { line, .. } => line,
        other => panic!("{other}"),
    };
    assert_eq!(at("a\nb\n{{ x. }}"), 3);
    assert_eq!(at("a\n{% if 1 %}\n\n{{ nothing.here }}{% endif %}"), 4);
    assert_eq!(at("{# \n\n #}{{ 1 + 'a' }}"), 3);
    let error = render("\n{{ messages[0].foo.bar }}", &user).unwrap_err();
    let text = "chat template line 2: 'dict object' has no attribute 'foo'";
    assert_eq!(error.to_string(), text);
}

#[test]
fn keys_keep_their_order() {
    let message = Message::new("user", "x").with("z", 1).with("a", json!({"q": 1, "b": 2.0}));
    let text = render("{{ messages[0]|tojson }} {{ messages[0] }}", &[message]);
    let json = r#"{"role": "user", "content": "x", "z": 1, "a": {"q": 1, "b": 2.0}}"#;
    let repr = "{'role': 'user', 'content': 'x', 'z': 1, 'a': {'q': 1, 'b': 2.0}}";
    assert_eq!(text.unwrap(), format!("{json} {repr}"));
}

#[test]
fn the_time_is_the_callers_or_unknown() {
    let template = parse("{{ strftime_now('%d %b %Y') if strftime_now is defined else 'never' }}");
    let template = template.unwrap();
    let mut options = RenderOptions::default();
    assert_eq!(template.render(&[], &options).unwrap(), "never");
    options.now = CivilTime::date(2024, 7, 26);
    assert_eq!(template.render(&[], &options).unwrap(), "26 Jul 2024");
    let now = options.now.as_mut().unwrap();
    now.month = 13;
    assert!(template.render(&[], &options).is_err());
}

#[test]
fn extra_variables_shadow_the_usual_ones() {
    let template = parse("{{ enable_thinking }}{{ bos_token }}{{ add_generation_prompt }}").unwrap();
    let mut options = RenderOptions::default();
    assert_eq!(template.render(&[], &options).unwrap(), "<s>True");
    let extra = json!({"enable_thinking": false, "bos_token": "B", "add_generation_prompt": 0});
    options.extra = extra.as_object().unwrap().clone();
    assert_eq!(template.render(&[], &options).unwrap(), "FalseB0");
}

#[test]
fn rendering_twice_gives_the_same() {
    let source = "{% set n = namespace(c=0) %}{% for m in messages %}{% set n.c = n.c + 1 %}{{ n.c }}{% endfor %}";
    let template = parse(source).unwrap();
    let messages = vec![Message::new("user", "x"); 3];
    for _ in 0..2 {
        let text = template.render(&messages, &RenderOptions::default());
        assert_eq!(text.unwrap(), "123");
    }
}

fn conversation() -> Vec<Message> {
    vec![
        Message::new("system", "Be brief."),
        Message::new(
            "user",
            json!([{"type": "text", "text": " Hi"}, {"type": "image"}, {"type": "text", "text": "! "}]),
        ),
        Message::new("assistant", " Hello. "),
        Message::new("user", "Bye"),
    ]
}

#[test]
fn built_in_templates() {
    let cases = [
        (
            "chatml",
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi! <|im_end|>\n<|im_start|>assistant\n Hello. <|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
        ),
        ("llama2", "[INST] Be brief.\n Hi!  [/INST] Hello. </s>[INST] Bye [/INST]"),
        ("llama2-sys", "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi!  [/INST] Hello. </s>[INST] Bye [/INST]"),
        (
            "llama3",
            "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi!<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            "gemma",
            "<start_of_turn>user\nBe brief.\n\nHi!<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n",
        ),
        ("mistral", "[INST] Be brief.\n\n Hi! [/INST] Hello.</s>[INST] Bye[/INST]"),
        ("mistral-v1", " [INST] Be brief.\n\n Hi!  [/INST]  Hello. </s> [INST] Bye [/INST]"),
        ("mistral-v3-tekken", "[INST]Be brief.\n\n Hi! [/INST] Hello. </s>[INST]Bye[/INST]"),
        ("mistral-v7", "[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST]  Hi! [/INST]  Hello. </s>[INST] Bye[/INST]"),
        (
            "phi3",
            "<|system|>\nBe brief.<|end|>\n<|user|>\n Hi! <|end|>\n<|assistant|>\n Hello. <|end|>\n<|user|>\nBye<|end|>\n<|assistant|>\n",
        ),
        (
            "phi4",
            "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|> Hi! <|im_end|><|im_start|>assistant<|im_sep|> Hello. <|im_end|><|im_start|>user<|im_sep|>Bye<|im_end|><|im_start|>assistant<|im_sep|>",
        ),
        (
            "zephyr",
            "<|system|>\nBe brief.<|endoftext|>\n<|user|>\n Hi! <|endoftext|>\n<|assistant|>\n Hello. <|endoftext|>\n<|user|>\nBye<|endoftext|>\n<|assistant|>\n",
        ),
        ("vicuna", "Be brief.\n\nUSER:  Hi! \nASSISTANT:  Hello. </s>\nUSER: Bye\nASSISTANT:"),
        (
            "deepseek",
            "Be brief.### Instruction:\n Hi! \n### Response:\n Hello. \n<|EOT|>\n### Instruction:\nBye\n### Response:\n",
        ),
        ("deepseek2", "Be brief.\n\nUser:  Hi! \n\nAssistant:  Hello. <｜end▁of▁sentence｜>User: Bye\n\nAssistant:"),
        (
            "deepseek3",
            "Be brief.\n\n<｜User｜> Hi! <｜Assistant｜> Hello. <｜end▁of▁sentence｜><｜User｜>Bye<｜Assistant｜>",
        ),
    ];
    for (name, text) in cases {
        let template = ChatTemplate::builtin(name, None, None).unwrap();
        let rendered = template.render(&conversation(), &RenderOptions::default());
        assert_eq!(rendered.as_deref(), Ok(text), "{name}");
    }
    for name in ChatTemplate::builtin_names() {
        let template = ChatTemplate::builtin(name, None, None).unwrap();
        assert!(template.render(&[], &RenderOptions::default()).is_ok(), "{name}");
    }
    let error = ChatTemplate::builtin("alpaca", None, None).unwrap_err();
    assert!(error.to_string().contains("chatml"), "{error}");
}

/// A tokenizer of a few tokens, with whatever else.
fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert("tokenizer.ggml.model", "gpt2");
    metadata.insert("tokenizer.ggml.pre", "gpt-2");
    metadata.insert("tokenizer.ggml.tokens", Strings::from_iter(["a", "<B>", "<E>"]));
    metadata.insert("tokenizer.ggml.merges", Strings::new());
    metadata.insert("tokenizer.ggml.bos_token_id", 1u32);
    metadata.insert("tokenizer.ggml.eos_token_id", 2u32);
    for (key, value) in pairs {
        metadata.insert(*key, *value);
    }
    metadata
}

#[test]
fn templates_of_a_model() {
    let metadata = metadata(&[
        ("tokenizer.chat_template", "{{ bos_token }}plain{{ eos_token }}"),
        ("tokenizer.chat_template.tool_use", "tools"),
    ]);
    let tokenizer = Tokenizer::from_metadata(&metadata).unwrap();
    let text = |template: Result<ChatTemplate, TemplateError>| {
        template.unwrap().render(&[], &RenderOptions::default()).unwrap()
    };
    assert_eq!(text(ChatTemplate::from_metadata(&metadata, &tokenizer)), "<B>plain<E>");
    let named = |name| ChatTemplate::named_from_metadata(&metadata, &tokenizer, name);
    assert_eq!(text(named("tool_use")), "tools");
    assert_eq!(text(named("default")), "<B>plain<E>");
    let error = named("rag").unwrap_err().to_string();
    assert_eq!(error, "the model has no chat template named \"rag\"; it has others (tool_use)");
    assert_eq!(ChatTemplate::names_in(&metadata), ["tool_use"]);
}

#[test]
fn a_model_without_a_template() {
    let none = metadata(&[]);
    let tokenizer = Tokenizer::from_metadata(&none).unwrap();
    let error = ChatTemplate::from_metadata(&none, &tokenizer).unwrap_err();
    assert!(matches!(error, TemplateError::Missing { name: None, .. }));
    assert!(error.to_string().contains("choose one by name (chatml, "), "{error}");
    let mut wrong = none;
    wrong.insert("tokenizer.chat_template", 7u32);
    let error = ChatTemplate::from_metadata(&wrong, &tokenizer).unwrap_err();
    assert!(matches!(error, TemplateError::Metadata(_)), "{error}");
}

/// Where models for tests are, if they are.
fn models() -> Option<PathBuf> {
    let folder = match std::env::var_os("SAMEBIT_TEST_MODELS") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache/samebit/test-models"),
    };
    folder.is_dir().then_some(folder)
}

#[test]
fn real_models_render_as_recorded() {
    let Some(folder) = models() else {
        eprintln!("no test models: set SAMEBIT_TEST_MODELS");
        return;
    };
    let file: Value = serde_json::from_str(include_str!("template/models.json")).unwrap();
    let messages = messages(&file["messages"]);
    let recorded: &Map<String, Value> = file["rendered"].as_object().unwrap();
    for (model, text) in recorded {
        let path = folder.join(format!("{model}.gguf"));
        if !path.is_file() {
            eprintln!("{} is not there", path.display());
            continue;
        }
        let gguf = Gguf::open(&path).unwrap();
        let tokenizer = Tokenizer::from_metadata(gguf.metadata()).unwrap();
        let template = match file["builtin"][model].as_str() {
            None => ChatTemplate::from_metadata(gguf.metadata(), &tokenizer).unwrap(),
            Some(name) => {
                let error = ChatTemplate::from_metadata(gguf.metadata(), &tokenizer).unwrap_err();
                assert!(matches!(error, TemplateError::Missing { .. }), "{error}");
                ChatTemplate::builtin(name, None, None).unwrap()
            }
        };
        let rendered = template.render(&messages, &RenderOptions::default());
        assert_eq!(rendered.as_deref(), Ok(text.as_str().unwrap()), "{model}");
    }
}
