//! Vocabularies of a few tokens, written here: what goes by flags, types and names, and every error.

use samebit_gguf::{Metadata, Strings, Value};
use samebit_text::{DecodeOptions, EncodeOptions, SpecialIds, StreamDecoder, TextError, TokenType, Tokenizer, Vocab};

type Test = Result<(), TextError>;

const PLAIN: EncodeOptions = EncodeOptions { add_special: false, parse_special: false };
const SPECIAL: EncodeOptions = EncodeOptions { add_special: true, parse_special: true };
const SHOWN: DecodeOptions = DecodeOptions { remove_special: false, unparse_special: true, clean_spaces: false };

fn tokens(texts: &[&str]) -> Strings {
    texts.iter().collect()
}

/// A BPE vocabulary of these tokens and merges; the token `<e>` is a control token, `{u}` is user-defined.
fn bpe(pre: &str, texts: &[&str], merges: &[&str]) -> Vocab {
    let kind = |text: &&str| match *text {
        "<e>" | "<|im_end|>" => TokenType::Control,
        "{u}" => TokenType::UserDefined,
        _ => TokenType::Normal,
    };
    Vocab {
        model: "gpt2".to_owned(),
        pre: pre.to_owned(),
        tokens: tokens(texts),
        types: texts.iter().map(kind).collect(),
        merges: Some(tokens(merges)),
        ..Vocab::default()
    }
}

/// `<unk>`, `<s>`, `</s>`, bytes from id 3 on, then these with scores that fall.
fn spm(texts: &[&str]) -> Vocab {
    let mut vocab = Vocab { model: "llama".to_owned(), tokens: tokens(&["<unk>", "<s>", "</s>"]), ..Vocab::default() };
    vocab.types = vec![TokenType::Unknown, TokenType::Control, TokenType::Control];
    (0..=255).for_each(|byte| vocab.tokens.push(format!("<0x{byte:02X}>")));
    vocab.types.resize(259, TokenType::Byte);
    texts.iter().for_each(|text| vocab.tokens.push(text));
    vocab.types.resize(vocab.tokens.len(), TokenType::Normal);
    vocab.scores = (0..vocab.tokens.len()).map(|id| -(id as f32)).collect();
    vocab
}

#[test]
fn merges_go_by_rank_and_unknown_letters_drop() -> Test {
    let tokenizer = Tokenizer::new(bpe("gpt-2", &["a", "b", "ab", "ba", "aba"], &["b a", "a b", "ab a"]))?;
    assert_eq!(tokenizer.encode("aba", PLAIN), [0, 3], "b a ranks first");
    assert_eq!(tokenizer.encode("ab", PLAIN), [2]);
    assert_eq!(tokenizer.encode("cab d", PLAIN), [2], "c, the space and d have no tokens");
    Ok(())
}

#[test]
fn a_merge_to_no_token_falls_to_its_letters() -> Test {
    let tokenizer = Tokenizer::new(bpe("gpt-2", &["a", "b"], &["a b"]))?;
    assert_eq!(tokenizer.encode("abba", PLAIN), [0, 1, 1, 0]);
    Ok(())
}

#[test]
fn whole_pieces_go_before_merges_where_the_kind_says_so() -> Test {
    let (texts, merges) = (["a", "b", "c", "bc", "abc"], ["b c"]);
    assert_eq!(Tokenizer::new(bpe("gpt-2", &texts, &merges))?.encode("abc", PLAIN), [0, 3]);
    assert_eq!(Tokenizer::new(bpe("llama-bpe", &texts, &merges))?.encode("abc", PLAIN), [4]);
    Ok(())
}

#[test]
fn special_tokens_by_type_and_option() -> Test {
    let tokenizer = Tokenizer::new(bpe("gpt-2", &["<", "e", ">", "<e>", "{u}", "{", "u", "}"], &[]))?;
    assert_eq!(tokenizer.encode("<e>{u}", PLAIN), [0, 1, 2, 4], "user-defined always, control where parsed");
    assert_eq!(tokenizer.encode("<e>{u}", EncodeOptions { parse_special: true, ..PLAIN }), [3, 4]);
    assert_eq!(tokenizer.decode(&[3, 4, 1], DecodeOptions::default())?, b"{u}e", "control tokens are hidden");
    assert_eq!(tokenizer.decode(&[3, 4, 1], SHOWN)?, b"<e>{u}e");
    assert_eq!(tokenizer.piece(3).as_deref(), Some(&b"<e>"[..]));
    assert_eq!(tokenizer.piece(8), None);
    Ok(())
}

#[test]
fn beginning_and_end() -> Test {
    let mut vocab = bpe("gpt-2", &["a", "<e>", "b"], &[]);
    vocab.ids = SpecialIds { bos: Some(1), eos: Some(2), ..SpecialIds::default() };
    assert_eq!(Tokenizer::new(vocab.clone())?.encode("a", SPECIAL), [0], "this kind adds neither by itself");
    (vocab.add_bos, vocab.add_eos) = (Some(true), Some(true));
    let tokenizer = Tokenizer::new(vocab.clone())?;
    assert_eq!(tokenizer.encode("a", SPECIAL), [1, 0, 2]);
    assert_eq!(tokenizer.encode("", SPECIAL), [1, 2]);
    let removed = DecodeOptions { remove_special: true, unparse_special: true, clean_spaces: false };
    assert_eq!(tokenizer.decode(&[1, 0, 2], removed)?, b"a");
    assert_eq!(tokenizer.decode(&[1, 0, 2], SHOWN)?, b"<e>ab");
    vocab.ids.bos = Some(99);
    assert_eq!(Tokenizer::new(vocab)?.bos(), None, "neither 99 nor the default 11 is in the vocabulary");
    Ok(())
}

#[test]
fn ends_of_generation_by_text_and_by_key() -> Test {
    let mut vocab = bpe("gpt-2", &["<|im_end|>", "<|endoftext|>", "<|fim_pad|>", "x", "y"], &[]);
    vocab.ids.eos = Some(3);
    vocab.ids.eom = Some(4);
    let tokenizer = Tokenizer::new(vocab)?;
    assert_eq!(tokenizer.eog_ids(), [0, 1, 2, 3, 4]);
    assert_eq!(tokenizer.eot(), Some(0));
    assert!(tokenizer.is_control(1), "by its text, whatever its type");
    assert!(!tokenizer.is_control(3));
    assert!(!tokenizer.is_eog(5));

    let harmony = bpe("gpt-4o", &["<|return|>", "<|call|>", "<|end|>", "<|start|>"], &[]);
    let tokenizer = Tokenizer::new(harmony)?;
    assert_eq!(tokenizer.eog_ids(), [0, 1], "<|end|> closes a message there, not the answer");
    assert_eq!(tokenizer.token_type(3), Some(TokenType::UserDefined));
    Ok(())
}

#[test]
fn scores_decide_in_spm() -> Test {
    let tokenizer = Tokenizer::new(spm(&["bc", "ab", "a", "b", "c", "▁", "▁a"]))?;
    assert_eq!(tokenizer.encode("abc", PLAIN), [265, 259], "bc scores best, then the space joins a");
    assert_eq!(tokenizer.encode("ab", PLAIN), [264, 260]);
    assert_eq!(tokenizer.decode(&[264, 260], DecodeOptions::default())?, b"ab", "the added space goes");
    assert_eq!(tokenizer.encode("é", PLAIN), [264, 3 + 0xc3, 3 + 0xa9]);
    assert_eq!(tokenizer.encode("", SPECIAL), [1]);
    assert_eq!(tokenizer.encode("</s>a", SPECIAL), [1, 2, 265], "a space after special tokens too");
    Ok(())
}

#[test]
fn spm_without_the_space() -> Test {
    let vocab = Vocab { add_space_prefix: Some(false), ..spm(&["a", "▁"]) };
    let tokenizer = Tokenizer::new(vocab)?;
    assert_eq!(tokenizer.encode(" a", PLAIN), [260, 259]);
    assert_eq!(tokenizer.decode(&[260, 259], DecodeOptions::default())?, b" a");
    Ok(())
}

#[test]
fn spm_without_byte_tokens_uses_the_unknown_one() -> Test {
    let vocab = Vocab { model: "llama".to_owned(), tokens: tokens(&["<unk>", "a", "▁"]), ..Vocab::default() };
    assert_eq!(Tokenizer::new(vocab)?.encode("aé", PLAIN), [2, 1, 0, 0]);
    Ok(())
}

#[test]
fn phi3_takes_space_after_special_tokens_along() -> Test {
    let mut vocab = spm(&["a", "▁", "▁a", "<|user|>"]);
    vocab.types[262] = TokenType::Control;
    assert_eq!(Tokenizer::new(vocab.clone())?.encode("<|user|>\n a", SPECIAL), [1, 262, 260, 3 + 10, 261]);
    vocab.name = "Phi-3 mini".to_owned();
    assert_eq!(Tokenizer::new(vocab)?.encode("<|user|>\n a", SPECIAL), [1, 262, 261]);
    Ok(())
}

#[test]
fn gemma4_merges_whole_lines_of_plain_text() -> Test {
    let mut vocab = bpe("", &["<0xC3>", "<0xA9>", "a", "▁", "▁a", "\n\n", "<bos>"], &["▁ a"]);
    vocab.model = "gemma4".to_owned();
    vocab.types[0] = TokenType::Byte;
    vocab.types[1] = TokenType::Byte;
    vocab.ids.bos = Some(6);
    let tokenizer = Tokenizer::new(vocab)?;
    assert_eq!(tokenizer.encode("a a\n\né", SPECIAL), [6, 2, 4, 5, 0, 1]);
    assert_eq!(tokenizer.decode(&[2, 4, 5, 0, 1], SHOWN)?, "a a\n\né".as_bytes());
    Ok(())
}

#[test]
fn streams_never_cut_characters() -> Test {
    let tokenizer = Tokenizer::new(spm(&["x"]))?;
    let push = |stream: &mut StreamDecoder<'_>, bytes: &[u8]| -> Vec<String> {
        bytes.iter().map(|&byte| stream.push(3 + u32::from(byte))).collect()
    };
    let mut stream = StreamDecoder::new(&tokenizer);
    assert_eq!(push(&mut stream, "é日".as_bytes()), ["", "é", "", "", "日"]);
    assert_eq!(push(&mut stream, b"\xe3\x81a"), ["", "", "\u{fffd}a"], "it cannot become a character any more");
    assert_eq!(push(&mut stream, b"\xff\xed\xa0"), ["\u{fffd}", "", "\u{fffd}\u{fffd}"], "no surrogates");
    assert_eq!(push(&mut stream, b"\xf0\x9f"), ["", ""]);
    assert_eq!(stream.push(1), "", "special tokens are hidden");
    assert_eq!(stream.push(u32::MAX), "");
    assert_eq!((stream.finish(), stream.finish()), ("\u{fffd}".to_owned(), String::new()));
    assert_eq!(StreamDecoder::new(&tokenizer).with_special().push(1), "<s>");
    Ok(())
}

#[test]
fn spaces_are_cleaned_where_asked_and_the_kind_does() -> Test {
    let clean = DecodeOptions { clean_spaces: true, ..DecodeOptions::default() };
    let texts = ["a", "Ġ", "."];
    assert_eq!(Tokenizer::new(bpe("gpt-2", &texts, &[]))?.decode(&[0, 1, 2], clean)?, b"a.");
    assert_eq!(Tokenizer::new(bpe("qwen2", &texts, &[]))?.decode(&[0, 1, 2], clean)?, b"a .");
    Ok(())
}

/// The metadata of a small good file.
fn metadata() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert("tokenizer.ggml.model", "gpt2");
    metadata.insert("tokenizer.ggml.pre", "gpt-2");
    metadata.insert("tokenizer.ggml.tokens", Strings::from_iter(["a", "b", "ab"]));
    metadata.insert("tokenizer.ggml.merges", Strings::from_iter(["a b"]));
    metadata.insert("tokenizer.ggml.token_type", vec![1i32, 1, 1]);
    metadata.insert("tokenizer.ggml.eos_token_id", 2u32);
    metadata
}

/// What is said when `key` is `value`.
fn said(key: &str, value: impl Into<Value>) -> String {
    let mut metadata = metadata();
    metadata.insert(key, value);
    Tokenizer::from_metadata(&metadata).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn metadata_is_read() -> Test {
    let tokenizer = Tokenizer::from_metadata(&metadata())?;
    assert_eq!(tokenizer.encode("ab", PLAIN), [2]);
    assert_eq!((tokenizer.eos(), tokenizer.vocab_size()), (Some(2), 3));
    assert_eq!(said("tokenizer.ggml.scores", vec![0i32, 1, 2]), "", "integer scores do");
    assert_eq!(said("tokenizer.ggml.token_type", vec![1i32, 1, 99, 1]), "", "more types than tokens do");
    Ok(())
}

#[test]
fn every_error_names_its_place_and_the_remedy() {
    let remade = "the file was made wrongly, convert the model again";
    assert_eq!(
        said("tokenizer.ggml.model", "bert"),
        "tokenizer.ggml.model is 'bert', and only 'llama' (SPM), 'gpt2' and 'gemma4' (BPE) are supported: use a model with one of these"
    );
    assert_eq!(
        said("tokenizer.ggml.pre", "new"),
        "tokenizer.ggml.pre is 'new', an unknown pre-tokenizer: convert the model again with one that is known, or use a newer samebit"
    );
    assert_eq!(
        said("tokenizer.ggml.token_type", vec![1i32]),
        format!("tokenizer.ggml.token_type has 1 entries for 3 tokens: {remade}")
    );
    assert_eq!(
        said("tokenizer.ggml.scores", Vec::<f32>::new()),
        format!("tokenizer.ggml.scores has 0 entries for 3 tokens: {remade}")
    );
    assert_eq!(
        said("tokenizer.ggml.scores", vec![0.0f32, f32::NAN, 0.0]),
        format!("tokenizer.ggml.scores[1] is NaN: {remade}")
    );
    for merge in ["ab", "", " ", "a "] {
        assert_eq!(
            said("tokenizer.ggml.merges", Strings::from_iter(["a b", merge])),
            format!("tokenizer.ggml.merges[1] is not a pair of pieces: {remade}"),
            "{merge:?}"
        );
    }
    assert_eq!(
        said("tokenizer.ggml.tokens", Strings::from_iter(["a", "b", "a"])),
        format!("tokens 0 and 2 have the same text: {remade}")
    );
    assert!(said("tokenizer.ggml.tokens", 1u32).contains("key tokenizer.ggml.tokens is 1 (u32)"));
    assert!(said("tokenizer.ggml.add_bos_token", "yes").contains("key tokenizer.ggml.add_bos_token"));
    let missing = Tokenizer::from_metadata(&Metadata::new()).err().map(|error| error.to_string());
    assert!(missing.is_some_and(|text| text.contains("key tokenizer.ggml.model is missing")));
}

#[test]
fn ids_outside_the_vocabulary_are_an_error() -> Test {
    let tokenizer = Tokenizer::from_metadata(&metadata())?;
    let error = tokenizer.decode(&[0, 3], DecodeOptions::default()).err().map(|error| error.to_string());
    assert_eq!(
        error.as_deref(),
        Some("token 3 is outside the vocabulary of 3: give ids that this model's tokenizer made")
    );
    Ok(())
}

#[test]
fn missing_merges_are_an_error_except_where_none_are_needed() {
    let without = |pre: &str| Tokenizer::new(Vocab { merges: None, ..bpe(pre, &["a"], &[]) }).map(drop);
    assert!(matches!(without("gpt-2"), Err(TextError::NoMerges)));
    assert!(without("kimi-k2").is_ok());
}
