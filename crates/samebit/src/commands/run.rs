//! `samebit run`: a prompt in, an answer out, as it comes or as one record.

use crate::args::{RunArgs, Verbosity};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::{engine, interrupt, model, output, prompt};
use samebit_engine::{Engine, EngineOptions, Event, Finish, Generation, Request, Speculation};
use samebit_text::{StreamDecoder, Tokenizer};
use serde::Serialize;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// What `--json` prints.
#[derive(Serialize)]
struct Record<'a> {
    model: ModelRecord,
    numerics: &'static str,
    prompt_tokens: &'a [u32],
    tokens: &'a [u32],
    text: &'a str,
    finish_reason: &'static str,
    logits_digest: &'a str,
    timings: Timings,
    /// With `--spec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    speculation: Option<SpeculationRecord>,
}

#[derive(Serialize)]
struct SpeculationRecord {
    passes: usize,
    drafted: usize,
    accepted: usize,
}

#[derive(Serialize)]
struct ModelRecord {
    path: String,
    digest: String,
}

/// Milliseconds and tokens per second. The only part of a record that differs from run to run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Timings {
    load_ms: f64,
    /// Putting the weights into the form that many passes want, between the first and the second: in none of the other times.
    prepare_ms: f64,
    prompt_n: usize,
    prompt_ms: f64,
    prompt_per_second: f64,
    predicted_n: usize,
    predicted_ms: f64,
    predicted_per_second: f64,
}

pub(crate) fn run(args: &RunArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let started = Instant::now();
    let gguf = model::open(&args.model)?;
    let tokenizer = model::tokenizer(&args.model, &gguf)?;
    let tokens = prompt::with_chat(&args.prompt, &args.chat, &args.model, &gguf, &tokenizer)?;
    if tokens.is_empty() {
        return Err(Failure::Input("the prompt has no tokens: give some text".into()));
    }
    let mut sampler = args.sampling.config_for(&tokenizer)?;
    if args.ignore_eos {
        // Banned rather than passed over, as llama.cpp does: a text goes on more sensibly so.
        sampler.logit_bias.extend(tokenizer.eog_ids().into_iter().map(|id| (id, f32::NEG_INFINITY)));
    }
    let digest = if args.json { model::digest(&gguf, verbosity)? } else { String::new() };
    // Without a limit the context is the limit.
    let most = usize::try_from(args.predict).unwrap_or(usize::MAX);
    let options = EngineOptions { speculation: args.spec, ..engine::options(&args.compute)? };
    let cpus = engine::cpus(args.place.pin, options.threads, verbosity.quiet)?;
    let engine = engine::load(gguf, &tokenizer, &args.model, &options, verbosity.quiet)?;
    engine::pin(&engine, cpus.as_ref())?;
    let load = started.elapsed();
    if verbosity.verbose {
        output::note(false, &format!("{} loaded in {:.0} ms", args.model.path.display(), milliseconds(load)));
    }

    interrupt::be_orderly();
    let request = Request { max_tokens: most, sampler, stop_tokens: tokenizer.eog_ids(), ignore_eos: args.ignore_eos };
    let mut answer = Answer::new(&engine, &tokenizer, most, !args.json, verbosity);
    let generation = engine
        .generate(&tokens, &request, &mut |event| answer.take(event))
        .map_err(|error| Failure::at(&args.model.path, error))?;
    let timings = answer.finish(load, tokens.len())?;
    if generation.finish == Finish::Length && generation.tokens.len() < most {
        let line = "the context is full, and the answer ends here: -c N gives more room where the model has it";
        output::note(verbosity.quiet, line);
    }
    report(args, &generation, &timings, verbosity);
    if args.json {
        let path = args.model.path.display().to_string();
        let Speculation { passes, drafted, accepted } = generation.speculation;
        output::write_json(&Record {
            model: ModelRecord { path, digest },
            numerics: args.compute.numerics.name(),
            prompt_tokens: &tokens,
            tokens: &generation.tokens,
            text: &answer.text,
            finish_reason: generation.finish.name(),
            logits_digest: &generation.logits_digest,
            timings,
            speculation: (args.spec > 0).then_some(SpeculationRecord { passes, drafted, accepted }),
        })?;
    }
    match generation.finish {
        Finish::Cancelled => Err(Failure::Cancelled),
        _ => Ok(()),
    }
}

/// What `--verbose` says at the end.
fn report(args: &RunArgs, generation: &Generation, timings: &Timings, verbosity: Verbosity) {
    if !verbosity.verbose {
        return;
    }
    output::note(false, &timings.line());
    if args.spec > 0 {
        let Speculation { passes, drafted, accepted } = generation.speculation;
        output::note(false, &format!("{accepted} of {drafted} guessed tokens were right; {passes} passes"));
    }
}

/// Takes tokens as they come: decodes, prints, counts, and says when to stop.
struct Answer<'a> {
    engine: &'a Engine,
    tokenizer: &'a Tokenizer,
    decoder: StreamDecoder<'a>,
    text: String,
    streamed: bool,
    progress: Progress,
    quiet: bool,
    /// Most tokens to come.
    most: usize,
    /// Time that the engine was prepared in.
    preparing: Option<Duration>,
    /// Why printing failed, if it did.
    failure: Option<Failure>,
    started: Instant,
    first: Option<Instant>,
    last: Instant,
    count: usize,
}

impl<'a> Answer<'a> {
    fn new(engine: &'a Engine, tokenizer: &'a Tokenizer, most: usize, streamed: bool, verbosity: Verbosity) -> Self {
        let now = Instant::now();
        Self {
            engine,
            tokenizer,
            decoder: StreamDecoder::new(tokenizer),
            text: String::new(),
            streamed,
            progress: Progress::new("prompt", Unit::Tokens, verbosity.quiet),
            quiet: verbosity.quiet,
            most,
            preparing: None,
            failure: None,
            started: now,
            first: None,
            last: now,
            count: 0,
        }
    }

    fn take(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Prefill { done, total } => self.progress.at(done as u64, total as u64),
            Event::Token(id) => self.token(id),
        }
        if interrupt::asked() || self.failure.is_some() {
            return ControlFlow::Break(());
        }
        let more = match event {
            Event::Prefill { done, total } => done < total,
            Event::Token(id) => self.count < self.most && !self.tokenizer.is_eog(id),
        };
        if more && self.preparing.is_none() {
            self.prepare();
        }
        ControlFlow::Continue(())
    }

    /// Prepares the engine for more passes: not before the first, so that no first token waits for it. The clocks of prompt
    /// and answer stand still.
    fn prepare(&mut self) {
        let before = Instant::now();
        engine::prepare(self.engine, self.quiet);
        let took = before.elapsed();
        self.preparing = Some(took);
        self.started += took;
        self.first = self.first.map(|first| first + took);
        self.last += took;
    }

    fn token(&mut self, id: u32) {
        self.last = Instant::now();
        if self.first.is_none() {
            self.first = Some(self.last);
            self.progress.clear();
        }
        self.count += 1;
        if !self.tokenizer.is_eog(id) {
            let text = self.decoder.push(id);
            self.show(&text);
        }
    }

    fn show(&mut self, text: &str) {
        self.text.push_str(text);
        if self.streamed && self.failure.is_none() && !text.is_empty() {
            self.failure = output::write_piece(text).err();
        }
    }

    /// Prints what the decoder held back, and reckons the times.
    fn finish(&mut self, load: Duration, prompt: usize) -> Result<Timings, Failure> {
        self.progress.clear();
        let rest = self.decoder.finish();
        self.show(&rest);
        if self.streamed && std::io::stdout().is_terminal() {
            self.show("\n");
        }
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let first = self.first.unwrap_or_else(Instant::now);
        // The first token comes out of the prompt's last logits, so the others share the time after it.
        let (prompt_time, later) = (first - self.started, self.last.saturating_duration_since(first));
        Ok(Timings {
            load_ms: milliseconds(load),
            prepare_ms: milliseconds(self.preparing.unwrap_or_default()),
            prompt_n: prompt,
            prompt_ms: milliseconds(prompt_time),
            prompt_per_second: rate(prompt, prompt_time),
            predicted_n: self.count,
            predicted_ms: milliseconds(later),
            predicted_per_second: rate(self.count.saturating_sub(1), later),
        })
    }
}

impl Timings {
    fn line(&self) -> String {
        format!(
            "load {:.0} ms, {:.0} more after the first pass; prompt {} tokens in {:.0} ms ({:.1}/s); answer {} tokens in {:.0} ms ({:.1}/s)",
            self.load_ms,
            self.prepare_ms,
            self.prompt_n,
            self.prompt_ms,
            self.prompt_per_second,
            self.predicted_n,
            self.predicted_ms,
            self.predicted_per_second
        )
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn rate(count: usize, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { (count as f64 / time.as_secs_f64() * 1e3).round() / 1e3 }
}
