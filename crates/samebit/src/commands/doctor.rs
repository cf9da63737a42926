//! `samebit doctor`: what this machine is, what of it is used, and whether it gives the right bits.

use crate::args::{DoctorArgs, Verbosity};
use crate::engine;
use crate::failure::Failure;
use crate::machine::{self, Ceiling};
use crate::output;
use samebit_conform::{V1, differences, parse, summary};
use samebit_gguf::report::escaped;
use samebit_kernels::Isa;
use serde::Serialize;
use std::fmt::Write;

/// What was found.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    numerics: &'static str,
    os: &'static str,
    arch: &'static str,
    cpu: String,
    /// Cores that this process may use.
    cores: usize,
    /// What the CPU has of what samebit makes use of.
    features: Vec<&'static str>,
    instruction_sets: Vec<Set>,
    isa: &'static str,
    memory: Memory,
    conformance: Vec<Conformance>,
    conforms: bool,
    folders: Vec<Folder>,
    models: Vec<Model>,
}

/// An instruction set that kernels are written for, on machines of this kind.
#[derive(Serialize)]
struct Set {
    name: &'static str,
    supported: bool,
    used: bool,
}

#[derive(Serialize)]
struct Memory {
    total: Option<u64>,
    available: Option<u64>,
    threads: usize,
    /// Gigabytes (10⁹ bytes) per second.
    read_gb_s: f64,
}

/// What one instruction set computes, against what it must.
#[derive(Serialize)]
struct Conformance {
    isa: &'static str,
    vectors: usize,
    differ: Vec<String>,
    digest: String,
}

/// Where models lie.
#[derive(Serialize)]
struct Folder {
    what: &'static str,
    path: String,
    exists: bool,
}

/// A model that is here.
#[derive(Serialize)]
struct Model {
    name: String,
    bytes: u64,
}

pub(crate) fn run(args: &DoctorArgs, verbosity: Verbosity) -> Result<(), Failure> {
    let isa = engine::isa(&args.isa)?;
    output::note(verbosity.quiet, "reading memory and computing the conformance vectors: some seconds");
    let threads = engine::threads(args.threads);
    let read_gb_s = Ceiling::new().measure(threads);
    let memory = Memory { total: machine::total(), available: machine::available(), threads, read_gb_s };
    let sets: Vec<Isa> = if args.all { Isa::supported().collect() } else { vec![isa] };
    let conformance: Vec<Conformance> = sets.into_iter().map(conformance).collect::<Result<_, _>>()?;
    let (folders, models) = library()?;
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        numerics: "v1",
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        cpu: machine::cpu(),
        cores: engine::threads(0),
        features: machine::features(),
        instruction_sets: instruction_sets(isa),
        isa: isa.name(),
        memory,
        conforms: conformance.iter().all(|checked| checked.differ.is_empty()),
        conformance,
        folders,
        models,
    };
    match args.json {
        true => output::write_json(&report)?,
        false => output::write(text(&report).as_bytes())?,
    }
    if report.conforms { Ok(()) } else { Err(Failure::No) }
}

/// Those of this kind of machine, whether the CPU has them or not.
fn instruction_sets(used: Isa) -> Vec<Set> {
    let here: &[Isa] = match std::env::consts::ARCH {
        "x86_64" => &[Isa::Avx2, Isa::AvxVnni, Isa::Avx512, Isa::Avx512Vnni],
        "aarch64" => &[Isa::Neon, Isa::DotProd, Isa::I8mm],
        "wasm32" => &[Isa::Simd128],
        _ => &[],
    };
    let all = std::iter::once(&Isa::Reference).chain(here);
    all.map(|&isa| Set { name: isa.name(), supported: isa.is_supported(), used: isa == used }).collect()
}

fn conformance(isa: Isa) -> Result<Conformance, Failure> {
    let broken = |error: &dyn std::fmt::Display| Failure::Input(format!("the conformance vectors: {error}"));
    let expected = parse(V1).map_err(|error| broken(&error))?;
    let found = samebit_conform::all(isa).map_err(|error| broken(&error))?;
    let differ = differences(&expected, &found).into_iter().map(|difference| difference.name).collect();
    Ok(Conformance { isa: isa.name(), vectors: expected.len(), differ, digest: summary(&found).to_hex().to_string() })
}

#[cfg(not(target_family = "wasm"))]
fn library() -> Result<(Vec<Folder>, Vec<Model>), Failure> {
    let library = crate::library::open(true)?;
    let settings = library.settings();
    let folder =
        |what, path: &std::path::Path| Folder { what, path: path.display().to_string(), exists: path.is_dir() };
    let folders = vec![folder("Hugging Face's cache", &settings.hub_cache), folder("other models", &settings.store)];
    let models = library.list().into_iter().map(|entry| Model { name: entry.name, bytes: entry.bytes }).collect();
    Ok((folders, models))
}

/// Where nothing can be pulled there are no folders for it.
#[cfg(target_family = "wasm")]
fn library() -> Result<(Vec<Folder>, Vec<Model>), Failure> {
    Ok((Vec::new(), Vec::new()))
}

fn text(report: &Report) -> String {
    let mut text =
        format!("samebit {}, numerics {}, {} on {}\n", report.version, report.numerics, report.arch, report.os);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\ncpu          {}", escaped(&report.cpu));
    let _ = writeln!(text, "cores        {} (threads unless -t says otherwise)", report.cores);
    let _ = writeln!(text, "features     {}", report.features.join(" "));
    let missing: Vec<&str> = report.instruction_sets.iter().filter(|set| !set.supported).map(|set| set.name).collect();
    let supported: Vec<&str> = report.instruction_sets.iter().filter(|set| set.supported).map(|set| set.name).collect();
    let best = supported.last() == Some(&report.isa);
    let why = if best { "the best that this CPU has" } else { "as --isa says" };
    let _ = writeln!(text, "kernels      {}: {why} of {}", report.isa, supported.join(", "));
    if !missing.is_empty() {
        let _ = writeln!(text, "             this CPU has no {}", missing.join(", "));
    }
    text.push_str(&memory_text(&report.memory));
    text.push('\n');
    for checked in &report.conformance {
        text.push_str(&conformance_text(checked));
    }
    text.push('\n');
    for folder in &report.folders {
        let there = if folder.exists { "" } else { " (not there yet)" };
        let _ = writeln!(text, "{:<21}{}{there}", folder.what, escaped(&folder.path));
    }
    for model in &report.models {
        let _ = writeln!(text, "  {:>6.0} MB  {}", model.bytes as f64 / 1e6, escaped(&model.name));
    }
    if report.models.is_empty() && !report.folders.is_empty() {
        text.push_str("  no models: `samebit pull smollm2` fetches a small one\n");
    }
    text
}

fn memory_text(memory: &Memory) -> String {
    let mut text = String::from("memory       ");
    if let (Some(total), Some(available)) = (memory.total, memory.available) {
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        let _ = write!(text, "{:.1} GB, {:.1} GB free; ", gigabytes(total), gigabytes(available));
    }
    let threads = if memory.threads == 1 { "1 thread reads" } else { &format!("{} threads read", memory.threads) };
    let _ = writeln!(text, "{threads} {:.1} GB/s", memory.read_gb_s);
    text
}

fn conformance_text(checked: &Conformance) -> String {
    let Conformance { isa, vectors, differ, digest } = checked;
    match differ.len() {
        0 => format!("conformance  {isa}: all {vectors} vectors are right, digest {}\n", &digest[..16]),
        wrong => {
            const SHOWN: usize = 8;
            let names = differ[..wrong.min(SHOWN)].join(", ");
            format!(
                "conformance  {isa}: {wrong} of {vectors} vectors are WRONG: {names}; please report it, with this output\n"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let checked = Conformance { isa: "x", vectors: 9, differ: vec!["math/exp".into()], digest: "0".repeat(64) };
        assert!(conformance_text(&checked).contains("1 of 9 vectors are WRONG: math/exp"));
        assert!(conformance_text(&Conformance { differ: Vec::new(), ..checked }).contains("all 9 vectors are right"));
    }

    #[test]
    fn the_reference_is_everywhere() {
        let sets = instruction_sets(Isa::Reference);
        assert!(sets[0].supported && sets[0].used && sets[1..].iter().all(|set| !set.used));
    }
}
