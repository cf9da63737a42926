//! What may be said to `doctor`.

use super::values::switch;
use clap::Args;

const DOCTOR_HELP: &str = "\
Examples:
  samebit doctor
  samebit doctor --all                           every instruction set that this machine has
  samebit doctor --isa avx2                      would it conform with nothing beyond AVX2?
  samebit doctor --json | jq .conforms

The digests of every operation and of small whole models are computed, with the instruction set
that is used, and compared with those that are the same on every machine. Memory is read as
`samebit bench` reads it.
Exit codes: 0 this machine gives the right bits; 1 it does not: please report what was printed.";

/// Examines this machine: its CPU, its memory, whether it gives the right bits, and where models are
#[derive(Debug, Args)]
#[command(after_help = DOCTOR_HELP)]
pub(crate) struct DoctorArgs {
    /// Use nothing beyond this instruction set, as elsewhere
    #[arg(long, value_name = "ISA", default_value = "native", env = "SAMEBIT_ISA")]
    pub(crate) isa: String,
    /// Check every instruction set that this machine has, the slow reference too
    #[arg(long, env = "SAMEBIT_ALL", value_parser = switch)]
    pub(crate) all: bool,
    /// Threads that read memory; 0: one per core
    #[arg(short, long, value_name = "N", default_value_t = 0, env = "SAMEBIT_THREADS", value_parser = super::model::threads)]
    pub(crate) threads: usize,
    /// Print one JSON object
    #[arg(long, env = "SAMEBIT_JSON", value_parser = switch)]
    pub(crate) json: bool,
}
