//! Structured logs on standard error: lines for people, or JSON objects for programs.

use tracing_subscriber::filter::LevelFilter;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object on each line.
    Json,
}

/// Begins to log; once in a process, later calls change nothing. `verbose` shows every request, and not only what went wrong.
pub fn init(format: LogFormat, level: LevelFilter) {
    // A full disk under the log loses lines, not answers: told of it, tracing would print on the same stream, and panic.
    let builder =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).log_internal_errors(false);
    // An error says that somebody has begun already.
    let _ = match format {
        LogFormat::Text => builder.with_target(false).with_ansi(false).try_init(),
        LogFormat::Json => builder.with_target(false).json().flatten_event(true).with_current_span(false).try_init(),
    };
}

pub use tracing_subscriber::filter::LevelFilter as LogLevel;
