//! The server as its clients meet it: a port of this machine, HTTP, and nothing else.

mod batch;
mod chat;
mod completions;
mod ending;
mod faults;
mod operations;
mod refusals;
mod responses;
mod resume;
mod support;
mod tools;
#[cfg(feature = "otel")]
mod traces;
