//! `samebit chat`: a conversation in the terminal, one answer in a pipe, or a session computed again.

use crate::args::{ChatCommandArgs, Cli, Colour, Command, FormArgs, ModelArgs, Verbosity};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::{engine, interrupt, library, model, output, prompt};
use clap::Parser;
use samebit_chat::{
    ChatError, Editor, Format, Hush, Input, Kept, Lines, Looks, Meanwhile, Model, Options, Repl, Settings, Shelf, Talk,
    View,
};
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
    let from = ModelArgs { path: find(args.model.as_ref(), verbosity)? };
    // What is wrong with the input should not wait until the model is loaded.
    let message = message(args)?;
    // What is typed while the model is loaded waits for the prompt.
    let hush = if message.is_none() && args.kept.replay.is_none() { hush(args) } else { None };
    let shelf = Shelves::new(args, verbosity)?;
    let model = Arc::new(shelf.load(&from)?);
    if settings.think.is_some() && !model.may_think() {
        return Err(Failure::Usage("--think: this model's template has no choice about thinking".into()));
    }
    if settings.effort.is_some() && !model.has_effort() {
        return Err(Failure::Usage("--think: this model's template does not know how hard to think".into()));
    }
    let vocabulary = model.tokenizer.vocab_size();
    let config = settings.config(settings.seed, 0);
    config.validate(vocabulary).map_err(|error| Failure::Usage(error.to_string()))?;
    interrupt::be_patient();
    if let Some(path) = &args.kept.replay {
        return replay(path, &model, verbosity);
    }
    let mut talk = Talk::new(model, settings.clone());
    talk.set(settings).map_err(|error| Failure::Usage(error.to_string()))?;
    let session = args.kept.session.as_ref().map(|path| go_on(path, &mut talk, verbosity)).transpose()?;
    let options = Options {
        verbose: verbosity.verbose,
        session,
        transcript: args.kept.output.clone(),
        first: args.prompt.clone(),
        single: args.single_turn,
        interrupted: interrupt::take,
    };
    drop(hush);
    match message {
        Some(message) => once(talk, &message, args, options, verbosity),
        None => converse(talk, args, shelf, options, verbosity),
    }
}

/// Goes on with the session of a file, if there is one in it.
fn go_on(path: &Path, talk: &mut Talk, verbosity: Verbosity) -> Result<Kept, Failure> {
    let (kept, found) = Kept::open(path.to_owned(), talk.model()).map_err(failure)?;
    if let Some((session, settings)) = found {
        let own = if settings == *talk.settings() || unasked().as_ref() == Some(talk.settings()) {
            ""
        } else {
            ", with its own settings: those of the flags are for new sessions, and /set changes these"
        };
        output::note(verbosity.quiet, &format!("{}: goes on after turn {}{own}", path.display(), session.at()));
        talk.resume(session, settings);
    }
    Ok(kept)
}

/// The settings where no flag says any.
fn unasked() -> Option<Settings> {
    match Cli::try_parse_from(["samebit", "chat"]).ok()?.command {
        Command::Chat(args) => settings(&args).ok(),
        _ => None,
    }
}

/// Whether there is no more than lines to talk with.
fn is_plain(args: &ChatCommandArgs) -> bool {
    args.looks.simple_io || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

fn hush(args: &ChatCommandArgs) -> Option<Hush> {
    if is_plain(args) { None } else { Hush::begin(Meanwhile::Waits) }
}

/// The one message of standard input and the words, as `ollama run` takes them; none where a person sits there.
fn message(args: &ChatCommandArgs) -> Result<Option<String>, Failure> {
    let words = args.prompt.clone().unwrap_or_else(|| args.message.join(" "));
    if args.kept.replay.is_some() {
        return Ok(None);
    }
    if std::io::stdin().is_terminal() {
        let once = !args.message.is_empty() || (args.prompt.is_some() && args.single_turn);
        return Ok(Some(words).filter(|_| once));
    }
    let bytes = prompt::read(Path::new("-"), "message")?;
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
            let text = String::from_utf8(prompt::read(path, "system prompt")?);
            Some(text.map_err(|_| Failure::at(path, "not UTF-8: convert the text to UTF-8"))?)
        }
        (None, None) => None,
    };
    let (think, effort) = match args.thinking.think.as_deref() {
        None => (None, None),
        Some("true" | "on") => (Some(true), None),
        Some("false" | "off") => (Some(false), None),
        Some("") => return Err(Failure::Usage("--think: true, false, or how hard, such as low".into())),
        Some(level) => (None, Some(level.to_owned())),
    };
    let mut settings = Settings {
        system,
        predict: usize::try_from(args.predict).ok(),
        think,
        effort,
        think_budget: args.thinking.think_budget,
        format: form(&args.form)?,
        variables: variables(args.chat_template_kwargs.as_deref())?,
        date: args.template.date.map(|day| format!("{:04}-{:02}-{:02}", day.year, day.month, day.day)),
        ..Settings::new(&args.sampling.config())
    };
    settings.variables_fit().map_err(|what| Failure::Usage(format!("--chat-template-kwargs: {what}")))?;
    settings.sampling.dry.sequence_breakers = args.sampling.breakers();
    if args.stop.iter().any(String::is_empty) {
        return Err(Failure::Usage("--stop: no text would end every answer".into()));
    }
    for stop in &args.stop {
        // As JSON, so that it is taken as it is.
        let text = serde_json::Value::from(stop.as_str()).to_string();
        settings.set("stop", &text).map_err(|error| Failure::Usage(format!("--{error}")))?;
    }
    Ok(settings)
}

/// The form of the answers: one flag at most says it.
fn form(args: &FormArgs) -> Result<Format, Failure> {
    let named =
        |flag: &str, form: Result<Format, String>| form.map_err(|error| Failure::Usage(format!("{flag}: {error}")));
    match args {
        FormArgs { format: Some(said), .. } => named("--format", Format::parse(said)),
        FormArgs { json_schema: Some(schema), .. } => named("--json-schema", Format::schema(schema)),
        FormArgs { json_schema_file: Some(path), .. } => named("--json-schema-file", Format::read(path)),
        FormArgs { grammar: Some(grammar), .. } => named("--grammar", Format::grammar(grammar)),
        FormArgs { grammar_file: Some(path), .. } => named("--grammar-file", Format::grammar_file(path)),
        _ => Ok(Format::Text),
    }
}

fn variables(json: Option<&str>) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    serde_json::from_str(json.unwrap_or("{}"))
        .map_err(|error| Failure::Usage(format!("--chat-template-kwargs: no JSON object: {error}")))
}

/// What is talked with where nobody has said: asked for before it is fetched.
const DEFAULT: &str = "smollm2";

/// The model that is named, or the default; a person is asked before it is fetched, a script is told.
fn find(named: Option<&PathBuf>, verbosity: Verbosity) -> Result<PathBuf, Failure> {
    let text = match named {
        Some(path) if path.exists() => return Ok(path.clone()),
        Some(path) => path.to_str(),
        None => Some(DEFAULT),
    };
    let name = text.map(Name::parse).transpose().map_err(library::failure)?.flatten();
    let (Some(name), Some(text)) = (name, text) else {
        let mut path = named.cloned().unwrap_or_default();
        model::locate(&mut path)?;
        return Err(Failure::at(&path, "there is no such file: check its name and folder"));
    };
    let library = library::open(verbosity.quiet)?;
    if let Some(path) = library.find(&name).map_err(library::failure)? {
        if named.is_none() {
            output::note(verbosity.quiet, &format!("no model is named: {DEFAULT}"));
        }
        return Ok(path);
    }
    let lacking = match named {
        None => "no model is named".to_owned(),
        Some(_) => format!("{name} is not here yet"),
    };
    let known = KNOWN.iter().find(|known| known.name == text);
    let size = known.map_or(name.to_string(), |known| format!("{}, {} MB", known.about, known.bytes / 1_000_000));
    if !agreed(&format!("{lacking}. Fetch {size}? [Y/n] ")) {
        return Err(match named {
            None => Failure::Usage(format!("{lacking}: give one with -m, or fetch one with `samebit pull {DEFAULT}`")),
            Some(_) => Failure::Input(format!("{lacking}: `samebit pull {text}` fetches it")),
        });
    }
    super::library::fetch(&library, &name, verbosity).map(|pulled| pulled.path)
}

/// Whether a person says yes. Who cannot be asked has not agreed.
fn agreed(question: &str) -> bool {
    let mut terminal = std::io::stderr();
    if !std::io::stdin().is_terminal() || !terminal.is_terminal() {
        return false;
    }
    let asked = terminal.write_all(question.as_bytes()).and_then(|()| terminal.flush());
    let mut answer = String::new();
    let heard = asked.and_then(|()| std::io::stdin().read_line(&mut answer));
    heard.is_ok_and(|bytes| bytes > 0) && !answer.trim().to_lowercase().starts_with('n')
}

/// Where models come from, and how they are run.
struct Shelves<'a> {
    args: &'a ChatCommandArgs,
    options: EngineOptions,
    /// Found out before any thread was bound.
    cpus: Option<Vec<usize>>,
    verbosity: Verbosity,
}

impl<'a> Shelves<'a> {
    fn new(args: &'a ChatCommandArgs, verbosity: Verbosity) -> Result<Self, Failure> {
        let speculation = engine::guessed(args.spec, args.model_draft.as_deref());
        let options = EngineOptions { speculation, ..engine::options(&args.compute)? };
        let cpus = engine::cpus(args.place.pin, options.threads, verbosity.quiet)?;
        Ok(Self { args, options, cpus, verbosity })
    }

    fn load(&self, from: &ModelArgs) -> Result<Model, Failure> {
        let quiet = self.verbosity.quiet;
        let gguf = model::open(from)?;
        let tokenizer = model::tokenizer(from, &gguf)?;
        let wanted = self.args.template.chat_template.as_deref();
        let template = prompt::template(wanted, from, &gguf, &tokenizer)?;
        let (facts, license) = (facts(&gguf), license(&gguf));
        let digest = model::digest(&gguf, self.verbosity)?;
        let draft = self.args.model_draft.as_ref();
        let draft = draft.map(|path| engine::draft(path, &tokenizer, &self.options, quiet)).transpose()?;
        let engine = engine::load(gguf, &tokenizer, from, &self.options, quiet)?;
        engine::pin(&engine, self.cpus.as_ref())?;
        // Before the first message: while it is typed nothing could be done.
        engine::prepare(&engine, quiet);
        let kv = match self.options.kv {
            KvType::F16 => "f16",
            KvType::F32 => "f32",
            KvType::Q8_0 => "q8_0",
        };
        Ok(Model {
            engine,
            draft,
            tokenizer: Arc::new(tokenizer),
            template,
            name: name(&from.path),
            path: from.path.display().to_string(),
            license,
            facts,
            digest,
            numerics: self.args.compute.numerics.name().to_owned(),
            kv: kv.to_owned(),
        })
    }
}

impl Shelf for Shelves<'_> {
    fn names(&mut self) -> Result<Vec<(String, String)>, String> {
        let library = library::open(true).map_err(|error| error.to_string())?;
        let size = |bytes: u64| format!("{} MB", bytes.div_ceil(1_000_000));
        Ok(library.list().into_iter().map(|entry| (entry.name, size(entry.bytes))).collect())
    }

    fn load(&mut self, name: &str) -> Result<Model, String> {
        let mut path = PathBuf::from(name);
        model::locate(&mut path).map_err(|error| error.to_string())?;
        if !path.exists() {
            return Err(format!(
                "{name}: there is no such file, and no model of that name: /list lists those that are here"
            ));
        }
        // Ctrl-C while it loads is for it alone.
        let loaded = Self::load(self, &ModelArgs { path });
        if interrupt::take() {
            return Err("stopped: the model stays as it was".into());
        }
        loaded.map_err(|error| error.to_string())
    }
}

/// The licence that a file names, with where to read it; or its text.
fn license(gguf: &Gguf) -> Option<String> {
    let text = |key: &str| gguf.metadata().str(key).ok().flatten().map(str::to_owned);
    let keys = ["general.license", "general.license.name", "general.license.link"];
    let known: Vec<String> = keys.into_iter().filter_map(text).collect();
    (!known.is_empty()).then(|| known.join("\n"))
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

fn once(
    talk: Talk,
    message: &str,
    args: &ChatCommandArgs,
    options: Options,
    verbosity: Verbosity,
) -> Result<(), Failure> {
    let looks = looks(args);
    // Only the answer is on stdout.
    let notes: Box<dyn Write> = if verbosity.quiet { Box::new(std::io::sink()) } else { Box::new(std::io::stderr()) };
    let view = View::new(Box::new(std::io::stdout()), looks).with_notes(notes);
    let mut repl = Repl::new(talk, view, Box::new(Lines::new(std::io::empty())), options);
    match repl.once(message).map_err(failure)? {
        true => Err(Failure::Cancelled),
        false => Ok(()),
    }
}

fn converse(
    talk: Talk,
    args: &ChatCommandArgs,
    shelf: Shelves<'_>,
    options: Options,
    verbosity: Verbosity,
) -> Result<(), Failure> {
    let looks = looks(args);
    let mut view = View::new(Box::new(std::io::stdout()), looks);
    let input: Box<dyn Input> = if is_plain(args) {
        Box::new(Lines::new(std::io::stdin().lock()).heeding(interrupt::take))
    } else {
        let history = if args.kept.no_history { None } else { history() };
        let (editor, trouble) = Editor::new(history, looks.styled, interrupt::take);
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
    Repl::new(talk, view, input, options).with_shelf(Box::new(shelf)).run().map_err(failure)
}

fn looks(args: &ChatCommandArgs) -> Looks {
    let terminal = std::io::stdout().is_terminal();
    let dumb = args.looks.simple_io || std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let styled = match args.looks.color {
        Colour::Auto => terminal && !dumb && !plain,
        Colour::Always => true,
        Colour::Never => false,
    };
    let (wordwrap, thoughts) = (!args.looks.no_wordwrap, !args.thinking.hide_thinking);
    Looks { terminal, styled, wordwrap, thoughts, size: samebit_chat::terminal_size }
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
            let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
            let (turns, tokens) = (counted(turns, "turn"), counted(tokens, "token"));
            let line = format!("{}: the same: {turns}, {tokens}, every logit\n", path.display());
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
