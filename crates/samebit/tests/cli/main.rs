//! The command line as a user meets it: processes, exit codes, what is on stdout and what on stderr.

mod bench;
mod chat;
mod check_engine;
mod diagnose;
mod inspect;
mod logits;
mod run;
mod serve;
mod signals;
mod support;
mod synth;
mod text;
mod trace;
mod usage;
