//! Real vocabularies: llama.cpp's ids for tricky texts, and every text comes back from its ids.

#[path = "support/mod.rs"]
mod support;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use samebit_text::{DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer};
use serde::Deserialize;
use support::{MODELS, tokenizer};

type Test = Result<(), Box<dyn std::error::Error>>;

/// A text and the ids that llama.cpp gives it, by model. `special` is both `add_special` and `parse_special`.
#[derive(Deserialize)]
struct Vector {
    text: String,
    special: bool,
    #[serde(flatten)]
    ids: std::collections::BTreeMap<String, Vec<u32>>,
}

#[test]
fn ids_are_llama_cpps() -> Test {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("data/vectors.json"))?;
    assert!(vectors.len() > 60);
    for (name, file) in MODELS {
        let tokenizer = tokenizer(file);
        for vector in &vectors {
            let options = EncodeOptions { add_special: vector.special, parse_special: vector.special };
            let ids = tokenizer.encode(&vector.text, options);
            assert_eq!(ids, vector.ids[name], "{name} {:?}", vector.text);
            let options = DecodeOptions { remove_special: vector.special, unparse_special: true, clean_spaces: false };
            let text = tokenizer.decode(&ids, options)?;
            if spellable(&tokenizer, &vector.text) == vector.text {
                assert_eq!(String::from_utf8_lossy(&text), vector.text, "{name}");
            }
        }
    }
    Ok(())
}

/// Texts with what tokenizers stumble over, more often than chance would have it.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<char>().prop_map(String::from),
        "[ \\t\\r\\n]{1,5}",
        "[0-9]{1,7}",
        "[a-zA-Z']{1,9}",
        "[\u{3000}-\u{30ff}\u{4e00}-\u{4eff}]{1,4}",
        "[\u{0}-\u{2ff}]{1,4}",
        Just("<|im_end|>".to_owned()),
        Just("<end_of_turn>\n".to_owned()),
        Just("\u{2581}".to_owned()),
        Just("<0x0A>".to_owned()),
    ];
    proptest::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

/// The characters of `text` that the vocabulary can spell: each comes back by itself. SmolLM2 has no tokens for some
/// control characters and for U+40000 and beyond; Gemma's cannot tell U+2581 from a space.
fn spellable(tokenizer: &Tokenizer, text: &str) -> String {
    let comes_back = |c: &char| {
        let ids = tokenizer.encode(c.to_string(), EncodeOptions::default());
        tokenizer.decode(&ids, DecodeOptions::default()).is_ok_and(|back| back == c.to_string().as_bytes())
    };
    text.chars().filter(comes_back).collect()
}

#[test]
fn every_text_comes_back() {
    for (name, file) in MODELS {
        let tokenizer = tokenizer(file);
        let property = |(text, parse_special): (String, bool)| {
            let text = spellable(&tokenizer, &text);
            let ids = tokenizer.encode(&text, EncodeOptions { add_special: true, parse_special });
            let options = DecodeOptions { remove_special: true, unparse_special: true, clean_spaces: false };
            let back = tokenizer.decode(&ids, options).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(String::from_utf8_lossy(&back), text.as_str(), "{}", name);

            let mut stream = StreamDecoder::new(&tokenizer).with_special();
            let start = usize::from(tokenizer.adds_bos());
            let mut streamed: String = ids[start..].iter().map(|&id| stream.push(id)).collect();
            streamed += &stream.finish();
            prop_assert_eq!(streamed, text);
            Ok(())
        };
        let mut runner =
            TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) });
        if let Err(error) = runner.run(&(texts(), any::<bool>()), property) {
            panic!("{name}: {error}");
        }
    }
}

/// Bytes that are no UTF-8 come back from a vocabulary that has tokens for bytes.
#[test]
fn bytes_come_back_from_spm() -> Test {
    let tokenizer = tokenizer("gemma-3-270m-q4_k_m.gguf");
    let bytes: Vec<u8> = (0..=255).rev().chain([0xe3, 0x81, b'a', 0xf0, 0x9f]).collect();
    let ids = tokenizer.encode(&bytes, EncodeOptions::default());
    assert_eq!(tokenizer.decode(&ids, DecodeOptions::default())?, bytes);
    let mut stream = StreamDecoder::new(&tokenizer);
    let mut text: String = ids.iter().map(|&id| stream.push(id)).collect();
    text += &stream.finish();
    assert_eq!(text, String::from_utf8_lossy(&bytes));
    Ok(())
}

#[test]
fn roles_of_tokens() {
    let roles = |file: &str| {
        let tokenizer = tokenizer(file);
        (tokenizer.vocab_size(), tokenizer.bos(), tokenizer.eos(), tokenizer.eot(), tokenizer.eog_ids())
    };
    let [smollm2, gemma3, qwen] = MODELS.map(|(_, file)| roles(file));
    assert_eq!(smollm2, (49_152, Some(1), Some(2), Some(2), vec![0, 2, 4]));
    assert_eq!(gemma3, (262_144, Some(2), Some(1), Some(106), vec![1, 106, 212]));
    assert_eq!(
        qwen,
        (
            151_936,
            Some(151_643),
            Some(151_645),
            Some(151_645),
            vec![128_247, 151_643, 151_645, 151_662, 151_663, 151_664]
        )
    );
}

/// A megabyte of one character: no loop of a pattern, and no merging, may take quadratic time.
#[test]
fn hostile_repetition_is_quick() -> Test {
    for (name, file) in MODELS {
        let tokenizer = tokenizer(file);
        for text in [" ".repeat(1 << 20), "\n".repeat(1 << 20), "a".repeat(1 << 20), "<".repeat(1 << 20)] {
            let started = std::time::Instant::now();
            let ids = tokenizer.encode(&text, EncodeOptions::default());
            // Quadratic time would be hours; the bound allows for a slow, busy machine.
            assert!(started.elapsed().as_secs() < 60, "{name} {:?}", &text[..1]);
            assert_eq!(tokenizer.decode(&ids, DecodeOptions::default())?, text.as_bytes(), "{name}");
        }
    }
    Ok(())
}
