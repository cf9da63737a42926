//! The same bits on other machines: programs built for foreign targets, run under emulators, checked against the vectors.
//!
//! Knows which targets and CPUs there are and what each must answer. May not know how a toolchain comes to be, nor what
//! the programs compute.

mod build;
mod debian;
mod runs;
mod simd;
mod toolchain;
mod wasi;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, bail};

pub(crate) use build::Programs;
use runs::Run;
use toolchain::{Toolchain, Tools};

/// What programs are built for, and the CPUs that they are run on.
pub(crate) struct Target {
    /// What `cargo xtask targets NAME` calls it.
    pub(crate) name: &'static str,
    /// rustc's name for it; none for the machine's own.
    pub(crate) triple: Option<&'static str>,
    machines: &'static [Machine],
}

/// One CPU of a target, as its emulator makes it believe.
struct Machine {
    /// The emulator's name for it.
    cpu: &'static str,
    /// The instruction set that the programs must choose there by themselves.
    best: &'static str,
    /// Whether its emulator is so slow that it is asked for less: no whole models, fewer cases.
    slow: bool,
}

/// AArch64 without and with the dot products, AVX2 and none of it, and the vectors of wasm.
const TARGETS: [Target; 3] = [
    Target {
        name: "aarch64",
        triple: Some("aarch64-unknown-linux-gnu"),
        machines: &[
            Machine { cpu: "cortex-a53", best: "neon", slow: false },
            Machine { cpu: "neoverse-n1", best: "dotprod", slow: false },
            Machine { cpu: "max", best: "i8mm", slow: false },
        ],
    },
    Target {
        name: "wasm",
        triple: Some("wasm32-wasip1"),
        machines: &[Machine { cpu: "node", best: "simd128", slow: false }],
    },
    Target {
        name: "x86-old",
        triple: None,
        // The instruction sets are tested natively, the choice among them here; whole models would take minutes.
        machines: &[
            Machine { cpu: "Nehalem", best: "reference", slow: true },
            Machine { cpu: "Haswell", best: "avx2", slow: true },
        ],
    },
];

/// A program that every machine runs. Its last line begins with the instruction set that it chose.
struct Program {
    name: &'static str,
    args: &'static [&'static str],
    /// What it is told besides, where the emulator is fast and where it is slow.
    fast: &'static [&'static str],
    slow: &'static [&'static str],
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "samebit-conform",
        args: &["conformance/v1.txt", "--isa", "native"],
        fast: &[],
        slow: &["--operations"],
    },
    Program { name: "checkkern", args: &["--isa", "native", "--runs"], fast: &["100"], slow: &["20"] },
    Program { name: "checkkern", args: &["--control"], fast: &[], slow: &[] },
];

/// Builds the programs for the targets of these names (none: all) and runs them; true if every answer is right.
pub(crate) fn check(root: &Path, names: &[String]) -> Result<bool> {
    let started = Instant::now();
    let toolchain = Toolchain::new(root)?;
    let mut runs = Vec::new();
    for target in choose(names)? {
        let tools = toolchain.tools(target)?;
        let programs = Programs::build(root, target, &tools, &["samebit-conform", "checkkern"])?;
        if target.triple.is_some_and(|triple| triple.starts_with("wasm32")) {
            simd::check(&programs)?;
        }
        for (machine, program) in target.machines.iter().flat_map(|m| PROGRAMS.iter().map(move |p| (m, p))) {
            let mut command = tools.command(root, None, machine.cpu, programs.path(program.name)?);
            command.args(program.args).args(if machine.slow { program.slow } else { program.fast });
            runs.push(Run::new(format!("{} {} {}", target.name, machine.cpu, program.name), command, machine.best));
        }
    }
    let failed = runs::all(runs);
    eprintln!("targets: {failed} runs failed ({:.0}s)", started.elapsed().as_secs_f64());
    Ok(failed == 0)
}

/// A program on one emulated machine.
pub(crate) struct Emulated {
    /// Target and CPU.
    pub(crate) name: String,
    /// Where it lies.
    pub(crate) path: PathBuf,
    root: PathBuf,
    cpu: &'static str,
    tools: Rc<Tools>,
}

impl Emulated {
    /// The program with these arguments; it may read what lies in `folder`.
    pub(crate) fn command(&self, folder: &Path, args: &[&OsStr]) -> Command {
        let mut command = self.tools.command(&self.root, Some(folder), self.cpu, &self.path);
        command.args(args);
        command
    }
}

/// Builds a program for the target of this name, to be run on each machine of it.
pub(crate) fn emulated(root: &Path, name: &str, program: &str) -> Result<Vec<Emulated>> {
    let mut emulated = Vec::new();
    for target in choose(&[name.to_owned()])? {
        let tools = Rc::new(Toolchain::new(root)?.tools(target)?);
        let path = Programs::build(root, target, &tools, &[program])?.path(program)?.to_path_buf();
        emulated.extend(target.machines.iter().map(|machine| Emulated {
            name: format!("{} {}", target.name, machine.cpu),
            path: path.clone(),
            root: root.to_path_buf(),
            cpu: machine.cpu,
            tools: Rc::clone(&tools),
        }));
    }
    Ok(emulated)
}

/// Builds programs for this machine.
pub(crate) fn native(root: &Path, packages: &[&str]) -> Result<Programs> {
    Programs::build(root, &Target { name: "this machine", triple: None, machines: &[] }, &Tools::native(), packages)
}

fn choose(names: &[String]) -> Result<Vec<&'static Target>> {
    static ALL: [Target; 3] = TARGETS;
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let find = |name: &String| match ALL.iter().find(|target| target.name == name) {
        Some(target) => Ok(target),
        None => bail!("no target is called {name:?}: there are aarch64, wasm and x86-old"),
    };
    names.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_targets_and_a_wrong_name_is_an_error() {
        assert_eq!(choose(&[]).unwrap().len(), TARGETS.len());
        assert_eq!(choose(&["wasm".to_owned()]).unwrap()[0].triple, Some("wasm32-wasip1"));
        let error = choose(&["sparc".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("\"sparc\""), "{error}");
    }
}
