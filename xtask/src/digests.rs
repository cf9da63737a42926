//! The digests of real models' logits, computed in every way that must not matter, side by side.
//!
//! Knows the flags of `samebit run` and of `samebit-conform --generate`; may not know what they compute.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::models::{self, TestModel};
use crate::targets::{self, Emulated, Programs};

/// The number of threads.
const THREADS: [&str; 5] = ["1", "2", "3", "5", "8"];
/// How the prompt is cut.
const CUTS: [&str; 4] = ["1", "7", "64", "512"];
/// Tokens of a prompt: enough that each cut is another. Emulators get a short one.
const PROMPT: usize = 150;
const SHORT_PROMPT: usize = 8;

/// What `cargo xtask digests` takes.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Which models: smollm2, gemma3, qwen2 (no name: all)
    names: Vec<String>,
    /// Tokens to generate
    #[arg(short = 'n', long, default_value_t = 64)]
    predict: usize,
    /// Emulated machines besides: aarch64, wasm
    #[arg(long, value_name = "TARGET")]
    on: Vec<String>,
}

/// What is asked of a model: how many tokens after which prompt, greedy or sampled.
struct Question<'a> {
    model: &'a Path,
    prompt: String,
    count: String,
    seed: Option<&'static str>,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    tokens: String,
    digest: String,
}

/// One way to compute: a program, perhaps on an emulated machine.
enum Way<'a> {
    /// `samebit run` with these flags.
    Run(&'a Path, Vec<&'a str>),
    /// `samebit-conform --generate`, the same engine in a small program: what emulated machines are given.
    Generate(Option<&'a Emulated>, &'a Path),
}

/// Prints the table; true if all digests that must be equal are, and the control's is not.
pub(crate) fn compare(root: &Path, options: &Options) -> Result<bool> {
    models::fetch_named(&options.names)?;
    let native = targets::native(root, &["samebit", "samebit-conform"])?;
    let mut emulated = Vec::new();
    for name in &options.on {
        emulated.extend(targets::emulated(root, name, "samebit-conform")?);
    }
    let isas = instruction_sets(&native)?;
    let mut table = Table::default();
    for model in models::choose(&options.names)? {
        let path = models::folder()?.join(model.file);
        for seed in [None, Some("7")] {
            let ask = |length| Question::new(&path, length, options.predict, seed);
            natively(&mut table, model, &native, &isas, &ask(PROMPT))?;
            under_emulators(&mut table, model, &native, &emulated, &ask(SHORT_PROMPT))?;
        }
    }
    eprintln!("digests: {} compared, {} wrong", table.rows, table.wrong);
    Ok(table.wrong == 0)
}

/// Every instruction set, number of threads and cut against the defaults; and the control.
fn natively(table: &mut Table, model: &TestModel, native: &Programs, isas: &[String], q: &Question<'_>) -> Result<()> {
    let samebit = native.path("samebit")?;
    let way = |flags: &[&'static str]| Way::Run(samebit, flags.to_vec());
    let expected = table.first(model, q, &way(&[]))?;
    for isa in isas {
        table.same(model, q, &Way::Run(samebit, vec!["--isa", isa]), &expected)?;
    }
    for threads in THREADS {
        table.same(model, q, &way(&["-t", threads]), &expected)?;
    }
    for cut in CUTS {
        table.same(model, q, &way(&["-ub", cut]), &expected)?;
    }
    table.control(model, q, &way(&["--numerics", "f32"]), &expected)
}

/// Every emulated machine against the same program natively.
fn under_emulators(
    table: &mut Table,
    model: &TestModel,
    native: &Programs,
    emulated: &[Emulated],
    q: &Question<'_>,
) -> Result<()> {
    if emulated.is_empty() {
        return Ok(());
    }
    let expected = table.first(model, q, &Way::Generate(None, native.path("samebit-conform")?))?;
    for machine in emulated {
        table.same(model, q, &Way::Generate(Some(machine), &machine.path), &expected)?;
    }
    Ok(())
}

/// The instruction sets of this machine.
fn instruction_sets(native: &Programs) -> Result<Vec<String>> {
    let output = Command::new(native.path("samebit-conform")?).arg("--isas").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

impl<'a> Question<'a> {
    fn new(model: &'a Path, length: usize, count: usize, seed: Option<&'static str>) -> Self {
        // Ids that every vocabulary has; what they mean does not matter.
        let ids: Vec<String> = (0..length).map(|i| (100 + i * 97 % 9000).to_string()).collect();
        Self { model, prompt: ids.join(","), count: count.to_string(), seed }
    }
}

impl Way<'_> {
    fn label(&self) -> String {
        match self {
            Way::Run(_, flags) if flags.is_empty() => "samebit run".to_owned(),
            Way::Run(_, flags) => flags.join(" "),
            Way::Generate(None, _) => "samebit-conform".to_owned(),
            Way::Generate(Some(machine), _) => format!("{} samebit-conform", machine.name),
        }
    }

    fn ask(&self, q: &Question<'_>) -> Result<Answer> {
        let (machine, path, args): (_, _, Vec<OsString>) = match self {
            Way::Run(path, flags) => (&None, path, run_args(q, flags)),
            Way::Generate(machine, path) => (machine, path, generate_args(q)),
        };
        let folder = q.model.parent().unwrap_or(Path::new("."));
        let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
        let mut command = match machine {
            Some(machine) => machine.command(folder, &args),
            None => {
                let mut command = Command::new(path);
                command.args(args);
                command
            }
        };
        let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        if !output.status.success() {
            bail!("{} failed: {}", self.label(), String::from_utf8_lossy(&output.stderr).trim());
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let answer = match self {
            Way::Run(..) => record(&said),
            Way::Generate(..) => line(&said),
        };
        answer.with_context(|| format!("{} printed no digest", self.label()))
    }
}

fn run_args(q: &Question<'_>, flags: &[&str]) -> Vec<OsString> {
    let mut args: Vec<OsString> =
        ["run", "--quiet", "--json", "--tokens", &q.prompt, "-n", &q.count, "-m"].map(OsString::from).into();
    args.push(q.model.into());
    match q.seed {
        None => args.extend(["--temp", "0"].map(OsString::from)),
        Some(seed) => args.extend(["--seed", seed].map(OsString::from)),
    }
    args.extend(flags.iter().map(OsString::from));
    args
}

fn generate_args(q: &Question<'_>) -> Vec<OsString> {
    let mut args = vec!["--generate".into(), q.model.into(), (&q.prompt).into(), (&q.count).into()];
    args.extend(q.seed.map(OsString::from));
    args
}

/// The answer in `samebit run --json`'s record.
fn record(said: &str) -> Option<Answer> {
    let record: Value = serde_json::from_str(said).ok()?;
    let digest = record["logits_digest"].as_str()?.to_owned();
    Some(Answer { tokens: record["tokens"].to_string(), digest })
}

/// The answer in `samebit-conform --generate`'s line: instruction set, tokens, digest.
fn line(said: &str) -> Option<Answer> {
    let mut words = said.split_whitespace().skip(1);
    Some(Answer { tokens: words.next()?.to_owned(), digest: words.next()?.to_owned() })
}

/// The rows so far.
#[derive(Default)]
struct Table {
    rows: usize,
    wrong: usize,
}

impl Table {
    /// What the others are compared with.
    fn first(&mut self, model: &TestModel, q: &Question<'_>, way: &Way<'_>) -> Result<Answer> {
        self.row(model, q, way, |_| Some("expected"))
    }

    fn same(&mut self, model: &TestModel, q: &Question<'_>, way: &Way<'_>, expected: &Answer) -> Result<()> {
        self.row(model, q, way, |found| (found == expected).then_some("same")).map(drop)
    }

    /// What computes something else and so must not be the same.
    fn control(&mut self, model: &TestModel, q: &Question<'_>, way: &Way<'_>, expected: &Answer) -> Result<()> {
        self.row(model, q, way, |found| (found.digest != expected.digest).then_some("differs, as it must")).map(drop)
    }

    fn row(
        &mut self,
        model: &TestModel,
        q: &Question<'_>,
        way: &Way<'_>,
        judge: impl Fn(&Answer) -> Option<&'static str>,
    ) -> Result<Answer> {
        let started = Instant::now();
        let answer = way.ask(q)?;
        let (choice, label) = (if q.seed.is_some() { "sampled" } else { "greedy" }, way.label());
        let verdict = judge(&answer).unwrap_or("WRONG");
        let digest = answer.digest.get(..16).unwrap_or(&answer.digest);
        let seconds = started.elapsed().as_secs_f64();
        println!("{:8} {choice:8} {label:32} {digest} {seconds:7.1}s  {verdict}", model.name);
        self.rows += 1;
        self.wrong += usize::from(verdict == "WRONG");
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_from_both_programs() {
        let json = r#"{"model":{},"tokens":[5,6],"logits_digest":"ab12"}"#;
        assert_eq!(record(json), Some(Answer { tokens: "[5,6]".into(), digest: "ab12".into() }));
        assert_eq!(line("neon: 5,6 ab12\n"), Some(Answer { tokens: "5,6".into(), digest: "ab12".into() }));
        assert_eq!(record("no json"), None);
        assert_eq!(line("neon: 5,6"), None);
    }

    #[test]
    fn another_digest_is_wrong_and_a_control_that_agrees_is_too() {
        let mut table = Table::default();
        let echo = Path::new("echo");
        let q = Question::new(Path::new("m.gguf"), 3, 4, None);
        // Echo says its arguments: `--generate m.gguf 100,197,294 4`, so that the "digest" is the prompt.
        let way = Way::Generate(None, echo);
        let expected = table.first(&models::SMOLLM2, &q, &way).unwrap();
        assert_eq!(expected.digest, "100,197,294");
        table.same(&models::SMOLLM2, &q, &way, &expected).unwrap();
        assert_eq!((table.rows, table.wrong), (2, 0));
        let other = Question::new(Path::new("m.gguf"), 2, 4, None);
        table.same(&models::SMOLLM2, &other, &way, &expected).unwrap();
        table.control(&models::SMOLLM2, &q, &way, &expected).unwrap();
        assert_eq!((table.rows, table.wrong), (4, 2));
    }
}
