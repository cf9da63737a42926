//! The commands, one file each: what a user sees of them. Flags are parsed before, work is done below.

pub(crate) mod bench;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod chat;
pub(crate) mod check_engine;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod diagnose;
pub(crate) mod doctor;
pub(crate) mod inspect;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod library;
pub(crate) mod logits;
pub(crate) mod run;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod serve;
pub(crate) mod shell;
pub(crate) mod synth;
pub(crate) mod tokenize;
pub(crate) mod trace;
