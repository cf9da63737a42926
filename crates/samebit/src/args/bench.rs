//! What to measure. Names and defaults are llama-bench's.

use super::model::{KvArg, at_least_one, threads};
use super::values::switch;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

const BENCH_HELP: &str = "\
Examples:
  samebit bench -m model.gguf                           pp512 and tg128, one thread per core
  samebit bench -m a.gguf -m b.gguf -p 512,2048 -n 0 -t 1,4
                                                        prefill of two models by 1 and 4 threads
  samebit bench -m model.gguf -p 0 -n 64 -d 0,4096      decode, and decode behind 4096 tokens
  samebit bench -m model.gguf -pg 512,128 -o json       also both in one; records for a program
  samebit bench -m model.gguf --against llama.cpp/build/bin/llama-bench
                                                        in turns with another program
  samebit bench -m model.gguf --against old/samebit --against-args 'bench --ceiling 0'
                                                        in turns with another samebit

pp N: prefill of N tokens, with the logits of the last. tg N: N passes of one token each, without
sampling. Each is run once to warm up (tg: one token), then -r times. t/s is the mean with its
standard deviation. For tg there is also what is read of the weights for a token times the median
of t/s, and its share of what the memory gives to as many threads that do nothing but read, which
is measured first; --ceiling says it instead. A share above 100 %: weights stay in the CPU's cache.

--against takes a program that knows llama-bench's -m -p -n -pg -t -ub -d -r and `-o json`. Both
programs run in turns, each repetition in a process of its own, so that both meet the same
weather. The ratio is ours by theirs, of each pair of runs: its median and its range.";

/// Measures prefill and decode, as llama-bench does
#[derive(Debug, Args)]
#[command(after_help = BENCH_HELP)]
pub(crate) struct BenchArgs {
    /// A model: a GGUF file, the first one if it is split; may be repeated
    #[arg(short = 'm', long = "model", value_name = "FILE", env = "SAMEBIT_MODEL", required = true)]
    pub(crate) models: Vec<PathBuf>,
    /// Prefill of so many tokens, a test each; 0: none
    #[arg(short = 'p', long, value_name = "N,…", value_delimiter = ',', default_value = "512", value_parser = tokens)]
    pub(crate) n_prompt: Vec<usize>,
    /// Decode of so many tokens, a test each; 0: none
    #[arg(short, long, value_name = "N,…", value_delimiter = ',', default_value = "128", value_parser = tokens)]
    pub(crate) n_gen: Vec<usize>,
    /// Prefill and then decode, measured as one (also -pg); may be repeated
    #[arg(long = "pg", value_name = "PP,TG", value_parser = pair)]
    pub(crate) mixed: Vec<(usize, usize)>,
    /// Tokens in the cache before each test begins
    #[arg(short = 'd', long, value_name = "N,…", value_delimiter = ',', default_value = "0", value_parser = tokens)]
    pub(crate) n_depth: Vec<usize>,
    /// Threads; 0: one per core
    #[arg(short, long, value_name = "N,…", value_delimiter = ',', default_value = "0", env = "SAMEBIT_THREADS", value_parser = threads)]
    pub(crate) threads: Vec<usize>,
    /// Bind each of our threads to a core of its own, of those that this process may use (llama.cpp: --cpu-strict 1). Linux only
    #[arg(long, env = "SAMEBIT_PIN", value_parser = switch)]
    pub(crate) pin: bool,
    /// Most tokens of a pass (also -ub)
    #[arg(long, value_name = "N", default_value_t = 512, env = "SAMEBIT_UBATCH_SIZE", value_parser = at_least_one)]
    pub(crate) ubatch_size: usize,
    /// Type of our key/value cache; another program takes its own from --against-args
    #[arg(long, value_enum, default_value_t = KvArg::F16, env = "SAMEBIT_KV")]
    pub(crate) kv: KvArg,
    /// How often each test is measured
    #[arg(short, long, value_name = "N", default_value_t = 5, env = "SAMEBIT_REPETITIONS", value_parser = repetitions)]
    pub(crate) repetitions: usize,
    /// Use nothing beyond this instruction set: reference; avx2, avxvnni, avx512, avx512vnni; neon, dotprod, i8mm; simd128; or native (the best there is)
    #[arg(long, value_name = "ISA", default_value = "native", env = "SAMEBIT_ISA")]
    pub(crate) isa: String,
    /// How the results are written on standard output
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Md)]
    pub(crate) output: Format,
    /// Measure at once, without a run to warm up
    #[arg(long, env = "SAMEBIT_NO_WARMUP", value_parser = switch)]
    pub(crate) no_warmup: bool,
    /// What the memory gives, in GB/s, instead of measuring it; 0: unknown
    #[arg(long, value_name = "GB/S", env = "SAMEBIT_CEILING", value_parser = ceiling)]
    pub(crate) ceiling: Option<f64>,
    /// Run this llama-bench in turns with ours
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) against: Option<PathBuf>,
    /// More arguments for that program, parted by spaces, such as '-fa 1 -rtr 1'
    #[arg(long, value_name = "ARGS", requires = "against", allow_hyphen_values = true, default_value = "")]
    pub(crate) against_args: String,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table, for a person
    Md,
    /// One array of objects
    Json,
    /// A line of names, then a line for each test
    Csv,
    /// An object on each line
    Jsonl,
}

/// Longer than any context.
const MOST_TOKENS: usize = 1 << 20;

fn tokens(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count <= MOST_TOKENS => Ok(count),
        _ => Err(format!("give numbers from 0 to {MOST_TOKENS}, parted by commas")),
    }
}

fn pair(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once(',').and_then(|(prompt, generated)| tokens(prompt).ok().zip(tokens(generated).ok()));
    match parts {
        Some((prompt, generated)) if prompt > 0 && generated > 0 => Ok((prompt, generated)),
        _ => Err("give two numbers above 0, such as 512,128".into()),
    }
}

fn repetitions(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=10_000) => Ok(count),
        _ => Err("give a number from 1 to 10000".into()),
    }
}

fn ceiling(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..1e6).contains(&value) => Ok(value),
        _ => Err("give gigabytes per second, such as 45.6, or 0".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(pair("512,128"), Ok((512, 128)));
        for wrong in ["512", "512,", "0,1", "1,0", "1,2,3", "-1,2", "9999999,1"] {
            assert!(pair(wrong).is_err(), "{wrong}");
        }
        assert_eq!(ceiling("12.5"), Ok(12.5));
        for wrong in ["-1", "nan", "inf", "x"] {
            assert!(ceiling(wrong).is_err(), "{wrong}");
        }
        assert!(repetitions("0").is_err() && tokens("-1").is_err() && tokens("1048577").is_err());
    }
}
