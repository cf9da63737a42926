//! What builds and runs a target's programs: what the machine has, and where it lacks something, a private toolchain.
//!
//! Nothing is installed and nobody need be root. May not know which programs are built.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{Target, debian, wasi};

/// The environment variable that names the folder of the private toolchain.
const FOLDER_VARIABLE: &str = "SAMEBIT_TOOLCHAIN";
/// Where it lies otherwise, under the user's home. The number changes when what lies there does.
const FOLDER: &str = ".cache/samebit/toolchain-1";
/// Under the target folder, so that another compiler's outputs stay apart.
const TARGET_FOLDER: &str = "foreign";

/// The private toolchain, made when it is first needed.
pub(super) struct Toolchain {
    root: PathBuf,
    folder: PathBuf,
}

/// How programs of one target are built and run.
pub(super) struct Tools {
    environment: Vec<(&'static str, OsString)>,
    emulator: Emulator,
}

enum Emulator {
    None,
    Qemu(PathBuf),
    Node(PathBuf),
}

impl Tools {
    /// Those of the machine itself.
    pub(super) fn native() -> Self {
        Self { environment: Vec::new(), emulator: Emulator::None }
    }

    /// Makes cargo build for the target.
    pub(super) fn set(&self, cargo: &mut Command) {
        if self.environment.is_empty() {
            return; // the machine's own: as the user builds it
        }
        // Either would silence the flags of a single target.
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        cargo.envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// A program of the target on this CPU, run in the repository's root; it may read what lies there and in `folder`.
    pub(super) fn command(&self, root: &Path, folder: Option<&Path>, cpu: &str, program: &Path) -> Command {
        let mut command = match &self.emulator {
            Emulator::None => return Command::new(program),
            Emulator::Qemu(path) => {
                let mut command = Command::new(path);
                command.args(["-cpu", cpu]);
                command
            }
            Emulator::Node(path) => {
                let mut command = Command::new(path);
                command.args(["--no-warnings", "tools/wasi.mjs"]);
                if let Some(folder) = folder {
                    command.arg("--dir").arg(folder);
                }
                command
            }
        };
        command.arg(program).current_dir(root);
        command
    }
}

impl Toolchain {
    /// For the repository at `root`.
    pub(super) fn new(root: &Path) -> Result<Self> {
        let folder = match std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()) {
            Some(folder) => std::path::absolute(folder)?,
            None => match std::env::home_dir() {
                Some(home) => home.join(FOLDER),
                None => bail!("no home directory: set {FOLDER_VARIABLE} to a folder for the toolchain"),
            },
        };
        Ok(Self { root: root.to_path_buf(), folder })
    }

    /// What builds and runs the programs of `target`.
    pub(super) fn tools(&self, target: &Target) -> Result<Tools> {
        match target.triple {
            None => self.own(),
            Some("aarch64-unknown-linux-gnu") => self.aarch64(),
            Some("wasm32-wasip1") => self.wasm(),
            Some(triple) => bail!("no toolchain is known for {triple}"),
        }
    }

    fn own(&self) -> Result<Tools> {
        let emulator = Emulator::Qemu(self.find(&["qemu-x86_64-static", "qemu-x86_64"])?);
        Ok(Tools { environment: Vec::new(), emulator })
    }

    fn aarch64(&self) -> Result<Tools> {
        let mut environment = self.environment("aarch64-unknown-linux-gnu")?;
        let compiler = self.find(&["aarch64-linux-gnu-gcc"])?.into_os_string();
        environment.extend([
            ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", compiler.clone()),
            // Linked statically, a program needs no foreign system around it.
            ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static".into()),
            ("CC_aarch64_unknown_linux_gnu", compiler),
            ("AR_aarch64_unknown_linux_gnu", self.find(&["aarch64-linux-gnu-ar"])?.into_os_string()),
        ]);
        let emulator = Emulator::Qemu(self.find(&["qemu-aarch64-static", "qemu-aarch64"])?);
        Ok(Tools { environment, emulator })
    }

    fn wasm(&self) -> Result<Tools> {
        let mut environment = self.environment("wasm32-wasip1")?;
        let mut flags = OsString::from("-Ctarget-feature=+simd128");
        if is_private(&environment) {
            flags.push(" -Clink-arg=");
            flags.push(wasi::complete(&self.folder)?);
            environment.push(("CARGO_TARGET_WASM32_WASIP1_LINKER", wasi::linker()?.into_os_string()));
        }
        environment.push(("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", flags));
        let emulator = Emulator::Node(self.find(&["node"])?);
        Ok(Tools { environment, emulator })
    }

    /// What every foreign target needs: a compiler that has its standard library, and a folder for its outputs.
    fn environment(&self, triple: &str) -> Result<Vec<(&'static str, OsString)>> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from);
        let mut environment = vec![
            ("CARGO_TARGET_DIR", std::path::absolute(target)?.join(TARGET_FOLDER).into_os_string()),
            ("CARGO_PROFILE_RELEASE_DEBUG", "false".into()),
        ];
        if !has_std("rustc".as_ref(), triple)? {
            environment.push(("RUSTC", self.private("rustc")?.into_os_string()));
        }
        Ok(environment)
    }

    /// The first of these programs that the machine has, else the private one of the first name.
    fn find(&self, names: &[&str]) -> Result<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let installed = names.iter().find_map(|name| {
            std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
        });
        match installed {
            Some(path) => Ok(path),
            None => self.private(names[0]),
        }
    }

    /// A program of the private toolchain, which is made if it is not there.
    fn private(&self, name: &str) -> Result<PathBuf> {
        if !self.folder.exists() {
            let started = Instant::now();
            debian::unpack(&self.folder)?;
            eprintln!("targets: {} made ({:.0}s)", self.folder.display(), started.elapsed().as_secs_f64());
        }
        let path = self.folder.join("bin").join(name);
        if !path.is_file() {
            bail!("no {name}, neither on the PATH nor in {}: {}", self.folder.display(), debian::REMEDY);
        }
        Ok(path)
    }
}

fn is_private(environment: &[(&str, OsString)]) -> bool {
    environment.iter().any(|(name, _)| *name == "RUSTC")
}

/// Whether this compiler has a standard library for the target.
pub(super) fn has_std(rustc: &Path, triple: &str) -> Result<bool> {
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", triple]).output();
    let output = output.with_context(|| format!("cannot start {}", rustc.display()))?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let Ok(mut files) = std::fs::read_dir(folder) else {
        return Ok(false);
    };
    Ok(files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libstd-"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_compiler_has_a_std_for_its_host_and_none_for_nowhere() {
        let version = Command::new("rustc").arg("-vV").output().unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        assert!(has_std("rustc".as_ref(), host).unwrap());
        assert!(!has_std("rustc".as_ref(), "nowhere-unknown-none").unwrap());
        assert!(has_std("no-such-compiler".as_ref(), host).is_err());
    }

    #[test]
    fn programs_on_the_path_come_first() {
        let toolchain = Toolchain { root: PathBuf::new(), folder: PathBuf::from("/nonexistent") };
        assert!(toolchain.find(&["no-such-program", "sh"]).unwrap().ends_with("sh"));
    }
}
