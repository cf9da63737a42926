//! Grammars over a small vocabulary, and what hostile ones come to.

use super::*;
use samebit_gguf::{Metadata, Strings};
use serde_json::json;
use std::time::{Duration, Instant};

const END: u32 = 0;

/// Bytes, a few longer tokens, an end of generation and a control token.
fn tokenizer() -> Arc<Tokenizer> {
    let mut texts: Vec<String> = ["<|end|>", "<|mark|>"].map(String::from).to_vec();
    let letter = |byte: u32| match byte {
        33..=126 | 161..=172 | 174..=255 => char::from_u32(byte),
        // GPT-2's alphabet: the others by their order.
        0..=32 => char::from_u32(256 + byte),
        127..=160 => char::from_u32(289 + byte - 127),
        _ => char::from_u32(323),
    };
    texts.extend((0..=255).filter_map(letter).map(String::from));
    texts.extend(["\":", "true", "12"].map(String::from));
    let mut types = vec![1i32; texts.len()];
    types[..2].fill(3);
    let mut metadata = Metadata::new();
    metadata.insert("tokenizer.ggml.model", "gpt2");
    metadata.insert("tokenizer.ggml.pre", "gpt-2");
    metadata.insert("tokenizer.ggml.tokens", texts.into_iter().collect::<Strings>());
    metadata.insert("tokenizer.ggml.merges", Strings::from_iter(["\" :", "1 2"]));
    metadata.insert("tokenizer.ggml.token_type", types);
    metadata.insert("tokenizer.ggml.eos_token_id", END);
    Arc::new(Tokenizer::from_metadata(&metadata).expect("a vocabulary"))
}

fn grammars() -> (Grammars, Arc<Tokenizer>) {
    let tokenizer = tokenizer();
    (Grammars::new(Arc::clone(&tokenizer), 2).expect("threads"), tokenizer)
}

fn allowed(mask: &[u32], id: u32) -> bool {
    mask[id as usize / 32] >> (id % 32) & 1 == 1
}

/// Whether a grammar takes a text, byte for byte, and may end after it.
fn takes(grammar: &Arc<dyn Grammar>, tokenizer: &Tokenizer, text: &str) -> bool {
    let mut live = grammar.start();
    for token in tokenizer.encode(text, Default::default()) {
        let mask = live.mask().expect("a mask").expect("constrained");
        if !allowed(mask, token) {
            return false;
        }
        live.accept(token).expect("an allowed token");
    }
    allowed(live.mask().expect("a mask").expect("constrained"), END)
}

#[test]
fn a_schema_takes_what_it_describes() {
    let (grammars, tokenizer) = grammars();
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}},
                        "required": ["n", "ok"], "additionalProperties": false});
    let grammar = grammars.compile(&Source::JsonSchema(schema)).expect("a schema");
    for (text, good) in [
        ("{\"n\": 12, \"ok\": true}", true),
        ("{\n  \"n\": -5,\n  \"ok\": false\n}", true),
        ("{\"n\":12}", false),
        ("{\"n\":1.5,\"ok\":true}", false),
        ("{\"ok\"", false),
        ("", false),
    ] {
        assert_eq!(takes(&grammar, &tokenizer, text), good, "{text}");
    }
    let any = grammars.compile(&Source::JsonObject).expect("any object");
    assert!(takes(&any, &tokenizer, "{\"a\": [1, {\"b\": null}]}") && !takes(&any, &tokenizer, "[1]"));
}

#[test]
fn expressions_and_grammars() {
    let (grammars, tokenizer) = grammars();
    let regex = grammars.compile(&Source::Regex("(red|green)/[0-9]{2}".into())).expect("an expression");
    assert!(
        takes(&regex, &tokenizer, "red/12")
            && !takes(&regex, &tokenizer, "red/1")
            && !takes(&regex, &tokenizer, "blue/12")
    );
    let lark = grammars.compile(&Source::Lark("start: \"a\" start \"b\" | \"ab\"".into())).expect("a grammar");
    assert!(takes(&lark, &tokenizer, "aaabbb") && !takes(&lark, &tokenizer, "aab"));
    let control = grammars.compile(&Source::Lark("start: <[1]> \"x\"".into())).expect("a grammar");
    let mut live = control.start();
    assert!(allowed(live.mask().expect("a mask").expect("constrained"), 1));
    live.accept(1).expect("allowed");
    assert!(!allowed(live.mask().expect("a mask").expect("constrained"), END));
}

/// What is forced after a byte of a character is the rest of that character, though that alone is no text.
#[test]
fn characters_that_are_several_tokens_are_forced_to_their_end() {
    let (grammars, tokenizer) = grammars();
    let smile = json!({"enum": ["👍 good", "👎 bad"]});
    let sources = [
        (Source::Lark("start: \"☃\"".into()), "☃"),
        (Source::JsonSchema(smile.clone()), "\"👍 good\""),
        (Source::JsonSchema(smile), "\"👎 bad\""),
        (Source::JsonSchema(json!({"properties": {"ﷺ": {"const": 12}}, "required": ["ﷺ"]})), "{\"ﷺ\": 12}"),
    ];
    for (source, text) in sources {
        let grammar = grammars.compile(&source).expect("a grammar");
        assert!(takes(&grammar, &tokenizer, text), "{text}");
    }
}

#[test]
fn after_the_end_nothing_but_the_end() {
    let (grammars, tokenizer) = grammars();
    let grammar = grammars.compile(&Source::Regex("12".into())).expect("an expression");
    let mut live = grammar.start();
    for token in tokenizer.encode("12", Default::default()) {
        live.accept(token).expect("allowed");
    }
    for _ in 0..2 {
        let mask = live.mask().expect("a mask").expect("constrained").to_vec();
        let count: u32 = mask.iter().map(|word| word.count_ones()).sum();
        assert!(allowed(&mask, END) && count == 1, "{mask:?}");
        live.accept(END).expect("the end");
    }
}

#[test]
fn a_wrong_token_is_an_error_and_stays_one() {
    let (grammars, tokenizer) = grammars();
    let grammar = grammars.compile(&Source::Regex("ab".into())).expect("an expression");
    let mut live = grammar.start();
    live.accept(tokenizer.encode("z", Default::default())[0]).expect("told later");
    assert!(live.mask().is_err() && live.mask().is_err() && live.accept(END).is_err());
}

#[test]
fn masks_do_not_depend_on_other_answers() {
    let (grammars, tokenizer) = grammars();
    let grammar = grammars.compile(&Source::JsonObject).expect("any object");
    let masks = || {
        let mut live = grammar.start();
        let text = tokenizer.encode("{\"key\": [12, true]}", Default::default());
        text.iter()
            .map(|&token| {
                let mask = live.mask().expect("a mask").expect("constrained").to_vec();
                live.accept(token).expect("allowed");
                mask
            })
            .collect::<Vec<_>>()
    };
    let first = masks();
    assert!((0..3).all(|_| masks() == first));
}

/// Each ends within a moment, as an error or as a grammar that can be used; none takes the process with it.
#[test]
fn bombs() {
    let (grammars, _) = grammars();
    let nested = (0..100).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
    let wide: Vec<String> = (0..20_000).map(|i| format!("choice number {i}")).collect();
    let any_of: Vec<_> =
        (0..2000).map(|i| json!({"properties": {format!("k{i}"): {"pattern": "^(a|b)*c{50}$"}}})).collect();
    let all_of: Vec<_> =
        (0..12).map(|i| json!({"anyOf": [{"minimum": i}, {"multipleOf": i + 2}, {"type": "string"}]})).collect();
    let chain: serde_json::Map<_, _> = (0..5000)
        .map(|i| (format!("d{i}"), json!({"properties": {"x": {"$ref": format!("#/$defs/d{}", i + 1)}}})))
        .chain([("d5000".to_string(), json!({"type": "null"}))])
        .collect();
    let terminals: String = (0..1500).map(|i| format!("T{i}: \"(\" T{} \")\"\n", i + 1)).collect();
    let sources = [
        Source::JsonSchema(nested),
        Source::JsonSchema(json!({"enum": wide})),
        Source::JsonSchema(json!({"anyOf": any_of})),
        Source::JsonSchema(json!({"allOf": all_of})),
        Source::JsonSchema(json!({"$ref": "#/$defs/d0", "$defs": chain})),
        Source::JsonSchema(json!({"$ref": "#"})),
        Source::JsonSchema(json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})),
        Source::JsonSchema(json!({"$ref": "http://127.0.0.1/schema"})),
        Source::JsonSchema(json!({"type": "string", "minLength": 1_000_000_000})),
        Source::JsonSchema(json!({"type": "string", "maxLength": 4_000_000_000u64})),
        Source::JsonSchema(json!({"type": "array", "minItems": 1_000_000_000})),
        Source::JsonSchema(json!({"type": "array", "maxItems": u64::MAX})),
        Source::JsonSchema(json!({"type": "integer", "multipleOf": 1_000_003})),
        Source::JsonSchema(json!({"pattern": "((a{100}){100}){100}", "type": "string"})),
        Source::JsonSchema(json!({"pattern": "(.*a){25}.{25}$", "type": "string"})),
        Source::JsonSchema(json!(17)),
        Source::JsonSchema(json!({"x-guidance": 3})),
        Source::Regex("((a{100}){100}){100}".into()),
        Source::Regex("(x+x+)+y".into()),
        Source::Regex("[".into()),
        Source::Regex("(".repeat(60_000)),
        Source::Lark(format!("start: T0\n{terminals}T1500: \"x\"\n")),
        Source::Lark("start: start start | \"a\"".into()),
        Source::Lark("start: nothing".into()),
        Source::Lark("start: %json 3".into()),
    ];
    for source in sources {
        let started = Instant::now();
        let outcome = grammars.compile(&source).map(|grammar| {
            let mut live = grammar.start();
            (0..40).all(|_| {
                let token = live.mask().ok().flatten().and_then(|mask| (1..200).rev().find(|&id| allowed(mask, id)));
                token.is_some_and(|token| live.accept(token).is_ok())
            })
        });
        let text = format!("{source:?}").chars().take(80).collect::<String>();
        let error = outcome.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(started.elapsed() < Duration::from_secs(8), "{text}: {:?}", started.elapsed());
        assert!(!error.contains('\n') && error.chars().count() < 400, "{text}: {error}");
    }
}

/// An object of so many members.
fn members(count: usize) -> serde_json::Value {
    let members: serde_json::Map<_, _> = (0..count).map(|i| (format!("p{i}"), json!({"type": "string"}))).collect();
    json!({"type": "object", "properties": members})
}

#[test]
fn what_nobody_can_write_is_said_plainly() {
    let (grammars, _) = grammars();
    let refused = |source| grammars.compile(&source).err().map(|error| error.to_string()).unwrap_or_default();
    for source in [Source::JsonSchema(json!({"$ref": "#"})), Source::Lark("start: start".into())] {
        let error = refused(source);
        assert!(error.ends_with("no text is as it wants: something in it can never be, or never ends"), "{error}");
    }
    let elsewhere = refused(Source::JsonSchema(json!({"$ref": "http://127.0.0.1/schema"})));
    assert!(elsewhere.contains("only point into the schema itself"), "{elsewhere}");
    let overlap = json!({"oneOf": [{"type": "string", "maxLength": 3}, {"type": "string", "minLength": 2}]});
    let overlap = refused(Source::JsonSchema(overlap));
    assert!(overlap.contains("write `anyOf`"), "{overlap}");
}

#[test]
fn errors_are_one_line() {
    let (grammars, _) = grammars();
    let error = grammars.compile(&Source::Lark("start: nothing".into())).err().expect("refused").to_string();
    assert!(error.starts_with("the grammar cannot be used: ") && error.contains("nothing"), "{error}");
    for (source, wanted) in [
        (Source::Regex("((a{100}){101})b{3}".into()), "repetitions may multiply to 10000"),
        (
            Source::JsonSchema(json!({"properties": {"x": {"pattern": "(a{200}){,100}"}}})),
            "repetitions may multiply to 10000",
        ),
        (Source::JsonSchema(json!({"multipleOf": 10_001})), "`multipleOf` may be up to 10000"),
        (Source::JsonSchema(members(1001)), "one object may have 1000 `properties`, several of them fewer"),
        (
            Source::JsonSchema(json!([members(800), members(800)])),
            "one object may have 1000 `properties`, several of them fewer",
        ),
    ] {
        let error = grammars.compile(&source).err().expect("refused").to_string();
        assert_eq!(error, format!("the grammar is too large: {wanted}"));
    }
    let error = grammars.compile(&Source::Regex("(".repeat(60_000))).err().expect("refused").to_string();
    assert_eq!(error, "the grammar is too large: brackets may be nested 64 deep");
}
