//! Opening a model file: what the commands share. Text and digest here; running it is the engine's.

use crate::args::{ModelArgs, Verbosity};
use crate::failure::Failure;
use crate::interrupt;
use crate::progress::{Progress, Unit};
use samebit_gguf::Gguf;
use samebit_text::Tokenizer;

/// Bytes hashed between two looks at the progress bar.
const STEP: usize = 64 << 20;

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
