//! `samebit bench`: prefill and decode in tokens per second, alone or in turns with a llama-bench.

mod measure;
mod plan;
mod report;
mod rival;
mod statistics;

use crate::args::{BenchArgs, Verbosity};
use crate::engine::{cpus, isa, pin, prepare, threads};
use crate::failure::Failure;
use crate::machine::{self, Ceiling};
use crate::output;
use crate::progress::{Progress, Unit};
use plan::Test;
use report::{Report, Row};
use rival::Program;
use samebit_engine::{Engine, EngineOptions};
use samebit_gguf::{Gguf, report as gguf_report};
use samebit_kernels::Isa;
use samebit_model::Config;
use std::path::Path;

/// A model and what is told of it.
struct Subject<'a> {
    path: &'a Path,
    name: String,
    row: Row,
    weight_bytes_per_token: u64,
}

/// What is the same for all tests.
struct Bench<'a> {
    args: &'a BenchArgs,
    isa: Isa,
    tests: Vec<Test>,
    /// Numbers of threads, each with what memory gives to so many.
    threads: Vec<(usize, Option<f64>)>,
    /// Where threads are bound, if that is asked for.
    cpus: Option<Vec<usize>>,
    quiet: bool,
}

pub(crate) fn run(args: &BenchArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let tests = plan::tests(args);
    if tests.is_empty() {
        return Err(Failure::Usage("no test: give -p, -n or -pg a number above 0".into()));
    }
    let isa = isa(&args.isa)?;
    let most = args.threads.iter().map(|&asked| threads(asked)).max().unwrap_or(1);
    let cpus = cpus(args.pin, most, verbosity.quiet)?;
    let rival = args.against.as_ref().map(|path| their_program(args, path)).transpose()?;
    let cpu = machine::cpu();
    let subjects: Vec<(Subject<'_>, Gguf)> =
        args.models.iter().map(|path| subject(path, &cpu, isa, args)).collect::<Result<_, _>>()?;
    let widest = subjects.iter().map(|(subject, _)| subject.name.chars().count()).max().unwrap_or(0);
    let mut report = Report::new(args.output, widest);
    let cores = threads(0);
    let kv = args.kv.kind().name();
    report.heading(&format!(
        "samebit {}, numerics v1, {kv} cache, {isa}, on {cpu} ({cores} cores)",
        env!("CARGO_PKG_VERSION")
    ))?;
    let threads = ceilings(args, &tests, &report, verbosity)?;
    let bench = Bench { args, isa, tests, threads, cpus, quiet: verbosity.quiet };
    for (subject, gguf) in subjects {
        match &rival {
            None => bench.alone(&subject, gguf, &mut report)?,
            Some(rival) => bench.in_turns(&subject, rival, &mut report)?,
        }
    }
    report.end()
}

/// What is known of a model before it runs.
fn subject<'a>(path: &'a Path, cpu: &str, isa: Isa, args: &BenchArgs) -> Result<(Subject<'a>, Gguf), Failure> {
    let gguf = Gguf::open(path).map_err(|error| Failure::Input(error.to_string()))?;
    let config = Config::from_metadata(gguf.metadata()).map_err(|error| Failure::at(path, error))?;
    let totals = gguf_report::totals(&gguf);
    let histogram = gguf_report::type_histogram(&gguf);
    let most = histogram.first().map_or("", |row| row.ty.name());
    let row = Row {
        cpu_info: cpu.into(),
        isa: isa.name(),
        numerics: "v1",
        kv: args.kv.kind().name(),
        model_filename: path.display().to_string(),
        model_type: format!("{} {most}", config.architecture.name),
        model_size: totals.tensor_bytes,
        model_n_params: totals.elements,
        n_ubatch: args.ubatch_size,
        ..Row::default()
    };
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let weight_bytes_per_token = weight_bytes_per_token(&gguf, &config);
    Ok((Subject { path, name: gguf_report::escaped(&name), row, weight_bytes_per_token }, gguf))
}

/// Bytes of the matrices that one token goes through: of experts its share; of the embedding, one row of which is
/// looked up, nothing, unless it is the output matrix too.
fn weight_bytes_per_token(gguf: &Gguf, config: &Config) -> u64 {
    let tied = gguf.tensor("output.weight").is_none();
    let matrices = gguf.tensors().iter().filter(|tensor| tensor.shape.len() > 1);
    let share = |name: &str, bytes: u64| match name {
        "token_embd.weight" if !tied => 0,
        name if name.contains("_exps.weight") && config.experts > 0 => {
            bytes / config.experts as u64 * config.experts_used as u64
        }
        _ => bytes,
    };
    matrices.map(|tensor| share(&tensor.name, tensor.byte_len())).sum()
}

/// The other program, which can at least be started.
fn their_program(args: &BenchArgs, path: &Path) -> Result<Program, Failure> {
    let warm_up = args.no_warmup.then_some("--no-warmup");
    let words = args.against_args.split_whitespace().chain(warm_up);
    let program = Program::new(path, words.map(Into::into));
    program.check().map(|()| program)
}

/// This program, to be run as the other one is.
fn our_program(args: &BenchArgs) -> Result<Program, Failure> {
    let path = std::env::current_exe().map_err(|error| Failure::Input(format!("cannot find this program: {error}")))?;
    let warm_up = args.no_warmup.then_some("--no-warmup");
    let pin = args.pin.then_some("--pin");
    let own = ["bench", "--quiet", "--ceiling", "0", "--isa", &args.isa, "--kv", args.kv.kind().name()];
    let words = own.into_iter().chain(warm_up).chain(pin);
    Ok(Program::new(path, words.map(Into::into)))
}

/// The numbers of threads, and what memory gives to each: as said, or measured where a test makes use of it.
fn ceilings(
    args: &BenchArgs,
    tests: &[Test],
    report: &Report,
    verbosity: Verbosity,
) -> Result<Vec<(usize, Option<f64>)>, Failure> {
    let wanted = tests.iter().any(Test::decodes);
    let measured = (wanted && args.ceiling.is_none()).then(|| {
        output::note(!verbosity.verbose, "measuring how fast memory is read");
        Ceiling::new()
    });
    let mut ceilings = Vec::new();
    for threads in args.threads.iter().map(|&asked| threads(asked)) {
        let said = args.ceiling.filter(|&ceiling| wanted && ceiling > 0.0);
        let ceiling = measured.as_ref().map(|memory| memory.measure(threads)).or(said);
        if let Some(rate) = ceiling {
            let how = if said.is_some() { "as given" } else { "measured" };
            report.heading(&format!("memory read ceiling at -t {threads}: {rate:.2} GB/s ({how})"))?;
        }
        ceilings.push((threads, ceiling));
    }
    Ok(ceilings)
}

impl Bench<'_> {
    /// Each test in this process.
    fn alone(&self, subject: &Subject<'_>, gguf: Gguf, report: &mut Report) -> Result<(), Failure> {
        let failed = |error| Failure::at(subject.path, error);
        let context = self.tests.iter().map(Test::context).max().unwrap_or(0);
        let options = |threads| EngineOptions {
            isa: self.isa,
            kv: self.args.kv.kind(),
            threads,
            ubatch: self.args.ubatch_size,
            context,
            ..EngineOptions::default()
        };
        let first = self.threads.first().map_or(1, |&(threads, _)| threads);
        let engine = Engine::load(gguf, &options(first)).map_err(failed)?;
        prepare(&engine, self.quiet);
        for &(threads, ceiling) in &self.threads {
            let engine = engine.with_options(&options(threads));
            pin(&engine, self.cpus.as_ref())?;
            for test in &self.tests {
                let warm_up = !self.args.no_warmup;
                let times = measure::run(&engine, test, self.args.repetitions, warm_up, self.quiet).map_err(failed)?;
                let seconds: Vec<f64> = times.iter().map(std::time::Duration::as_secs_f64).collect();
                report.row(&subject.name, &self.row(subject, test, threads, ceiling, &seconds))?;
            }
        }
        Ok(())
    }

    /// Each test in turns with another program: ours, theirs, ours, theirs, …
    fn in_turns(&self, subject: &Subject<'_>, rival: &Program, report: &mut Report) -> Result<(), Failure> {
        let own = our_program(self.args)?;
        for &(threads, ceiling) in &self.threads {
            for test in &self.tests {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                let mut progress = Progress::new(test.name(), Unit::Repetitions, self.quiet);
                for done in 0..self.args.repetitions {
                    progress.at(done as u64, self.args.repetitions as u64);
                    let rate = own.run(subject.path, test, threads, self.args.ubatch_size)?;
                    ours.push(test.tokens() as f64 / rate);
                    theirs.push(rival.run(subject.path, test, threads, self.args.ubatch_size)?);
                }
                progress.clear();
                let row = self.row(subject, test, threads, ceiling, &ours);
                report.row(&subject.name, &row.against(&rival.name(), &theirs))?;
            }
        }
        Ok(())
    }

    fn row(&self, subject: &Subject<'_>, test: &Test, threads: usize, ceiling: Option<f64>, seconds: &[f64]) -> Row {
        let row = Row {
            n_threads: threads,
            n_prompt: test.prompt,
            n_gen: test.generated,
            n_depth: test.depth,
            test: test.name(),
            ..subject.row.clone()
        };
        let row = row.samples(seconds);
        if test.decodes() { row.reads(subject.weight_bytes_per_token, ceiling) } else { row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samebit_synth::{Plan, Request};

    fn bytes(shape: &str) -> (u64, u64) {
        let request = Request { shape, quant: "F32", pure: true, seed: 0, layers: None, vocab_from: None };
        let bytes = Plan::new(&request).expect("a known shape").bytes().expect("made");
        let gguf = Gguf::from_bytes(bytes).expect("a GGUF file");
        let config = Config::from_metadata(gguf.metadata()).expect("a configuration");
        (weight_bytes_per_token(&gguf, &config), gguf_report::totals(&gguf).elements)
    }

    #[test]
    fn what_a_token_reads() {
        // 2 layers of queries and output 96·96, keys and values 96·32, and three times 96·160; the output 96·512.
        let layers = 2 * (2 * 96 * 96 + 2 * 96 * 32 + 3 * 96 * 160);
        assert_eq!(bytes("tiny-llama").0, 4 * (layers + 96 * 512));
        // Tied: the embedding is the output.
        let qwen2 = bytes("tiny-qwen2").0;
        assert_eq!(qwen2, 4 * (layers + 96 * 512));
        // 2 of 4 experts, and the router.
        let experts = 2 * (2 * 96 * 96 + 2 * 96 * 32 + 2 * 3 * 96 * 160 + 96 * 4);
        assert_eq!(bytes("tiny-mixtral").0, 4 * (experts + 96 * 512));
    }
}
