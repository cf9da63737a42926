//! `samebit check-engine`: does an engine give the same answer however it is asked?
//!
//! A black box: only answers are looked at. Promises have the names that README.md gives them.

mod ask;
mod compare;

use crate::args::{CheckEngineArgs, Verbosity};
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::{interrupt, output};
use ask::{Answer, Engine, Question};
use compare::{Difference, difference};
use serde::Serialize;
use std::time::Duration;

const PROMPTS: [&str; 4] = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea, there lived an old fisherman who",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n",
    "List the planets of the solar system in order of their distance from the sun, with one remarkable fact about each of them:",
];
/// Comes before prompts to fill a server's cache with what they do not begin with.
const OTHER: &str = "Something else altogether: ";

/// One way of asking, and how often the answer was another.
#[derive(Serialize)]
struct Experiment {
    promise: char,
    what: String,
    asked: usize,
    /// Answers whose tokens or characters are others.
    other_text: usize,
    /// Answers whose log-probabilities alone are others.
    other_numbers: usize,
    /// The first that was another.
    first: Option<Difference>,
}

#[derive(Serialize)]
struct Report {
    engine: String,
    /// Of the first answers: two runs against one engine, or two engines, can be compared by it.
    digest: String,
    broken: Vec<char>,
    experiments: Vec<Experiment>,
    not_tried: Vec<String>,
}

/// Asks about the prompt of a number in one way.
type Ask<'f> = &'f dyn for<'c, 'd> Fn(&'c mut Check<'d>, usize) -> Result<Vec<Answer>, Failure>;

struct Check<'a> {
    engine: Engine,
    args: &'a CheckEngineArgs,
    prompts: Vec<String>,
    first: Vec<Answer>,
    experiments: Vec<Experiment>,
    done: usize,
    total: usize,
    progress: Progress,
}

pub(crate) fn run(args: &CheckEngineArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let timeout = Duration::from_secs(args.timeout);
    let engine = match &args.url {
        Some(url) if !url.starts_with("http://") => {
            return Err(Failure::Usage(format!("--url {url}: only http:// is spoken, to a server nearby")));
        }
        Some(url) => Engine::server(url, args.model_name.clone(), args.chat, timeout),
        None => Engine::Command { words: args.command.clone(), timeout },
    };
    if !engine.is_server() && !engine.takes("{prompt}") {
        return Err(Failure::Usage("the command has no {prompt} in it: every prompt would be the same".into()));
    }
    let prompts: Vec<String> = match &args.prompts[..] {
        [] => PROMPTS.map(str::to_owned).into(),
        own => own.to_vec(),
    };
    let total = prompts.len() * (args.repeats as usize * 2 + args.concurrency as usize + 8);
    let progress = Progress::new("asking", Unit::Repetitions, verbosity.quiet);
    let mut check =
        Check { engine, args, prompts, first: Vec::new(), experiments: Vec::new(), done: 0, total, progress };
    check.all()?;
    let report = check.report();
    if args.json {
        output::write_json(&report)?;
    } else {
        output::write(text(&report).as_bytes())?;
    }
    if report.broken.is_empty() { Ok(()) } else { Err(Failure::No) }
}

impl Check<'_> {
    fn all(&mut self) -> Result<(), Failure> {
        let prompts = self.prompts.clone();
        self.first = prompts.iter().map(|prompt| self.ask(prompt, None, None)).collect::<Result<_, _>>()?;
        let repeats = self.args.repeats as usize;
        self.experiment('R', "the same again", &|check, index| {
            (0..repeats).map(|_| check.ask(&prompts[index], None, None)).collect()
        })?;
        self.in_reverse()?;
        if self.engine.is_server() {
            self.experiment('K', "with the cache of prompts off", &|check, index| {
                Ok(vec![check.ask(&prompts[index], None, Some(false))?])
            })?;
            self.experiment('K', "with the cache of prompts on, twice", &|check, index| {
                (0..2).map(|_| check.ask(&prompts[index], None, Some(true))).collect()
            })?;
            self.experiment('K', "after a longer prompt with the same beginning", &|check, index| {
                check.ask(&format!("{} and so it goes on", prompts[index]), None, Some(true))?;
                Ok(vec![check.ask(&prompts[index], None, Some(true))?])
            })?;
            self.experiment('K', "after a prompt with another beginning", &|check, index| {
                check.ask(&format!("{OTHER}{}", prompts[index]), None, Some(true))?;
                Ok(vec![check.ask(&prompts[index], None, Some(true))?])
            })?;
        }
        if self.engine.takes("{threads}") {
            for &threads in &self.args.threads {
                self.experiment('T', &format!("with {threads} threads"), &|check, index| {
                    Ok(vec![check.ask(&prompts[index], Some(threads), None)?])
                })?;
            }
        }
        self.at_once()
    }

    /// One question; every experiment goes through here.
    fn ask(&mut self, prompt: &str, threads: Option<u32>, cache: Option<bool>) -> Result<Answer, Failure> {
        if interrupt::asked() {
            return Err(Failure::Cancelled);
        }
        let threads = threads.or(self.args.threads.first().copied()).unwrap_or(1);
        let answer = self.engine.ask(Question { prompt, count: self.args.predict, threads, cache });
        self.step();
        answer.map_err(Failure::Input)
    }

    fn step(&mut self) {
        self.done += 1;
        self.progress.at(self.done as u64, self.total.max(self.done) as u64);
    }

    /// Asks every prompt in one way, and compares with the first answers.
    fn experiment(&mut self, promise: char, what: &str, ask: Ask<'_>) -> Result<(), Failure> {
        let mut answers = Vec::new();
        for index in 0..self.prompts.len() {
            answers.extend(ask(self, index)?.into_iter().map(|answer| (index, answer)));
        }
        self.judge(promise, what, &answers);
        Ok(())
    }

    fn judge(&mut self, promise: char, what: &str, answers: &[(usize, Answer)]) {
        let mut experiment = Experiment {
            promise,
            what: what.into(),
            asked: answers.len(),
            other_text: 0,
            other_numbers: 0,
            first: None,
        };
        for (index, answer) in answers {
            let Some(difference) = difference(&self.prompts[*index], &self.first[*index], answer) else { continue };
            if difference.same_text {
                experiment.other_numbers += 1;
            } else {
                experiment.other_text += 1;
            }
            let better = experiment.first.as_ref().is_none_or(|first| first.same_text && !difference.same_text);
            if better {
                experiment.first = Some(difference);
            }
        }
        self.experiments.push(experiment);
    }

    fn in_reverse(&mut self) -> Result<(), Failure> {
        let mut answers = Vec::new();
        for index in (0..self.prompts.len()).rev() {
            let prompt = self.prompts[index].clone();
            answers.push((index, self.ask(&prompt, None, None)?));
        }
        self.judge('R', "in another order", &answers);
        Ok(())
    }

    /// Many requests at once, each prompt several times.
    fn at_once(&mut self) -> Result<(), Failure> {
        let width = self.args.concurrency as usize;
        let threads = self.args.threads.first().copied().unwrap_or(1);
        let jobs: Vec<usize> = (0..width * 2).map(|job| job % self.prompts.len()).collect();
        let (engine, prompts, count) = (&self.engine, &self.prompts, self.args.predict);
        let mut answers: Vec<(usize, Result<Answer, String>)> = Vec::new();
        for wave in jobs.chunks(width) {
            let ask = |index: usize| engine.ask(Question { prompt: &prompts[index], count, threads, cache: None });
            answers.extend(std::thread::scope(|scope| {
                let asked: Vec<_> = wave.iter().map(|&index| (index, scope.spawn(move || ask(index)))).collect();
                let lost = |_| Err("a request was lost".to_owned());
                asked.into_iter().map(|(index, job)| (index, job.join().unwrap_or_else(lost))).collect::<Vec<_>>()
            }));
        }
        let answers: Result<Vec<_>, Failure> = answers
            .into_iter()
            .map(|(index, answer)| answer.map(|answer| (index, answer)).map_err(Failure::Input))
            .collect();
        let answers = answers?;
        answers.iter().for_each(|_| self.step());
        self.judge(if self.engine.is_server() { 'B' } else { 'R' }, &format!("{width} requests at once"), &answers);
        Ok(())
    }

    fn report(&mut self) -> Report {
        self.progress.clear();
        let mut hasher = blake3::Hasher::new();
        for answer in &self.first {
            hasher.update(answer.text.as_bytes());
            hasher.update(&[0]);
            answer.tokens.iter().for_each(|token| {
                hasher.update(&token.logprob.to_le_bytes());
            });
        }
        let mut broken: Vec<char> =
            self.experiments.iter().filter(|e| e.other_text + e.other_numbers > 0).map(|e| e.promise).collect();
        broken.sort_unstable();
        broken.dedup();
        let mut not_tried = Vec::new();
        if !self.engine.takes("{threads}") {
            let how = if self.engine.is_server() {
                "start the server with another number, and compare the digest"
            } else {
                "put {threads} into the command"
            };
            not_tried.push(format!("T: {how}"));
        }
        if !self.engine.is_server() {
            not_tried.push("B, K: a command has no batch and no cache of prompts; ask its server with --url".into());
        } else if self.first.iter().all(|answer| answer.tokens.is_empty()) {
            not_tried
                .push("the logits' bits: the engine gives no log-probabilities, so only texts were compared".into());
        }
        not_tried.push("S, I, G, O: from outside they are seen only by comparing digests".into());
        Report {
            engine: self.args.url.clone().unwrap_or_else(|| self.args.command.join(" ")),
            digest: hasher.finalize().to_hex().to_string(),
            broken,
            experiments: std::mem::take(&mut self.experiments),
            not_tried,
        }
    }
}

fn text(report: &Report) -> String {
    let mut out = format!("{}\n\n", report.engine);
    for experiment in &report.experiments {
        let Experiment { promise, what, asked, other_text, other_numbers, first } = experiment;
        let verdict = match (other_text, other_numbers) {
            (0, 0) => "the same".to_owned(),
            (0, numbers) => format!("{numbers} of {asked} with other log-probabilities, the same text"),
            (texts, 0) => format!("{texts} of {asked} with another text"),
            (texts, numbers) => format!("{texts} of {asked} with another text, {numbers} with other log-probabilities"),
        };
        out.push_str(&format!("  {promise}  {what:<46} {verdict}\n"));
        if let Some(difference) = first {
            out.push_str(&difference.text());
        }
    }
    out.push('\n');
    match &report.broken[..] {
        [] => out.push_str("No promise was seen to be broken.\n"),
        broken => {
            let names: Vec<String> =
                broken.iter().map(|&promise| format!("{promise} ({})", meaning(promise))).collect();
            out.push_str(&format!("Broken: {}.\n", names.join(", ")));
        }
    }
    report.not_tried.iter().for_each(|line| out.push_str(&format!("Not tried: {line}.\n")));
    out.push_str(&format!("Digest of the first answers: {}\n", report.digest));
    out
}

fn meaning(promise: char) -> &'static str {
    match promise {
        'R' => "the answer depends on the run",
        'T' => "the answer depends on the number of threads",
        'B' => "the answer depends on who else is served",
        'K' => "the answer depends on what is in the cache",
        _ => "",
    }
}
