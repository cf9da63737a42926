//! What is handed out: one static binary, and a Debian package of it, in `package` of the target folder.
//!
//! Knows what must be in a package and how large and slow the program may be. May not know what the program does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Bytes of the program at most.
const MOST_BYTES: u64 = 20_000_000;
/// How long it may take to say its version.
const MOST_TIME: Duration = Duration::from_millis(20);
/// Starts, of which the fastest counts: the others met something else that ran.
const STARTS: usize = 20;
/// Shells, and where Debian looks for their completions of `samebit`.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/samebit"),
    ("zsh", "usr/share/zsh/vendor-completions/_samebit"),
    ("fish", "usr/share/fish/vendor_completions.d/samebit.fish"),
];

/// Builds both; true if the program is small and quick enough.
pub(crate) fn build(root: &Path) -> Result<bool> {
    let machine = Machine::here()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = std::path::absolute(target)?;
    let folder = target.join("package");
    let program = folder.join("samebit");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let built = compile(root, &target.join("static"), &machine)?;
    fs::copy(&built, &program).with_context(|| format!("cannot copy {}", built.display()))?;
    let fit = judge(&program)?;
    let package = debian(root, &folder, &program, &machine)?;
    println!("{}\n{}", program.display(), package.display());
    Ok(fit)
}

/// The machine that is built for: this one, without its C library.
struct Machine {
    triple: String,
    debian: &'static str,
}

impl Machine {
    fn here() -> Result<Self> {
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        let debian = match (arch, os) {
            ("x86_64", "linux") => "amd64",
            ("aarch64", "linux") => "arm64",
            _ => bail!("packages are made on Linux, for x86-64 and AArch64; this is {os} on {arch}"),
        };
        Ok(Self { triple: format!("{arch}-unknown-linux-musl"), debian })
    }

    /// Whether the compiler has a standard library for it.
    fn check(&self) -> Result<()> {
        let output = Command::new("rustc").args(["--print", "target-libdir", "--target", &self.triple]).output();
        let output = output.context("cannot start rustc")?;
        let library = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if !output.status.success() || !library.is_dir() {
            bail!("the compiler has no standard library for {0}: `rustup target add {0}` fetches it", self.triple);
        }
        Ok(())
    }
}

/// The program, static and stripped.
fn compile(root: &Path, target: &Path, machine: &Machine) -> Result<PathBuf> {
    machine.check()?;
    let mut cargo = crate::cargo::command(root);
    cargo.args(["build", "--release", "--locked", "--package", "samebit", "--target", &machine.triple, "--target-dir"]);
    cargo.arg(target).env("CARGO_PROFILE_RELEASE_DEBUG", "false").env("CARGO_PROFILE_RELEASE_STRIP", "true");
    // The parts in C want no C library: where there is no compiler of musl's own, the machine's will do.
    let variable = format!("CC_{}", machine.triple.replace('-', "_"));
    if std::env::var_os(&variable).is_none() && Command::new("musl-gcc").arg("--version").output().is_err() {
        cargo.env(variable, "cc");
    }
    if !crate::cargo::succeeds(&mut cargo)? {
        bail!("the program could not be built: see above");
    }
    Ok(target.join(&machine.triple).join("release/samebit"))
}

/// Whether the program is static, small and quick to start.
fn judge(program: &Path) -> Result<bool> {
    let bytes = fs::metadata(program)?.len();
    let mut fastest = Duration::MAX;
    for _ in 0..STARTS {
        let started = Instant::now();
        let output = Command::new(program).arg("--version").output().context("the program does not start")?;
        if !output.status.success() {
            bail!("{} --version ended with {}", program.display(), output.status);
        }
        fastest = fastest.min(started.elapsed());
    }
    let is_static = !has_interpreter(&fs::read(program)?);
    let milliseconds = fastest.as_secs_f64() * 1e3;
    eprintln!("package: {:.1} MB, starts in {milliseconds:.1} ms, static: {is_static}", bytes as f64 / 1e6);
    Ok(bytes <= MOST_BYTES && fastest <= MOST_TIME && is_static)
}

/// Whether a 64-bit little-endian ELF file asks for a dynamic linker: a program header of type PT_INTERP.
fn has_interpreter(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, bytes: usize| {
        let field = elf.get(at..at.checked_add(bytes)?)?;
        Some(field.iter().rev().fold(0usize, |value, &byte| value << 8 | usize::from(byte)))
    };
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    let Some((start, size, count)) = headers() else { return false };
    (0..count).any(|index| number(start.saturating_add(index * size), 4) == Some(PT_INTERP as usize))
}

/// The Debian package, with pages and completions that the program itself writes.
fn debian(root: &Path, folder: &Path, program: &Path, machine: &Machine) -> Result<PathBuf> {
    let version = env!("CARGO_PKG_VERSION");
    let tree = folder.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    let put = |path: &str, bytes: &[u8]| -> Result<()> {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().context("a path has a folder")?)?;
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    put("DEBIAN/control", control(version, machine.debian, fs::metadata(program)?.len()).as_bytes())?;
    for (shell, path) in COMPLETIONS {
        put(path, &run(program, &["completions", shell])?)?;
    }
    let licences = [fs::read(root.join("LICENSE-MIT"))?, fs::read(root.join("LICENSE-APACHE"))?].join(&b"\n\n"[..]);
    put("usr/share/doc/samebit/copyright", &licences)?;
    put("usr/share/doc/samebit/changelog.md", &fs::read(root.join("CHANGELOG.md"))?)?;
    let pages = tree.join("usr/share/man/man1");
    run(program, &["man", &pages.display().to_string()])?;
    fs::create_dir_all(tree.join("usr/bin"))?;
    fs::copy(program, tree.join("usr/bin/samebit"))?;
    let package = folder.join(format!("samebit_{version}_{}.deb", machine.debian));
    let draft = package.with_extension("tmp");
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--build", "--root-owner-group"]).arg(&tree).arg(&draft).env("SOURCE_DATE_EPOCH", "0");
    let output = dpkg.output().context("cannot start dpkg-deb, which makes Debian packages: install dpkg")?;
    if !output.status.success() {
        bail!("dpkg-deb: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::rename(&draft, &package).with_context(|| format!("cannot move the package to {}", package.display()))?;
    Ok(package)
}

/// What the package says of itself.
fn control(version: &str, architecture: &str, bytes: u64) -> String {
    format!(
        "Package: samebit\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: The samebit authors <samebit@localhost>\n\
         Installed-Size: {}\nRecommends: ca-certificates\nSuggests: python3-pip\nSection: science\nPriority: optional\n\
         Description: runs language models, the same bits everywhere\n \
         A runtime for GGUF language models that gives the same bits for the same model,\n prompt and seed: \
         on any CPU, with any number of threads, whoever else is served.\n",
        bytes.div_ceil(1024)
    )
}

fn run(program: &Path, args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(program).args(args).output().context("the program does not start")?;
    if !output.status.success() {
        bail!("samebit {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_told_from_a_static_one() {
        // One program header of 56 bytes, after a header of 64.
        let mut elf = vec![0u8; 120];
        (elf[32], elf[54], elf[56]) = (64, 56, 1);
        assert!(!has_interpreter(&elf));
        elf[64] = 3;
        assert!(has_interpreter(&elf));
        assert!(!has_interpreter(b"\x7fELF"));
    }

    #[test]
    fn the_control_file_has_what_dpkg_wants() {
        let control = control("1.2.3", "amd64", 2049);
        assert!(control.contains("Installed-Size: 3\n") && control.contains("\n A runtime"), "{control}");
        assert!(control.ends_with(".\n") && !control.contains("\n\n"));
    }
}
