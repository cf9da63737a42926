//! The command line as a user meets it: processes, exit codes, what is on stdout and what on stderr.

mod bench;
mod chat;
mod check_engine;
mod config;
mod diagnose;
mod doctor;
#[allow(dead_code, reason = "samebit-hub's own tests ask it for more")]
#[path = "../../../samebit-hub/tests/hub/server.rs"]
mod hub_server;
mod inspect;
mod logits;
mod pull;
mod run;
mod serve;
mod shell;
mod signals;
mod support;
mod synth;
mod text;
mod trace;
mod usage;
