//! The private toolchain out of Debian's packages: fetched by apt as the machine has it configured, and unpacked.
//!
//! Knows package names and how to make programs run outside of `/usr`. Nothing is installed; root is not needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What to do where this cannot be done.
pub(super) const REMEDY: &str = "install by hand what is missing: `rustup target add aarch64-unknown-linux-gnu wasm32-wasip1`, \
     aarch64-linux-gnu-gcc with a static C library, qemu-aarch64-static, qemu-x86_64-static, node";

/// Fetched together with what they need and the machine lacks.
const PACKAGES: [&str; 5] =
    ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user-static", "wasi-libc", "nodejs"];
/// Debian's newest Rust, as its browsers are built with, which the stable distribution follows.
const RUST: &str = "rustc-web";
/// Programs that the folder offers, where their packages came.
const PROGRAMS: [&str; 6] =
    ["rustc", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-ar", "qemu-aarch64-static", "qemu-x86_64-static", "node"];

/// Makes the toolchain's folder: `root` with the packages' files, `bin` with programs that find their libraries there.
pub(super) fn unpack(folder: &Path) -> Result<()> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) || Command::new("apt-get").arg("-v").output().is_err() {
        bail!("a toolchain for other targets can be fetched on x86-64 Debian alone: {REMEDY}");
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.with_file_name(format!("{name}.{}.tmp", std::process::id()));
    let result = fill(&draft).and_then(|()| match fs::rename(&draft, folder) {
        Err(_) if folder.exists() => Ok(()), // another run was faster
        renamed => renamed.with_context(|| format!("cannot create {}", folder.display())),
    });
    // Nothing is left of it if it became the folder; otherwise the error to report is the first one.
    let _ = fs::remove_dir_all(&draft);
    result
}

fn fill(draft: &Path) -> Result<()> {
    let apt = Apt::new(draft)?;
    let packages = apt.fetch()?;
    let root = draft.join("root");
    for package in &packages {
        let of_sources = package.file_name().is_some_and(|name| name.to_string_lossy().contains("-src_"));
        extract(package, &root, if of_sources { &["./usr/src/*/library/*"] } else { &[] })?;
    }
    only_needed_emulators(&root)?;
    link_sources(&root)?;
    fs::remove_dir_all(&apt.folder)?;
    let bin = draft.join("bin");
    fs::create_dir_all(&bin)?;
    for program in PROGRAMS.into_iter().filter(|program| root.join("usr/bin").join(program).exists()) {
        wrapper(&bin, program)?;
    }
    Ok(())
}

/// apt with lists and a cache of its own, so that it reads the machine's sources and changes nothing.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(draft: &Path) -> Result<Self> {
        let folder = draft.join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part)).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let at = folder.display();
        let config = format!(
            "APT::Architecture \"amd64\"; APT::Architectures {{ \"amd64\"; \"arm64\"; }};\n\
             Dir::State::lists \"{at}/lists\"; Dir::Cache \"{at}/cache\"; APT::Sandbox::User \"root\"; Debug::NoLocking \"true\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\"; Acquire::Languages \"none\";\n"
        );
        fs::write(folder.join("apt.conf"), config)?;
        Ok(Self { folder })
    }

    /// The packages' files.
    fn fetch(&self) -> Result<Vec<PathBuf>> {
        self.run("apt-get", &["update", "-q"])?;
        let policy = self.run("apt-cache", &["policy", RUST])?;
        let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
        let version = version.filter(|version| *version != "(none)").with_context(|| format!("no {RUST}: {REMEDY}"))?;
        let needed = self.run("apt-cache", &["depends", "--important", "--recurse", &format!("{RUST}={version}")])?;
        let mut rust: Vec<String> = needed.lines().filter_map(|line| rust_library(line, version)).collect();
        rust.sort();
        rust.dedup();
        rust.extend(
            [RUST, "libstd-rust-web-dev", "libstd-rust-web-dev:arm64", "rust-web-src"]
                .map(|package| format!("{package}={version}")),
        );
        let mut download = vec!["download", "-q"];
        download.extend(rust.iter().map(String::as_str));
        self.run("apt-get", &download)?;
        let mut install = vec!["install", "-y", "-q", "--no-install-recommends", "--download-only"];
        install.extend(PACKAGES);
        self.run("apt-get", &install)?;
        packages_in(&[&self.folder, &self.folder.join("cache/archives")])
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let output = Command::new(program)
            .args(args)
            .current_dir(&self.folder)
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .env("LC_ALL", "C")
            .output()
            .with_context(|| format!("cannot start {program}"))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let why = errors.lines().find(|line| line.starts_with("E:")).unwrap_or("it did not say why");
            bail!("{program} {} failed ({why}): {REMEDY}", args[0]);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The library of a line of `apt-cache depends`, if the compiler is linked with it; ours have the compiler's version.
fn rust_library(line: &str, version: &str) -> Option<String> {
    let name = line.trim().strip_prefix("Depends: ")?;
    let of_rust = name.starts_with("libstd-rust-web-") && !name.ends_with("-dev");
    match (of_rust, name.starts_with("libllvm")) {
        (true, _) => Some(format!("{name}={version}")),
        (_, true) => Some(name.to_owned()),
        _ => None,
    }
}

fn packages_in(folders: &[&Path]) -> Result<Vec<PathBuf>> {
    let mut packages = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(folder)? {
            packages.push(entry?.path());
        }
    }
    packages.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    packages.sort();
    Ok(packages)
}

/// Unpacks a package's files, or those of them that match the patterns.
fn extract(package: &Path, root: &Path, patterns: &[&str]) -> Result<()> {
    fs::create_dir_all(root)?;
    let mut unpacker = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package).stdout(Stdio::piped()).spawn()?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "--no-same-owner", "-C"]).arg(root);
    if !patterns.is_empty() {
        tar.arg("--wildcards").args(patterns);
    }
    if let Some(stream) = unpacker.stdout.take() {
        tar.stdin(stream);
    }
    let unpacked = tar.status()?.success();
    if !unpacker.wait()?.success() || !unpacked {
        bail!("cannot unpack {}", package.display());
    }
    Ok(())
}

/// qemu comes with thirty emulators of a dozen megabytes.
fn only_needed_emulators(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root.join("usr/bin"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("qemu-") && !PROGRAMS.contains(&name.as_str()) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Puts the standard library's sources where the compiler looks for them.
fn link_sources(root: &Path) -> Result<()> {
    let sources = fs::read_dir(root.join("usr/src"))?.next().context("rust-web-src has no sources")??;
    let place = root.join("usr/lib/rustlib/src");
    fs::create_dir_all(&place)?;
    let relative = Path::new("../../../src").join(sources.file_name());
    #[cfg(unix)]
    std::os::unix::fs::symlink(relative, place.join("rust"))?;
    #[cfg(not(unix))]
    drop(relative);
    Ok(())
}

/// A script that starts the program of this name with the unpacked libraries.
fn wrapper(bin: &Path, name: &str) -> Result<()> {
    let script = format!(
        "#!/bin/sh\n\
         root=$(dirname \"$0\")/../root\n\
         LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}} exec \"$root/usr/bin/{name}\" \"$@\"\n"
    );
    let path = bin.join(name);
    fs::write(&path, script)?;
    #[cfg(unix)]
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compilers_libraries_are_found_among_its_dependencies() {
        let lines = "rustc-web\n  Depends: libc6\n  Depends: libllvm22\n  Depends: libstd-rust-web-1.96\n  Depends: libstd-rust-web-dev\n  Depends: gcc\n";
        let found: Vec<_> = lines.lines().filter_map(|line| rust_library(line, "1.96.0")).collect();
        assert_eq!(found, ["libllvm22", "libstd-rust-web-1.96=1.96.0"]);
    }
}
