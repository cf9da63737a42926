//! Opening a model file: what the commands share. Text and digest here; running it is the engine's.

use crate::args::{ModelArgs, Verbosity};
use crate::failure::Failure;
use crate::interrupt;
#[cfg(not(target_family = "wasm"))]
use crate::library;
use crate::progress::{Progress, Unit};
use samebit_gguf::Gguf;
#[cfg(not(target_family = "wasm"))]
use samebit_hub::Name;
use samebit_text::Tokenizer;
use std::path::PathBuf;

/// Bytes hashed between two looks at the progress bar.
const STEP: usize = 64 << 20;

/// Puts the file in the place of a name that `samebit pull` knows. What is a file, or no such name, stays as it is.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn locate(path: &mut PathBuf) -> Result<(), Failure> {
    let Some(text) = path.to_str().filter(|_| !path.exists()) else { return Ok(()) };
    let name = match Name::parse(text).map_err(library::failure)? {
        Some(name) => name,
        // A bare word was hardly meant as a file.
        None if !text.is_empty() && !text.contains(['.', '/', '\\']) => {
            let Err(why) = Name::require(text) else { return Ok(()) };
            return Err(Failure::Input(format!("no such file, and {why}")));
        }
        None => return Ok(()),
    };
    match library::open(true)?.find(&name).map_err(library::failure)? {
        Some(found) => *path = found,
        None => return Err(Failure::Input(format!("{name} is not here yet: `samebit pull {text}` fetches it"))),
    }
    Ok(())
}

/// Where nothing can be pulled a model is a file.
#[cfg(target_family = "wasm")]
pub(crate) fn locate(_path: &mut PathBuf) -> Result<(), Failure> {
    Ok(())
}

/// Opens a model. The error names the file already.
pub(crate) fn open(args: &ModelArgs) -> Result<Gguf, Failure> {
    Gguf::open(&args.path).map_err(|error| Failure::Input(error.to_string()))
}

/// The model's tokenizer.
pub(crate) fn tokenizer(args: &ModelArgs, gguf: &Gguf) -> Result<Tokenizer, Failure> {
    Tokenizer::from_metadata(gguf.metadata()).map_err(|error| Failure::at(&args.path, error))
}

/// BLAKE3 of the file, or of the files of a split model one after the other, in hexadecimal.
pub(crate) fn digest(gguf: &Gguf, verbosity: Verbosity) -> Result<String, Failure> {
    let mut progress = Progress::new("hashing", Unit::Bytes, verbosity.quiet);
    let mut hasher = blake3::Hasher::new();
    let mut done = 0;
    for shard in gguf.shards() {
        for (index, step) in shard.bytes().chunks(STEP).enumerate() {
            if interrupt::asked() {
                return Err(Failure::Cancelled);
            }
            hasher.update_rayon(step);
            shard.release(index * STEP..index * STEP + step.len());
            done += step.len() as u64;
            progress.at(done, gguf.file_bytes());
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}
