//! Any vocabulary with any text: never a panic, ids within the vocabulary, and where every byte has a token, the
//! text comes back from its ids, at once and streamed.
//!
//! Input: a byte that chooses the kind (0: the rest is a GGUF file's metadata with a text of its own), one of
//! options, then a vocabulary's extra tokens and a text, ended by 0xFF each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use samebit_gguf::Gguf;
use samebit_text::{
    DecodeOptions, EncodeOptions, SpecialIds, StreamDecoder, TokenType, Tokenizer, Vocab, pretokenizer_names,
};

fuzz_target!(|bytes: &[u8]| {
    let [kind, options, rest @ ..] = bytes else { return };
    let options = *options;
    if *kind == 0 {
        foreign(rest, options);
        return;
    }
    let mut parts: Vec<&[u8]> = rest.split(|&byte| byte == 0xff).collect();
    let text = parts.pop().unwrap_or_default();
    let pre = pretokenizer_names().nth(usize::from(kind - 1));
    let vocab = complete_vocab(pre, &parts, options);
    match Tokenizer::new(vocab) {
        Ok(tokenizer) => {
            visit(&tokenizer, text, options);
            // One kind prints plain tokens as if they were spelt in letters, and some strip spaces around a mask.
            if !pre.is_some_and(|pre| pre == "whitespace" || pre.starts_with("jina-v2")) {
                comes_back(&tokenizer, text, options);
            }
        }
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
});

/// Whatever a file says.
fn foreign(bytes: &[u8], options: u8) {
    let Ok(gguf) = Gguf::from_bytes(bytes.to_vec()) else { return };
    let text = gguf.metadata().bytes("general.description").ok().flatten().unwrap_or(b"Hello, world 123\n <s>");
    match Tokenizer::from_metadata(gguf.metadata()) {
        Ok(tokenizer) => visit(&tokenizer, text, options),
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
}

fn options_of(options: u8) -> EncodeOptions {
    EncodeOptions { add_special: options & 1 != 0, parse_special: options & 2 != 0 }
}

fn visit(tokenizer: &Tokenizer, text: &[u8], options: u8) {
    let ids = tokenizer.encode(text, options_of(options));
    assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
    let shown = DecodeOptions {
        remove_special: options & 1 != 0,
        unparse_special: options & 4 != 0,
        clean_spaces: options & 8 != 0,
    };
    tokenizer.decode(&ids, shown).expect("its own ids are in the vocabulary");
    for id in 0..tokenizer.vocab_size() as u32 {
        assert!(tokenizer.piece(id).is_some() && tokenizer.token_type(id).is_some());
    }
    assert!(tokenizer.eog_ids().iter().all(|&id| tokenizer.is_eog(id)));
    assert!(tokenizer.decode(&[u32::MAX], DecodeOptions::default()).is_err());
}

/// The text comes back where it is UTF-8, or the vocabulary keeps bytes.
fn comes_back(tokenizer: &Tokenizer, text: &[u8], options: u8) {
    let text: Vec<u8> = String::from_utf8_lossy(text).replace('\u{2581}', "_").into_bytes();
    let ids = tokenizer.encode(&text, EncodeOptions { add_special: false, ..options_of(options) });
    let shown = DecodeOptions { remove_special: false, unparse_special: true, clean_spaces: false };
    let back = tokenizer.decode(&ids, shown).expect("its own ids are in the vocabulary");
    assert_eq!(back, text);
    let mut stream = StreamDecoder::new(tokenizer).with_special();
    let mut streamed: String = ids.iter().map(|&id| stream.push(id)).collect();
    streamed += &stream.finish();
    let pieces: Vec<u8> = ids.iter().flat_map(|&id| tokenizer.piece(id).unwrap_or_default().into_owned()).collect();
    assert_eq!(streamed, String::from_utf8_lossy(&pieces));
}

/// GPT-2's letter of a byte.
fn letter(byte: u8) -> char {
    let printable = |byte: &u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if printable(&byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|byte| !printable(byte)).count() as u32;
    char::from_u32(0x100 + before).expect("below the surrogates")
}

/// A vocabulary with a token for every byte; `pre` `None` is SPM. Extra tokens are pairs to merge, or user-defined.
fn complete_vocab(pre: Option<&str>, extra: &[&[u8]], options: u8) -> Vocab {
    let plain =
        pre.is_none_or(|pre| matches!(pre, "gemma4" | "granite-embed-multi-311m" | "sarvam-moe" | "whitespace"));
    let spelt = |bytes: &[u8]| -> Vec<u8> {
        if plain { bytes.to_vec() } else { bytes.iter().map(|&byte| letter(byte)).collect::<String>().into_bytes() }
    };
    let mut tokens: Vec<Vec<u8>> = if plain {
        (0..=255).map(|byte| format!("<0x{byte:02X}>").into_bytes()).collect()
    } else {
        (0..=255).map(|byte| spelt(&[byte])).collect()
    };
    let mut types = vec![if plain { TokenType::Byte } else { TokenType::Normal }; 256];
    if plain {
        tokens.push("\u{2581}".as_bytes().to_vec());
        types.push(TokenType::Normal);
    }
    let mut merges = Vec::new();
    for (i, token) in extra.iter().enumerate().filter(|(_, token)| !token.is_empty()) {
        let (middle, user_defined) = (token.len() / 2, i % 4 == 3);
        let text = if user_defined { token.to_vec() } else { spelt(token) };
        // A user-defined token in another alphabet, or a text that reads like a byte's token, would come back as
        // something else; in plain spelling a space never meets a token.
        let reads_otherwise = user_defined && !text.iter().all(u8::is_ascii_graphic)
            || plain && (text.contains(&b' ') || text.contains(&b'<') || text.windows(2).any(|pair| pair == b"0x"));
        if tokens.contains(&text) || reads_otherwise {
            continue;
        }
        if !user_defined && middle > 0 {
            merges.push([&spelt(&token[..middle])[..], b" ", &spelt(&token[middle..])].concat());
        }
        tokens.push(text);
        types.push(if user_defined { TokenType::UserDefined } else { TokenType::Normal });
    }
    // After a user-defined token SPM adds a space that nothing takes back.
    let add_space_prefix = options & 16 != 0 && pre.is_none() && !types.contains(&TokenType::UserDefined);
    Vocab {
        model: if pre.is_some() { "gpt2" } else { "llama" }.to_owned(),
        pre: pre.unwrap_or_default().to_owned(),
        scores: (0..tokens.len()).map(|id| (id % 7) as f32).collect(),
        add_space_prefix: Some(add_space_prefix),
        add_eos: Some(options & 32 != 0),
        ids: SpecialIds { bos: Some(1), eos: Some(2), ..SpecialIds::default() },
        tokens,
        types,
        merges: Some(merges),
        ..Vocab::default()
    }
}
