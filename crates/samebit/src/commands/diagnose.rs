//! `samebit diagnose`: the bug that explains another engine's trace.

use crate::args::{DiagnoseArgs, Verbosity};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::{engine, model, output, prompt};
use samebit_diagnose::{Diagnosis, Evidence, Reading, Setting, Verdict, diagnose, faults, foreign};
use samebit_gguf::Gguf;
use samebit_kernels::Isa;
use samebit_model::Model;
use samebit_text::{EncodeOptions, Tokenizer};
use samebit_trace::{Trace, read};
use serde::Serialize;
use std::path::Path;

/// What is wrong with the tokens themselves.
#[derive(Serialize)]
struct TokenFinding {
    id: String,
    finding: String,
    expected: Vec<u32>,
    found: Vec<u32>,
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
    tokens_finding: Option<TokenFinding>,
}

pub(crate) fn run(args: &DiagnoseArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let gguf = model::open(&args.model)?;
    let Some(path) = &args.trace else {
        return list(args, gguf);
    };
    let map = args.names.as_deref().map(read::name_map).transpose();
    let trace =
        map.and_then(|map| read::read(path, map.as_ref())).map_err(|error| Failure::Input(error.to_string()))?;
    let tokenizer = Tokenizer::from_metadata(gguf.metadata()).ok();
    let text = text(args, &trace);
    let expected = expected(args, &gguf, tokenizer.as_ref(), text.as_deref())?;
    // A trace that names no tokens is taken to be of the prompt given.
    let stand_in = expected.as_deref().filter(|_| trace.meta.tokens.is_empty());
    let given = args.prompt.tokens.as_deref().or(stand_in);
    let evidence = foreign::evidence(&trace, given, args.prompt_length).map_err(|error| Failure::at(path, error))?;
    let claimed = &evidence.tokens[..evidence.prompt];
    let readings = tokenizer.as_ref().map_or_else(Vec::new, |tokenizer| {
        readings(tokenizer, expected.as_deref().unwrap_or(claimed), text.as_deref())
    });
    let finding = tokens_finding(tokenizer.as_ref(), &evidence, expected.as_deref(), &readings);
    let model = Model::load(gguf).map_err(|error| Failure::at(&args.model.path, error))?;
    let setting = Setting { isa: Isa::native(), threads: engine::threads(args.threads) };
    let mut bar = Progress::new("trying bugs", Unit::Repetitions, verbosity.quiet);
    let diagnosis =
        diagnose(&model, &evidence, &readings, setting, &mut |done, total| bar.at(done as u64, total as u64))
            .map_err(|error| Failure::at(path, error))?;
    bar.clear();
    show(args, path, &diagnosis, finding)
}

fn show(args: &DiagnoseArgs, path: &Path, diagnosis: &Diagnosis, finding: Option<TokenFinding>) -> Result<(), Failure> {
    let wrong = finding.is_some() || diagnosis.verdict != Verdict::NoBug;
    if args.json {
        output::write_json(&Record { diagnosis, tokens_finding: finding })?;
    } else {
        let mut text = format!("{}\n\n", path.display());
        if let Some(finding) = finding {
            text.push_str(&format!("{}\n  bug       {}\n", finding.finding, finding.id));
            text.push_str("  read      the model's tokenizer.ggml.add_bos_token and chat template (samebit tokenize)\n\nGiven these tokens:\n");
        }
        text.push_str(&diagnosis.text());
        output::write(text.as_bytes())?;
    }
    if wrong { Err(Failure::No) } else { Ok(()) }
}

fn list(args: &DiagnoseArgs, gguf: Gguf) -> Result<(), Failure> {
    let model = Model::load(gguf).map_err(|error| Failure::at(&args.model.path, error))?;
    let mut text = String::new();
    let mut last = String::new();
    for fault in faults::all(&model, &Evidence::new(vec![0, 0], 1), &[]) {
        if fault.id != last {
            text.push_str(&format!("{:<36} {}  [{}]\n", fault.id, fault.finding, fault.reference));
        }
        last = fault.id;
    }
    output::write(text.as_bytes())
}

/// The prompt's text, if the flags or the trace give it.
fn text(args: &DiagnoseArgs, trace: &Trace) -> Option<String> {
    args.prompt.prompt.clone().or_else(|| trace.meta.more.get("prompt").cloned())
}

/// The tokens that the prompt should be.
fn expected(
    args: &DiagnoseArgs,
    gguf: &Gguf,
    tokenizer: Option<&Tokenizer>,
    text: Option<&str>,
) -> Result<Option<Vec<u32>>, Failure> {
    let Some(tokenizer) = tokenizer else { return Ok(None) };
    if args.prompt.prompt.is_some() || args.prompt.file.is_some() {
        return prompt::with_chat(&args.prompt, &args.chat, &args.model, gguf, tokenizer).map(Some);
    }
    Ok(text.map(|text| tokenizer.encode(text, EncodeOptions { add_special: true, parse_special: true })))
}

/// Other prompts, as mistakes make them of the right one.
fn readings(tokenizer: &Tokenizer, right: &[u32], text: Option<&str>) -> Vec<Reading> {
    let mut readings = Vec::new();
    let mut add = |id: &'static str, finding: &str, prompt: Vec<u32>| {
        if prompt != right && !prompt.is_empty() {
            readings.push(Reading { id, finding: finding.into(), prompt });
        }
    };
    if let Some(bos) = tokenizer.bos() {
        let with = [&[bos], right].concat();
        match right {
            [first, rest @ ..] if *first == bos => {
                add("bos-missing", "the beginning-of-sequence token is missing", rest.to_vec());
                add("bos-twice", "the beginning-of-sequence token stands twice", with);
            }
            _ => add(
                "bos-added",
                "a beginning-of-sequence token is added, which this model's tokenizer does not do",
                with,
            ),
        }
    }
    if let Some(text) = text {
        let special = |add_special, parse_special| EncodeOptions { add_special, parse_special };
        add("template-missing", "the chat template is not applied", tokenizer.encode(text, special(true, true)));
        add(
            "template-missing",
            "the chat template is not applied, nor is a beginning-of-sequence token added",
            tokenizer.encode(text, special(false, true)),
        );
        let spaced = format!(" {text}");
        add("space-prefix", "a space is put before the prompt", tokenizer.encode(&*spaced, special(true, true)));
        let trimmed = text.trim();
        add("space-trimmed", "white space around the prompt is lost", tokenizer.encode(trimmed, special(true, true)));
        add("special-as-text", "special tokens are read as plain text", tokenizer.encode(text, special(true, false)));
    }
    readings
}

/// Whether the tokens that the trace says it ran are wrong in themselves.
fn tokens_finding(
    tokenizer: Option<&Tokenizer>,
    evidence: &Evidence,
    expected: Option<&[u32]>,
    readings: &[Reading],
) -> Option<TokenFinding> {
    let found = &evidence.tokens[..evidence.prompt];
    let tell = |id: &str, finding: String, expected: &[u32]| {
        Some(TokenFinding { id: id.into(), finding, expected: expected.to_vec(), found: found.to_vec() })
    };
    if let Some(expected) = expected {
        if expected == found {
            return None;
        }
        if let Some(reading) = readings.iter().find(|reading| reading.prompt == found) {
            return tell(reading.id, format!("The prompt's tokens are wrong: {}.", reading.finding), expected);
        }
        let at = expected.iter().zip(found).take_while(|(a, b)| a == b).count();
        let finding = format!(
            "The prompt's tokens differ from {at} on: {:?} where {:?} is right.",
            found.get(at),
            expected.get(at)
        );
        return tell("tokens", finding, expected);
    }
    let (tokenizer, bos) = (tokenizer?, tokenizer?.bos()?);
    let adds = tokenizer.encode("a", EncodeOptions { add_special: true, parse_special: false }).first() == Some(&bos);
    if adds && found.starts_with(&[bos, bos]) {
        return tell("bos-twice", "The prompt begins with two beginning-of-sequence tokens.".into(), &found[1..]);
    }
    // Tokens that a text would give, but for its beginning.
    let bytes: Vec<u8> = found.iter().filter_map(|&id| tokenizer.piece(id)).flat_map(|piece| piece.to_vec()).collect();
    let again = tokenizer.encode(&bytes, EncodeOptions { add_special: true, parse_special: true });
    let missing = adds
        && found.first() != Some(&bos)
        && found.len() > 3
        && again.split_first().is_some_and(|(first, rest)| *first == bos && rest == found);
    if missing {
        return tell("bos-missing", "The prompt begins without the beginning-of-sequence token.".into(), &again);
    }
    None
}
