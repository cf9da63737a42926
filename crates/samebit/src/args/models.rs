//! Where a command line names models: each may be a file or the name of one that was pulled.

use super::Command;
use std::path::PathBuf;

impl Command {
    /// The models that the command reads.
    pub(crate) fn models(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Run(args) => vec![&mut args.model.path],
            #[cfg(not(target_family = "wasm"))]
            // Its model may be fetched first.
            Self::Chat(args) => args.model_draft.iter_mut().collect(),
            #[cfg(not(target_family = "wasm"))]
            Self::Serve(args) => {
                [Some(&mut args.model.path), args.batch.model_draft.as_mut()].into_iter().flatten().collect()
            }
            Self::Logits(args) => vec![&mut args.model.path],
            Self::Bench(args) => args.models.iter_mut().collect(),
            Self::Tokenize(args) => vec![&mut args.model.path],
            Self::Detokenize(args) => vec![&mut args.model.path],
            Self::Inspect(args) => vec![&mut args.model.path],
            Self::Synth(args) => args.vocab_from.iter_mut().collect(),
            Self::Trace(args) => vec![&mut args.model.path],
            Self::Compare(args) => args.model.iter_mut().collect(),
            Self::Diagnose(args) => vec![&mut args.model.path],
            Self::CheckEngine(_) | Self::Config(_) | Self::Doctor(_) | Self::Completions(_) | Self::Man(_) => {
                Vec::new()
            }
            #[cfg(not(target_family = "wasm"))]
            Self::Pull(_) | Self::List(_) | Self::Rm(_) => Vec::new(),
        }
    }
}
