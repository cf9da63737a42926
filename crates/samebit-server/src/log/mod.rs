//! Structured logs on standard error: lines for people, or JSON objects for programs. Whoever logs waits for nobody who reads.

mod queue;

use queue::Queue;
use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

pub use tracing_subscriber::filter::LevelFilter as LogLevel;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object on each line.
    Json,
}

/// At the end the log gets so long to be read.
const LAST_MOMENT: Duration = Duration::from_millis(500);

static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// Begins to log; once in a process, later calls change nothing. `verbose` shows every request, and not only what went wrong.
pub fn init(format: LogFormat, level: LevelFilter) {
    let notice = match format {
        LogFormat::Text => lost_text,
        LogFormat::Json => lost_json,
    };
    let queue = QUEUE.get_or_init(|| Queue::new(notice));
    queue::write_from(queue);
    let queue = Arc::clone(queue);
    // A full disk under the log loses lines, not answers: told of it, tracing would print on the same stream, and panic.
    let builder = tracing_subscriber::fmt()
        .with_writer(move || queue::Line::new(&queue))
        .with_max_level(level)
        .log_internal_errors(false);
    // An error says that somebody has begun already.
    let _ = match format {
        LogFormat::Text => builder.with_target(false).with_ansi(false).try_init(),
        LogFormat::Json => builder.with_target(false).json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// Writes a line of its own among the log's, in its turn.
pub fn say(line: &str) {
    let line = format!("{line}\n").into_bytes();
    match QUEUE.get() {
        Some(queue) => queue.push(line),
        // Nobody is left to tell if stderr is closed.
        None => drop(std::io::stderr().write_all(&line)),
    }
}

/// Waits until all lines are written, for a moment at most: who does not read them does not keep the process from ending.
pub fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.finish(LAST_MOMENT);
    }
}

/// The time as the other lines have it.
fn now() -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

fn lost_text(lost: u64) -> Vec<u8> {
    format!("{}  WARN log lines were dropped, for nobody read them dropped={lost}\n", now()).into_bytes()
}

fn lost_json(lost: u64) -> Vec<u8> {
    let (time, message) = (now(), "log lines were dropped, for nobody read them");
    let line = serde_json::json!({"timestamp": time, "level": "WARN", "message": message, "dropped": lost});
    format!("{line}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_in_the_logs_own_form() {
        let text = String::from_utf8(lost_text(7)).expect("UTF-8");
        assert!(text.contains("Z  WARN ") && text.ends_with("dropped=7\n"), "{text}");
        let line: serde_json::Value = serde_json::from_slice(&lost_json(7)).expect("JSON");
        assert_eq!((&line["level"], &line["dropped"]), (&"WARN".into(), &7.into()));
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    }
}
