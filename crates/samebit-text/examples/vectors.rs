//! Checks tokenizers against llama.cpp's vector files: `vectors DIR`, where DIR holds `NAME.gguf`, `NAME.gguf.inp`
//! (texts, separated by a line `__ggml_vocab_test__`) and `NAME.gguf.out` (a line of ids for each text).
//! Knows the files' form; prints one line per vocabulary, and exits with 1 if any text's ids differ.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use samebit_gguf::Gguf;
use samebit_text::{EncodeOptions, Tokenizer};

const SEPARATOR: &str = "\n__ggml_vocab_test__\n";

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1) else {
        eprintln!("usage: vectors DIR");
        return ExitCode::from(2);
    };
    match check_all(Path::new(&dir)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vectors: {error}");
            ExitCode::from(3)
        }
    }
}

fn check_all(dir: &Path) -> Result<bool, Error> {
    let entries = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut inputs = Vec::new();
    for entry in entries {
        inputs.push(entry?.path());
    }
    inputs.retain(|path| path.extension().is_some_and(|extension| extension == "inp"));
    inputs.sort();
    if inputs.is_empty() {
        return Err(format!("{}: no *.inp files there", dir.display()).into());
    }
    let mut all_equal = true;
    for input in inputs {
        let vocabulary = input.with_extension("");
        match check(&vocabulary) {
            Ok((texts, 0)) => println!("ok    {} {texts} texts", vocabulary.display()),
            Ok((texts, different)) => {
                println!("DIFF  {} {different} of {texts} texts", vocabulary.display());
                all_equal = false;
            }
            Err(error) => {
                println!("ERROR {} {error}", vocabulary.display());
                all_equal = false;
            }
        }
    }
    Ok(all_equal)
}

/// The number of texts, and of those whose ids differ.
fn check(vocabulary: &Path) -> Result<(usize, usize), Error> {
    let tokenizer = Tokenizer::from_metadata(Gguf::open(vocabulary)?.metadata())?;
    let read = |extension: &str| {
        let path = PathBuf::from(format!("{}.{extension}", vocabulary.display()));
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let (inputs, outputs) = (read("inp")?, read("out")?);
    let texts: Vec<&str> = inputs.split(SEPARATOR).collect();
    // The last separator closes the file: what follows it, if it is empty, is no text.
    let texts = texts.strip_suffix(&[""]).unwrap_or(&texts);
    let lines: Vec<&str> = outputs.lines().collect();
    if texts.len() != lines.len() {
        return Err(format!("{} texts and {} lines of ids", texts.len(), lines.len()).into());
    }
    let mut different = 0;
    for (text, line) in texts.iter().zip(lines) {
        let wanted = line.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
        let found = tokenizer.encode(text, EncodeOptions::default());
        if found != wanted {
            different += 1;
            println!("      {text:?}\n        wanted {wanted:?}\n        found  {found:?}");
        }
    }
    Ok((texts.len(), different))
}
