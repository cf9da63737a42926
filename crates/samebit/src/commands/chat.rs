//! `samebit chat`: a conversation in the terminal, one answer in a pipe, or a session computed again.

use crate::args::{ChatCommandArgs, ModelArgs, Verbosity};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::{engine, interrupt, library, model, output, prompt};
use samebit_chat::{ChatError, Editor, Format, Input, Lines, Looks, Model, Options, Repl, Settings, Talk, View};
use samebit_engine::EngineOptions;
use samebit_gguf::{Gguf, report};
use samebit_hub::{KNOWN, Name};
use samebit_model::KvType;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) fn run(args: &ChatCommandArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let settings = settings(args)?;
    // What is wrong with the input should not wait for the model.
    let message = message(args)?;
    let options = engine::options(&args.compute)?;
    let from = ModelArgs { path: args.model.clone().map_or_else(|| a_small_one(verbosity), Ok)? };
    let model = Arc::new(load(args, &from, &options, verbosity)?);
    let vocabulary = model.tokenizer.vocab_size();
    let config = settings.config(settings.seed, 0);
    config.validate(vocabulary).map_err(|error| Failure::Usage(error.to_string()))?;
    interrupt::be_patient();
    if let Some(path) = &args.replay {
        return replay(path, &model, verbosity);
    }
    let mut talk = Talk::new(model, settings);
    if let Some(path) = args.session.as_ref().filter(|path| path.exists()) {
        let (session, settings) = samebit_chat::load(path, talk.model()).map_err(failure)?;
        output::note(verbosity.quiet, &format!("{}: goes on after turn {}", path.display(), session.at()));
        talk.resume(session, settings);
    }
    let options = Options { verbose: verbosity.verbose, session: args.session.clone(), interrupted: interrupt::take };
    match message {
        Some(message) => once(talk, &message, options, verbosity),
        None => converse(talk, args, options, verbosity),
    }
}

/// The one message of standard input and the words, as `ollama run` takes them; none where a person sits there.
fn message(args: &ChatCommandArgs) -> Result<Option<String>, Failure> {
    let words = args.message.join(" ");
    if args.replay.is_some() {
        return Ok(None);
    }
    if std::io::stdin().is_terminal() {
        return Ok(Some(words).filter(|_| !args.message.is_empty()));
    }
    let bytes = prompt::read(Path::new("-"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Input(format!("standard input: byte {at} is not UTF-8: convert the text to UTF-8"))
    })?;
    let whole = [text.trim_end(), &words].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    if whole.trim().is_empty() {
        return Err(Failure::Input("standard input is empty: there is nothing to answer".into()));
    }
    Ok(Some(whole))
}

fn settings(args: &ChatCommandArgs) -> Result<Settings, Failure> {
    let system = match (&args.system_prompt, &args.system_prompt_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(path)) => {
            let text = String::from_utf8(prompt::read(path)?);
            Some(text.map_err(|_| Failure::at(path, "not UTF-8: convert the text to UTF-8"))?)
        }
        (None, None) => None,
    };
    Ok(Settings {
        system,
        predict: usize::try_from(args.predict).ok(),
        think: args.think,
        format: if args.format.is_some() { Format::Json } else { Format::Text },
        date: args.date.map(|day| format!("{:04}-{:02}-{:02}", day.year, day.month, day.day)),
        ..Settings::new(&args.sampling.config())
    })
}

/// What is talked with where nobody has said: asked for before it is fetched.
const DEFAULT: &str = "smollm2";

/// The default model; a person is asked before it is fetched, a script is told.
fn a_small_one(verbosity: Verbosity) -> Result<PathBuf, Failure> {
    let name = Name::require(DEFAULT).map_err(library::failure)?;
    let library = library::open(verbosity.quiet)?;
    if let Some(path) = library.find(&name).map_err(library::failure)? {
        output::note(verbosity.quiet, &format!("no model is named: {DEFAULT}"));
        return Ok(path);
    }
    let none =
        || Failure::Usage(format!("no model is named: give one with -m, or fetch one with `samebit pull {DEFAULT}`"));
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(none());
    }
    let known = KNOWN.iter().find(|known| known.name == DEFAULT).ok_or_else(none)?;
    let question = format!("no model is named. Fetch {}, {} MB? [Y/n] ", known.about, known.bytes / 1_000_000);
    let mut terminal = std::io::stderr();
    // Who cannot be asked has not agreed.
    let asked = terminal.write_all(question.as_bytes()).and_then(|()| terminal.flush());
    let mut answer = String::new();
    let heard = asked.and_then(|()| std::io::stdin().read_line(&mut answer));
    if !heard.is_ok_and(|bytes| bytes > 0) || answer.trim().to_lowercase().starts_with('n') {
        return Err(none());
    }
    super::library::fetch(&library, &name, verbosity).map(|pulled| pulled.path)
}

fn load(
    args: &ChatCommandArgs,
    from: &ModelArgs,
    options: &EngineOptions,
    verbosity: Verbosity,
) -> Result<Model, Failure> {
    let gguf = model::open(from)?;
    let tokenizer = model::tokenizer(from, &gguf)?;
    let template = prompt::template(args.chat_template.as_deref(), from, &gguf, &tokenizer)?;
    if args.think.is_some() && !template.source().contains("enable_thinking") {
        return Err(Failure::Usage("--think: this model's template has no choice about thinking".into()));
    }
    let facts = facts(&gguf);
    let digest = model::digest(&gguf, verbosity)?;
    let cpus = engine::cpus(args.place.pin, options.threads, verbosity.quiet)?;
    let engine = engine::load(gguf, &tokenizer, from, options, verbosity.quiet)?;
    engine::pin(&engine, cpus.as_ref())?;
    // Before the first message: while it is typed nothing could be done.
    engine::prepare(&engine, verbosity.quiet);
    let kv = match options.kv {
        KvType::F16 => "f16",
        KvType::F32 => "f32",
        KvType::Q8_0 => "q8_0",
    };
    Ok(Model {
        engine,
        tokenizer: Arc::new(tokenizer),
        template,
        name: name(&from.path),
        path: from.path.display().to_string(),
        facts,
        digest,
        numerics: args.compute.numerics.name().to_owned(),
        kv: kv.to_owned(),
    })
}

/// What `/show info` says of the file.
fn facts(gguf: &Gguf) -> Vec<(String, String)> {
    let totals = report::totals(gguf);
    let text = |key: &str| gguf.metadata().str(key).ok().flatten().map(report::escaped);
    let mut facts = Vec::new();
    for (name, key) in [("title", "general.name"), ("architecture", "general.architecture")] {
        facts.extend(text(key).map(|value| (name.to_owned(), value)));
    }
    let types: Vec<&str> = report::type_histogram(gguf).iter().map(|row| row.ty.name()).collect();
    facts.push(("parameters".to_owned(), format!("{:.0} million", totals.elements as f64 / 1e6)));
    facts.push(("types".to_owned(), types.join(", ")));
    facts
}

/// A file's name without what every model's ends with.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    name.strip_suffix(".gguf").map_or(name.clone(), str::to_owned)
}

fn once(talk: Talk, message: &str, options: Options, verbosity: Verbosity) -> Result<(), Failure> {
    let looks = looks(true);
    // Only the answer is on stdout.
    let notes: Box<dyn Write> = if verbosity.quiet { Box::new(std::io::sink()) } else { Box::new(std::io::stderr()) };
    let view = View::new(Box::new(std::io::stdout()), looks).with_notes(notes);
    let mut repl = Repl::new(talk, view, Box::new(Lines::new(std::io::empty())), options);
    match repl.once(message).map_err(failure)? {
        true => Err(Failure::Cancelled),
        false => Ok(()),
    }
}

fn converse(talk: Talk, args: &ChatCommandArgs, options: Options, verbosity: Verbosity) -> Result<(), Failure> {
    let looks = looks(!args.no_wordwrap);
    let mut view = View::new(Box::new(std::io::stdout()), looks);
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let input: Box<dyn Input> = if dumb {
        Box::new(Lines::new(std::io::stdin().lock()))
    } else {
        let history = if args.no_history { None } else { history() };
        let (editor, trouble) = Editor::new(history, looks.styled);
        if let Some(trouble) = trouble {
            output::note(verbosity.quiet, &trouble);
        }
        Box::new(editor)
    };
    if !verbosity.quiet {
        let model = talk.model();
        let line = format!(
            "{}: {} tokens of context, seed {}. /help lists the commands",
            model.name,
            model.engine.context(),
            talk.settings().seed
        );
        view.note(&line).map_err(failure)?;
    }
    Repl::new(talk, view, input, options).run().map_err(failure)
}

fn looks(wordwrap: bool) -> Looks {
    let terminal = std::io::stdout().is_terminal();
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Looks { terminal, styled: terminal && !dumb && !plain, wordwrap, size: samebit_chat::terminal_size }
}

/// Where what is typed is remembered, by the XDG base directories.
fn history() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("state")))?;
    Some(state.join("samebit").join("history"))
}

fn replay(path: &Path, model: &Arc<Model>, verbosity: Verbosity) -> Result<(), Failure> {
    let (session, settings) = match samebit_chat::load(path, model) {
        Err(error @ ChatError::Other { .. }) => {
            output::write(format!("{error}\n").as_bytes())?;
            return Err(Failure::No);
        }
        loaded => loaded.map_err(failure)?,
    };
    let turns = session.turns().len();
    let mut progress = Progress::new("replay", Unit::Repetitions, verbosity.quiet);
    let mut broken = false;
    let departure = samebit_chat::replay(model, &session, &settings, &mut |turn| {
        progress.at(turn as u64 - 1, turns as u64);
        broken |= interrupt::take();
        if broken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    progress.clear();
    let departure = departure.map_err(failure)?;
    if broken {
        return Err(Failure::Cancelled);
    }
    match departure {
        None => {
            let tokens: usize = session.turns().iter().map(|turn| turn.tokens.len()).sum();
            let line = format!("{}: the same: {turns} turns, {tokens} tokens, every logit\n", path.display());
            output::write(line.as_bytes())
        }
        Some(departure) => {
            output::write(format!("{}: not the same: {departure}\n", path.display()).as_bytes())?;
            Err(Failure::No)
        }
    }
}

fn failure(error: ChatError) -> Failure {
    match error {
        ChatError::Output(error) => Failure::stdout(&error),
        ChatError::Cancelled => Failure::Cancelled,
        error => Failure::Input(error.to_string()),
    }
}
