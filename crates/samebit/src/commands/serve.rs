//! `samebit serve`: a model behind HTTP until it is asked to stop.

use crate::args::{BatchArgs, BoundArgs, ListenArgs, ServeArgs, Verbosity};
use crate::failure::Failure;
use crate::{engine, interrupt, model, output, prompt};
use samebit_engine::{EngineOptions, Limits};
use samebit_server::{LogFormat, LogLevel, Model, Options, ServeError, Stopped};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn run(args: &ServeArgs, verbosity: Verbosity) -> Result<(), Failure> {
    if args.compute.no_kv_cache {
        return Err(Failure::Usage("--no-kv-cache: a server without a cache would never be done".into()));
    }
    let format = if args.log_json { LogFormat::Json } else { LogFormat::Text };
    samebit_server::init_log(format, level(verbosity));
    let mut options = options(&args.listen, &args.bounds, &args.batch)?.checked().map_err(failure)?;
    options.predict = usize::try_from(args.predict).ok();
    options.date = args.template.date;
    options.otlp_endpoint = collector(args);
    let spec = engine::guessed(args.batch.spec, args.batch.model_draft.as_deref());
    let engine_options = EngineOptions { speculation: spec, ..engine::options(&args.compute)? };
    options.limits.rows = engine_options.ubatch;
    options.cpus = engine::cpus(args.place.pin, engine_options.threads, verbosity.quiet)?;
    let model = load(args, &engine_options, verbosity)?;
    options.sampling = args.sampling.config_for(&model.tokenizer)?;
    // A request may turn DRY on.
    options.sampling.dry_breakers = args.sampling.breakers_for(&model.tokenizer)?;
    if options.api_keys.is_empty() && !samebit_server::is_local(&options.host) {
        output::note(
            verbosity.quiet,
            &format!("everybody who reaches {} may ask: give --api-key to keep others out", options.host),
        );
    }
    let server = samebit_server::start(model, options).map_err(failure)?;
    interrupt::be_orderly();
    server.stop_on_signals().map_err(|error| Failure::Input(format!("cannot listen for signals: {error}")))?;
    note(verbosity.quiet, &format!("serving on http://{}", server.address()));
    let stopped = server.wait();
    if stopped == Stopped::BrokenOff {
        note(verbosity.quiet, "some answers took longer than --grace and were broken off");
    }
    samebit_server::finish_log();
    match stopped {
        Stopped::Finished | Stopped::BrokenOff => Ok(()),
        Stopped::EngineLost => {
            Err(Failure::Input("the engine's thread ended by itself, which is a defect of samebit".into()))
        }
    }
}

/// As [`output::note`], but among the log's lines: where nobody reads them, nobody waits.
fn note(quiet: bool, line: &str) {
    if !quiet {
        samebit_server::say(&format!("samebit: {line}"));
    }
}

/// Why there is no server: the command line asks for something that makes no sense, or there is something else.
fn failure(error: ServeError) -> Failure {
    match error {
        ServeError::Option(message) => Failure::Usage(message),
        error => Failure::Input(error.to_string()),
    }
}

/// The flag's, or in builds that can send traces the one that OpenTelemetry's own variable names.
fn collector(args: &ServeArgs) -> Option<String> {
    let usual = || if cfg!(feature = "otel") { std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok() } else { None };
    args.otlp_endpoint.clone().or_else(usual).filter(|endpoint| !endpoint.is_empty())
}

fn level(verbosity: Verbosity) -> LogLevel {
    match (verbosity.quiet, verbosity.verbose) {
        (true, _) => LogLevel::ERROR,
        (false, false) => LogLevel::WARN,
        (false, true) => LogLevel::INFO,
    }
}

fn options(listen: &ListenArgs, bounds: &BoundArgs, batch: &BatchArgs) -> Result<Options, Failure> {
    let limits = Limits {
        sequences: batch.parallel,
        pages: batch.pages,
        queue: batch.queue,
        prefix_cache: !batch.no_cache_prompt,
        ..Limits::default()
    };
    Ok(Options {
        host: listen.host.clone(),
        port: listen.port,
        limits,
        api_keys: keys(listen)?,
        cors_origins: listen.cors_origin.clone(),
        allowed_hosts: listen.allowed_host.clone(),
        rate_requests: bounds.rate_limit,
        rate_tokens: bounds.token_rate_limit,
        body_bytes: bounds.max_body,
        connections: bounds.connections,
        timeout: Duration::from_secs(bounds.timeout),
        io_timeout: Duration::from_secs(bounds.io_timeout),
        grace: Duration::from_secs(bounds.grace),
        grammar_threads: batch.grammar_threads,
        slots: !listen.no_slots,
        metrics: !listen.no_metrics,
        page: !listen.no_webui,
        ..Options::default()
    })
}

/// The keys of the flag and of the file.
fn keys(listen: &ListenArgs) -> Result<Vec<String>, Failure> {
    let mut keys = listen.api_key.clone();
    if let Some(path) = &listen.api_key_file {
        let bytes = prompt::read(path, "file of keys")?;
        let text = String::from_utf8(bytes).map_err(|_| Failure::at(path, "the keys are not UTF-8"))?;
        keys.extend(text.lines().map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned));
        if keys.is_empty() {
            return Err(Failure::at(path, "no key is in it: write one on each line"));
        }
    }
    Ok(keys)
}

fn load(args: &ServeArgs, options: &EngineOptions, verbosity: Verbosity) -> Result<Model, Failure> {
    let gguf = model::open(&args.model)?;
    let tokenizer = model::tokenizer(&args.model, &gguf)?;
    let template = prompt::template(args.template.chat_template.as_deref(), &args.model, &gguf, &tokenizer);
    let template = match (template, &args.template.chat_template) {
        (Ok(template), _) => Ok(template),
        // What was asked for by name must be there; what the model lacks is told to those who ask it to chat.
        (Err(failure), Some(_)) => return Err(failure),
        // Where the file lies is none of their business.
        (Err(failure), None) => Err(without_place(&failure, &args.model.path)),
    };
    let digest = model::digest(&gguf, verbosity)?;
    let draft = args
        .batch
        .model_draft
        .as_ref()
        .map(|path| engine::draft(path, &tokenizer, options, verbosity.quiet))
        .transpose()?;
    let engine = engine::load(gguf, &tokenizer, &args.model, options, verbosity.quiet)?;
    // Before anybody is served: nobody's answer waits for it.
    engine::prepare(&engine, verbosity.quiet);
    Ok(Model {
        engine,
        draft,
        tokenizer: Arc::new(tokenizer),
        template,
        id: args.alias.clone().unwrap_or_else(|| name(&args.model.path)),
        path: args.model.path.display().to_string(),
        digest,
        numerics: args.compute.numerics.name().to_owned(),
    })
}

/// What is wrong with a file, but not where it lies.
fn without_place(failure: &Failure, path: &Path) -> String {
    let text = failure.to_string();
    text.strip_prefix(&format!("{}: ", path.display())).map_or(text.clone(), str::to_owned)
}

/// A file's name without what every model's ends with.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    name.strip_suffix(".gguf").map_or(name.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_not_told_where_files_lie() {
        let path = Path::new("/models/m.gguf");
        assert_eq!(without_place(&Failure::at(path, "no template"), path), "no template");
        assert_eq!(without_place(&Failure::Input("no template".into()), path), "no template");
    }
}
