//! What Debian's Rust lacks for WASI: a standard library, built once from its sources, the C library's place, a linker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::debian::REMEDY;
use super::toolchain::has_std;

const TRIPLE: &str = "wasm32-wasip1";
/// The C library's parts that rustc links programs with.
const C_LIBRARY: [&str; 3] = ["crt1-command.o", "crt1-reactor.o", "libc.a"];

/// Functions of threads that std calls and Debian's C library, of 2022, does not have. A thread cannot be had: 58 is ENOTSUP.
const NO_THREADS: &str = r#"
#![no_std]
macro_rules! answer {
    ($($name:ident($($arg:ident),*) = $code:literal;)*) => {
        $(#[unsafe(no_mangle)] pub extern "C" fn $name($($arg: usize),*) -> i32 { $(let _ = $arg;)* $code })*
    };
}
answer! {
    pthread_attr_init(a) = 0;
    pthread_attr_destroy(a) = 0;
    pthread_attr_setstacksize(a, b) = 0;
    pthread_create(a, b, c, d) = 58;
    pthread_detach(a) = 58;
    pthread_join(a, b) = 58;
}
"#;

/// Makes the compiler in `folder` fit for WASI; an object that every program must be linked with.
pub(super) fn complete(folder: &Path) -> Result<PathBuf> {
    let rustc = folder.join("bin/rustc");
    if !has_std(&rustc, TRIPLE)? {
        let started = Instant::now();
        let draft = folder.join(format!("std.{}.tmp", std::process::id()));
        let result = build_std(folder, &rustc, &draft);
        // What is left are intermediate files; the error to report is the build's.
        let _ = fs::remove_dir_all(&draft);
        result?;
        eprintln!("targets: std for {TRIPLE} built ({:.0}s)", started.elapsed().as_secs_f64());
    }
    Ok(library(folder).join("no_threads.o"))
}

/// The linker that rustup's compiler brings with it, or the system's.
pub(super) fn linker() -> Result<PathBuf> {
    let output = Command::new("rustc").args(["--print", "target-libdir"]).output().context("cannot start rustc")?;
    let library = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let own = library.with_file_name("bin").join("rust-lld");
    if own.is_file() {
        return Ok(own);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("wasm-ld")).find(|path| path.is_file());
    found.with_context(|| format!("no rust-lld beside rustc and no wasm-ld on the PATH: {REMEDY}"))
}

fn library(folder: &Path) -> PathBuf {
    folder.join("root/usr/lib/rustlib").join(TRIPLE).join("lib")
}

/// Builds into `draft`, and moves the whole into the compiler's libraries at once.
fn build_std(folder: &Path, rustc: &Path, draft: &Path) -> Result<()> {
    fs::create_dir_all(draft.join("src"))?;
    fs::write(draft.join("Cargo.toml"), "[package]\nname = \"empty\"\nedition = \"2024\"\n[workspace]\n")?;
    fs::write(draft.join("src/lib.rs"), "")?;
    let mut cargo = crate::cargo::command(draft);
    cargo
        .args(["build", "--quiet", "--release", "-Zbuild-std=std,panic_abort", "--target", TRIPLE])
        .env("RUSTC", rustc)
        // Debian's compiler is a stable one, and building its library is not a stable feature.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_DIR", draft.join("target"))
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false");
    if !crate::cargo::succeeds(&mut cargo)? {
        bail!("cargo could not build std for {TRIPLE}: {REMEDY}");
    }
    let made = draft.join(TRIPLE).join("lib");
    fs::create_dir_all(made.join("self-contained"))?;
    for entry in fs::read_dir(draft.join("target").join(TRIPLE).join("release/deps"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            fs::copy(&path, made.join(&*name))?;
        }
    }
    let c_library = c_library(folder)?;
    for part in C_LIBRARY {
        let from = c_library.join(part);
        fs::copy(&from, made.join("self-contained").join(part)).with_context(|| format!("no {}", from.display()))?;
    }
    no_threads(rustc, draft, &made)?;
    fs::rename(draft.join(TRIPLE), folder.join("root/usr/lib/rustlib").join(TRIPLE))
        .or_else(|error| if library(folder).exists() { Ok(()) } else { Err(error) })
        .with_context(|| format!("cannot create {}", library(folder).display()))
}

/// Where the C library was unpacked, or is installed.
fn c_library(folder: &Path) -> Result<PathBuf> {
    let places = [folder.join("root/usr/lib/wasm32-wasi"), PathBuf::from("/usr/lib/wasm32-wasi")];
    places.into_iter().find(|place| place.is_dir()).with_context(|| format!("no wasi-libc: {REMEDY}"))
}

fn no_threads(rustc: &Path, draft: &Path, made: &Path) -> Result<()> {
    let source = draft.join("no_threads.rs");
    fs::write(&source, NO_THREADS)?;
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "--crate-type=lib", "--emit=obj", "-Cpanic=abort", "-O", "--target", TRIPLE]);
    command.arg("-L").arg(made).arg(&source).arg("-o").arg(made.join("no_threads.o"));
    if !crate::cargo::succeeds(&mut command)? {
        bail!("rustc could not build the stand-in for threads");
    }
    Ok(())
}
